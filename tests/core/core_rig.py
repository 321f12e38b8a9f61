"""What the tests of the core share: rows, verdicts, and a dispatcher on a clock that jumps."""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bulkpatch.core.breaker import BreakerState
from bulkpatch.core.dispatcher import Dispatcher
from bulkpatch.core.pacer import Pacer
from bulkpatch.core.quantities import parse_rate, parse_threshold
from bulkpatch.core.tally import Tally
from bulkpatch.core.work import Ending, Stop, Work
from bulkpatch.model import (
    Guard,
    Limits,
    Operation,
    Outcome,
    PendingRow,
    PerRecipient,
    Record,
    RowState,
    Stage,
    Staging,
    Verdict,
    VerdictKind,
)

OK = Verdict(kind=VerdictKind.ACCEPTED, http_status=200)
FINAL = Verdict(kind=VerdictKind.FINAL, code="BP401", message="no", http_status=422)
UNMADE = Verdict(kind=VerdictKind.FINAL, code="BP417", message="the request cannot be made")
DOUBT = Verdict(kind=VerdictKind.RETRY, code="BP411", message="500", http_status=500, maybe_applied=True)
LATE = Verdict(kind=VerdictKind.RETRY, code="BP409", message="no whole answer in time", maybe_applied=True)
BUSY = Verdict(kind=VerdictKind.RETRY, code="BP416", message="503", http_status=503)
NEVER = Verdict(kind=VerdictKind.RETRY, code="BP407", message="refused (api.example)", never_sent=True)
SLOW = Verdict(kind=VerdictKind.RETRY, code="BP406", message="429", http_status=429, throttled=True, retry_after_s=2.0)
HALT = Verdict(kind=VerdictKind.HALT, code="BP402", message="401", http_status=401, exit_code=4)

BODY = b'{"destination":{"name":"n"}}'
DIGEST = hashlib.sha256(BODY).digest()


def row(number: int, *, fields: tuple[str, ...] = ("name",), **known: Any) -> tuple[Operation, PendingRow]:
    """Row ``number`` as the feeder brings it."""
    op = Operation(row=number, destination_id=f"d{number}", body=BODY, digest=DIGEST, fields=fields)
    return op, PendingRow(row=number, destination_id=op.destination_id, digest=DIGEST, **known)


def rows(count: int) -> list[tuple[Operation, PendingRow]]:
    """Rows 1 to ``count``, untouched."""
    return [row(number) for number in range(1, count + 1)]


def ending(verdict: Verdict, *, now_s: float = 0.0, chance: float = 0.5, facts: bytes | None = None) -> Ending:
    """The end of an attempt that took a millisecond."""
    return Ending(verdict=verdict, now_s=now_s, at_us=7, latency_us=1000, chance=chance, facts=facts)


def work(number: int, *, lane: str = "", **known: Any) -> Work:
    """Row ``number``, on its way in ``lane``."""
    op, pending = row(number, **known)
    return Work(op, pending, attempts=5, lane=lane)


def outcome(state: RowState, *, latency_us: int | None = 1000) -> Outcome:
    """Some row's outcome."""
    return Outcome(row=1, attempt=1, stage=Stage.PATCH, state=state, at_us=0, latency_us=latency_us)


def most_in(times: Sequence[float], window_s: float) -> int:
    """The largest number of ``times`` within any window of ``window_s``."""
    ordered = sorted(times)
    return max((bisect_left(ordered, at + window_s) - index for index, at in enumerate(ordered)), default=0)


@dataclass
class Bench:
    """A dispatcher with a clock that jumps to whatever it waits for."""

    attempts: int = 3
    max_failed: int | str = "100%"
    min_tried: int = 0
    concurrency: int = 4
    rate: str = "1000/s"
    now: float = 0.0
    staging: Staging | None = None
    per_recipient: PerRecipient | None = None
    records: list[Record] = field(default_factory=list)

    def __post_init__(self) -> None:
        rate = parse_rate(self.rate)
        self.d = Dispatcher(
            limits=Limits(rate=rate, concurrency=self.concurrency, timeout_s=30, attempts=self.attempts),
            guard=Guard(max_failed=parse_threshold(self.max_failed), min_tried=self.min_tried),
            pacer=Pacer(rate, now_s=0.0),
            tally=Tally({}),
            now_s=0.0,
            staging=self.staging,
            per_recipient=self.per_recipient,
        )

    def offer(self, *rows: tuple[Operation, PendingRow]) -> None:
        """Bring rows, and say that there are no more."""
        self.records += self.d.offer(rows, at_us=0)
        self.d.source_ended()
        self.d.finish()

    def finished(self) -> bool:
        """Whether the run is, asked anew."""
        return self.d.finished

    def stopped(self) -> Stop | None:
        """Why the run stops, asked anew."""
        return self.d.stopped

    def breaker(self) -> BreakerState:
        """How the breaker stands, asked anew."""
        return self.d.health.lanes.breaker("").state

    def pick(self) -> Work:
        """Wait for the next row and pick it."""
        while (work := self.d.pick(self.now)) is None:
            self._wait()
        return work

    def _wait(self) -> None:
        due = self.d.wakes_at(self.now)
        assert self.now < due < 1e6, "it would wait for ever"
        self.now = due

    def send(self, work: Work) -> Work:
        """Intend, grant and send ``work``."""
        self.records.append(work.intent(0, self.now))
        self.now = max(self.now, self.d.ready_at(self.now))
        self.d.grant(self.now)
        self.d.sent(self.now)
        return work

    def start(self) -> Work:
        """Pick, intend, grant and send the next row."""
        return self.send(self.pick())

    def end(self, work: Work, verdict: Verdict, chance: float = 0.5) -> Record:
        """The attempt ended; an outcome becomes durable at once."""
        record = self.d.ended(work, ending(verdict, now_s=self.now, chance=chance))
        self.records.append(record)
        if isinstance(record, Outcome):
            self.d.settled(record, work.copies)
        return record

    def drain(self, answered: Callable[[Work], Verdict]) -> None:
        """Send one row after the other until nothing of the wave is left, each answered as ``answered`` says."""
        while True:
            if (work := self.d.pick(self.now)) is not None:
                self.end(self.send(work), answered(work))
            elif self.d.drained:
                return
            else:
                self._wait()

    def run(self, *verdicts: Verdict) -> list[Record]:
        """Send one row after the other, answered by ``verdicts`` in turn."""
        for verdict in verdicts:
            self.end(self.start(), verdict)
        return self.records
