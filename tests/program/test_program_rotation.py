"""A rotation of credentials end to end: what fails its test stays as it was, what is verified is named, no more."""

from __future__ import annotations

import csv
import io
import json
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from program_rig import Bench, Child, Clock, serving, until

from bulkpatch.simulator.state import Fleet

LATENCY_S = 0.05
TOKEN, PASSWORD = "access_token_auth.access_token", "password_auth.password"
SECRETS: Mapping[str, str] = {
    "abs": "azure_service_shared_access_signature.shared_access_signature_token",
    "databricks": TOKEN,
    "motherduck": TOKEN,
    **dict.fromkeys(
        ("aurora_mysql", "clickhouse", "mysql", "oracle", "planetscale", "postgres", "singlestore", "snowflake"),
        PASSWORD,
    ),
    "sql_server": PASSWORD,
}
"""Twelve vendors, each with the secret that is rotated."""
FIELDS = {vendor: f"{vendor}.{secret}" for vendor, secret in SECRETS.items()}
VENDORS = list(SECRETS)


class Store:
    """A folder of secrets, one file each: what the new one of a destination is, and what the old one was."""

    def __init__(self, bench: Bench, ids: Sequence[str]) -> None:
        self.folder = bench.folder / "secrets"
        self.folder.mkdir()
        for one in ids:
            self.put(f"{one}.new", new(one))
            self.put(f"{one}.old", f"old-secret-of-{one}")

    def put(self, name: str, value: str) -> None:
        """Keep a secret."""
        path = self.folder / name
        path.write_text(value)
        path.chmod(0o600)

    def contents(self) -> Mapping[str, tuple[str, int]]:
        """Every secret, and when it was written."""
        return {path.name: (path.read_text(), path.stat().st_mtime_ns) for path in self.folder.iterdir()}


def new(destination_id: str) -> str:
    """The secret that a destination is to get."""
    return f"new-secret-of-{destination_id}"


def ids_of(count: int) -> list[str]:
    """The destinations."""
    return [f"dest-{number:04d}" for number in range(1, count + 1)]


def fleet_of(ids: Sequence[str], **knobs: object) -> Fleet:
    """Of twelve vendors in turn."""
    vendors = {one: VENDORS[at % len(VENDORS)] for at, one in enumerate(ids)}
    return Fleet.from_rows(ids, vendors, seed=7, clock=Clock(), **knobs)


def rotation(  # noqa: PLR0913  (what a rotation is made of)
    bench: Bench, fleet: Fleet, url: str, *, shared: Mapping[str, str] | None = None, more: str = "", test: str = "both"
) -> Path:
    """A job that gives each destination what its file holds, or the file that ``shared`` names, and its input."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(["destination_id", "vendor", *FIELDS.values(), *(f"old_{vendor}" for vendor in VENDORS)])
    for one in fleet.ids:
        mine = [vendor == fleet.vendor(one) for vendor in VENDORS]
        source = (shared or {}).get(one, f"{one}.new")
        cells = [f"file:secrets/{source}" if own else "" for own in mine]
        lines.writerow([one, fleet.vendor(one), *cells, *(f"file:secrets/{one}.old" if own else "" for own in mine)])
    bench.write("fleet.csv", text.getvalue())
    previous = "\n".join(f'old_{vendor} = "{field}"' for vendor, field in FIELDS.items())
    return bench.write(
        "job.toml",
        f"""[job]
