"""A plan says what would happen to the live fleet, writes nothing, and can be kept to be run exactly, once."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from program_rig import Bench, Clock, Ended, fleet_of, serving, until_asked, writes

from bulkpatch.simulator.state import Fleet

ALREADY, ALL = 100, 250
READS_MAX = 6
PASSWORD = "postgres.password_auth.password"


def named(ids: list[str], *, column: str = "name") -> str:
    """An input that names each destination by its number."""
    rows = "".join(f"{destination_id},Fleet {number}\n" for number, destination_id in enumerate(ids))
    return f"destination_id,{column}\n{rows}"


def job(bench: Bench, url: str, more: str = "") -> Path:
    """A job over ``fleet.csv``."""
    head = f'[job]\nname = "rename"\n[api]\nbase_url = "{url}"\n[input]\npath = "fleet.csv"\n'
    return bench.write("job.toml", f'{head}[send]\nrate = "200/s"\n{more}')


def half_done(bench: Bench, url: str, fleet: Fleet) -> Path:
    """A job for 250 destinations, 100 of which are as it asks already."""
    bench.write("fleet.csv", named(list(fleet.ids)))
    for number, destination_id in enumerate(fleet.ids[:ALREADY]):
        fleet.patch(destination_id, {"destination": {"name": f"Fleet {number}"}})
    return job(bench, url)


def reads(fleet: Fleet) -> int:
    """GETs that came in since the last call."""
    count = sum(arrival.method == "GET" for arrival in fleet.arrivals)
    fleet.arrivals.clear()
    return count


def keep_plan(bench: Bench, path: Path) -> Path:
    """``plan -o``."""
    kept = bench.folder / "kept.bpplan"
    made = bench.run("plan", path, "-o", kept)
    assert made.code == 0, made.err
    return kept


def states(bench: Bench) -> dict[str, int]:
    """How many rows of the newest run are in each state."""
    return {str(state): int(count) for state, count in bench.outcomes().group_by("state").len().iter_rows()}


def test_plan_and_dry_run_read_few_pages_write_nothing_and_tell_what_is_so_already(bench: Bench) -> None:
    fleet = fleet_of(ALL)
    with serving(fleet) as server:
        path = half_done(bench, server.url, fleet)
        planned = bench.run("plan", path, "--json")
        assert planned.code == 0, planned.err
        document = json.loads(planned.out)
        assert (document["live"]["noops"], document["live"]["changes"], document["sends"]) == (100, 150, 150)
        assert document["live"]["fields"] == {"name": {"same": 100, "change": 150}}
        assert document["live"]["rows"][0]["fields"]["name"]["kind"] == "same"
        assert document["live"]["rows"][-1]["fields"]["name"]["after"] == "Fleet 249"
        assert document["reads"] <= READS_MAX
        assert reads(fleet) <= READS_MAX
        assert bench.run("plan", path, "--detailed-exitcode").code == 5
        fleet.arrivals.clear()
        dry = bench.run("run", path, "--dry-run")
        assert dry.code == 0, dry.err
        assert reads(fleet) <= READS_MAX
        assert writes(fleet) == []
    assert states(bench) == {"noop": 100, "planned": 150}
    assert bench.outcomes()["vendor"].null_count() == 0  # as of the reading
    assert bench.run("resume", "latest", "--yes").code == 6


@pytest.mark.proves("G4")
def test_a_kept_plan_sends_exactly_what_it_says_and_once(bench: Bench) -> None:
    fleet = fleet_of(ALL)
    with serving(fleet) as server:
        path = half_done(bench, server.url, fleet)
        kept = keep_plan(bench, path)
        copy = shutil.copy(kept, bench.folder / "copy.bpplan")
        assert kept.stat().st_mode & 0o777 == 0o600
        ran = bench.run("run", kept, "--yes")
        assert ran.code == 0, ran.err
        assert len(writes(fleet)) == 150
        assert states(bench) == {"noop": 100, "accepted": 150}
        fleet.arrivals.clear()
        for again in (kept, Path(copy)):
            refused = bench.run("run", again, "--yes")
            assert (refused.code, "BP613" in refused.err) == (6, True)
        assert list(fleet.arrivals) == []
        assert bench.run("plan", path, "--detailed-exitcode").code == 0


def test_a_kept_plan_stays_good_for_its_rows_after_a_kill(bench: Bench) -> None:
    """Its own patches are no drift: only rows that were never begun are held against the plan."""
    fleet = fleet_of(60)
    with serving(fleet, latency_s=0.01) as server:
        bench.write("fleet.csv", named(list(fleet.ids)))
        kept = keep_plan(bench, job(bench, server.url, "concurrency = 4\n"))
        child = bench.start("run", kept, "--yes")
        until_asked(fleet, 20, child)
        child.kill()
        resumed = bench.run("resume", "latest", "--yes")
        assert resumed.code == 0, resumed.err
    assert states(bench) == {"accepted": 60}


@pytest.mark.parametrize(("policy", "code", "expected"), [("skip", 1, "skipped"), ("send", 0, "accepted")])
def test_a_destination_that_changed_since_the_plan(bench: Bench, policy: str, code: int, expected: str) -> None:
    fleet = fleet_of(12)
    with serving(fleet) as server:
        bench.write("fleet.csv", named(list(fleet.ids)))
        kept = keep_plan(bench, job(bench, server.url, f'on_drift = "{policy}"\n[guard]\nmax_failed = "100%"\n'))
        fleet.patch(fleet.ids[5], {"destination": {"frequency_minutes": 15}})
        ran = bench.run("run", kept, "--yes")
    assert ran.code == code, ran.err
    row = bench.outcomes().row(5, named=True)
    assert row["state"] == expected
    assert (row["error_code"] == "BP508") is (policy == "skip")
    assert states(bench).get("accepted", 0) == 12 - (policy == "skip")


def test_drift_may_stop_the_run_and_leaves_the_row_pending(bench: Bench) -> None:
    fleet = fleet_of(12)
    with serving(fleet) as server:
        bench.write("fleet.csv", named(list(fleet.ids)))
        kept = keep_plan(bench, job(bench, server.url, 'on_drift = "stop"\nconcurrency = 1\n'))
        fleet.patch(fleet.ids[5], {"destination": {"frequency_minutes": 15}})
        ran = bench.run("run", kept, "--yes")
    assert (ran.code, "BP508" in ran.err) == (3, True)
    assert states(bench) == {"accepted": 5, "not_attempted": 7}


def moved_input(bench: Bench) -> None:
    """One cell is another one."""
    path = bench.folder / "fleet.csv"
    path.write_text(path.read_text().replace("Fleet 3", "Fleet x"))


def moved_job(bench: Bench) -> None:
    """A key more."""
    path = bench.folder / "job.toml"
    path.write_text(path.read_text() + "timeout = '9s'\n")


def changed_plan(bench: Bench) -> None:
    """A row of the plan is moved to another destination."""
    with closing(sqlite3.connect(bench.folder / "kept.bpplan")) as plan:
        plan.execute("UPDATE row SET destination_id = 'other' WHERE row = 2")
        plan.commit()


def cut_plan(bench: Bench) -> None:
    """The second half is gone."""
    path = bench.folder / "kept.bpplan"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("move", [moved_input, moved_job, changed_plan, cut_plan])
def test_whatever_moved_since_the_plan_was_kept_is_refused(bench: Bench, move: object) -> None:
    fleet = fleet_of(12)
    with serving(fleet) as server:
        bench.write("fleet.csv", named(list(fleet.ids)))
        kept = keep_plan(bench, job(bench, server.url))
        assert callable(move)
        move(bench)
        fleet.arrivals.clear()
        refused = bench.run("run", kept, "--yes")
        assert refused.code == 6, refused.err
        assert list(fleet.arrivals) == []


def test_a_plan_holds_for_its_address_and_its_kind_of_key(bench: Bench) -> None:
    fleet = fleet_of(4)
    with serving(fleet) as server:
        bench.write("fleet.csv", named(list(fleet.ids)))
        kept = keep_plan(bench, job(bench, server.url))
        fleet.arrivals.clear()
        elsewhere = bench.run("run", kept, "--yes", "--base-url", "http://127.0.0.1:9")
        assert (elsewhere.code, "base URL" in elsewhere.err) == (6, True)
        other = bench.run("run", kept, "--yes", environ={"PREQUEL_API_KEY": "sk_prod_0123456789"})
        assert (other.code, "key" in other.err) == (6, True)
        assert list(fleet.arrivals) == []


def seen(ended: Ended, words: str) -> bool:
    """Whether a plan says so."""
    return words in " ".join(ended.out.split())


def test_missing_destinations_other_vendors_and_guards_show_in_the_plan_and_hold_in_the_run(bench: Bench) -> None:
    """Of another vendor: not sent; with a guard that fails: skipped; missing: the API's to refuse."""
    fleet = fleet_of(6, vendors=["postgres", "mysql"])
    postgres = [one for one in fleet.ids if fleet.vendor(one) == "postgres"]
    mysql = [one for one in fleet.ids if fleet.vendor(one) == "mysql"]
    rows = [f"{one},db.example.com\n" for one in [*postgres, mysql[0], "nobody-there"]]
    with serving(fleet) as server:
        bench.write("fleet.csv", "destination_id,postgres.host\n" + "".join(rows))
        fleet.patch(postgres[0], {"destination": {"is_enabled": False}})
        fleet.arrivals.clear()
        path = job(bench, server.url, '[guard]\nmax_failed = "100%"\n[expect]\nis_enabled = true\n')
        planned = bench.run("plan", path)
        assert seen(planned, "1 rows are of another vendor")
        assert seen(planned, "1 rows name a destination that is not there")
        assert seen(planned, "1 rows fail a guard of [expect]")
        ran = bench.run("run", path, "--yes")
        assert ran.code == 1, ran.err
        told = bench.outcomes().select("destination_id", "state", "stage", "error_code").rows()
        found = {destination_id: facts for destination_id, *facts in told}
        assert found[mysql[0]] == ["rejected", "expect", "BP423"]
        assert found[postgres[0]] == ["skipped", "expect", "BP422"]
        assert found["nobody-there"] == ["rejected", "expect", "BP404"]
        assert {found[one][0] for one in postgres[1:]} == {"accepted"}
        assert {arrival.destination_id for arrival in writes(fleet)} == set(postgres[1:])


