"""One process works on a run: the second is told who does, and the lock goes with its process."""

from __future__ import annotations

import fcntl
import os
import platform
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bulkpatch.errors import BulkpatchError, ExitCode, LedgerFailed, Mismatch
from bulkpatch.ledger.lock import FILE, Holder, RunLock, read_holder

PRELUDE = """
import os, resource, signal, sys, time
from pathlib import Path
from bulkpatch.errors import BulkpatchError
from bulkpatch.ledger.lock import RunLock, read_holder
folder = Path(sys.argv[1])
"""
HOLD = """
with RunLock(folder):
    print("held", flush=True)
    sys.stdin.read()
"""
TRY = """
began = time.monotonic()
try:
    with RunLock(folder):
        print("held")
except BulkpatchError as refused:
    print(refused.code, int(refused.exit_code), time.monotonic() - began < 1.0, refused.message, sep="|")
"""
RACE = """
for _ in range(50):
    read_holder(folder)
    try:
        with RunLock(folder):
            os.close(os.open(folder / "inside", os.O_CREAT | os.O_EXCL))
            os.unlink(folder / "inside")
            print("held")
    except BulkpatchError as refused:
        print(refused.code)
"""
FULL = """
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
try:
    RunLock(folder).__enter__()
except BulkpatchError as refused:
    print(refused.code)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
with RunLock(folder):
    print("held")
"""


def told_by(script: str, folder: Path) -> list[str]:
    """What another process prints that runs ``script`` on the folder."""
    command = [sys.executable, "-c", PRELUDE + script, str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


@contextmanager
def holder(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the run until it is ended."""
    command = [sys.executable, "-c", PRELUDE + HOLD, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.proves("G8")
def test_the_second_holder_is_refused_at_once_and_told_who_holds(tmp_path: Path) -> None:
    """Exit code 6, with process and host of the first, within a second."""
    folder = tmp_path / "job-1"
    folder.mkdir()
    with RunLock(folder):
        said = f"job-1 is held by process {os.getpid()} on {platform.node()}"
        assert told_by(TRY, folder) == [f"BP601|{int(ExitCode.MISMATCH)}|True|{said}"]
    assert told_by(TRY, folder) == ["held"]


@pytest.mark.proves("G8")
def test_kill_9_frees_the_lock(tmp_path: Path) -> None:
    """However its process ended, the next one may go on, though the file still names the dead one."""
    with holder(tmp_path) as process:
        assert read_holder(tmp_path) == Holder(pid=process.pid, host=platform.node())
        with pytest.raises(Mismatch, match=f"process {process.pid} on"), RunLock(tmp_path):
            pass
        process.kill()
        process.wait()
        assert str(process.pid) in (tmp_path / FILE).read_text()
        assert read_holder(tmp_path) is None
        with RunLock(tmp_path):
            assert read_holder(tmp_path) == Holder(pid=os.getpid(), host=platform.node())


def test_the_lock_ends_with_its_block(tmp_path: Path) -> None:
    """Also when the block fails; the same lock may be taken again."""
    lock = RunLock(tmp_path)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), lock:
            1 // (read_holder(tmp_path) is None)
        assert read_holder(tmp_path) is None


def test_a_holder_refuses_itself_a_second_time(tmp_path: Path) -> None:
    with RunLock(tmp_path), pytest.raises(Mismatch), RunLock(tmp_path):
        pass


def test_a_child_does_not_take_the_lock_along(tmp_path: Path) -> None:
    """A process that the run starts, and that outlives it, holds nothing."""
    with RunLock(tmp_path):
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, close_fds=False)
    with child:
        assert child.poll() is None
        assert told_by(TRY, tmp_path) == ["held"]
        child.kill()


def test_who_only_looks_keeps_nobody_from_the_run(tmp_path: Path) -> None:
    """``status``, asked again and again, never makes a ``resume`` believe that the run is held."""
    RunLock(tmp_path).__enter__().__exit__(None, None, None)
    ended = threading.Event()

    def look() -> None:
        while not ended.is_set():
            read_holder(tmp_path)

    lookers = [threading.Thread(target=look) for _ in range(2)]
    for looker in lookers:
        looker.start()
    try:
        for _ in range(300):
            with RunLock(tmp_path):
                pass
    finally:
        ended.set()
        for looker in lookers:
            looker.join()


@pytest.mark.proves("G8")
def test_of_many_that_race_one_holds_at_a_time(tmp_path: Path) -> None:
    """Two hundred tries by four processes: whoever is inside is alone, and every other one gets BP601."""
    command = [sys.executable, "-c", PRELUDE + RACE, str(tmp_path)]
    racers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    told = [racer.communicate()[0].split() for racer in racers]
    assert [racer.returncode for racer in racers] == [0] * 4
    assert [len(words) for words in told] == [50] * 4
    assert {"held"} <= {word for words in told for word in words} <= {"held", "BP601"}


@pytest.mark.proves("G8")
@pytest.mark.parametrize("exists", [True, False])
def test_a_linked_lock_is_not_followed(tmp_path: Path, exists: bool) -> None:  # noqa: FBT001  (both cases)
    """What it points to is neither made nor emptied."""
    elsewhere = tmp_path / "elsewhere"
    if exists:
        elsewhere.write_text("precious")
    (tmp_path / FILE).symlink_to(elsewhere)
    with pytest.raises(LedgerFailed) as refused, RunLock(tmp_path):
        pass
    assert refused.value.exit_code == ExitCode.LEDGER
    assert read_holder(tmp_path) is None
    assert (elsewhere.read_text() == "precious") if exists else not elsewhere.exists()


def test_a_link_to_a_run_that_is_held_says_nothing_of_this_one(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / FILE).symlink_to(tmp_path / "other" / FILE)
    with RunLock(tmp_path / "other"):
        assert read_holder(tmp_path) is None


def test_a_holder_writes_over_all_that_an_earlier_one_wrote(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text('{"pid": 1, "host": "' + "x" * 3_000 + '"}')
    with RunLock(tmp_path):
        assert read_holder(tmp_path) == Holder(pid=os.getpid(), host=platform.node())


def test_the_lock_file_is_private_whatever_the_umask(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        with RunLock(tmp_path):
            assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    finally:
        os.umask(old)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"pid": "x", "host": 1}', b'{"pid": 1}', b"\xff" * 9000])
def test_a_holder_without_a_name_still_holds(tmp_path: Path, content: bytes) -> None:
    """The lock counts, not what the file says: it may be read before its holder has written to it."""
    (tmp_path / FILE).write_bytes(content)
    with (tmp_path / FILE).open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert read_holder(tmp_path) == Holder(pid=0, host="unknown")
        with pytest.raises(Mismatch, match="another process"), RunLock(tmp_path):
            pass
    assert read_holder(tmp_path) is None


def test_a_run_that_nobody_ever_held_has_no_holder(tmp_path: Path) -> None:
    assert read_holder(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_a_refusal_leaves_no_file_open(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    with RunLock(tmp_path):
        for _ in range(5):
            with pytest.raises(BulkpatchError), RunLock(tmp_path):
                pass
        read_holder(tmp_path)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_lock_that_cannot_be_written_is_let_go(tmp_path: Path) -> None:
    """The disk fails between taking and naming: the error is the disk's, and the same process may try again."""
    assert told_by(FULL, tmp_path) == ["BP607", "held"]
