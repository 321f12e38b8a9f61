"""What to send next, when, whether to try again and when to stop: events in, records and work out.

No clock, no I/O, no draw: every method is told the time, and chance arrives as a number, so any run
replays in microseconds. The life of a piece of ``Work``::

    offer ─▶ waiting ─pick─▶ in a slot ─intend─▶ (intent durable) ─grant─▶ sent ─ended─▶ settled
                 ▲                      │                            │
                 └──── retry, next stage, withdrawn (stop) ◀─────────┘

A slot is held from ``pick`` to the record of what came of it. Records go to the ledger in the order
they were made, so at any durable moment at most ``concurrency`` intents are without an answer.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import assert_never

from bulkpatch.core.adaptive import AdaptiveSpeed
from bulkpatch.core.credentials import Credentials
from bulkpatch.core.guarding import trips
from bulkpatch.core.health import Health, never_reached
from bulkpatch.core.lanes import lane_of
from bulkpatch.core.line import Line
from bulkpatch.core.pacer import Pacer
from bulkpatch.core.recipients import Recipients
from bulkpatch.core.tally import Tally
from bulkpatch.core.verdicts import outcome_of
from bulkpatch.core.waves import WaveKeeper, WaveState
from bulkpatch.core.work import Ending, Stop, Why, Work
from bulkpatch.errors import ExitCode
from bulkpatch.model import (
    Guard,
    Limits,
    Notice,
    Operation,
    Outcome,
    Passed,
    PendingRow,
    PerRecipient,
    Rate,
    Record,
    RowState,
    Stage,
    Staging,
    VerdictKind,
)

THROTTLES_MAX = 10
"""Times one row is told to wait before it is given up."""
ROW_DEADLINE_S = 1800.0
"""Seconds from a row's first send to its last, waits included."""
SOLO_S = 1.0
"""Seconds that the first request of a process goes alone, so that a refused key costs one request."""


