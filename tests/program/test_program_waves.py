"""Waves, gates and acts from another terminal, on the real program."""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from program_rig import Bench, Child, fleet_of, serving, until, writes

from bulkpatch.simulator.faults import FaultPlan
from bulkpatch.simulator.state import Fleet


def job(bench: Bench, fleet: Fleet, url: str, more: str, *, rate: str = "100/s") -> Path:
    """A job that renames ``fleet``."""
    rows = "".join(f"{one},Fleet {number},c{number % 3}\n" for number, one in enumerate(fleet.ids))
    bench.write("fleet.csv", "destination_id,name,customer\n" + rows)
    head = f'[job]\nname = "waves"\n[api]\nbase_url = "{url}"\n[input]\npath = "fleet.csv"\nlabels = ["customer"]\n'
    return bench.write("job.toml", f'{head}[send]\nrate = "{rate}"\n{more}')


def ask(bench: Bench, *words: str) -> tuple[int, dict[str, Any]]:
    """One command from another terminal: its code, and what it says."""
    asked = bench.run(words[0], "latest", *words[1:], "-o", "json")
    return asked.code, json.loads(asked.out) if asked.out else {}


def status(bench: Bench) -> dict[str, Any]:
    """What the live run says of itself."""
    live = json.loads(bench.run("status", "latest", "-o", "json").out).get("live")
    return dict(live or {})


def until_phase(bench: Bench, child: Child, phase: str) -> dict[str, Any]:
    """Wait until the run stands at ``phase``."""
    found: dict[str, Any] = {}

    def there() -> bool:
        found.update(status(bench) if bench.runs else {})
        return child.gone or found.get("phase") == phase

    until(there)
    assert not child.gone, child.wait().err
    return found


def acts(bench: Bench) -> list[tuple[str, str, dict[str, Any]]]:
    """Kind, actor and detail of every act in the ledger of the newest run, which nobody works on."""
    with closing(sqlite3.connect(bench.latest / "ledger.sqlite")) as ledger:
        found = ledger.execute("SELECT kind, actor, detail FROM act ORDER BY id").fetchall()
    return [(kind, actor, json.loads(detail)) for kind, actor, detail in found]


def changed(fleet: Fleet) -> int:
    """Destinations that were changed."""
    return sum(1 for effects in fleet.effects.values() if effects)


WAVES = '[[wave]]\nsize = 1\n[[wave]]\nsize = "10%"\n[[wave]]\nsize = "rest"\n'


def test_a_canary_that_fails_its_verification_stops_with_one_destination_changed(bench: Bench) -> None:
    names = fleet_of(40).ids
    fleet = fleet_of(40, bad_ids=[names[0]])
    with serving(fleet) as server:
        path = job(
            bench, fleet, server.url, WAVES + '[verify]\nconnection_test = "after"\n[guard]\nmax_failed = "100%"\n'
        )
        ran = bench.run("run", path, "--yes")
    assert (ran.code, "BP506" in ran.err) == (3, True)
    assert changed(fleet) == 1
    assert bench.outcomes()["state"].to_list() == ["unverified", *["not_attempted"] * 39]


def test_a_canary_that_is_refused_stops_before_anything_is_changed(bench: Bench) -> None:
    fleet = fleet_of(40)
    path_of = partial(job, bench, fleet, more=WAVES + '[guard]\nmax_failed = "100%"\n')
    with serving(fleet, FaultPlan(rejected=frozenset(fleet.ids[:1]))) as server:
        ran = bench.run("run", path_of(server.url), "--yes")
        assert (ran.code, changed(fleet), "bulkpatch retry" in ran.err) == (3, 0, True)
        again = bench.run("resume", "latest", "--yes")
        assert (again.code, changed(fleet)) == (3, 0)  # the canary still stands failed
    with serving(fleet) as server:
        mended = bench.run("retry", "latest", "--yes", "--base-url", server.url)
    assert (mended.code, changed(fleet)) == (0, 40), mended.err
    assert bench.outcomes()["wave"].to_list() == [1] + [2] * 4 + [3] * 35


