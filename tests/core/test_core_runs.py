"""Whole runs, replayed in microseconds: whatever the API answers, every row ends once or waits, and nothing hangs."""

from __future__ import annotations

import heapq
import math
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import cycle, pairwise

import pytest
from core_rig import BUSY, DOUBT, FINAL, LATE, NEVER, OK, SLOW, UNMADE, Bench, most_in, row, rows
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bulkpatch.core.breaker import BreakerState
from bulkpatch.core.work import Stop, Why, Work
from bulkpatch.model import (
    Intent,
    Outcome,
    Passed,
    PerRecipient,
    RowState,
    Setback,
    Stage,
    Staging,
    Verdict,
    VerdictKind,
)

PAUSED = replace(OK, pause_s=30.0)
SIGNAL = Stop(why=Why.SIGNAL, code="BP503", reason="a signal", exit_code=130)


@dataclass
class Run:
    """A whole run on a clock that jumps: slots, a gate in line, and answers that come after their time."""

    bench: Bench
    answer: Callable[[Work], tuple[Verdict, float]]
    stop_after_s: float = math.inf
    line: deque[Work] = field(default_factory=deque)
    under_way: list[tuple[float, int, Work, Verdict]] = field(default_factory=list)
    heard: dict[int, list[Verdict]] = field(default_factory=lambda: defaultdict(list))
    left: list[float] = field(default_factory=list)
    slots: list[Work] = field(default_factory=list)
    begun: dict[int, Work] = field(default_factory=dict)

    def to_its_end(self) -> None:
        """Run until it is finished; whatever must hold at every moment is asserted."""
        d = self.bench.d
        while not d.finished:
            if self.bench.now >= self.stop_after_s:
                d.stop(SIGNAL)
            self._fill_slots()
            self._through_the_gate()
            if not self._hear():
                self._wait()

    def _fill_slots(self) -> None:
        bench = self.bench
        while (work := bench.d.pick(bench.now)) is not None:
            bench.records.append(work.intent(0, bench.now))
            self.line.append(work)
            self.slots.append(work)
            self._check_lane(work)
            self._check_recipient(work)
        assert bench.d.wakes_at(bench.now) > bench.now
        assert bench.d.in_flight <= bench.d.in_slots <= bench.concurrency

    def _check_lane(self, work: Work) -> None:
        state = self.bench.d.health.lanes.breaker(work.lane).state
        assert state is not BreakerState.OPEN
        assert state is not BreakerState.PROBING or [one.lane for one in self.slots].count(work.lane) == 1

    def _check_recipient(self, work: Work) -> None:
        limits, recipient = self.bench.per_recipient, work.known.recipient_id
        if limits is None or recipient is None or work.begun:
            return
        going = [one for one in self.slots if one.known.recipient_id == recipient]
        changed = {one.op.row for one in self.begun.values() if one.known.recipient_id == recipient}
        assert limits.in_flight is None or len(going) <= limits.in_flight
        assert limits.unverified is None or len({one.op.row for one in going} | changed) <= limits.unverified

    def _through_the_gate(self) -> None:
        d, now = self.bench.d, self.bench.now
        if d.stopped is not None:
            while self.line:
                self.slots.remove(self.line[0])
                self.bench.records += d.withdraw(self.line.popleft(), at_us=0, intended=True)
        while self.line and d.ready_at(now) <= now:
            work = self.line.popleft()
            d.grant(now)
            d.sent(now)
            for one in (d.health.lanes.whole, d.health.lanes.breaker("")):
                assert one.state is not BreakerState.OPEN or one.spent or now >= one.wakes_at_s
            assert d.health.lanes.whole.state is not BreakerState.PROBING or d.in_flight == 1
            self.left.append(now)
            verdict, after_s = self.answer(work)
            heapq.heappush(self.under_way, (now + after_s, len(self.left), work, verdict))

    def _hear(self) -> bool:
        if not self.under_way or self.under_way[0][0] > self.bench.now:
            return False
        _, _, work, verdict = heapq.heappop(self.under_way)
        self.heard[work.op.row].append(verdict)
        self.slots.remove(work)
        record = self.bench.end(work, verdict, chance=(len(self.left) % 7) / 7)
        if work.begun:
            self.begun[work.op.row] = work
        if isinstance(record, Outcome):
            self.begun.pop(work.op.row, None)
        return True

    def _wait(self) -> None:
        d, now = self.bench.d, self.bench.now
        if d.finished:
            return
        answer = self.under_way[0][0] if self.under_way else math.inf
        signal = self.stop_after_s if d.stopped is None else math.inf
        due = min(d.wakes_at(now), d.ready_at(now) if self.line else math.inf, answer, signal)
        assert now < due < math.inf, "nothing is under way, and nothing will wake it"
        self.bench.now = due


