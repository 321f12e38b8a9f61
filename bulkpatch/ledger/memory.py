"""The ledger in memory: the twin of the one on SQLite, for simulations and tests. Both pass one contract suite.

No disk, no clock, no draw: what it answers follows from what it was seeded with and what was committed.
"""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace

from bulkpatch.ledger.fates import Fate, beats_of, hitches_of
from bulkpatch.ledger.faults import closed, contradicted, unkeepable
from bulkpatch.model import (
    Act,
    Beat,
    CredentialRow,
    Hitch,
    Identity,
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
    SeedRow,
    Setback,
    Settlement,
    Sight,
    Stage,
)


@dataclass(slots=True, kw_only=True)
class _Facts:
    """What would lie on the disk; shared by every ledger that was reopened from the first."""

    header: RunHeader
    rows: dict[int, SeedRow]
    fates: defaultdict[int, Fate] = field(default_factory=lambda: defaultdict(Fate))
    waves: dict[int, int] = field(default_factory=dict)
    acts: list[Act] = field(default_factory=list)
    keys: set[Hashable] = field(default_factory=set)

    def fate(self, row: SeedRow) -> Fate:
        """What ``row``, or the lead it follows, met."""
        return self.fates.get(row.row if row.lead is None else row.lead) or Fate()

    def wave(self, row: SeedRow) -> int:
        """The wave that ``row`` was put into, else the one it was seeded with."""
        return self.waves.get(row.row, row.wave)

    def add(self, record: Record) -> None:
        """Keep ``record``, which was found to contradict nothing."""
        match record:
            case Intent():
                self.fates[record.row].intents[record.attempt] = record
            case Resolved():
                self.fates[record.row].resolved.setdefault(record.attempt, {})[record.path] = record
            case Setback():
                self.fates[record.row].setbacks[record.attempt] = record
            case Passed():
                self.fates[record.row].passes[record.attempt] = record
            case Outcome():
                self.fates[record.row].outcome = record
            case Sight():
                self.fates[record.row].sight = record
            case Settlement():
                self.fates[record.row].settlement = record
            case Act():
                self.acts.append(record)
            case _:
                raise unkeepable()


