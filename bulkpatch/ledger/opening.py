"""How a ledger's file comes to be and is opened: seeded whole or not at all, looked at before SQLite touches it."""

from __future__ import annotations

import json
import os
import re
import secrets
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

from bulkpatch.errors import BulkpatchError, ExitCode, LedgerFailed, Mismatch
from bulkpatch.ledger.faults import disk_faults
from bulkpatch.ledger.sqlite import SqliteLedger
from bulkpatch.ledger.statements import migrations
from bulkpatch.model import RunHeader, SeedRow

SQLITE_VERSION = sqlite3.sqlite_version
"""Of the library that writes the ledger."""
FILE = "ledger.sqlite"
SEEDING = "ledger.sqlite.seeding"
APPLICATION_ID = 0x62706C31  # "bpl1"
MAGIC = b"SQLite format 3\x00"
HEADER_BYTES = 100
"""Bytes of SQLite's file header, where version and application id stand."""
META_BYTES = 64 * 1024
"""Bytes from the file's start, among which the table of what the run was started from has its place."""
CHUNK_BYTES = 1024 * 1024
"""Bytes of the write-ahead log that are looked at together: a survey of a large fleet makes it long."""
OWNER_BYTES_MAX = 512
"""Bytes of a name and what goes with it: a run folder's name has at most 255."""
OWNER = "ledger_of"
"""In the detail of an act: the run that it was done to. By it the write-ahead log is known to be the ledger's own."""
_OWNER = re.compile(rb'"%s": "([^"]+)"' % OWNER.encode())
_RUN_ID = re.compile(rb'"run_id": "([^"]+)"')
WAL_PAGES_MAX = 4_000
"""Pages (16 MiB) after which the write-ahead log is folded back."""


class Unbegun(BulkpatchError):
    """The run was ended while it was seeded: nothing was sent, nothing can be resumed."""

    exit_code = ExitCode.INVALID


def create(folder: Path, header: RunHeader, rows: Iterable[Sequence[SeedRow]]) -> SqliteLedger:
    """Seed the ledger of a new run in ``folder`` and open it. It gets its name only when all of it is durable."""
    seeding = folder / SEEDING
    with disk_faults():
        os.close(os.open(seeding, os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_WRONLY, 0o600))
        connection = _connect(seeding, journal="off")
        try:
            _seed(connection, header, rows)
        finally:
            connection.close()
        _sync(seeding)
        seeding.rename(folder / FILE)
        _sync(folder)
    return open_ledger(folder)


def _seed(connection: sqlite3.Connection, header: RunHeader, rows: Iterable[Sequence[SeedRow]]) -> None:
    connection.execute("BEGIN")
    for script in migrations():
        for statement in _statements(script):
            connection.execute(statement)
    fieldsets: dict[tuple[str, ...], int] = {}
    seeded = 0
    for batch in rows:
        for row in batch:
            if row.fields not in fieldsets:
                fieldsets[row.fields] = len(fieldsets) + 1
                connection.execute(
                    "INSERT INTO fieldset VALUES (?, ?)", (fieldsets[row.fields], json.dumps(list(row.fields)))
                )
        connection.executemany(
            "INSERT INTO row VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (r.row, r.destination_id, r.digest, r.wave, r.lead, fieldsets[r.fields], _json(r.labels), r.credential)
                for r in batch
            ],
        )
        seeded += len(batch)
    meta = {"header": json.dumps(asdict(replace(header, rows=seeded))), "ledger_id": secrets.token_hex(16)}
    connection.executemany("INSERT INTO meta VALUES (?, ?)", list(meta.items()))
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {len(migrations())}")
    connection.execute("COMMIT")


def _json(values: Sequence[str | None]) -> str:
    return json.dumps(list(values), ensure_ascii=False) if values else "[]"


def open_ledger(folder: Path) -> SqliteLedger:
    """Open the ledger in ``folder``; the caller holds the run's lock.

    Raises ``Unbegun`` (BP124), ``Mismatch`` (BP604: newer), ``LedgerFailed`` (BP605: damaged, untouched).
    """
    path = folder / FILE
    if not os.path.lexists(path):
        if (folder / SEEDING).exists():
            raise Unbegun("BP124", f"{folder.name} never began: it was ended while its ledger was written")
        raise Unbegun("BP123", f"{folder} holds no ledger", hint="List the runs with: bulkpatch runs")
    with disk_faults():
        _look(path)
        _look_at_log(path)
        connect = partial(_connect, path, journal="wal")
        connection = connect()
        try:
            # Asked again: a newer version that was killed may have left its mark in the write-ahead log only.
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            _refuse_newer(path, version)
            # What a log holds whose fsync failed may be in memory only: it is written anew before more is added to it.
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            if version < len(migrations()):
                _migrate(connection, path, version)
            return SqliteLedger(connection, connect)
        except BaseException:
            connection.close()
            raise


def _migrate(connection: sqlite3.Connection, path: Path, version: int) -> None:
    """Bring an older ledger up to this version, after a copy of it was put aside."""
    copy = path.with_name(f"{path.name}.v{version}")
    if not os.path.lexists(copy):
        partial = copy.with_name(copy.name + ".part")
        partial.unlink(missing_ok=True)
        os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_WRONLY, 0o600))
        target = sqlite3.connect(partial)
        try:
            connection.backup(target)
        finally:
            target.close()
        _sync(partial)
        partial.rename(copy)
        _sync(path.parent)
    connection.execute("BEGIN IMMEDIATE")
    for script in migrations()[version:]:
        for statement in _statements(script):
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {len(migrations())}")
    connection.execute("COMMIT")


def _look(path: Path) -> None:
    """Refuse what is no ledger of ours before SQLite touches it."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        head = os.read(descriptor, HEADER_BYTES)
        size = os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)
    version, application = int.from_bytes(head[60:64], "big"), int.from_bytes(head[68:72], "big")
    page = int.from_bytes(head[16:18], "big") or 1
    page = 65_536 if page == 1 else page
    pages = int.from_bytes(head[28:32], "big")
    if len(head) < HEADER_BYTES or not head.startswith(MAGIC) or application != APPLICATION_ID:
        raise LedgerFailed("BP605", f"{path.name} is no ledger of bulkpatch, or is damaged")
    _refuse_newer(path, version)
    if size < pages * page and not path.with_name(path.name + "-wal").exists():
        raise LedgerFailed("BP605", f"{path.name} is truncated: {size} of {pages * page} bytes")


def _look_at_log(path: Path) -> None:
    """Refuse another run's write-ahead log. It is sound in itself, so SQLite would fold it into this ledger."""
    log = path.with_name(path.name + "-wal")
    if not log.exists():
        return
    with path.open("rb") as file:
        own = set(_RUN_ID.findall(file.read(META_BYTES)))
    with log.open("rb") as file:
        tail = b""
        while chunk := file.read(CHUNK_BYTES):
            if not own.issuperset(_OWNER.findall(tail + chunk)):
                raise LedgerFailed("BP605", f"{log.name} is another run's", hint="Put the run's own files together.")
            tail = chunk[-OWNER_BYTES_MAX:]


def _refuse_newer(path: Path, version: int) -> None:
    if version > len(migrations()):
        raise Mismatch("BP604", f"{path.name} was written by a newer bulkpatch (version {version})")


def _connect(path: Path, *, journal: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute(f"PRAGMA journal_mode = {journal}")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA wal_autocheckpoint = {WAL_PAGES_MAX}")
        connection.execute("PRAGMA trusted_schema = OFF")
    except BaseException:
        connection.close()
        raise
    return connection


def _statements(script: str) -> Iterator[str]:
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
