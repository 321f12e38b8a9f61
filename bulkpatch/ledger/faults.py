"""SQLite's and the disk's errors, in the words of the exit codes."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from bulkpatch.errors import Broken, BulkpatchError, LedgerFailed


def translated(error: sqlite3.Error | OSError) -> BulkpatchError:
    """The error a person is to see; it names no value."""
    if isinstance(error, OSError):
        full = error.errno in {errno.ENOSPC, errno.EDQUOT}
    else:
        full = getattr(error, "sqlite_errorname", "") == "SQLITE_FULL"
        if isinstance(error, sqlite3.IntegrityError):
            return Broken("BP901", "the ledger refused a record that contradicts what it holds")
        if getattr(error, "sqlite_errorname", "") in {"SQLITE_CORRUPT", "SQLITE_NOTADB"}:
            return LedgerFailed(
                "BP605", "the ledger is damaged", hint="Restore it from a backup; it was left as it is."
            )
    if full:
        return LedgerFailed("BP606", "the disk is full", hint="Free at least 1 MiB, then resume.")
    return LedgerFailed("BP607", "the disk of the ledger fails", hint="Check the disk, then resume.")


@contextmanager
def disk_faults() -> Iterator[None]:
    """Translate what SQLite and the file system raise inside."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise translated(error) from None