class MemoryLedger:
    """ports.Ledger without a disk. After ``close`` or a failed commit it refuses all use, until ``reopen``."""

    def __init__(self, header: RunHeader, rows: Iterable[Sequence[SeedRow]]) -> None:
        seeded = [row for batch in rows for row in batch]
        by_number = {row.row: row for row in sorted(seeded, key=lambda row: row.row)}
        if len(by_number) < len(seeded):
            raise contradicted()
        _refuse_unkeepable(text for row in seeded for text in (row.destination_id, row.credential, *row.labels))
        self._facts = _Facts(header=replace(header, rows=len(seeded)), rows=by_number)
        self._numbers = list(by_number)
        self._copies = Counter(row.lead for row in seeded if row.lead is not None)
        self._closed = False

    def reopen(self) -> None:
        """See ports.Ledger."""
        self._closed = False

    def reopened(self) -> MemoryLedger:
        """The ledger as the next process finds it: every fact that was committed. This one is closed."""
        self._closed = False
        again = copy(self)
        self.close()
        return again

    @property
    def _held(self) -> _Facts:
        if self._closed:
            raise closed()
        return self._facts

    def header(self) -> RunHeader:
        """What the run was started from."""
        return self._facts.header

    def commit(self, records: Sequence[Record]) -> None:
        """Keep all of ``records``, in order. Raises ``Broken``, and then none of it is there."""
        facts = self._held
        self._closed = True  # until nothing can fail any more
        keys = [key for record in records if (key := _key(record)) is not None]
        _refuse_unkeepable(text for record in records for text in _texts(record))
        if len(set(keys)) < len(keys) or not facts.keys.isdisjoint(keys):
            raise contradicted()
        facts.keys.update(keys)
        for record in records:
            facts.add(record)
        self._closed = False

    def pending_between(self, first: int, last: int, *, wave: int | None = None) -> Sequence[PendingRow]:
        """See ports.Ledger."""
        facts = self._held
        return [
            self._pending(row, fate)
            for row in self._between(first, last)
            if row.lead is None and (fate := facts.fate(row)).outcome is None and wave in {None, facts.wave(row)}
        ]

    def _between(self, first: int, last: int | None) -> Iterator[SeedRow]:
        numbers = self._numbers
        end = len(numbers) if last is None else bisect_right(numbers, last)
        return (self._held.rows[one] for one in numbers[bisect_left(numbers, first) : end])

    def sights_between(self, first: int, last: int) -> Mapping[int, Sight]:
        """See ports.Ledger."""
        fates = self._held.fates
        found = {row.row: fates[row.row].sight for row in self._between(first, last) if row.row in fates}
        return {row: sight for row, sight in found.items() if sight is not None}

    def assign_waves(self, assigned: Iterable[tuple[int, int]]) -> None:
        """See ports.Ledger."""
        facts = self._held
        self._closed = True  # until nothing can fail any more
        facts.waves.update(dict(assigned))
        followers = [(row.row, facts.rows[row.lead]) for row in facts.rows.values() if row.lead is not None]
        facts.waves.update({number: facts.wave(lead) for number, lead in followers})
        self._closed = False

    def wave_counts(self) -> Mapping[int, Mapping[RowState, int]]:
        """See ports.Ledger."""
        facts = self._held
        found: defaultdict[int, Counter[RowState]] = defaultdict(Counter)
        for row in facts.rows.values():
            if row.lead is None:
                fate = facts.fate(row)
                state = fate.outcome.state if fate.outcome is not None else fate.state
                found[facts.wave(row)][state] += 1
        return {wave: dict(states) for wave, states in found.items()}

    def _pending(self, row: SeedRow, fate: Fate) -> PendingRow:
        passed, last = fate.last_passed, fate.intents.get(max(fate.intents, default=0))
        stage = Stage.VERIFY if passed is not None and passed.stage is Stage.PATCH else Stage.PATCH
        setbacks = [one for one in fate.setbacks.values() if one.stage is stage]
        open_ = last if last is not None and fate.open else None
        sight = fate.sight
        return PendingRow(
            row=row.row,
            destination_id=row.destination_id,
            digest=row.digest,
            attempt=max(fate.intents, default=0),
            tried=sum(one.counted for one in setbacks),
            throttled=sum(one.code == "BP406" for one in setbacks),
            doubted=any(one.maybe_applied and one.stage is Stage.PATCH for one in fate.setbacks.values()),
            open=open_ is not None,
            open_stage=open_.stage if open_ else None,
            passed=passed.stage if passed else None,
            copies=1 + self._copies[row.row],
            wave=self._facts.wave(row),
            vendor=sight.vendor if sight else None,
            recipient_id=sight.recipient_id if sight else None,
            updated_at=sight.updated_at if sight else None,
            live_digest=sight.digest if sight else None,
        )

    def counts(self) -> Mapping[RowState, int]:
        """See ports.Ledger."""
        facts = self._held
        return dict(Counter(facts.fate(row).state for row in facts.rows.values()))

    def recent_sends(self, since_us: int, since_s: float) -> Sequence[tuple[int, float, float] | None]:
        """See ports.Ledger."""
        left = [fate.answered_at(intent) for fate in self._held.fates.values() for intent in fate.sends()]
        answered = sorted(one for one in left if one is not None and (one[0] >= since_us or one[1] >= since_s))
        return [*answered, *(one for one in left if one is None)]

    def unanswered(self) -> Sequence[Intent]:
        """See ports.Ledger."""
        fates = sorted(self._held.fates.items())
        return [one for _, fate in fates if fate.open and fate.outcome is None for one in fate.unanswered()]

    def acts(self) -> Sequence[Act]:
        """See ports.Ledger."""
        return list(self._held.acts)

    def outcome_rows(
        self, batch: int = 50_000, *, first: int = 1, last: int | None = None
    ) -> Iterator[Sequence[OutcomeRow]]:
        """See ports.Ledger."""
        rows = list(self._between(first, last))
        for start in range(0, len(rows), batch):
            facts = self._held
            yield [_outcome_row(row, facts.fate(row), facts.wave(row)) for row in rows[start : start + batch]]

    def credential_rows(
        self, batch: int = 50_000, *, first: int = 1, last: int | None = None
    ) -> Iterator[Sequence[CredentialRow]]:
        """See ports.Ledger."""
        named = [(row, row.credential) for row in self._between(first, last) if row.credential is not None]
        for start in range(0, len(named), batch):
            facts = self._held
            yield [
                CredentialRow(row.row, name, _versions(facts.fate(row).versions()))
                for row, name in named[start : start + batch]
            ]

    def beats(self, width_us: int) -> Sequence[Beat]:
        """See ports.ReadLedger."""
        return beats_of(self._held.fates.values(), width_us)

    def hitches(self) -> Sequence[Hitch]:
        """See ports.ReadLedger."""
        return hitches_of(self._held.fates.values())

    def row_numbers(self, states: Collection[RowState]) -> Iterator[int]:
        """Input rows in one of ``states``, ascending; ``not_attempted`` means without an outcome."""
        for row in list(self._held.rows.values()):
            fate = self._held.fate(row)
            if (RowState.NOT_ATTEMPTED if fate.outcome is None else fate.state) in states:
                yield row.row

    def identities(self, batch: int = 10_000) -> Iterator[Sequence[Identity]]:
        """See ports.Ledger."""
        leads = [row for row in self._held.rows.values() if row.lead is None]
        for start in range(0, len(leads), batch):
            facts = self._held
            yield [_identity(row, facts.fate(row)) for row in leads[start : start + batch]]

    def story(self, destination_id: str) -> Sequence[tuple[int, Sequence[RowEvent]]]:
        """See ports.Ledger."""
        facts = self._held
        return [
            (number, facts.fate(row).events())
            for number, row in facts.rows.items()
            if row.destination_id == destination_id
        ]

    def close(self) -> None:
        """Refuse further use. Safe to call twice."""
        self._closed = True