def test_an_api_that_cannot_be_read_is_no_hindrance(bench: Bench) -> None:
    """Offline nothing is asked; ``^C`` while the fleet is read leaves nothing sent."""
    fleet = fleet_of(4)
    with serving(fleet, latency_s=5.0) as server:
        bench.write("fleet.csv", named(list(fleet.ids)))
        path = job(bench, server.url)
        offline = bench.run("plan", path, "--offline")
        assert (offline.code, seen(offline, "fleet not read")) == (0, True)
        assert list(fleet.arrivals) == []
        child = bench.start("run", path, "--yes")
        while not fleet.arrivals:
            assert not child.gone
        child.signal(signal.SIGINT)
        assert child.wait().code == 130
        assert writes(fleet) == []


def test_credentials_that_a_patch_cannot_change_are_named_by_the_plan_and_not_sent(bench: Bench) -> None:
    """A row whose destination signs in by a role, one with a key that Prequel makes; the row beside them is sent."""
    vendors = {"bucket": "s3", "files": "sftp", "base": "postgres"}
    fleet = Fleet.from_rows(vendors, vendors, seed=7, clock=Clock())
    secret, key, password = "s3.aws_access_keys.secret_key", "sftp.public_key_auth.public_key", PASSWORD
    rows = "bucket,env:NEW,,\nfiles,,ssh-ed25519 x,\nbase,,,env:NEW\n"
    bench.write("fleet.csv", f"destination_id,{secret},{key},{password}\n{rows}")
    bench.environ["NEW"] = "new-password-of-the-test"
    with serving(fleet) as server:
        path = job(bench, server.url, '[guard]\nmax_failed = "100%"\n')
        text, told = bench.run("plan", path), bench.run("plan", path, "--json")
        ended = bench.run("run", path, "--yes")
    assert (text.code, told.code, ended.code) == (0, 0, 1), ended.err
    assert "2 rows set credentials that a PATCH cannot change: not sent" in text.out
    assert "s3.auth_method is aws_iam_role" in text.out
    live = json.loads(told.out)["live"]
    assert (live["sign_in_clashes"], live["vendor_clashes"]) == (2, 0)
    assert [row["verdict"] for row in live["rows"]] == ["sign_in", "sign_in", "unknowable"]
    assert "Prequel supplies this key" in live["rows"][1]["note"]
    shown = ["state", "stage", "error_code", "attempts"]
    refused = ("rejected", "expect", "BP426", 0)
    assert bench.outcomes().select(shown).rows() == [refused, refused, ("accepted", "patch", None, 1)]
    assert [arrival.destination_id for arrival in writes(fleet)] == ["base"]
