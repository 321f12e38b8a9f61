"""How report files reach the run folder: made beside it, synced, then put in place."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from bulkpatch.errors import Broken, LedgerFailed

WORKSPACE = ".report"
"""The folder, inside the run's, in which files are made. Whoever holds the ledger is its only user."""

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_OS_ERROR = re.compile(r"os error ([0-9]{1,4})")


@contextmanager
def disk_faults() -> Iterator[None]:
    """Turn what the disk (or Polars writing to it) raises into ``LedgerFailed``."""
    try:
        yield
    except OSError as fault:
        raise _failed(fault.errno, fault.strerror or str(fault)) from None
    except pl.exceptions.PolarsError as fault:
        found = _OS_ERROR.search(str(fault))
        if found is None:  # its text may quote a value, so only its type is told
            raise Broken("BP901", f"Polars refused the report's tables: {type(fault).__name__}") from None
        raise _failed(int(found[1]), os.strerror(int(found[1]))) from None


def _failed(number: int | None, reason: str) -> LedgerFailed:
    hint = "The ledger is whole. When the disk is well again, `bulkpatch report RUN` writes the report."
    if number in _FULL:
        return LedgerFailed("BP606", "the disk is full: the report could not be written", hint=hint)
    return LedgerFailed("BP607", f"the report could not be written: {reason}", hint=hint)


@contextmanager
def workspace(folder: Path) -> Iterator[Path]:
    """A private folder inside ``folder``, empty at first and gone at the end; what a crash left there is swept."""
    room = folder / WORKSPACE
    if os.path.lexists(room):
        shutil.rmtree(room)
    room.mkdir(mode=0o700)
    try:
        yield room
    finally:
        shutil.rmtree(room, ignore_errors=True)


def publish(room: Path, folder: Path, names: Sequence[str]) -> None:
    """Move ``names`` from ``room`` into ``folder``, 0600, durable, each replaced whole; links are not followed."""
    for name in names:
        with _opened(room / name, os.O_RDONLY) as file:
            os.fchmod(file, 0o600)
            os.fsync(file)
    with _opened(folder, os.O_RDONLY | os.O_DIRECTORY) as place:
        for name in names:
            os.rename(room / name, name, dst_dir_fd=place)
        os.fsync(place)


@contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    file = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield file
    finally:
        os.close(file)