def test_rows_stand_in_the_waves_that_were_planned(bench: Bench) -> None:
    fleet = fleet_of(41)
    with serving(fleet) as server:
        ran = bench.run("run", job(bench, fleet, server.url, WAVES), "--yes")
        assert ran.code == 0, ran.err
        order = [fleet.ids.index(arrival.destination_id) for arrival in writes(fleet)]
    assert bench.outcomes()["wave"].to_list() == [1] + [2] * 5 + [3] * 35
    assert order[0] == 0
    assert set(order[1:6]) == set(range(1, 6))


def test_a_gate_waits_for_approval_and_takes_it_at_once(bench: Bench) -> None:
    fleet = fleet_of(20)
    more = '[[wave]]\nsize = 6\ngate = { approve = true }\n[[wave]]\nsize = "rest"\n'
    with serving(fleet) as server:
        child = bench.start("run", job(bench, fleet, server.url, more), "--yes")
        stands = until_phase(bench, child, "awaiting approval")
        assert (stands["settled"], changed(fleet)) == (6, 6)
        code, told = ask(bench, "approve")
        assert (code, told["ok"]) == (0, True)
        ended = child.wait()
    assert ended.code == 0, ended.err
    kinds = [kind for kind, _, _ in acts(bench)]
    assert kinds == ["planned", "started", "wave_drained", "approved", "wave_passed", "finished"]
    approved = next(act for act in acts(bench) if act[0] == "approved")
    assert "(pid " in approved[1]


def test_a_run_that_waits_at_its_gate_is_resumed_there(bench: Bench) -> None:
    """An approval that the killed process had on record needs no second one; soaks go on by the clock."""
    fleet = fleet_of(20)
    more = '[[wave]]\nsize = 6\ngate = { approve = true }\n[[wave]]\nsize = "rest"\n'
    with serving(fleet) as server:
        child = bench.start("run", job(bench, fleet, server.url, more), "--yes")
        until_phase(bench, child, "awaiting approval")
        child.kill()
        again = bench.start("resume", "latest", "--yes")
        until_phase(bench, again, "awaiting approval")
        assert changed(fleet) == 6
        assert ask(bench, "approve")[0] == 0
        assert again.wait().code == 0
        assert changed(fleet) == 20


def test_pause_throttle_continue_and_abort_are_done_at_once_and_on_record(bench: Bench) -> None:
    fleet = fleet_of(1500)
    with serving(fleet) as server:
        child = bench.start("run", job(bench, fleet, server.url, "", rate="20/s"), "--yes")
        until(lambda: len(writes(fleet)) > 5)
        code, told = ask(bench, "pause")
        assert (code, told["paused"]) == (0, True)
        time.sleep(0.3)
        held = len(writes(fleet))
        time.sleep(0.5)
        assert len(writes(fleet)) == held
        assert ask(bench, "throttle", "?")[1]["message"] == "20/s"
        code, told = ask(bench, "throttle", "50/s")
        assert (code, told["rate"]) == (0, "50/s")
        assert ask(bench, "throttle", "50")[0] != 0
        assert ask(bench, "continue")[0] == 0
        assert ask(bench, "continue")[0] != 0  # it is not paused
        assert ask(bench, "approve")[0] != 0  # nothing waits for it
        until(lambda: len(writes(fleet)) > held)
        assert ask(bench, "abort")[0] == 0
        ended = child.wait()
    assert (ended.code, "BP507" in ended.err) == (3, True)
    kinds = [kind for kind, _, _ in acts(bench)]
    assert kinds == ["planned", "started", "paused", "throttled", "continued", "aborted", "stopped"]
    assert next(detail for kind, _, detail in acts(bench) if kind == "throttled") == {"rate": "50/s", "before": "20/s"}
    gone = bench.run("pause", "latest")
    assert (gone.code, "BP611" in gone.err) == (6, True)


def watched(bench: Bench, fleet: Fleet, url: str, start: int) -> Child:
    """A run whose first wave waits for transfers."""
    gate = f'{{ transfers = "95%", window = "3s", start_transfers = {start} }}'
    more = f'[[wave]]\nsize = 6\ngate = {gate}\n[[wave]]\nsize = "rest"\n'
    return bench.start("run", job(bench, fleet, url, more), "--yes")