def _identity(row: SeedRow, fate: Fate) -> Identity:
    doubted = fate.outcome is None and any(setback.maybe_applied for setback in fate.setbacks.values())
    state = RowState.IN_FLIGHT if doubted else fate.state
    return Identity(row=row.row, destination_id=row.destination_id, digest=row.digest, state=state.value)


def _key(record: Record) -> Hashable | None:
    """What of ``record`` may be said only once; None if it may be repeated."""
    match record:
        case Intent() | Setback() | Passed():
            return type(record), record.row, record.attempt
        case Resolved():
            return Resolved, record.row, record.attempt, record.path
        case Outcome() | Settlement():
            return type(record), record.row
        case Sight() | Act():
            return None
        case _:
            raise unkeepable()


def _texts(record: Record) -> Sequence[str | None]:
    """The texts in ``record`` that come from outside."""
    match record:
        case Intent():
            return ()
        case Resolved():
            return record.path, record.reference, record.version
        case Passed():
            return (record.code,)
        case Sight():
            return record.vendor, record.recipient_id, record.updated_at
        case Setback() | Outcome() | Settlement():
            return record.code, record.error
        case Act():
            return record.kind, record.actor, record.detail
        case _:
            raise unkeepable()


def _refuse_unkeepable(texts: Iterable[str | None]) -> None:
    """SQLite cannot keep what is no Unicode, and a simulation must find that out too."""
    try:
        for text in texts:
            (text or "").encode()
    except UnicodeEncodeError:
        raise unkeepable() from None


def _versions(carried: Sequence[Resolved]) -> str:
    """As SQLite's JSON functions write it."""
    told = [(one.path, one.reference, one.version) for one in carried]
    return json.dumps(told, ensure_ascii=False, separators=(",", ":"))


def _outcome_row(row: SeedRow, fate: Fate, wave: int) -> OutcomeRow:
    outcome, last = fate.outcome, fate.last_word()
    told = fate.settlement or last
    settled = fate.settlement or outcome
    return OutcomeRow(
        row=row.row,
        destination_id=row.destination_id,
        state=fate.state.value,
        stage=(outcome.stage if outcome else Stage.PATCH).value,
        wave=wave,
        attempts=fate.attempts(),
        http_status=last.http_status if last else None,
        code=told.code if told else None,
        error=told.error if told else None,
        fields=json.dumps(list(row.fields)),
        sent_at_us=min((intent.at_us for intent in fate.sends()), default=None),
        finished_at_us=settled.at_us if settled else None,
        latency_us=last.latency_us if last else None,
        facts=fate.facts,
        labels=json.dumps(list(row.labels), ensure_ascii=False),
    )
