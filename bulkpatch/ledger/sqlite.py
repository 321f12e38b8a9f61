"""The ledger on SQLite: one EXCLUSIVE connection, WAL, FULL. What ``commit`` returned from is on the disk."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import fields
from operator import attrgetter
from typing import Any
from weakref import WeakSet

from bulkpatch.errors import LedgerFailed
from bulkpatch.ledger.faults import closed, disk_faults, unkeepable
from bulkpatch.ledger.statements import sql
from bulkpatch.ledger.states import LeadStates, counted, lead_states
from bulkpatch.model import (
    Act,
    Beat,
    CredentialRow,
    Hitch,
    Identity,
    InputFile,
    Intent,
    Outcome,
    OutcomeRow,
    Passed,
    PendingRow,
    Record,
    Resolved,
    RowEvent,
    RowState,
    RunHeader,
    Setback,
    Settlement,
    Sight,
    Stage,
)

_INSERTS: Mapping[type[Any], str] = {
    Intent: "INSERT INTO intent VALUES (?, ?, ?, ?, ?)",
    Resolved: "INSERT INTO resolved VALUES (?, ?, ?, ?, ?)",
    Setback: "INSERT INTO setback VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    Passed: "INSERT INTO passed VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    Outcome: "INSERT INTO outcome VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    # A survey that was ended is made again, and what is seen last counts.
    Sight: "INSERT OR REPLACE INTO sight VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    Settlement: "INSERT INTO settlement VALUES (?, ?, ?, ?, ?, ?)",
    Act: "INSERT INTO act (at_us, kind, actor, detail) VALUES (?, ?, ?, ?)",
}
ROW_MAX = 2**63 - 1
"""The greatest number that SQLite holds: past every row."""
_COLUMNS = {kind: tuple(column.name for column in fields(kind)) for kind in _INSERTS}
_VALUES: Mapping[type[Any], Callable[[Any], Sequence[Any]]] = {
    kind: attrgetter(*columns) for kind, columns in _COLUMNS.items()
}
"""A record as the line of its table, taken apart without a step of Python for each column."""


class SqliteLedger:
    """ports.Ledger on one connection. After a failed commit it refuses all further use, until ``reopen``."""

    def __init__(self, connection: sqlite3.Connection, connect: Callable[[], sqlite3.Connection]) -> None:
        self._connection: sqlite3.Connection | None = connection
        self._connect = connect
        self._readers: WeakSet[sqlite3.Cursor] = WeakSet()
        self._header = header_of(connection)
        self._states: LeadStates | None = None

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
        with self._transaction() as db:
            groups: dict[type[Record], list[Record]] = {}
            for record in records:
                groups.setdefault(type(record), []).append(record)
            if not groups.keys() <= _INSERTS.keys():
                raise unkeepable()
            for kind, statement in _INSERTS.items():
                if kind in groups:
                    db.executemany(statement, map(_VALUES[kind], groups[kind]))

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """One transaction, durable at its end; whatever is raised inside ends the use of the ledger."""
        db, self._states = self._db, None
        try:
            with disk_faults():
                db.execute("BEGIN IMMEDIATE")
                yield db
                db.execute("COMMIT")
        except BaseException:
            # Whatever it was: with the connection goes the half-made transaction, so nobody reads or commits it.
            self._connection = None
            self._end_reading()
            db.close()
            raise

    def pending_between(self, first: int, last: int, *, wave: int | None = None) -> Sequence[PendingRow]:
        """See ports.Ledger."""
        with disk_faults():
            lines = self._db.execute(sql("pending_between"), {"first": first, "last": last, "wave": wave})
            return [_pending(line) for line in lines]

    def sights_between(self, first: int, last: int) -> Mapping[int, Sight]:
        """See ports.Ledger."""
        with disk_faults():
            lines = self._db.execute("SELECT * FROM sight WHERE row BETWEEN ? AND ? ORDER BY row", (first, last))
            return {line[0]: _record(Sight, line) for line in lines}

    def assign_waves(self, assigned: Iterable[tuple[int, int]]) -> None:
        """See ports.Ledger."""
        with self._transaction() as db:
            db.executemany("UPDATE row SET wave = ? WHERE row = ?", ((wave, row) for row, wave in assigned))
            db.execute(sql("followers_waves"))

    def wave_counts(self) -> Mapping[int, Mapping[RowState, int]]:
        """See ports.Ledger."""
        found: dict[int, dict[RowState, int]] = {}
        with disk_faults():
            first, last = self._db.execute("SELECT MIN(wave), MAX(wave) FROM row").fetchone()
            if first == last is not None:  # as of a job without waves
                lines = [(first, state, number) for state, _, number in self._lead_states()]
            else:
                lines = self._db.execute(sql("wave_counts")).fetchall()
        for wave, state, number in lines:
            states = found.setdefault(wave, {})
            states[RowState(state)] = states.get(RowState(state), 0) + number
        return found

    def counts(self) -> Mapping[RowState, int]:
        """See ports.Ledger."""
        with disk_faults():
            return counted(self._lead_states(), self._db)

    def _lead_states(self) -> LeadStates:
        """Gone through once a commit: a resume asks four times before it sends."""
        db = self._db
        if self._states is None:
            self._states = lead_states(db)
        return self._states

    def recent_sends(self, since_us: int, since_s: float) -> Sequence[tuple[int, float, float] | None]:
        """See ports.Ledger."""
        with disk_faults():
            found = self._db.execute(sql("recent_sends"), {"since_us": since_us, "since_s": since_s})
            return [None if line[0] is None else line for line in found]

    def unanswered(self) -> Sequence[Intent]:
        """See ports.Ledger."""
        with disk_faults():
            return [_record(Intent, line) for line in self._db.execute(sql("unanswered"))]

    def acts(self) -> Sequence[Act]:
        """See ports.Ledger."""
        with disk_faults():
            found = self._db.execute("SELECT at_us, kind, actor, detail FROM act ORDER BY id")
            return [Act(at_us=at_us, kind=kind, actor=actor, detail=detail) for at_us, kind, actor, detail in found]

    def outcome_rows(
        self, batch: int = 50_000, *, first: int = 1, last: int | None = None
    ) -> Iterator[Sequence[OutcomeRow]]:
        """See ports.Ledger."""
        with disk_faults():
            cursor = self._read("outcome_rows", first=first, last=ROW_MAX if last is None else last)
            while lines := cursor.fetchmany(batch):
                yield [OutcomeRow(*line) for line in lines]

    def credential_rows(
        self, batch: int = 50_000, *, first: int = 1, last: int | None = None
    ) -> Iterator[Sequence[CredentialRow]]:
        """See ports.Ledger."""
        with disk_faults():
            cursor = self._read("credential_rows", first=first, last=ROW_MAX if last is None else last)
            while lines := cursor.fetchmany(batch):
                yield [CredentialRow(*line) for line in lines]

    def beats(self, width_us: int) -> Sequence[Beat]:
        """See ports.ReadLedger."""
        with disk_faults():
            return [Beat(*line) for line in self._db.execute(sql("beats"), {"width_us": width_us})]

    def hitches(self) -> Sequence[Hitch]:
        """See ports.ReadLedger."""
        with disk_faults():
            return [Hitch(*line) for line in self._db.execute(sql("hitches"))]

    def row_numbers(self, states: Collection[RowState]) -> Iterator[int]:
        """Input rows in one of ``states``, ascending; ``not_attempted`` means without an outcome."""
        names = json.dumps(sorted(state.value for state in states))
        with disk_faults():
            for (row,) in self._read("row_numbers", states=names):
                yield row

    def identities(self, batch: int = 10_000) -> Iterator[Sequence[Identity]]:
        """See ports.Ledger."""
        with disk_faults():
            cursor = self._read("identities")
            while lines := cursor.fetchmany(batch):
                yield [Identity(*line) for line in lines]

    def _read(self, name: str, **parameters: Any) -> sqlite3.Cursor:
        cursor = self._db.execute(sql(name), parameters)
        self._readers.add(cursor)
        return cursor

    def _end_reading(self) -> None:
        """A reader that was left halfway would keep the closed file open and its locks held."""
        for cursor in list(self._readers):
            cursor.close()

    def story(self, destination_id: str) -> Sequence[tuple[int, Sequence[RowEvent]]]:
        """See ports.Ledger."""
        with disk_faults():
            rows = self._db.execute(
                "SELECT row, COALESCE(lead, row) FROM row WHERE destination_id = ? ORDER BY row", (destination_id,)
            ).fetchall()
            return [(row, self._events(lead)) for row, lead in rows]

    def _events(self, row: int) -> list[RowEvent]:
        events: list[RowEvent] = []
        for kind, table in _STORY.items():
            for line in self._db.execute(f"SELECT * FROM {table} WHERE row = ?", (row,)):  # noqa: S608  (our names)
                events.append(_record(kind, line))  # noqa: PERF401
        order = {kind: at for at, kind in enumerate(_STORY)}
        return sorted(events, key=lambda event: (order_of(event), order[type(event)]))

    def reopen(self) -> None:
        """See ports.Ledger."""
        if self._connection is None:
            with disk_faults():
                self._connection = self._connect()

    def close(self) -> None:
        """Fold the write-ahead log back and let go."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with disk_faults(), closing(connection), suppress(sqlite3.Error):
                self._end_reading()
                # What cannot be folded back stays in the log, as durable as before.
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


