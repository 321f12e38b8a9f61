"""Plugins on the real program: installed, named in a job, seen at work, and failing without harm."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from plugins_rig import install
from program_rig import Bench, check_renamed, fleet_of, serving, writes

from bulkpatch.simulator.state import Fleet

WAVES = '[[wave]]\nsize = 2\ngate = { plugin = "ticket" }\n[[wave]]\nsize = "rest"\n'
WRITERS = '[report]\nwriters = ["tally"]\n'
TICKET = "ticket = ticket_gate:ticket"
TALLY = "tally = tally_writer:tally"
TRACED = "traced = traced_transport:Traced"


def job_of(bench: Bench, fleet: Fleet, url: str, more: str = "", **send: object) -> Path:
    """A job that renames ``fleet``, with further tables."""
    job = bench.renaming(fleet, url, **send)
    job.write_text(job.read_text() + more)
    return job


# ── transports ───────────────────────────────────────────────────────────────────────────────


def test_a_run_goes_over_a_packages_transport(bench: Bench) -> None:
    """It carries every read and write, and ``run.json`` says with which version."""
    install(bench.folder / "site", "traced_transport", version="0.7", transports=TRACED)
    fleet = fleet_of(12)
    with serving(fleet, "503=0.2") as server:
        job = job_of(bench, fleet, server.url, transport="traced")
        ended = bench.run("run", job, "--yes", "-q")
    assert ended.code == 0, ended.err
    check_renamed(fleet)
    told = (bench.folder / "trace.txt").read_text().splitlines()
    assert len(told) == len(fleet.arrivals)
    assert [line.split()[1] for line in told if line.startswith("PATCH")] == [
        f"/destinations/{one.destination_id}" for one in writes(fleet)
    ]
    assert bench.stands()["plugins"] == ["transport traced: traced-transport 0.7"]


RUDE = """
from bulkpatch.model import Reply
from bulkpatch.transport.httpx_transport import HttpxTransport

class Rude(HttpxTransport):
    async def send(self, request, *, timeout_s, on_sent):
        result = await super().send(request, timeout_s=timeout_s, on_sent=on_sent)
        if request.method == "PATCH" and request.path.endswith("%s"):
            raise RuntimeError("sk_staging_of_nobody")
        return result