class Dispatcher:
    """Decides for one process's part in a run. ``speed`` is handed on where reads went before."""

    def __init__(  # noqa: PLR0913  (what a job decides about sending, each by name)
        self,
        *,
        limits: Limits,
        guard: Guard,
        pacer: Pacer,
        tally: Tally,
        now_s: float,
        staging: Staging | None = None,
        per_recipient: PerRecipient | None = None,
        speed: AdaptiveSpeed | None = None,
    ) -> None:
        self.limits = limits
        self.guard = guard
        self.pacer = pacer
        self.tally = tally
        self.staging = staging or Staging()
        self.recipients = Recipients(per_recipient or PerRecipient())
        self.health = Health(speed or AdaptiveSpeed(limits.rate.per_s, now_s=now_s))
        self.wave = WaveKeeper(WaveState(number=1, rows=0, last=True))
        self.stopped: Stop | None = None
        self.paused = False
        self.over = False
        self.notices: list[Notice] = []
        self.in_slots = 0
        self.in_flight = 0
        self._line = Line(self.health.lanes, self.recipients, Credentials(self.staging))
        self._armed = 0
        self._fed = False
        self._heard = False
        self._solo_until_s = math.inf

    # ── rows come in ─────────────────────────────────────────────────────────────────────────

    def begin_wave(self, wave: WaveState) -> None:
        """The rows of ``wave`` will be offered from now on."""
        self.wave = WaveKeeper(wave)
        self._fed = False

    def offer(self, rows: Iterable[tuple[Operation, PendingRow]], *, at_us: int) -> list[Record]:
        """Take rows that are to be sent. Answers that an earlier process lost are put on record."""
        stages, attempts = self.staging.stages, self.limits.attempts
        works = [Work(op, one, attempts=attempts, stages=stages, lane=lane_of(op, one)) for op, one in rows]
        self._line.add(works)
        return [work.lost(at_us) for work in works if work.known.open]

    def source_ended(self) -> None:
        """No more rows of the wave will be offered; unless some were left behind, which are to be fed again."""
        self._fed = True

    def feed_again(self) -> bool:
        """Whether rows were let go of that may go by now: then the wave is to be fed once more."""
        if self.in_slots or not self._line.left_behind():
            return False
        self._fed = False
        return True

    @property
    def wants(self) -> bool:
        """Whether more rows should be offered now: less than one round of the slots is waiting."""
        return not self._fed and self.stopped is None and self._line.wants(self.limits.concurrency)

    @property
    def drained(self) -> bool:
        """Nothing of the wave is under way, and nothing more of it will start."""
        return not self.in_slots and (self.stopped is not None or (self._fed and self._line.is_still))

    @property
    def waiting(self) -> int:
        """Rows known here that are in no slot."""
        return len(self._line)

    # ── a slot asks for work ─────────────────────────────────────────────────────────────────

    def pick(self, now_s: float) -> Work | None:
        """The next row to prepare, or None for now. It holds a slot until ``ended`` or ``withdraw``."""
        if not self._may_start(now_s) or (work := self._line.next(now_s)) is None:
            return None
        self.in_slots += 1
        self._armed += 1
        work.probe = self.health.lanes.is_probe(work.lane)
        if math.isinf(work.first_s):
            work.first_s = now_s
        if math.isinf(self._solo_until_s):
            self._solo_until_s = now_s + SOLO_S
        return work

    @property
    def has_room(self) -> bool:
        """Whether one more row may be prepared, as far as the run, its slots and its rate go."""
        goes_on = self.stopped is None and not self.paused
        return goes_on and self.in_slots < self.limits.concurrency and self._armed < self.pacer.ahead

    def _may_start(self, now_s: float) -> bool:
        if not self._heard and self.in_slots and now_s < self._solo_until_s:
            return False
        return self.has_room and self.health.lanes.whole.lets_through(now_s, in_flight=self.in_slots)

    def wakes_at(self, now_s: float) -> float:
        """When ``pick`` may have more to give though nothing happens until then."""
        solo = math.inf if self._heard else self._solo_until_s
        times = (self._line.wakes_at(), solo, self.health.lanes.wakes_at(now_s), self.wave.wakes_at())
        # What is past already wakes nobody: then it is something under way that is waited for.
        return min((at_s for at_s in times if at_s > now_s), default=math.inf)

    def withdraw(self, work: Work, *, at_us: int, intended: bool) -> list[Record]:
        """``work`` leaves its slot unsent and waits again; an intent that was made is taken back."""
        self._armed -= 1
        self._leave(work)
        self._line.put_back(work)
        return [work.withdrawn(at_us)] if intended else []

    def _leave(self, work: Work) -> None:
        self.in_slots -= 1
        self._line.leave(work)

    # ── leaving ──────────────────────────────────────────────────────────────────────────────

    def ready_at(self, now_s: float) -> float:
        """When the next granted request may leave."""
        self.pacer.set_speed(self.health.speed.at(now_s))
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

    def set_rate(self, rate: Rate) -> None:
        """Another rate, from the next request on."""
        self.limits = replace(self.limits, rate=rate)
        self.pacer.set_rate(rate)
        self.health.speed.set_limit(rate.per_s)
        self.tally.restart_rate()

    # ── an attempt ended ─────────────────────────────────────────────────────────────────────

    def ended(self, work: Work, ending: Ending) -> Record:
        """The record of an attempt, and what follows from it for the row and the run."""
        verdict = ending.verdict
        self.in_flight -= 1
        self._leave(work)
        self._heard = True
        if verdict.pause_s is not None:
            self.pacer.hold_until(ending.now_s + verdict.pause_s)
        self._listen(work, ending)
        record = self._decided(work, ending)
        if not isinstance(record, Passed):  # else it goes on itself: what it was guarded by is still true
            self._line.make_way(work)
        return record

    def _decided(self, work: Work, ending: Ending) -> Record:
        match ending.verdict.kind:
            case VerdictKind.ACCEPTED:
                return self._passed(work, ending)
            case VerdictKind.FINAL | VerdictKind.SKIP:
                return self._settle(work, ending)
            case VerdictKind.HALT:
                return self._halt(work, ending)
            case VerdictKind.LATER:
                return self._later(work, ending)
            case VerdictKind.RETRY:
                return self._retry(work, ending)
            case _:
                assert_never(ending.verdict.kind)

    def _passed(self, work: Work, ending: Ending) -> Record:
        if work.next_stage is None:
            return self._settle(work, ending)
        record = work.passed(ending)
        if work.stage is Stage.PATCH:
            work.facts = ending.facts
            if not work.begun:
                self.recipients.begun(work)
        work.advance()
        work.ahead = True
        self._line.put_back(work)
        return record

    def _settle(self, work: Work, ending: Ending) -> Outcome:
        self._line.ended(work)
        return work.outcome(outcome_of(work, ending.verdict), ending)

    def _later(self, work: Work, ending: Ending) -> Record:
        """The API has no verdict yet: it is asked again, until the deadline of the verification."""
        if ending.now_s + self.staging.poll_s - work.first_s > self.staging.deadline_s:
            words = f"no verdict within {self.staging.deadline_s:g} s"
            verdict = replace(ending.verdict, kind=VerdictKind.FINAL, code="BP420", message=words)
            return self._settle(work, replace(ending, verdict=verdict))
        self._line.retry(work, ending.now_s + self.staging.poll_s)
        return work.setback(ending, wait_s=self.staging.poll_s, counted=False)

    def _listen(self, work: Work, ending: Ending) -> None:
        verdict, now_s = ending.verdict, ending.now_s
        self.tally.throttled += verdict.throttled
        if (words := self._line.heard(work, verdict)) is not None:
            self.notices.append(Notice(code="BP510", message=words))
        said = self.health.heard(work.lane, verdict, now_s, sent_s=now_s - ending.latency_us / 1e6)
        if said.notice is not None:
            self.notices.append(said.notice)
        if said.hold_until_s is not None:
            self.pacer.hold_until(said.hold_until_s)
        if said.stop is not None:
            self.stop(said.stop)
        if said.freed:
            self._line.free(work.lane)
        if self.stopped is None and self.health.lanes.breaker(work.lane).spent:
            self._line.drop(work.lane)

    def _halt(self, work: Work, ending: Ending) -> Record:
        verdict = ending.verdict
        code, exit_code = verdict.code or "BP901", verdict.exit_code or ExitCode.STOPPED
        self.stop(Stop(why=Why.HALT, code=code, reason=verdict.message, exit_code=exit_code))
        self._line.put_back(work)
        return work.setback(ending, wait_s=0.0, counted=False)

    def _retry(self, work: Work, ending: Ending) -> Record:
        verdict, now_s = ending.verdict, ending.now_s
        counted = not verdict.throttled and not work.probe
        if verdict.maybe_applied and work.stage is Stage.PATCH:
            work.doubted = True
            if not work.begun:
                self.recipients.begun(work)
        work.tried += counted
        work.throttled += verdict.throttled
        wait_s = work.wait_s(verdict, ending.chance)
        if verdict.throttled and self.health.speed.closed:
            self.pacer.hold_until(now_s + wait_s)
        spent = counted and work.tried >= work.allowed
        overdue = work.throttled > THROTTLES_MAX or now_s + wait_s - work.first_s > ROW_DEADLINE_S
        if spent and verdict.never_sent and not self.health.reached:
            self.stop(never_reached(verdict.message))
        elif spent or overdue:
            if not spent:
                ending = replace(ending, verdict=replace(verdict, code="BP415", message=f"gave up: {verdict.message}"))
            return self._settle(work, ending)
        self._line.retry(work, now_s + wait_s)
        self.tally.retries += 1
        return work.setback(ending, wait_s=wait_s, counted=counted)

    def unbuildable(self, work: Work, *, code: str, message: str, at_us: int) -> Outcome:
        """The row's body cannot be built: it ends rejected, unsent (or in doubt, if an earlier attempt is)."""
        self._armed -= 1
        self._leave(work)
        self._line.ended(work)
        self._line.make_way(work)
        return work.unsent(RowState.UNKNOWN if work.doubted else RowState.REJECTED, code, message, at_us)

    def settled(self, outcome: Outcome, copies: int) -> None:
        """An outcome is durable: count it, and stop if the guard or the wave's gate says so."""
        tried, failed = self.tally.settle(outcome, copies)
        if self.stopped is None and trips(self.guard, failed=self.tally.failed, tried=self.tally.tried):
            words = f"{self.tally.failed} of {self.tally.tried} rows tried failed; allowed are {self.guard.max_failed}"
            self.stop(Stop.by_guard("BP501", words))
        if tried and (words := self.wave.settled(failed=failed) or ""):
            self.stop(Stop.by_guard("BP506", words))

    def close_wave(self, now_s: float, *, ended_before_s: float = 0.0) -> None:
        """The wave is drained: its gate begins, or the run stops."""
        if words := self.wave.drained(now_s, ended_before_s=ended_before_s):
            self.stop(Stop.by_guard("BP506", words))

    @property
    def finished(self) -> bool:
        """Nothing is under way and nothing more will start."""
        return not self.in_slots and (self.stopped is not None or (self.over and self._line.is_still))

    def finish(self) -> None:
        """Every wave is through: what is still held back, for a lane or a credential, stops the run, resumable."""
        self.over = True
        if self.stopped is None and (held := self.health.left_over() or self._line.held_over()) is not None:
            self.stop(held)

    def stop(self, stop: Stop) -> None:
        """Start nothing more; the strongest reason stands."""
        if self.stopped is None or stop.why > self.stopped.why:
            self.stopped = stop
            self.notices.append(Notice(code=stop.code, message=stop.reason))

    def take_notices(self) -> Sequence[Notice]:
        """What a person should be told since the last call."""
        notices, self.notices = self.notices, []
        return notices
