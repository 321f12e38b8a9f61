"""What must hold while a story happens and at its end, by the guarantee that it is part of; keeps books of its own."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import NamedTuple

from simulation_loop import INSTANT_S
from simulation_story import Story

from bulkpatch.core.lifecycle import OPEN
from bulkpatch.engine.waving import PASSED
from bulkpatch.errors import CODES
from bulkpatch.model import (
    Act,
    AttemptSent,
    Event,
    Intent,
    Outcome,
    OutcomeRow,
    Passed,
    Progressed,
    Rate,
    Record,
    RowSetBack,
    RowSettled,
    RowState,
    Setback,
    Stage,
)
from bulkpatch.simulator.state import Fleet

CHANGED = frozenset({RowState.ACCEPTED, RowState.VERIFIED, RowState.UNVERIFIED})
BLAMES_MAX = 20
"""Violations kept of one story; the first says most."""


class Blame(NamedTuple):
    """One violation of one guarantee."""

    guarantee: str
    at_s: float
    words: str


class Trace:
    """All that happened, in order, as one hash; ``lines`` are kept only if somebody wants to read them."""

    def __init__(self, *, keep: bool = False) -> None:
        self.lines: list[str] | None = [] if keep else None
        self.events = 0
        self._hash = blake2b(digest_size=16)

    def note(self, at_s: float, *words: object) -> None:
        """One event."""
        line = f"{at_s:.6f} {' '.join(map(str, words))}\n"
        self.events += 1
        self._hash.update(line.encode())
        if self.lines is not None:
            self.lines.append(line)

    @property
    def digest(self) -> str:
        """Of all so far."""
        return self._hash.hexdigest()


@dataclass(kw_only=True)
class Books:
    """The ledger as an outsider keeps it, from the records that became durable."""

    intents: Counter[tuple[int, Stage]] = field(default_factory=Counter)
    open: dict[int, Intent] = field(default_factory=dict)
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    setbacks: set[tuple[int, int]] = field(default_factory=set)
    patched: set[int] = field(default_factory=set)
    pretested: set[int] = field(default_factory=set)
    doubts: Counter[int] = field(default_factory=Counter)
    passed_waves: set[str] = field(default_factory=set)


class Held(NamedTuple):
    """A rate in force since ``at_s``, counting what left after ``known_s``."""

    at_s: float
    rate: Rate
    known_s: float


class Judge:
    """Is told what happens and says what must not. ``wave_of`` each lead row is filled in once waves are cut."""

    def __init__(self, story: Story, trace: Trace) -> None:
        self.story = story
        self.trace = trace
        self.blames: list[Blame] = []
        self.books = Books()
        self.wave_of: dict[int, int] = {}
        self.left: list[float] = []
        self.sent: Counter[tuple[int, Stage]] = Counter()
        self.confirmed: Counter[tuple[int, Stage]] = Counter()
        self.stop_s = math.inf
        self.may_leave = math.inf
        self.in_flight = 0
        self._rates: list[Held] = []
        self._copies = Counter(row.lead or row.number for row in story.rows)
        self._row_of = {row.destination_id: row.number for row in story.rows if row.lead is None}

    def blame(self, guarantee: str, at_s: float, words: str) -> None:
        """Something happened that must not."""
        if len(self.blames) < BLAMES_MAX:
            self.blames.append(Blame(guarantee, at_s, words))

    def begins(self, now_s: float) -> None:
        """A process begins, at the job's own rate."""
        self._rates = [Held(now_s, self.story.limits.rate, -math.inf)]
        self.stop_s = self.may_leave = math.inf
        self.in_flight = 0

    # ── the ledger ───────────────────────────────────────────────────────────────────────────

    def committed(self, now_s: float, records: Sequence[Record]) -> None:
        """``records`` are durable."""
        for record in records:
            if isinstance(record, Act):
                self.trace.note(now_s, "act", record.kind, record.detail)
                if record.kind == PASSED:
                    self.books.passed_waves.add(record.detail)
            elif isinstance(record, (Intent, Setback, Passed, Outcome)):
                self._keep(now_s, record)
        if len(self.books.open) > self.story.limits.concurrency:
            self.blame("G2", now_s, f"{len(self.books.open)} rows in doubt: {sorted(self.books.open)}")

    def _keep(self, now_s: float, record: Intent | Setback | Passed | Outcome) -> None:
        books, row = self.books, record.row
        self.trace.note(now_s, type(record).__name__, row, record.attempt, record.stage, getattr(record, "code", ""))
        if row in books.outcomes:
            self.blame("G4", now_s, f"row {row} has its outcome, and {record} came after it")
        if isinstance(record, Intent):
            if row in books.open:
                self.blame("G2", now_s, f"row {row} has two intents without an answer")
            books.open[row] = record
            books.intents[row, record.stage] += 1
            return
        intent = books.open.pop(row, None)
        if isinstance(record, Outcome):
            books.outcomes[row] = record
            self._judge_outcome(now_s, record)
        elif intent is None or intent.attempt != record.attempt:
            self.blame("G2", now_s, f"row {row}: {record} answers no intent")
        elif isinstance(record, Setback):
            books.setbacks.add((row, record.attempt))
            books.intents[row, record.stage] -= record.withdrawn
            books.doubts[row] += record.maybe_applied and record.stage is Stage.PATCH
        else:
            books.patched.update({row} if record.stage is Stage.PATCH else ())
            books.pretested.update({row} if record.stage is Stage.PRETEST else ())
            if record.stage is Stage.PATCH and not self.confirmed[row, Stage.PATCH]:
                self.blame("G3", now_s, f"row {row} passed its patch, which was not answered so")

    def _judge_outcome(self, now_s: float, outcome: Outcome) -> None:
        if outcome.state in CHANGED and not self.confirmed[outcome.row, Stage.PATCH]:
            self.blame("G3", now_s, f"row {outcome.row} is {outcome.state}, and no whole 2xx came for it")
        if outcome.state is RowState.VERIFIED and not self.confirmed[outcome.row, Stage.VERIFY]:
            self.blame("G3", now_s, f"row {outcome.row} is verified, and no test of it passed")

    # ── the wire ─────────────────────────────────────────────────────────────────────────────

    def throttled(self, now_s: float, rate: Rate) -> None:
        """Another rate is in force; of what left under the old one, its longest window is known."""
        before = self._rates[-1].rate
        self._rates.append(Held(now_s, rate, now_s - float(before.unit_s)))

    def departed(self, now_s: float, row: int | None, stage: Stage | None, *, entered_s: float) -> None:
        """A request left; it was let go at ``entered_s``. ``row`` None: a read that belongs to no row."""
        self.trace.note(now_s, "left", row, stage)
        self.left.append(now_s)
        self.in_flight += 1
        if self.in_flight > self.story.limits.concurrency:
            self.blame("G6", now_s, f"{self.in_flight} requests in flight")
        self._judge_rate(now_s, entered_s)
        if entered_s > self.stop_s + INSTANT_S:
            self.blame("G13", now_s, f"row {row} was let go {entered_s - self.stop_s:.3f} s after the signal")
        if row is not None and stage is not None:
            self.may_leave -= 1
            if self.may_leave < 0:
                self.blame("pause", now_s, f"row {row} left while the run was paused")
            self._judge_send(now_s, row, stage)

    def _judge_send(self, now_s: float, row: int, stage: Stage) -> None:
        books = self.books
        self.sent[row, stage] += 1
        if row in books.outcomes:
            self.blame("G4", now_s, f"row {row} is {books.outcomes[row].state} and was sent again")
        if self.sent[row, stage] > books.intents[row, stage]:
            self.blame("G1", now_s, f"row {row}: {stage} left without a durable intent")
        if stage is Stage.PATCH and row in books.patched:
            self.blame("G4", now_s, f"row {row} passed its patch and was patched again")
        if stage is Stage.PATCH and Stage.PRETEST in self.story.staging.stages and row not in books.pretested:
            self.blame("stages", now_s, f"row {row} was patched before its test")
        wave = self.wave_of[row]
        for earlier in {one for one in self.wave_of.values() if one < wave}:
            if f'{{"wave": {earlier}}}' not in books.passed_waves:
                self.blame("waves", now_s, f"row {row} of wave {wave} left before wave {earlier} had passed")

    def _judge_rate(self, now_s: float, entered_s: float) -> None:
        """A request may keep to any rate that was in force between its being let go and its leaving."""
        before = [one for one in self._rates if one.at_s <= entered_s]
        candidates = before[-2:] if entered_s - before[-1].at_s < INSTANT_S else before[-1:]
        candidates += [one for one in self._rates if entered_s < one.at_s <= now_s]
        over = [words for one in candidates if (words := self._too_many(now_s, one))]
        if len(over) == len(candidates):
            self.blame("G5", now_s, over[-1])

    def _too_many(self, now_s: float, held: Held) -> str:
        for length_s, most in ((1.0, math.ceil(held.rate.per_s)), (float(held.rate.unit_s), held.rate.count)):
            found = len(self.left) - bisect_right(self.left, max(now_s - length_s, held.known_s))
            if found > most:
                return f"{found} requests left within {length_s:g} s at {held.rate}"
        return ""

    # ── what a person is told ────────────────────────────────────────────────────────────────

    def told(self, now_s: float, event: Event) -> None:
        """An observer was notified: of what is durable only."""
        books = self.books
        match event:
            case RowSettled(outcome=outcome):
                if books.outcomes.get(outcome.row) != outcome:
                    self.blame("durable", now_s, f"row {outcome.row} was told as settled before that was durable")
            case RowSetBack(setback=setback):
                if (setback.row, setback.attempt) not in books.setbacks:
                    self.blame("durable", now_s, f"row {setback.row} was told as set back before that was durable")
            case Progressed(snapshot=snapshot):
                if snapshot.settled > sum(self._copies[row] for row in books.outcomes):
                    self.blame("durable", now_s, f"{snapshot.settled} rows were told as settled, and fewer are")
            case AttemptSent():
                pass
            case _:
                self.trace.note(now_s, event)

    # ── the end ──────────────────────────────────────────────────────────────────────────────

    def ended(self, now_s: float, *, code: str | None, reason: str) -> None:
        """A process ended by itself; ``code`` None: because every row has its outcome."""
        left = [row for row in self._row_of.values() if row not in self.books.outcomes]
        if code is None and left:
            self.blame("G10", now_s, f"the run finished, and rows {left} have no outcome")
        if code is not None and not (reason and code in CODES):
            self.blame("reason", now_s, f"it stopped for {code!r}: {reason!r}")

    def at_the_end(self, now_s: float, fleet: Fleet, rows: Sequence[OutcomeRow]) -> None:
        """The story is over: what the report would read, against the server."""
        if [row.row for row in rows] != [row.number for row in self.story.rows]:
            self.blame("G10", now_s, "the outcomes are not the input's rows, once each and in order")
            return
        told = {row.row: row for row in rows}
        effects: defaultdict[int, int] = defaultdict(int)
        for destination_id, number in fleet.effects.items():
            effects[self._row_of[destination_id]] += number
        for row in self.story.rows:
            lead = row.lead or row.number
            if told[row.number].state != told[lead].state:
                self.blame("G10", now_s, f"row {row.number} is not where row {lead} is, which it follows")
            outcome = self.books.outcomes.get(lead)
            state = RowState(told[lead].state)
            if (outcome is None) is not (state in OPEN) or (outcome is not None and outcome.state is not state):
                self.blame("G10", now_s, f"row {lead} is {state} in the report, and {outcome} was committed")
            if row.lead is None:
                self._judge_row(now_s, lead, state, effects[lead], fleet)

    def _judge_row(self, now_s: float, row: int, state: RowState, effects: int, fleet: Fleet) -> None:
        books = self.books
        confirmed = state in CHANGED or row in books.patched
        most = confirmed + books.doubts[row] + (row in books.open or state is RowState.UNKNOWN)
        if effects > most:
            self.blame("G2", now_s, f"row {row} is {state}, and was applied {effects} times, {most} of which are known")
        if confirmed and (not effects or fleet.get(f"d{row}")["name"] != f"n{row}"):
            name = fleet.get(f"d{row}")["name"]
            self.blame("G3", now_s, f"row {row} is {state}, and the server holds {name!r}")
        if effects > self.sent[row, Stage.PATCH]:
            self.blame("simulation", now_s, f"row {row} was applied more often than sent")
