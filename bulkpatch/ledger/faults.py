"""SQLite's and the disk's errors, in the words of the exit codes."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from bulkpatch.errors import Broken, BulkpatchError, LedgerFailed, Mismatch

ROOM_MIB = 32
"""MiB with which a run can go on: half is the write-ahead log at its longest, the rest the ballast and a report."""


def contradicted() -> Broken:
    """A record says again, or otherwise, what the ledger holds already."""
    return Broken("BP901", "the ledger refused a record that contradicts what it holds")


def unkeepable() -> Broken:
    """Something has no form on the disk: a text that is no Unicode, a number beyond 64 bits, an unknown record."""
    return Broken("BP901", "the ledger was given a record that it cannot keep")


def closed() -> LedgerFailed:
    """The ledger is used after its end."""
    return LedgerFailed("BP607", "the ledger is closed, or failed before")


def translated(error: sqlite3.Error | OSError | UnicodeEncodeError | OverflowError) -> BulkpatchError:
    """The error a person is to see; it names no value."""
    if isinstance(error, UnicodeEncodeError | OverflowError):
        return unkeepable()
    if isinstance(error, OSError):
        full = error.errno in {errno.ENOSPC, errno.EDQUOT}
    else:
        # SQLite's own name of the error, often a longer one: SQLITE_CORRUPT_INDEX, SQLITE_IOERR_WRITE.
        name = getattr(error, "sqlite_errorname", "")
        full = name == "SQLITE_FULL"
        if isinstance(error, sqlite3.IntegrityError):
            return contradicted()
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            return Mismatch("BP601", "another program reads the ledger", hint="Close it, then try again.")
        if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
            return LedgerFailed(
                "BP605", "the ledger is damaged", hint="Restore it from a backup; it was left as it is."
            )
    if full:
        return LedgerFailed("BP606", "the disk is full", hint=f"Free at least {ROOM_MIB} MiB, then try again.")
    return LedgerFailed("BP607", "the disk of the ledger fails", hint="Check the disk, then try again.")


@contextmanager
def disk_faults() -> Iterator[None]:
    """Translate what SQLite and the file system raise inside."""
    try:
        yield
    except (sqlite3.Error, OSError, UnicodeEncodeError, OverflowError) as error:
        raise translated(error) from None
