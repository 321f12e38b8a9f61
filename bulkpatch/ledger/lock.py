"""One process works on a run: an advisory lock that goes with the process, however it ends."""

from __future__ import annotations

import fcntl
import json
import os
import platform
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from bulkpatch.errors import Mismatch
from bulkpatch.ledger.faults import disk_faults

FILE = "run.lock"
CONTENT_BYTES_MAX = 4096
"""Bytes of the lock file that are read; what we write is far shorter."""
LOOKS_MAX = 10_000
"""Tries to take a lock that is only looked at: some 20 ms, where a look takes microseconds."""
NAMINGS_MAX, NAMING_S = 500, 0.001
"""Looks at the name of who took a lock, and seconds between them: on a busy machine it may take half a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who works on a run now."""

    pid: int
    host: str


class RunLock:
    """``with RunLock(folder):`` — raises ``Mismatch`` (BP601) at once if another process holds the run."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        with disk_faults():
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(self._folder / FILE, flags, 0o600)
        try:
            self._hold(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        return self

    def _hold(self, descriptor: int) -> None:
        with disk_faults():
            if not _lock(descriptor):
                holder = _named(descriptor)
                who = f"process {holder.pid} on {holder.host}" if holder else "another process"
                raise Mismatch(
                    "BP601", f"{self._folder.name} is held by {who}", hint="Wait for it, or end it; then try again."
                )
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps({"pid": os.getpid(), "host": platform.node()}).encode(), 0)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _lock(descriptor: int) -> bool:
    """Take the lock unless a process works on the run. One that only looks (``read_holder``) is waited for."""
    for _ in range(LOOKS_MAX):
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        os.sched_yield()
    return False


def read_holder(folder: Path) -> Holder | None:
    """Who holds the run in ``folder`` now; None if nobody does."""
    try:
        descriptor = os.open(folder / FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _named(descriptor) or Holder(pid=0, host="unknown")
    finally:
        os.close(descriptor)
    return None


def _named(descriptor: int) -> Holder | None:
    """Who holds the lock that is held. One that has just taken it is given time to write its name over an older one."""
    holder = None
    for _ in range(NAMINGS_MAX):
        holder = _holder(descriptor)
        if holder is not None and _lives(holder):
            break
        time.sleep(NAMING_S)
    return holder


def _lives(holder: Holder) -> bool:
    """Whether the process is there; of another host's nothing is known."""
    if holder.host == platform.node():
        try:
            os.kill(holder.pid, 0)
        except (ProcessLookupError, OverflowError):
            return False
        except PermissionError:
            return True
    return True


def _holder(descriptor: int) -> Holder | None:
    try:
        said = json.loads(os.pread(descriptor, CONTENT_BYTES_MAX, 0))
        return Holder(pid=int(said["pid"]), host=str(said["host"]))
    except (ValueError, KeyError, TypeError):
        return None
