"""A secret file that cannot be sent is told before anything is: all at once, each with its place and fix."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from program_rig import Bench, fleet_of, renaming_job, serving

from bulkpatch.simulator.state import Fleet

FIELD = "postgres.password_auth.password"
GOOD = b"correct-horse-battery"


def keyed(bench: Bench, fleet: Fleet, url: str, files: Mapping[str, bytes | None]) -> Path:
    """A job whose rows take their passwords from ``files``; None is a file that is not there."""
    for name, content in files.items():
        if content is not None:
            bench.write(name, content, mode=0o600)
    pairs = zip(fleet.ids, files, strict=True)
    lines = [f"{one},customer,file:{name}" for one, name in pairs]
    bench.write("fleet.csv", "\n".join([f"destination_id,customer,{FIELD}", *lines]) + "\n")
    return bench.write("job.toml", renaming_job(url))


BAD = {
    "good": GOOD,
    "blank": b"  \n",
    "nul": b"se\0cret-word",
    "return": b"se\rcret-word",
    "twice": b"secret-word\n\n",
    "mask": b"********\n",
}


@pytest.mark.parametrize("arguments", [("check",), ("plan", "--offline"), ("plan",), ("run", "--yes")])
def test_row_67_files_that_cannot_be_sent_are_all_told_and_nothing_is_sent(
    bench: Bench, arguments: tuple[str, ...]
) -> None:
    """Exit 2 with five errors, by line and column; the API is asked nothing, and no run is left behind."""
    fleet = fleet_of(len(BAD), vendors=["postgres"])
    with serving(fleet) as server:
        ended = bench.run(arguments[0], keyed(bench, fleet, server.url, BAD), *arguments[1:])
    assert (ended.code, ended.err.count("error[BP304]"), "5 errors" in ended.err) == (2, 5, True), ended.err
    for line, name in enumerate(BAD, start=2):
        assert (f"fleet.csv:{line}, row {line - 1} (column {FIELD})" in ended.err) == (name != "good")
    assert "secret-word" not in ended.err
    assert not fleet.arrivals
    assert not bench.runs


def test_row_66_a_file_that_is_not_there_stops_a_run_and_warns_a_check(bench: Bench) -> None:
    """It may be on the machine that will send; a file that others can read is an error wherever it is seen."""
    fleet = fleet_of(2, vendors=["postgres"])
    with serving(fleet) as server:
        job = keyed(bench, fleet, server.url, {"pw": GOOD, "gone": None})
        checked = bench.run("check", job)
        assert (checked.code, "fleet.csv:3, row 2: file:gone: the file" in checked.err) == (0, True), checked.err
        ran = bench.run("run", job, "--yes")
        assert (ran.code, "error[BP302]: file:gone: " in ran.err) == (2, True), ran.err
        (bench.folder / "pw").chmod(0o644)
        opened = bench.run("check", job)
        assert (opened.code, "its mode is 0644" in opened.err, "chmod 600" in opened.err) == (2, True, True)
    assert not fleet.arrivals
