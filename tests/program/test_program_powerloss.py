"""The power goes: what was promised is on the disk, the ledger is sound, and the program opens it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from program_forks import Forks
from program_points import CONCURRENCY, Place, place
from program_power import CALLS, Cut, Event, Sent, Told, cuts, events_in
from program_rig import until
from program_trace import need_tracing

from bulkpatch.errors import BulkpatchError
from bulkpatch.ledger.opening import Unbegun, open_ledger

SEED = 7
QUICK, ALL = 300, 6_000
"""Images."""
FIRST_FSYNCS = 12
"""Of the ledger's thread, after which the first of two processes is killed."""


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    """The program, imported once."""
    need_tracing()
    with Forks() as made:
        yield made


def recorded(where: Place, *arguments: str, fault: str = "", relaxed: bool = False) -> Sequence[Event]:
    """All that one process did to its files, and what it promised meanwhile."""
    held, to = where.bench.folder / "held", where.bench.folder / "trace"
    held.unlink(missing_ok=True)
    child = where.bench.start(*arguments, "-vv", hold="main", relaxed=relaxed)
    until(lambda: held.exists() and held.read_text())
    command = ["strace", "-f", "-qq", "-y", "-xx", "-s", "200000", "-o", str(to), "-e", f"trace={CALLS}"]
    tracer = subprocess.Popen([*command, *(["-e", fault] if fault else []), "-p", held.read_text()])
    ended = child.wait()
    tracer.wait(30)
    assert ended.code == (-9 if fault else 0), ended.err
    return list(events_in(to))


def two_processes(where: Place) -> Sequence[Event]:
    """A run that is killed in its midst, and the one that goes on: what was not synced by the first is not for it."""
    kill = f"inject=fdatasync:signal=KILL:when={FIRST_FSYNCS}"
    first = recorded(where, "run", "job.toml", "--yes", fault=kill)
    return [*first, *recorded(where, "resume", "latest", "--yes")]


def lost(cut: Cut, folder: Path) -> str:
    """What of the promises the image does not hold, or why it cannot be used; empty where all is well."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, content in cut.image.items():
        (folder / name).write_bytes(content)
    try:
        ledger = open_ledger(folder)
    except Unbegun:
        return f"{len(cut.sent)} were sent, and no ledger is there" if cut.sent else ""
    except BulkpatchError as error:
        return f"{error.code}: {error.message}"
    with closing(ledger):
        if ledger._db.execute("PRAGMA integrity_check").fetchall() != [("ok",)]:  # noqa: SLF001
            return "the integrity check fails"
        found = dict(
            ledger._db.execute(  # noqa: SLF001
                "SELECT destination_id, (SELECT COUNT(*) FROM intent i WHERE i.row = r.row) FROM row r"
            )
        )
        settled = {row.destination_id for batch in ledger.outcome_rows() for row in batch if row.state == "accepted"}
    unknown = sum(found[one] < number for one, number in cut.sent.items())
    broken = {"were sent without an intent": unknown, "were settled and are not": len(cut.told - settled)}
    return "; ".join(f"{number} {words}" for words, number in broken.items() if number)


def check_cuts(forks: Forks, folder: Path, number: int) -> int:
    """Cut the power at so many moments."""
    with place(forks, folder / "place") as where:
        events = two_processes(where)
        run = where.bench.latest
    assert sum(isinstance(event, Sent) for event in events) >= 40
    assert sum(isinstance(event, Told) for event in events) >= 40 - CONCURRENCY
    seen = 0
    for cut in cuts(events, run, number=number, seed=SEED):
        seen += 1
        assert lost(cut, folder / "image") == "", f"image {seen} of seed {SEED}"
    return seen


@pytest.mark.proves("G1", "G14")
def test_what_was_promised_survives_a_power_cut(forks: Forks, tmp_path: Path, cases: Callable[[int], None]) -> None:
    """Some hundred images of a run that is killed and resumed."""
    cases(check_cuts(forks, tmp_path, QUICK))


@pytest.mark.long
@pytest.mark.proves("G1", "G14")
def test_what_was_promised_survives_any_power_cut(forks: Forks, tmp_path: Path, cases: Callable[[int], None]) -> None:
    """Some thousand."""
    cases(check_cuts(forks, tmp_path, ALL))


def test_the_judge_sees_a_ledger_that_does_not_sync(forks: Forks, tmp_path: Path) -> None:
    """With ``synchronous = NORMAL`` promises are broken: the images are worse than nothing if they let that pass."""
    with place(forks, tmp_path / "place") as where:
        events = recorded(where, "run", "job.toml", "--yes", relaxed=True)
        run = where.bench.latest
    found = [lost(cut, tmp_path / "image") for cut in cuts(events, run, number=QUICK, seed=SEED)]
    assert any("were sent without an intent" in one for one in found)
    assert any("were settled and are not" in one for one in found)
