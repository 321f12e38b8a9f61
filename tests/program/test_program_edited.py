"""A resume with an edited input says what was edited, and goes on with it only if it is told to."""

from __future__ import annotations

from pathlib import Path

import pytest
from program_rig import Bench, fleet_of, serving, until_asked, writes

from bulkpatch.simulator.state import Fleet


def stopped_run(bench: Bench, fleet: Fleet, url: str) -> Path:
    """A run of 40 rows, killed after some."""
    rows = [f"{one},Fleet {number}" for number, one in enumerate(fleet.ids[:40])]
    path = bench.write("fleet.csv", "destination_id,name\n" + "\n".join(rows) + "\n")
    head = f'[job]\nname = "edited"\n[api]\nbase_url = "{url}"\n[input]\npath = "fleet.csv"\n'
    job = bench.write("job.toml", f'{head}[send]\nrate = "40/s"\nconcurrency = 2\n')
    child = bench.start("run", job, "--yes")
    until_asked(fleet, 12, child)
    child.kill()
    return path


def edit(path: Path, fleet: Fleet) -> None:
    """One row that is done is changed, the last one goes, the one before is changed, and two are new, at the top."""
    head, *rows = path.read_text().splitlines()
    rows[0] = f"{fleet.ids[0]},Another name"
    rows[38] = f"{fleet.ids[38]},Changed before it was sent"
    new = [f"{one},New" for one in fleet.ids[40:42]]
    path.write_text("\n".join([head, *new, *rows[:39]]) + "\n")


@pytest.mark.proves("G9")
def test_an_edited_input_is_told_row_by_row_and_refused(bench: Bench) -> None:
    fleet = fleet_of(42)
    with serving(fleet, latency_s=0.01) as server:
        edit(stopped_run(bench, fleet, server.url), fleet)
        before = len(writes(fleet))
        refused = bench.run("resume", "latest", "--yes")
        assert refused.code == 6
        assert len(writes(fleet)) == before
    told = " ".join(refused.err.split())
    for words in ("1 changed since done", "2 new", "1 removed", "1 changed,", "--accept-input-changes", fleet.ids[39]):
        assert words in told


@pytest.mark.proves("G4")
def test_an_edited_input_that_is_accepted_goes_on_as_a_new_run_and_sends_nothing_twice(bench: Bench) -> None:
    fleet = fleet_of(42)
    with serving(fleet, latency_s=0.01) as server:
        edit(stopped_run(bench, fleet, server.url), fleet)
        first = bench.latest
        done = {one for one, state in bench.ledger().states.items() if state == "accepted"}
        fleet.arrivals.clear()
        resumed = bench.run("resume", "latest", "--yes", "--accept-input-changes")
        assert resumed.code == 0, resumed.err
        sent = [arrival.destination_id for arrival in writes(fleet)]
        assert len(sent) == len(set(sent))
        assert set(sent) & done == {fleet.ids[0]}
        # What was in doubt and had been applied is found as asked, and is not sent again.
        told = dict(bench.outcomes().select("destination_id", "state").iter_rows())
        assert set(told) == (set(fleet.ids) - done - {fleet.ids[39]}) | {fleet.ids[0]}
        assert set(sent) == {one for one, state in told.items() if state == "accepted"}
        assert set(told.values()) <= {"accepted", "noop"}
        fleet.arrivals.clear()
        old = bench.run("resume", first, "--yes", "--accept-input-changes")
        assert (old.code, bench.latest.name in old.err) == (6, True)
        assert list(fleet.arrivals) == []
    names = {one: fleet.get(one)["name"] for one in fleet.ids}
    assert names[fleet.ids[0]] == "Another name"
    assert names[fleet.ids[38]] == "Changed before it was sent"
    assert names[fleet.ids[40]] == names[fleet.ids[41]] == "New"