"""


def test_a_transport_that_raises_leaves_its_row_in_doubt_and_the_run_goes_on(bench: Bench) -> None:
    """The request did arrive: to call the row failed would be a lie."""
    fleet = fleet_of(12)
    install(bench.folder / "site", "rude", source=RUDE % fleet.ids[3], transports="rude = rude:Rude")
    with serving(fleet) as server:
        job = job_of(bench, fleet, server.url, transport="rude", attempts=2)
        ended = bench.run("run", job, "--yes", "-q")
    assert ended.code == 7, ended.err
    check_renamed(fleet)
    states = dict(bench.outcomes().select("destination_id", "state").iter_rows())
    assert [one for one, state in states.items() if state != "accepted"] == [fleet.ids[3]]
    assert states[fleet.ids[3]] == "unknown"
    assert "RuntimeError" in bench.outcomes().filter(pl.col("state") == "unknown")["error"].item()


@pytest.mark.parametrize("command", ["check", "run"])
def test_names_that_nobody_brings_are_told_at_once_with_their_places(bench: Bench, command: str) -> None:
    """Beside what is wrong with the rows; nothing is sent."""
    site = install(bench.folder / "site", "traced_transport", transports=TRACED)
    install(site, "ticket_gate", gates=TICKET)
    fleet = fleet_of(3)
    with serving(fleet) as server:
        more = WAVES.replace("ticket", "tickets") + WRITERS
        job = job_of(bench, fleet, server.url, more, transport="trased")
        bench.write("fleet.csv", "destination_id,nam\nx,y\n")
        ended = bench.run(command, job, *(["--yes"] if command == "run" else []))
        assert not fleet.arrivals
    assert ended.code == 2
    lines = job.read_text().splitlines()
    for place, words, fix in (
        ("transport =", "[send] transport: there is no transport trased", "Did you mean traced?"),
        ("gate =", "there is no gate tickets", "Did you mean ticket?"),
        ("writers =", "there is no report writer tally", "Known here: none."),
    ):
        number = next(at for at, line in enumerate(lines, start=1) if line.startswith(place))
        assert words in ended.err
        assert f"job.toml:{number}:" in ended.err
        assert f"fix: {fix}" in ended.err
    assert "Did you mean name?" in ended.err


def test_a_name_from_the_environment_is_told_as_such(bench: Bench) -> None:
    fleet = fleet_of(1)
    job = job_of(bench, fleet, "http://127.0.0.1:9")
    ended = bench.run("check", job, environ={"BULKPATCH_TRANSPORT": "pigeon"})
    assert ended.code == 2
    assert "[send] transport, set by environment (BULKPATCH_TRANSPORT): there is no transport pigeon" in ended.err


# ── gates ────────────────────────────────────────────────────────────────────────────────────


def test_a_packages_gate_stops_a_run_and_lets_its_resume_pass(bench: Bench) -> None:
    """While it says no nothing more is sent; a resume asks it again and sends the rest once."""
    install(bench.folder / "site", "ticket_gate", gates=TICKET)
    ticket = bench.write("ticket.txt", "closed")
    fleet = fleet_of(9)
    with serving(fleet) as server:
        job = job_of(bench, fleet, server.url, WAVES)
        plan = bench.run("plan", job)
        assert "the plugin ticket" in plan.out + plan.err
        ended = bench.run("run", job, "--yes", "-q")
        assert (ended.code, len(writes(fleet))) == (3, 2)
        words = "wave 1: the gate ticket does not let the run go on: the ticket is closed, and 0 of 2 rows failed"
        assert bench.stands()["reason"] == words
        assert bench.stands()["code"] == "BP511"
        assert "bulkpatch resume" in ended.err
        ticket.write_text("open")
        again = bench.run("resume", "latest", "--yes", "-q")
    assert again.code == 0, again.err
    assert len(writes(fleet)) == 9
    check_renamed(fleet)


def test_a_gate_that_fails_stops_the_run_safely(bench: Bench) -> None:
    source = "def ticket(_): raise SystemExit('hunter2')"
    install(bench.folder / "site", "ticket_gate", source=source, gates=TICKET)
    fleet = fleet_of(9)
    with serving(fleet) as server:
        ended = bench.run("run", job_of(bench, fleet, server.url, WAVES), "--yes", "-q")
    assert (ended.code, len(writes(fleet))) == (3, 2)
    assert bench.stands()["reason"] == "wave 1: the gate ticket gave no verdict: SystemExit"
    assert bench.stands()["code"] == "BP512"
    assert "hunter2" not in ended.err
    assert "Traceback" not in ended.err
    assert bench.outcomes()["state"].value_counts(name="n").sort("state").rows() == [
        ("accepted", 2),
        ("not_attempted", 7),
    ]


# ── report writers ───────────────────────────────────────────────────────────────────────────


def test_a_packages_writer_adds_private_files_to_the_report(bench: Bench) -> None:
    """And writes them anew with the report, whether or not the package that wrote them is still there."""
    site = install(bench.folder / "site", "tally_writer", writers=TALLY)
    fleet = fleet_of(9)
    with serving(fleet) as server:
        ended = bench.run("run", job_of(bench, fleet, server.url, WRITERS), "--yes", "-q")
    assert ended.code == 0, ended.err
    folder = bench.latest / "tally"
    assert oct(folder.stat().st_mode)[-3:] == "700"
    assert {oct(path.stat().st_mode)[-3:] for path in folder.iterdir()} == {"600"}
    assert pl.read_csv(folder / "tally.csv")["len"].sum() == 9
    assert json.loads((folder / "verdict.json").read_text())["run"] == bench.latest.name
    (folder / "old.txt").write_text("gone with the next report")
    assert bench.run("report", "latest", "-o", "json").code == 0
    assert sorted(path.name for path in folder.iterdir()) == ["tally.csv", "verdict.json"]
    (site / "tally_writer-1.0.dist-info" / "entry_points.txt").write_text("")
    told = bench.run("report", "latest", "-o", "json")
    assert told.code == 0
    assert "report writer tally: there is no report writer tally" in told.err
    assert (bench.latest / "failures.csv").read_text()
    assert (folder / "tally.csv").exists()


def test_a_writer_that_fails_costs_the_report_nothing(bench: Bench) -> None:
    """It is noted; code, states and files are those of a run without it."""
    source = "def tally(outcomes, facts, folder):\n    facts.clear()\n    raise SystemExit('hunter2')\n"
    words = "it failed (SystemExit)"
    install(bench.folder / "site", "tally_writer", source=source, writers=TALLY)
    fleet = fleet_of(4)
    with serving(fleet) as server:
        ended = bench.run("run", job_of(bench, fleet, server.url, WRITERS), "--yes")
    assert ended.code == 0, ended.err
    assert bench.stands()["notes"] == [f"report writer tally: {words}"]
    assert "BP905" in (bench.latest / "log.jsonl").read_text()
    assert words in ended.err
    assert "hunter2" not in ended.err
    assert bench.outcomes()["state"].to_list() == ["accepted"] * 4
    assert {"report.html", "summary.md", "failures.csv", "outcomes.parquet"} <= {
        path.name for path in bench.latest.iterdir()
    }
    assert not (bench.latest / "tally").exists()
    assert not (bench.latest / ".report").exists()


# ── plans, and what is told ──────────────────────────────────────────────────────────────────


def test_a_plan_is_carried_out_with_the_plugins_that_it_was_made_with(bench: Bench) -> None:
    """Another version may decide otherwise: it was not what a person looked at."""
    site = install(bench.folder / "site", "ticket_gate", gates=TICKET)
    bench.write("ticket.txt", "open")
    fleet = fleet_of(5)
    with serving(fleet) as server:
        job = job_of(bench, fleet, server.url, WAVES)
        assert bench.run("plan", job, "-o", "the.bpplan").code == 0
        install(site, "ticket_gate", version="1.1", gates=TICKET)
        ended = bench.run("run", "the.bpplan", "--yes")
        assert ended.code == 6
        assert "made with gate ticket: ticket-gate 1.0; here is gate ticket: ticket-gate 1.1" in ended.err
        assert not writes(fleet)
        install(site, "ticket_gate", version="1.0", gates=TICKET)
        ended = bench.run("run", "the.bpplan", "--yes")
    assert ended.code == 0, ended.err
    check_renamed(fleet)


def test_a_stores_package_is_told_and_pinned_as_well(bench: Bench) -> None:
    """By the schemes that the input really names."""
    source = "def resolve(targets): return {one: ('value-of-' + one, None) for one in targets}"
    install(bench.folder / "site", "shop", source=source, version="5", secrets="shop = shop:resolve")
    fleet = fleet_of(2, vendors=("postgres",))
    bench.write("fleet.csv", "destination_id,pw\n" + "".join(f"{one},shop:{one}\n" for one in fleet.ids))
    with serving(fleet) as server:
        job = bench.write(
            "job.toml",
            f'[job]\nname = "pins"\n[api]\nbase_url = "{server.url}"\n[input]\npath = "fleet.csv"\n'
            '[input.columns]\npw = "postgres.password_auth.password"\n'
            '[patch.postgres.password_auth]\nusername = "exporter"\n',
        )
        ended = bench.run("run", job, "--yes", "-q")
    assert ended.code == 0, ended.err
    assert bench.stands()["plugins"] == ["secret store shop: shop 5"]


def test_doctor_lists_what_other_packages_bring(bench: Bench) -> None:
    """Unloaded; and says of what is never used why."""
    site = install(bench.folder / "site", "ticket_gate", source="raise SystemExit", gates=TICKET)
    install(site, "thief", source="raise SystemExit", transports="httpx = thief:act")
    install(site, "rival", source="", writers="tally = rival:act")
    install(site, "tally_writer", writers=TALLY)
    told = bench.run("doctor", "--offline", "-o", "json")
    found = {one["words"]: one["level"] for one in json.loads(told.out)["findings"] if one["name"] == "plugin"}
    assert found == {
        "gate ticket: ticket-gate 1.0": "ok",
        "transport httpx: thief 1.0; not used: bulkpatch has one of this name": "warn",
        "rival 1.0 and tally-writer 1.0 bring a report writer tally each": "warn",
    }
