"""What one more row costs, counted rather than timed: steps of Python, statements of SQL, commits."""

from __future__ import annotations

import json
import sys
import textwrap

from program_rig import Bench, fleet_of, serving

COUNTING = """
    import json, sys, threading
    found = {"calls": 0, "statements": 0, "commits": 0}

    def count(frame, event, argument):
        if event == "call":
            found["calls"] += 1
            if frame.f_code.co_qualname == "SqliteLedger.commit":
                found["commits"] += 1
        elif event == "c_call" and argument.__name__ in {"execute", "executemany"}:
            found["statements"] += 1

    from bulkpatch.cli import main
    threading.setprofile(count)
    sys.setprofile(count)
    try:
        main()
    except SystemExit as ended:
        sys.setprofile(None)
        with open("counted.json", "w") as out:
            json.dump(found, out)
        raise
"""
FEW, MANY = 100, 600
CEILINGS = {
    "calls": 700,  # steps of Python: some 400 when this was written, half of them for the plan and the report
    "statements": 1,  # 0.3: one that reads or writes a row at a time passes it
    "commits": 0.5,  # 0.06: one each for intent and outcome would be two
}
"""A row, at most. The server here is slow, so groups are smaller than in a fast run: the room is for that."""


def counted(bench: Bench, rows: int) -> dict[str, int]:
    """What a whole run over ``rows`` rows takes."""
    fleet = fleet_of(rows)
    script = bench.write("counting.py", textwrap.dedent(COUNTING))
    with serving(fleet) as server:
        job = bench.renaming(fleet, server.url, rate="1000000/s", concurrency=64, timeout="30s", transport="curl")
        ended = bench.start_command([sys.executable, str(script), "run", str(job), "--yes", "-q"]).wait()
    assert ended.code == 0, ended.err
    assert bench.outcomes()["state"].to_list() == ["accepted"] * rows
    found: dict[str, int] = json.loads((bench.folder / "counted.json").read_text())
    return found


def test_one_more_row_stays_cheap(bench: Bench) -> None:
    """The same job over few rows and over five hundred more; what it takes to start and to report drops out."""
    few, many = counted(bench, FEW), counted(bench, MANY)
    a_row = {name: (many[name] - few[name]) / (MANY - FEW) for name in CEILINGS}
    assert {name for name, number in a_row.items() if number > CEILINGS[name]} == set(), a_row
    assert min(a_row.values()) > 0, a_row
