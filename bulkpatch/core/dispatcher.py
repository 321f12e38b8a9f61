"""What to send next, when, whether to try again and when to stop: events in, records and work out.

No clock, no I/O, no draw: every method is told the time, and chance arrives as a number, so any run
replays in microseconds. The life of a piece of ``Work``::

    offer ─▶ waiting ─pick─▶ in a slot ─intend─▶ (intent durable) ─grant─▶ sent ─ended─▶ settled
                 ▲                      │                            │
                 └──────── retry ◀──────┴── withdrawn (stop) ────────┘

A slot is held from ``pick`` to the record of what came of it. Records go to the ledger in the order
they were made, so at any durable moment at most ``concurrency`` intents are without an answer.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import assert_never

from bulkpatch.core.adaptive import AdaptiveSpeed
from bulkpatch.core.breaker import Breaker, BreakerState
from bulkpatch.core.guarding import trips
from bulkpatch.core.pacer import Pacer
from bulkpatch.core.tally import Tally
from bulkpatch.core.work import Ending, Stop, Why, Work
from bulkpatch.errors import ExitCode
from bulkpatch.model import (
    Guard,
    Intent,
    Limits,
    Notice,
    Operation,
    Outcome,
    PendingRow,
    Record,
    RowState,
    Verdict,
    VerdictKind,
)

THROTTLES_MAX = 10
"""Times one row is told to wait before it is given up."""
ROW_DEADLINE_S = 1800.0
"""Seconds from a row's first send to its last, waits included."""
SOLO_S = 1.0
"""Seconds that the first request of a process goes alone, so that a refused key costs one request."""
LEAD_S = 0.05
"""Seconds ahead of its turn that an intent is made durable: a few commits' time."""
RETRIES_MAX = 10_000
"""Rows that wait for another attempt before no fresh one is begun: what bounds memory in a storm."""