name = "rotate"
[api]
base_url = "{url}"
[input]
path = "fleet.csv"
labels = ["vendor"]
[input.previous]
{previous}
[send]
rate = "1000/s"
concurrency = 16
timeout = "5s"
attempts = 8
[guard]
max_failed = "100%"
[verify]
connection_test = "{test}"
poll = "100ms"
{more}""",
    )


def secrets_in(fleet: Fleet) -> Mapping[str, str]:
    """The secret that each destination holds, as only the server knows."""
    held = fleet.snapshot()
    return {one: held[one]["secrets"][FIELDS[fleet.vendor(one)]] for one in fleet.ids}


def states(bench: Bench) -> Mapping[str, str]:
    """Where each row of the newest run ended, by destination."""
    return dict(bench.outcomes().select("destination_id", "state").iter_rows())


@pytest.mark.parametrize("count", [60, pytest.param(1000, marks=pytest.mark.long)])
def test_a_fleet_of_twelve_vendors_is_rotated_and_what_fails_keeps_or_names_its_old_secret(
    bench: Bench, count: int
) -> None:
    """3 % fail before, 2 % after, faults are on: the old secret stays or is named, and the store is as it was."""
    ids = ids_of(count)
    before, after = set(ids[5::33][: count * 3 // 100 or 1]), set(ids[7::50][: count * 2 // 100 or 1])
    fleet = fleet_of(ids, bad_secrets=[new(one) for one in before], fading_ids=after)
    first = secrets_in(fleet)
    store = Store(bench, ids)
    kept = store.contents()
    with serving(fleet, "some") as server:
        ended = bench.start("run", rotation(bench, fleet, server.url), "--yes").wait(600)
    assert ended.code == 1, ended.err
    wanted = {one: "rejected" if one in before else "unverified" if one in after else "verified" for one in ids}
    assert states(bench) == wanted
    held = secrets_in(fleet)
    for one in ids:
        assert held[one] == (first[one] if one in before else new(one))
        assert fleet.effects[one] == 0 if one in before else fleet.effects[one] >= 1
    assert store.contents() == kept
    summary = (bench.latest / "summary.md").read_text()
    for one in after:
        assert f"| `{one}` | `file:secrets/{one}.new` | `file:secrets/{one}.old` |" in summary
    told = json.loads(bench.run("report", "latest", "--verified", "-o", "json").out)
    assert told["schema"] == "bulkpatch.verified/1"
    listed = {row["destination_id"]: row["credential"] for row in told["rows"]}
    assert listed == {one: f"file:secrets/{one}.new" for one in ids if wanted[one] == "verified"}
    lines = bench.run("report", "latest", "--verified", "-o", "csv").out.splitlines()
    assert lines[0] == "destination_id,credential,version,verified_at,label_vendor"
    assert {line.partition(",")[0] for line in lines[1:]} == listed.keys()
    by = json.loads(bench.run("report", "latest", "--by", "credential,vendor", "-o", "json").out)["groups"]
    assert {group["credential"] for group in by} == {f"file:secrets/{one}.new" for one in ids}
    for path in bench.latest.iterdir():
        assert b"secret-of-" not in path.read_bytes()


@pytest.mark.parametrize("arguments", [("--by", "vendor"), ("-o", "md"), ("-o", "parquet")])
def test_the_verified_rows_are_listed_alone(bench: Bench, arguments: tuple[str, ...]) -> None:
    """No grouping and no form that is not for programs or eyes; the refusal is a usage error."""
    refused = bench.run("report", "latest", "--verified", *arguments)
    assert refused.code == 2
    assert "--verified stands alone" in refused.err


# ── kill -9 ──────────────────────────────────────────────────────────────────────────────────────


def asked(fleet: Fleet) -> Mapping[str, Sequence[str]]:
    """Of each destination the stages that its requests were of, in order; a listing is about none."""
    found: dict[str, list[str]] = defaultdict(list)
    for arrival in list(fleet.arrivals):
        if arrival.destination_id:
            mine = found[arrival.destination_id]
            test = "verify" if "patch" in mine else "pretest"
            mine.append({"GET": "expect", "PATCH": "patch"}.get(arrival.method, test))
    return found


def count_of(fleet: Fleet, stage: str) -> int:
    """Requests of ``stage`` that came in."""
    return sum(Counter(mine)[stage] for mine in asked(fleet).values())


def killed_in(fleet: Fleet, child: Child, stage: str, number: int) -> None:
    """Kill ``child`` once it has asked so many more times what ``stage`` asks; what left by then has arrived."""
    before = count_of(fleet, stage)
    until(lambda: child.gone or count_of(fleet, stage) >= before + number)
    assert not child.gone, child.wait().err
    child.kill()
    time.sleep(2 * LATENCY_S)


def test_a_rotation_killed_at_every_stage_and_resumed_skips_none_and_touches_no_verified_row(bench: Bench) -> None:
    """Eight kills, two in each stage: each row goes through all four in their order, and once verified through none."""
    fleet = fleet_of(ids_of(96))
    Store(bench, fleet.ids)
    verified: list[tuple[str, int]] = []
    with serving(fleet, latency_s=LATENCY_S) as server:
        path = rotation(bench, fleet, server.url, more="[expect]\nis_enabled = true\n")
        arguments: tuple[str | Path, ...] = ("run", path, "--yes")
        for number, stage in enumerate(["expect", "pretest", "patch", "verify"] * 2):
            killed_in(fleet, bench.start(*arguments), stage, 1 + 3 * (number // 4))
            arguments = ("resume", "latest", "--yes")
            done = [one for one, state in bench.ledger().states.items() if state == "verified"]
            verified += [(one, len(asked(fleet)[one])) for one in done]
        ended = bench.run(*arguments)
    assert ended.code == 0, ended.err
    assert set(states(bench).values()) == {"verified"}
    assert secrets_in(fleet) == {one: new(one) for one in fleet.ids}
    assert verified, "no kill came after a row was verified: the test shows nothing"
    for one, mine in asked(fleet).items():
        assert list(dict.fromkeys(mine)) == ["expect", "pretest", "patch", "verify"], (one, mine)
    assert all(len(asked(fleet)[one]) == number for one, number in verified)


# ── one credential, many destinations ────────────────────────────────────────────────────────────


@pytest.mark.parametrize("test", ["both", "after"])
@pytest.mark.parametrize("sharing", [40, pytest.param(400, marks=pytest.mark.long)])
def test_a_wrong_password_that_many_share_is_tried_three_times(bench: Bench, sharing: int, test: str) -> None:
    """The rest of its rows is held and named while others finish; mended at its place, it goes on where it was."""
    ids = ids_of(sharing + 20)
    fleet = fleet_of(ids, bad_secrets=["the-wrong-secret"])
    shared = dict.fromkeys(ids[:sharing], "shared")
    store = Store(bench, ids)
    store.put("shared", "the-wrong-secret")
    first = secrets_in(fleet)
    with serving(fleet) as server:
        ended = bench.run("run", rotation(bench, fleet, server.url, shared=shared, test=test), "--yes")
        assert ended.code == 3, ended.err
        touched = {one for one, mine in asked(fleet).items() if one in shared and mine}
        stages = Counter(stage for one in shared for stage in asked(fleet).get(one, ()))
        assert stages == ({"pretest": 3} if test == "both" else {"patch": 3, "verify": 3})
        ended_as = Counter(states(bench)[one] for one in shared)
        failed = "rejected" if test == "both" else "unverified"
        assert ended_as == {failed: 3, "not_attempted": sharing - 3}
        assert {states(bench)[one] for one in ids[sharing:]} == {"verified"}
        stands = bench.stands()
        assert (stands["state"], stands["code"]) == ("stopped", "BP510")
        assert f"file:secrets/shared ({sharing - 3} rows)" in stands["reason"]
        held = secrets_in(fleet)
        assert all(held[one] == first[one] for one in shared if one not in touched or test == "both")
        counts = f"| {sharing} | 0 | {3 * (test == 'after')} | {3 * (test == 'both')} | {sharing - 3} |"
        assert f"| `file:secrets/shared` {counts}" in (bench.latest / "summary.md").read_text()

        store.put("shared", "the-right-secret")
        ended = bench.run("resume", "latest", "--yes")
    assert ended.code == 1, ended.err
    assert Counter(states(bench).values()) == {failed: 3, "verified": sharing + 17}
    assert {secrets_in(fleet)[one] for one in shared if one not in touched} == {"the-right-secret"}


def test_the_sample_job_rotates_on_the_simulator_behind_a_canary(bench: Bench) -> None:
    """As it is shipped: every row verified, two waves, and the references of the report are the job's."""
    job = Path(__file__).parents[2] / "jobs" / "rotate-credentials.toml"
    ended = bench.run("run", job, "--simulate", "--yes")
    assert ended.code == 0, ended.err
    assert set(bench.outcomes()["state"]) == {"verified"}
    assert bench.outcomes().group_by("wave").len().sort("wave")["len"].to_list() == [2, bench.outcomes().height - 2]
    told = bench.run("report", "latest", "--by", "credential")
    assert "exec:printf sample-password-%s-2026 acme" in told.out
