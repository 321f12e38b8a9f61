"""The ledger on SQLite: one EXCLUSIVE connection, WAL, FULL. What ``commit`` returned from is on the disk."""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any
from weakref import WeakSet

from bulkpatch.errors import BulkpatchError, ExitCode, LedgerFailed, Mismatch
from bulkpatch.ledger.faults import closed, disk_faults, unkeepable
from bulkpatch.model import (
    Act,
    InputFile,
    Intent,
    Outcome,
    OutcomeRow,
    PendingRow,
    Record,
    RowState,
    RunHeader,
    SeedRow,
    Setback,
    Stage,
)

FILE = "ledger.sqlite"
SEEDING = "ledger.sqlite.seeding"
APPLICATION_ID = 0x62706C31  # "bpl1"
MAGIC = b"SQLite format 3\x00"
HEADER_BYTES = 100
"""Bytes of SQLite's file header, where version and application id stand."""
WAL_PAGES_MAX = 4_000
"""Pages (16 MiB) after which the write-ahead log is folded back."""
SEED_ROWS = 10_000
"""Rows of one insert while seeding."""


@cache
def sql(name: str) -> str:
    """The statement in ``sql/<name>.sql``."""
    return (files("bulkpatch.ledger") / "sql" / f"{name}.sql").read_text("utf-8")


@cache
def migrations() -> Sequence[str]:
    """Every migration, in order; the schema's version is how many there are."""
    folder = files("bulkpatch.ledger") / "sql" / "migrations"
    return tuple(entry.read_text("utf-8") for entry in sorted(folder.iterdir(), key=lambda entry: entry.name))


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
            "INSERT INTO row VALUES (?, ?, ?, ?, ?, ?, ?)",
            [(r.row, r.destination_id, r.digest, r.wave, r.lead, fieldsets[r.fields], _json(r.labels)) for r in batch],
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
        connection = _connect(path, journal="wal")
        try:
            # Asked again: a newer version that was killed may have left its mark in the write-ahead log only.
            _refuse_newer(path, connection.execute("PRAGMA user_version").fetchone()[0])
            return SqliteLedger(connection)
        except BaseException:
            connection.close()
            raise


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


_INSERTS: Mapping[type[Any], str] = {
    Intent: "INSERT INTO intent VALUES (?, ?, ?, ?, ?)",
    Setback: "INSERT INTO setback VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    Outcome: "INSERT INTO outcome VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    Act: "INSERT INTO act (at_us, kind, actor, detail) VALUES (?, ?, ?, ?)",
}
_COLUMNS = {kind: tuple(column.name for column in fields(kind)) for kind in _INSERTS}