_STORY: Mapping[type[Any], str] = {
    Sight: "sight",
    Intent: "intent",
    Setback: "setback",
    Passed: "passed",
    Outcome: "outcome",
    Settlement: "settlement",
}
"""What is told of a row, in the order in which it happens to an attempt."""


def order_of(event: RowEvent) -> float:
    """Where ``event`` stands in the story of its row: by attempt, what was seen first, what was found out last."""
    match event:
        case Sight():
            return -1
        case Settlement():
            return float("inf")
        case _:
            return event.attempt


def _optional(cast: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else cast(value)


_CASTS: Mapping[str, Callable[[Any], Any]] = {
    "stage": Stage,
    "open_stage": _optional(Stage),
    "passed": _optional(Stage),
    "state": RowState,
    "found": _optional(bool),
    **dict.fromkeys(("maybe_applied", "counted", "withdrawn", "doubted", "open"), bool),
}


def _record(kind: Callable[..., Any], line: Sequence[Any]) -> Any:
    values = dict(zip(_COLUMNS[kind], line, strict=True))  # type: ignore[index]
    cast = {name: _CASTS[name](values[name]) for name in values.keys() & _CASTS.keys()}
    return kind(**{**values, **cast})


_PENDING_CASTS: Sequence[tuple[int, Callable[[Any], Any]]] = [
    (at, _CASTS[name]) for at, name in enumerate(PendingRow._fields) if name in _CASTS
]


def _pending(line: Sequence[Any]) -> PendingRow:
    """A line of ``pending_between``, whose columns stand as the fields do."""
    values = list(line)
    for at, cast in _PENDING_CASTS:
        values[at] = cast(values[at])
    return PendingRow._make(values)


def header_of(connection: sqlite3.Connection) -> RunHeader:
    """What the ledger behind ``connection`` was seeded with."""
    found = connection.execute("SELECT value FROM meta WHERE key = 'header'").fetchone()
    if found is None:
        raise LedgerFailed("BP605", "the ledger has no header")
    values = json.loads(found[0])
    values["inputs"] = tuple(InputFile(**one) for one in values["inputs"])
    values["label_names"] = tuple(values["label_names"])
    values["plugins"] = tuple(values.get("plugins", ()))  # older ledgers name none
    return RunHeader(**values)
