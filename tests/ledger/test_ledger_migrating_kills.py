"""Killed at any step of a migration, the older ledger or the newer one is there, and the next process goes on."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from test_ledger_migrating import COPY, is_version_1, names, older

from bulkpatch.ledger.opening import FILE, open_ledger
from bulkpatch.model import RowState

__all__ = ["older"]
OPENS = (
    "import sys; from pathlib import Path; from bulkpatch.ledger.opening import open_ledger as o; o(Path(sys.argv[1]))"
)
CALLS = "openat,pwrite64,ftruncate,fdatasync,fsync,rename,unlink"
FILES = (FILE, f"{FILE}-wal", COPY, f"{COPY}.part", f"{COPY}.part-journal", ".")


def traced(folder: Path, calls: str, *how: str, to: Path = Path("/dev/null")) -> int:
    """Open the ledger in ``folder`` in a process of its own, watched where it touches its files; the exit code."""
    files = [word for name in FILES for word in ("-P", str(folder / name))]
    strace = ["strace", "-f", "-qq", "-o", str(to), "-e", f"trace={calls}", *how, *files]
    return subprocess.run([*strace, sys.executable, "-c", OPENS, str(folder)], check=False).returncode


def check_steps(folder: Path, *, every: int) -> int:
    """Kill at each ``every``-th step; how many kills there were."""
    left = folder / "left"  # by a process that was killed, with its last commits in the write-ahead log
    left.mkdir()
    for name in (FILE, f"{FILE}-wal"):
        shutil.copy(folder / name, left / name)
    whole = folder / "whole"
    shutil.copytree(left, whole)
    if shutil.which("strace") is None or traced(whole, CALLS, to=folder / "trace") != 0:
        pytest.skip("strace is not there, or no process may be traced here: no kill was made")
    steps = Counter(
        line.split(" ", 1)[1].lstrip().partition("(")[0] for line in (folder / "trace").read_text().splitlines()
    )
    points = [(call, number) for call in CALLS.split(",") for number in range(1, steps[call] + 1)]
    for call, number in points[::every]:
        killed = folder / f"{call}{number}"
        shutil.copytree(left, killed)
        assert traced(killed, call, "-e", f"inject={call}:signal=KILL:when={number}") == -9, (call, number)
        if (killed / COPY).exists():
            is_version_1(killed / COPY)
        with closing(open_ledger(killed)) as ledger:
            assert ledger.counts() == {RowState.ACCEPTED: 1, RowState.IN_FLIGHT: 2}, (call, number)
            assert ledger._db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]  # noqa: SLF001
        is_version_1(killed / COPY)
        assert names(killed) == [FILE, COPY], (call, number)
    return len(points[::every])


@pytest.mark.proves("G17")
def test_kills_at_some_steps(tmp_path: Path, older: sqlite3.Connection, cases: Callable[[int], None]) -> None:
    """One step in nine."""
    del older
    cases(check_steps(tmp_path, every=9))


@pytest.mark.long
@pytest.mark.proves("G17")
def test_kills_at_every_step(tmp_path: Path, older: sqlite3.Connection, cases: Callable[[int], None]) -> None:
    """All of them."""
    del older
    cases(check_steps(tmp_path, every=1))