class Dispatcher:
    """Decides for one process's part in a run."""

    def __init__(self, *, limits: Limits, guard: Guard, pacer: Pacer, tally: Tally, now_s: float) -> None:
        self.limits = limits
        self.guard = guard
        self.pacer = pacer
        self.tally = tally
        self.breaker = Breaker()
        self.speed = AdaptiveSpeed(limits.rate.per_s, now_s=now_s)
        self.stopped: Stop | None = None
        self.notices: list[Notice] = []
        self.in_slots = 0
        self.in_flight = 0
        self._armed = 0
        self._fresh: deque[Work] = deque()
        self._retries: list[tuple[float, int, Work]] = []
        self._exhausted_source = False
        self._heard = False
        self._reached = False
        self._solo_until_s = math.inf
        self._order = 0

    # ── rows come in ─────────────────────────────────────────────────────────────────────────

    def offer(self, rows: Iterable[tuple[Operation, PendingRow]], *, at_us: int) -> list[Record]:
        """Take rows that are to be sent. Answers that an earlier process lost are put on record."""
        works = [(Work(op, known, attempts=self.limits.attempts), known.open) for op, known in rows]
        self._fresh.extend(work for work, _ in works)
        return [work.lost(at_us) for work, lost in works if lost]

    def source_ended(self) -> None:
        """No more rows will be offered."""
        self._exhausted_source = True

    @property
    def wants(self) -> bool:
        """Whether more rows should be offered now: less than one round of the slots is waiting."""
        return not self._exhausted_source and self.stopped is None and len(self._fresh) < self.limits.concurrency

    @property
    def finished(self) -> bool:
        """Nothing is under way and nothing more will start."""
        if self.in_slots:
            return False
        if self.stopped is not None:
            return True
        return self._exhausted_source and not self._fresh and not self._retries

    @property
    def waiting(self) -> int:
        """Rows known here that are in no slot."""
        return len(self._fresh) + len(self._retries)

    @property
    def bound_by(self) -> str:
        """Which limit holds the run back now, in words."""
        if self.breaker.state is not BreakerState.CLOSED:
            return "waiting for the API"
        if self.pacer.speed < self.limits.rate.per_s:
            return "the API's own limit"
        return "concurrency" if self.in_flight >= self.limits.concurrency else "rate"

    # ── a slot asks for work ─────────────────────────────────────────────────────────────────

    def pick(self, now_s: float) -> Work | None:
        """The next row to prepare, or None for now. It holds a slot until ``ended`` or ``withdraw``."""
        if self.stopped is not None or self.in_slots >= self.limits.concurrency or not self._may_start(now_s):
            return None
        if self._retries and self._retries[0][0] <= now_s:
            work = heapq.heappop(self._retries)[2]
        elif self._fresh and len(self._retries) < RETRIES_MAX:
            work = self._fresh.popleft()
        else:
            return None
        self.in_slots += 1
        self._armed += 1
        work.probe = self.breaker.state is BreakerState.PROBING
        if math.isinf(work.first_s):
            work.first_s = now_s
        if math.isinf(self._solo_until_s):
            self._solo_until_s = now_s + SOLO_S
        return work

    def _may_start(self, now_s: float) -> bool:
        if not self._heard and self.in_slots and now_s < self._solo_until_s:
            return False
        ahead = 1 + int(self.pacer.speed * LEAD_S)
        return self._armed < ahead and self.breaker.lets_through(now_s, in_flight=self.in_slots)

    def wakes_at(self, now_s: float) -> float:
        """When ``pick`` may have more to give though nothing happens until then."""
        due = self._retries[0][0] if self._retries else math.inf
        solo = math.inf if self._heard else self._solo_until_s
        # What is past already wakes nobody: then it is something under way that is waited for.
        return min((at_s for at_s in (due, solo, self.breaker.wakes_at_s) if at_s > now_s), default=math.inf)

    def intend(self, work: Work, *, at_us: int, now_s: float) -> Intent:
        """The record that must be durable before the first byte leaves."""
        return work.intent(at_us, now_s)

    def withdraw(self, work: Work, *, at_us: int, intended: bool) -> list[Record]:
        """``work`` leaves its slot unsent and waits again; an intent that was made is taken back."""
        self.in_slots -= 1
        self._armed -= 1
        self._fresh.appendleft(work)
        if not intended:
            return []
        return [work.withdrawn(at_us)]

    # ── leaving ──────────────────────────────────────────────────────────────────────────────

    def ready_at(self, now_s: float) -> float:
        """When the next granted request may leave."""
        self.pacer.set_speed(self.speed.at(now_s))
        return self.pacer.ready_at(now_s)

    def grant(self, now_s: float) -> None:
        """One request takes its place in the rate."""
        self.pacer.grant(now_s)
        self._armed -= 1
        self.in_flight += 1

    def sent(self, at_s: float) -> None:
        """A granted request left at ``at_s``, or will not any more."""
        self.pacer.sent(at_s)
        self.tally.send(at_s)

    # ── an attempt ended ─────────────────────────────────────────────────────────────────────

    def ended(self, work: Work, ending: Ending) -> Record:
        """The record of an attempt, and what follows from it for the row and the run."""
        verdict = ending.verdict
        self.in_slots -= 1
        self.in_flight -= 1
        self._heard = True
        self._reached = self._reached or verdict.http_status is not None or verdict.maybe_applied
        if verdict.pause_s is not None:
            self.pacer.hold_until(ending.now_s + verdict.pause_s)
        self._watch(verdict, ending.now_s)
        match verdict.kind:
            case VerdictKind.ACCEPTED:
                return work.outcome(RowState.ACCEPTED, ending)
            case VerdictKind.FINAL:
                # An answer that was understood ends a doubt; a request that could not be made does not.
                in_doubt = work.doubted and verdict.http_status is None
                return work.outcome(RowState.UNKNOWN if in_doubt else RowState.REJECTED, ending)
            case VerdictKind.HALT:
                return self._halt(work, ending)
            case VerdictKind.RETRY:
                return self._retry(work, ending)
            case _:
                assert_never(verdict.kind)

    def _watch(self, verdict: Verdict, now_s: float) -> None:
        if verdict.throttled:
            self.tally.throttled += 1
            if self.speed.slow_down(now_s, round_trip_s=(self.tally.latency_ms(0.95) or 0.0) / 1000):
                speed = self.speed.at(now_s)
                self.notices.append(Notice(code="BP406", message=f"the API asked to slow down: {speed:.3g}/s from now"))
            return
        if verdict.kind is VerdictKind.HALT:
            return
        match self.breaker.record(now_s, good=verdict.kind is not VerdictKind.RETRY):
            case BreakerState.OPEN:
                self._opened(verdict.message)
            case BreakerState.CLOSED:
                self.speed.ramp(now_s)
                self.notices.append(Notice(code="BP502", message="the API answers again: going on at half speed"))

    def _opened(self, last_words: str) -> None:
        if not self._reached:
            self._never_reached(last_words)
        elif self.breaker.spent:
            reason = f"the API seems to be down: {self.breaker.openings} times most answers were failures"
            self.stop(Stop(why=Why.OUTAGE, code="BP502", reason=reason, exit_code=ExitCode.STOPPED))
        else:
            self.pacer.hold_until(self.breaker.wakes_at_s)  # what is in line already waits too
            self.notices.append(Notice(code="BP502", message="the API seems to be down: waiting 60 s, then probing"))

    def _never_reached(self, words: str) -> None:
        reason = f"the API was never reached: {words}"
        self.stop(Stop(why=Why.OUTAGE, code="BP407", reason=reason, exit_code=ExitCode.STOPPED))

    def _halt(self, work: Work, ending: Ending) -> Record:
        verdict = ending.verdict
        exit_code = verdict.exit_code if verdict.exit_code is not None else ExitCode.STOPPED
        self.stop(Stop(why=Why.HALT, code=verdict.code or "BP901", reason=verdict.message, exit_code=exit_code))
        self._fresh.appendleft(work)
        return work.setback(ending, wait_s=0.0, counted=False)

    def _retry(self, work: Work, ending: Ending) -> Record:
        verdict, now_s = ending.verdict, ending.now_s
        counted = not verdict.throttled and not work.probe
        work.doubted = work.doubted or verdict.maybe_applied
        work.tried += counted
        work.throttled += verdict.throttled
        wait_s = work.wait_s(verdict, ending.chance)
        if verdict.throttled:
            self.pacer.hold_until(now_s + wait_s)
        spent = counted and work.tried >= work.allowed
        overdue = work.throttled > THROTTLES_MAX or now_s + wait_s - work.first_s > ROW_DEADLINE_S
        if spent and verdict.never_sent and not self._reached:
            self._never_reached(verdict.message)
        elif spent or overdue:
            if not spent:
                ending = replace(ending, verdict=replace(verdict, code="BP415", message=f"gave up: {verdict.message}"))
            return work.outcome(RowState.UNKNOWN if work.doubted else RowState.EXHAUSTED, ending)
        self._order += 1
        heapq.heappush(self._retries, (now_s + wait_s, self._order, work))
        self.tally.retries += 1
        return work.setback(ending, wait_s=wait_s, counted=counted)

    def unbuildable(self, work: Work, *, code: str, message: str, at_us: int) -> Outcome:
        """The row's body cannot be built: it ends rejected, unsent (or in doubt, if an earlier attempt is)."""
        self.in_slots -= 1
        self._armed -= 1
        return work.unsent(RowState.UNKNOWN if work.doubted else RowState.REJECTED, code, message, at_us)

    def settled(self, outcome: Outcome, copies: int) -> None:
        """An outcome is durable: count it, and stop if the guard says so."""
        self.tally.settle(outcome, copies)
        if self.stopped is None and trips(self.guard, failed=self.tally.failed, tried=self.tally.tried):
            reason = f"{self.tally.failed} of {self.tally.tried} rows tried failed; allowed are {self.guard.max_failed}"
            self.stop(Stop(why=Why.GUARD, code="BP501", reason=reason, exit_code=ExitCode.STOPPED))

    def stop(self, stop: Stop) -> None:
        """Start nothing more; the strongest reason stands."""
        if self.stopped is None or stop.why > self.stopped.why:
            self.stopped = stop
            self.notices.append(Notice(code=stop.code, message=stop.reason))

    def take_notices(self) -> Sequence[Notice]:
        """What a person should be told since the last call."""
        notices, self.notices = self.notices, []
        return notices
