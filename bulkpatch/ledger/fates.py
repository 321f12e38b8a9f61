"""What happened to one row, in memory: the answers that the ledger on SQLite gives by its queries."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from bulkpatch.model import (
    Beat,
    Hitch,
    Intent,
    Outcome,
    Passed,
    Resolved,
    RowEvent,
    RowState,
    Setback,
    Settlement,
    Sight,
    Stage,
)

_TOO_MANY = 429


@dataclass(slots=True, kw_only=True)
class Fate:
    """All that happened to one row, or to a lead and those that follow it, by attempt."""

    intents: dict[int, Intent] = field(default_factory=dict)
    resolved: dict[int, dict[str, Resolved]] = field(default_factory=dict)
    setbacks: dict[int, Setback] = field(default_factory=dict)
    passes: dict[int, Passed] = field(default_factory=dict)
    sight: Sight | None = None
    outcome: Outcome | None = None
    settlement: Settlement | None = None

    @property
    def open(self) -> bool:
        """An intent has no answer on record."""
        return not self.intents.keys() <= self.setbacks.keys() | self.passes.keys()

    @property
    def last_passed(self) -> Passed | None:
        """The last stage that the row came through."""
        return max(self.passes.values(), key=lambda one: one.attempt, default=None)

    @property
    def facts(self) -> bytes | None:
        """What the last reply that told anything said."""
        patched = [one for one in self.passes.values() if one.stage is Stage.PATCH and one.facts is not None]
        last = max(patched, key=lambda one: one.attempt, default=None)
        told = (self.settlement, self.outcome, last)
        return next((one.facts for one in told if one is not None and one.facts is not None), None)

    @property
    def state(self) -> RowState:
        """Where the row stands."""
        settled = self.settlement or self.outcome
        if settled is not None:
            return settled.state
        return RowState.IN_FLIGHT if self.open else RowState.PENDING

    def sends(self) -> Sequence[Intent]:
        """The intents that were not withdrawn."""
        taken_back = {setback.attempt for setback in self.setbacks.values() if setback.withdrawn}
        return [intent for intent in self.intents.values() if intent.attempt not in taken_back]

    def answered_at(self, intent: Intent) -> tuple[int, float, float] | None:
        """When the answer to ``intent`` was recorded, if it was, by both clocks, and the intent by one."""
        outcome = self.outcome if self.outcome is not None and self.outcome.attempt == intent.attempt else None
        answer = self.setbacks.get(intent.attempt) or self.passes.get(intent.attempt) or outcome
        if answer is None:
            return None
        return answer.at_us, intent.at_s + (answer.at_us - intent.at_us) / 1e6, intent.at_s

    def unanswered(self) -> Sequence[Intent]:
        """The intents of a row without outcome that have no answer on record."""
        answered = self.setbacks.keys() | self.passes.keys()
        return [intent for attempt, intent in sorted(self.intents.items()) if attempt not in answered]

    def versions(self) -> Sequence[Resolved]:
        """What the last PATCH that left carried, by path."""
        last = max((intent.attempt for intent in self.sends() if intent.stage is Stage.PATCH), default=0)
        return [one for _, one in sorted(self.resolved.get(last, {}).items())]

    def attempts(self) -> int:
        """Requests that left."""
        return len(self.intents) - sum(setback.withdrawn for setback in self.setbacks.values())

    def left_at_us(self, intent: Intent) -> int:
        """When its request left: by the answer and how long that took, else when it was about to."""
        outcome = self.outcome if self.outcome is not None and self.outcome.attempt == intent.attempt else None
        for answer in (self.setbacks.get(intent.attempt), self.passes.get(intent.attempt), outcome):
            if answer is not None and answer.latency_us is not None:
                return max(0, answer.at_us - answer.latency_us)
        return intent.at_us

    def met(self) -> Sequence[Setback]:
        """The setbacks of the attempts that left."""
        return [setback for setback in self.setbacks.values() if not setback.withdrawn]

    def last_word(self) -> Outcome | Setback | None:
        """The outcome, else the last setback that was not withdrawn."""
        return self.outcome or max(self.met(), key=lambda setback: setback.attempt, default=None)

    def events(self) -> Sequence[RowEvent]:
        """What happened, in order: by attempt, and of each the intent first and the outcome last."""
        tried: list[Intent | Setback | Passed | Outcome] = [*self.intents.values(), *self.setbacks.values()]
        tried += self.passes.values()
        tried += [self.outcome] if self.outcome is not None else []
        tried.sort(key=lambda event: event.attempt)
        first = [self.sight] if self.sight is not None else []
        return [*first, *tried, self.settlement] if self.settlement is not None else [*first, *tried]


def beats_of(fates: Iterable[Fate], width_us: int) -> Sequence[Beat]:
    """See ports.ReadLedger."""
    found: defaultdict[int, list[int]] = defaultdict(lambda: [0, 0, 0])
    for fate in fates:
        for intent in fate.sends():
            found[fate.left_at_us(intent) // width_us][0] += 1
        for setback in fate.met():
            beat = found[setback.at_us // width_us]
            beat[1] += 1
            beat[2] += setback.http_status == _TOO_MANY
    return [Beat(at * width_us, *numbers) for at, numbers in sorted(found.items())]


def hitches_of(fates: Iterable[Fate]) -> Sequence[Hitch]:
    """See ports.ReadLedger."""
    attempts: Counter[tuple[str, int | None]] = Counter()
    rows: Counter[tuple[str, int | None]] = Counter()
    for fate in fates:
        kinds = [(setback.code, setback.http_status) for setback in fate.met()]
        attempts.update(kinds)
        rows.update(set(kinds))
    told = [Hitch(*kind, attempts[kind], rows[kind]) for kind in attempts]
    return sorted(told, key=lambda one: (-one.attempts, one.code, one.http_status or 0))