def in_turn(answers: Sequence[tuple[Verdict, float]]) -> Callable[[Work], tuple[Verdict, float]]:
    """One answer after the other, from the start again at the end."""
    told = cycle(answers)
    return lambda _: next(told)


ANSWERS = st.lists(
    st.tuples(
        st.sampled_from([OK, OK, OK, FINAL, DOUBT, LATE, BUSY, NEVER, SLOW, PAUSED, UNMADE]),
        st.sampled_from([0.0, 0.1, 0.1, 0.1, 5.0, 119.0]),
    ),
    min_size=1,
    max_size=12,
)


def told_of(bench: Bench, *, skipped: int = 0) -> dict[int, list[Intent | Setback | Passed | Outcome]]:
    """The records of each row: an intent and what came of it in turn, and an outcome at most as the last."""
    told: dict[int, list[Intent | Setback | Passed | Outcome]] = defaultdict(list)
    for record in bench.records[skipped:]:
        assert isinstance(record, (Intent, Setback, Passed, Outcome))
        told[record.row].append(record)
    for records in told.values():
        assert [isinstance(record, Intent) for record in records] == [True, False] * (len(records) // 2)
        assert not any(isinstance(record, Outcome) for record in records[:-1])
    return told


def expected_state(verdicts: list[Verdict], *, doubted: bool) -> RowState:
    """Where a row ends that was answered so, said in other words than the dispatcher's."""
    last = verdicts[-1]
    if last.kind is VerdictKind.ACCEPTED:
        return RowState.ACCEPTED
    doubt = doubted or any(verdict.maybe_applied for verdict in verdicts)
    if last.kind is VerdictKind.FINAL and (last.http_status is not None or not doubt):
        return RowState.REJECTED
    return RowState.UNKNOWN if doubt else RowState.EXHAUSTED


@pytest.mark.proves("G6")
@settings(max_examples=120, deadline=None)
@given(
    answers=ANSWERS,
    count=st.integers(1, 40),
    concurrency=st.integers(1, 9),
    rate=st.sampled_from(["1/s", "30/min", "20/s", "1000/s"]),
    attempts=st.integers(1, 4),
    lost=st.booleans(),
    max_failed=st.sampled_from(["100%", "10%", 3]),
    stop_after_s=st.just(math.inf) | st.floats(0, 200),
)
@example(  # stalls longer than the breaker stays open: their answers are no probes
    answers=[(LATE, 119.0)],
    count=40,
    concurrency=9,
    rate="1000/s",
    attempts=4,
    lost=False,
    max_failed="100%",
    stop_after_s=math.inf,
)
def test_every_row_of_every_run_ends_once_or_waits_and_nothing_hangs(  # noqa: PLR0913
    answers: list[tuple[Verdict, float]],
    count: int,
    concurrency: int,
    rate: str,
    attempts: int,
    *,
    lost: bool,
    max_failed: int | str,
    stop_after_s: float,
) -> None:
    """Records alternate as the table of states says, attempts are numbered through, and the rate holds."""
    bench = Bench(attempts=attempts, concurrency=concurrency, rate=rate, max_failed=max_failed)
    bench.offer(*[row(number, attempt=int(lost), open=lost) for number in range(1, count + 1)])
    run = Run(bench, in_turn(answers), stop_after_s)
    run.to_its_end()
    for number, records in told_of(bench, skipped=lost * count).items():
        assert [record.attempt for record in records[::2]] == list(range(1 + lost, 1 + lost + len(records) // 2))
        counted = [record for record in records if isinstance(record, Setback) and record.counted]
        assert len(counted) < max(attempts, 1 + lost) + (bench.stopped() is not None)
        if isinstance(last := records[-1], Outcome):
            assert last.state is expected_state(run.heard[number], doubted=lost)
    ended = sum(isinstance(record, Outcome) for record in bench.records)
    assert ended + bench.d.waiting == count
    assert bench.d.waiting == 0 or bench.stopped() is not None
    assert bench.d.in_slots == bench.d.in_flight == 0
    assert bench.d.tally.sends == len(run.left)
    assert most_in(run.left, 1.0) <= math.ceil(bench.d.limits.rate.per_s)
    assert all(earlier <= later for earlier, later in pairwise(run.left))


GOOD, BAD = (OK, 0.1), (BUSY, 0.1)
LANES = ("", "postgres", "redshift")


@settings(max_examples=150, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.integers(0, 2), st.sampled_from([None, "r", "s"]), st.sampled_from(["", "doubted", "passed"])),
        max_size=60,
    ),
    answers=st.tuples(
        *[st.sampled_from([[GOOD], [BAD], [(DOUBT, 1.0)], [GOOD, BAD], [GOOD, GOOD, (DOUBT, 5.0)]]) | ANSWERS] * 3
    ),
    per_recipient=st.builds(
        PerRecipient, in_flight=st.none() | st.integers(1, 2), unverified=st.none() | st.integers(1, 2)
    ),
    stages=st.sampled_from(
        [
            (Stage.PATCH,),
            (Stage.EXPECT, Stage.PATCH),
            (Stage.PATCH, Stage.VERIFY),
            (Stage.EXPECT, Stage.PRETEST, Stage.PATCH, Stage.VERIFY),
        ]
    ),
    concurrency=st.integers(1, 8),
    attempts=st.sampled_from([1, 3, 20]),
)
def test_lanes_customers_and_stages_hang_no_run_and_lose_no_row(  # noqa: PLR0913
    rows: list[tuple[int, str | None, str]],
    answers: tuple[list[tuple[Verdict, float]], ...],
    *,
    per_recipient: PerRecipient,
    stages: tuple[Stage, ...],
    concurrency: int,
    attempts: int,
) -> None:
    """Each vendor answers in its own way; the limits of customers hold throughout."""
    staging = Staging(stages=stages, deadline_s=20.0)
    bench = Bench(attempts=attempts, concurrency=concurrency, per_recipient=per_recipient, staging=staging)
    bench.offer(
        *[
            row(
                number,
                fields=(f"{LANES[lane]}.host",) if lane else ("name",),
                recipient_id=recipient,
                doubted=before == "doubted",
                passed=Stage.PATCH if before == "passed" and Stage.VERIFY in stages else None,
            )
            for number, (lane, recipient, before) in enumerate(rows, start=1)
        ]
    )
    answered = {name: in_turn(told) for name, told in zip(LANES, answers, strict=True)}
    run = Run(bench, lambda work: answered[work.lane](work))
    run.to_its_end()
    ended = sum(isinstance(records[-1], Outcome) for records in told_of(bench).values())
    held = bench.d.health.lanes.held
    assert ended == len(rows) or held or bench.stopped() is not None
    if bench.stopped() is None:
        others = sum(LANES[lane] not in held for lane, _, _ in rows)
        assert ended >= others or per_recipient.unverified is not None
    assert bench.d.in_slots == bench.d.in_flight == 0


def test_a_brownout_of_one_in_five_finishes() -> None:
    """Row 29 of the fault matrix: no breaker, every row accepted."""
    bench = Bench(attempts=5, concurrency=8, rate="20/s")
    bench.offer(*rows(300))
    run = Run(bench, in_turn([(OK, 0.1)] * 4 + [(BUSY, 0.1)]))
    run.to_its_end()
    assert bench.stopped() is None
    assert bench.d.health.lanes.breaker("").openings == 0
    assert bench.d.tally.states == {RowState.ACCEPTED: 300}
    assert len(run.left) <= 300 / 0.8 + 1


def test_an_outage_of_stalled_answers_costs_one_round_of_slots_and_two_probes() -> None:
    """Row 28: even where an answer takes longer to fail than the breaker stays open."""
    bench = Bench(attempts=5, concurrency=8, rate="5/s")
    bench.offer(*rows(300))
    run = Run(bench, in_turn([(OK, 0.1)] + [(LATE, 119.0)] * 400))
    run.to_its_end()
    stopped = bench.stopped()
    assert stopped is not None
    assert stopped.code == "BP502"
    assert len(run.left) <= 1 + 20 + 8 + 2