def test_transfers_that_succeed_after_the_change_open_the_gate(bench: Bench) -> None:
    fleet = fleet_of(12, transfer_s=0.2)
    with serving(fleet) as server:
        ended = watched(bench, fleet, server.url, 6).wait()
    assert ended.code == 0, ended.err
    assert ("transfers_started", {"wave": 1, "count": 6}) in [(kind, detail) for kind, _, detail in acts(bench)]


@pytest.mark.parametrize(("start", "words"), [(6, "transfers since the change failed"), (0, "nothing can be said")])
def test_transfers_that_fail_or_do_not_come_pause_the_run(bench: Bench, start: int, words: str) -> None:
    fleet = fleet_of(12, transfer_s=0.2, bad_ids=fleet_of(12).ids)
    with serving(fleet) as server:
        child = watched(bench, fleet, server.url, start)
        stands = until_phase(bench, child, "awaiting approval")
        assert words in stands["reason"]
        assert changed(fleet) == 6
        assert ask(bench, "abort")[0] == 0
        assert child.wait().code == 3


def test_a_refused_key_costs_one_request_and_no_row(bench: Bench) -> None:
    fleet = fleet_of(30)
    with serving(fleet, key="sk_staging_another") as server:
        refused = bench.run("run", job(bench, fleet, server.url, WAVES), "--yes")
    assert (refused.code, "BP402" in refused.err) == (4, True)
    assert len(fleet.arrivals) == 1
    assert bench.outcomes()["state"].to_list() == ["not_attempted"] * 30
    with serving(fleet, port=int(server.url.rpartition(":")[2])):
        resumed = bench.run("resume", "latest", "--yes")
    assert resumed.code == 0, resumed.err
    assert changed(fleet) == 30
    assert bench.outcomes()["wave"].to_list() == [1] + [2] * 3 + [3] * 26


@pytest.mark.long
@pytest.mark.parametrize("order", ["failing first", "mixed"])
def test_a_vendor_that_fails_is_held_and_the_others_finish(bench: Bench, order: str) -> None:
    """A hundred per cent 5xx: about two minutes of holding and probing, and few requests to what fails."""
    fleet = fleet_of(240, vendors=["mysql", "postgres", "snowflake"])
    bad = [one for one in fleet.ids if fleet.vendor(one) == "mysql"]
    scripts = {one: FaultPlan.parse("500=1.0").shares for one in bad}
    faults = FaultPlan(overrides={one: (next(iter(scripts[one])),) for one in bad})
    ids = sorted(fleet.ids, key=lambda one: one not in bad) if order == "failing first" else list(fleet.ids)
    with serving(fleet, faults) as server:
        path = job(bench, fleet, server.url, '[guard]\nmax_failed = "5%"\n')
        bench.write("fleet.csv", "destination_id,name\n" + "".join(f"{one},N\n" for one in ids))
        path.write_text(path.read_text().replace('labels = ["customer"]\n', ""))
        ended = bench.start("run", path, "--yes").wait(300)
    assert (ended.code, "BP505" in ended.err) == (3, True)
    states = dict(bench.outcomes().group_by("vendor", "state").len().select("state", "len").iter_rows())
    assert states == {"accepted": 240 - len(bad), "not_attempted": len(bad)} or sum(states.values()) <= 240
    assert changed(fleet) == 240 - len(bad)
    assert sum(arrival.destination_id in bad for arrival in writes(fleet)) <= 40


def test_no_customer_has_more_than_its_share_under_way(bench: Bench) -> None:
    """By recipient id, as the API tells it; the rest goes on meanwhile."""
    fleet = fleet_of(60)
    with serving(fleet, latency_s=0.05) as server:
        path = job(bench, fleet, server.url, "concurrency = 8\n[limits.per_recipient]\nin_flight = 1\n")
        ran = bench.run("run", path, "--yes")
        assert ran.code == 0, ran.err
        recipient = {one: fleet.get(one)["recipient_id"] for one in fleet.ids}
    last: dict[str, float] = {}
    for arrival in writes(fleet):
        before = last.get(recipient[arrival.destination_id])
        assert before is None or arrival.at_s - before >= 0.045
        last[recipient[arrival.destination_id]] = arrival.at_s