class SqliteLedger:
    """ports.Ledger on one connection. After a failed commit it refuses all further use."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection: sqlite3.Connection | None = connection
        self._readers: WeakSet[sqlite3.Cursor] = WeakSet()
        self._header = _header(connection)

    @property
    def _db(self) -> sqlite3.Connection:
        if self._connection is None:
            raise closed()
        return self._connection

    def header(self) -> RunHeader:
        """What the run was started from."""
        return self._header

    def commit(self, records: Sequence[Record]) -> None:
        """One transaction, one fsync. Raises ``LedgerFailed`` or ``Broken``, and then none of it is there."""
        db = self._db
        try:
            if not all(type(record) in _INSERTS for record in records):
                raise unkeepable()  # noqa: TRY301  (ends the use of the ledger, as every refusal does)
            with disk_faults():
                db.execute("BEGIN IMMEDIATE")
                for kind, statement in _INSERTS.items():
                    group = [record for record in records if type(record) is kind]
                    if group:
                        columns = _COLUMNS[kind]
                        db.executemany(statement, [tuple(getattr(one, name) for name in columns) for one in group])
                db.execute("COMMIT")
        except BaseException:
            # Whatever it was: with the connection goes the half-made transaction, so nobody reads or commits it.
            self._connection = None
            self._end_reading()
            db.close()
            raise

    def pending_between(self, first: int, last: int) -> Sequence[PendingRow]:
        """See ports.Ledger."""
        with disk_faults():
            found = self._db.execute(sql("pending_between"), {"first": first, "last": last})
            return [
                PendingRow(
                    row=row,
                    destination_id=destination_id,
                    digest=digest,
                    attempt=attempt,
                    tried=tried,
                    throttled=throttled,
                    doubted=bool(doubted),
                    open=bool(open_),
                    copies=copies,
                )
                for row, destination_id, digest, attempt, tried, throttled, doubted, open_, copies in found
            ]

    def counts(self) -> Mapping[RowState, int]:
        """See ports.Ledger."""
        with disk_faults():
            return {RowState(state): number for state, number in self._db.execute(sql("counts"))}

    def recent_sends(self, since_us: int) -> Sequence[tuple[int, float]]:
        """See ports.Ledger."""
        with disk_faults():
            return self._db.execute(sql("recent_sends"), {"since_us": since_us}).fetchall()

    def acts(self) -> Sequence[Act]:
        """See ports.Ledger."""
        with disk_faults():
            found = self._db.execute("SELECT at_us, kind, actor, detail FROM act ORDER BY id")
            return [Act(at_us=at_us, kind=kind, actor=actor, detail=detail) for at_us, kind, actor, detail in found]

    def outcome_rows(self, batch: int = 50_000) -> Iterator[Sequence[OutcomeRow]]:
        """See ports.Ledger."""
        with disk_faults():
            cursor = self._read("outcome_rows")
            while lines := cursor.fetchmany(batch):
                yield [OutcomeRow(*line) for line in lines]

    def row_numbers(self, states: Collection[RowState]) -> Iterator[int]:
        """Input rows in one of ``states``, ascending; ``not_attempted`` means without an outcome."""
        names = json.dumps(sorted(state.value for state in states))
        with disk_faults():
            for (row,) in self._read("row_numbers", states=names):
                yield row

    def _read(self, name: str, **parameters: Any) -> sqlite3.Cursor:
        cursor = self._db.execute(sql(name), parameters)
        self._readers.add(cursor)
        return cursor

    def _end_reading(self) -> None:
        """A reader that was left halfway would keep the closed file open and its locks held."""
        for cursor in list(self._readers):
            cursor.close()

    def story(self, destination_id: str) -> Sequence[tuple[int, Sequence[Intent | Setback | Outcome]]]:
        """See ports.Ledger."""
        with disk_faults():
            rows = self._db.execute(
                "SELECT row, COALESCE(lead, row) FROM row WHERE destination_id = ? ORDER BY row", (destination_id,)
            ).fetchall()
            return [(row, self._events(lead)) for row, lead in rows]

    def _events(self, row: int) -> list[Intent | Setback | Outcome]:
        events: list[Intent | Setback | Outcome] = []
        for kind, table in ((Intent, "intent"), (Setback, "setback"), (Outcome, "outcome")):
            for line in self._db.execute(f"SELECT * FROM {table} WHERE row = ?", (row,)):  # noqa: S608  (our names)
                events.append(_record(kind, line))  # noqa: PERF401
        order = {Intent: 0, Setback: 1, Outcome: 2}
        return sorted(events, key=lambda event: (event.attempt, order[type(event)]))

    def close(self) -> None:
        """Fold the write-ahead log back and let go."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with disk_faults():
                try:
                    self._end_reading()
                    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                finally:
                    connection.close()


_CASTS: Mapping[str, Callable[[Any], Any]] = {
    "stage": Stage,
    "state": RowState,
    "maybe_applied": bool,
    "counted": bool,
    "withdrawn": bool,
}


def _record(kind: Callable[..., Any], line: Sequence[Any]) -> Any:
    values = dict(zip(_COLUMNS[kind], line, strict=True))  # type: ignore[index]
    return kind(**{name: _CASTS.get(name, lambda value: value)(value) for name, value in values.items()})


def _header(connection: sqlite3.Connection) -> RunHeader:
    found = connection.execute("SELECT value FROM meta WHERE key = 'header'").fetchone()
    if found is None:
        raise LedgerFailed("BP605", "the ledger has no header")
    values = json.loads(found[0])
    values["inputs"] = tuple(InputFile(**one) for one in values["inputs"])
    values["label_names"] = tuple(values["label_names"])
    return RunHeader(**values)
