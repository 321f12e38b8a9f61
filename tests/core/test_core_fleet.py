"""Whole runs over vendors, customers and stages: limits hold, nothing hangs, and no row is lost."""

from __future__ import annotations

import heapq
import math
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from core_rig import BUSY, DOUBT, FINAL, OK, SLOW, Bench, row
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkpatch.core.breaker import MIN_ANSWERS, OPEN_S
from bulkpatch.core.queueing import PARKED_MAX
from bulkpatch.core.work import Work
from bulkpatch.model import (
    Intent,
    Operation,
    Outcome,
    Passed,
    PendingRow,
    PerRecipient,
    RowState,
    Setback,
    Stage,
    Staging,
    Verdict,
    VerdictKind,
)

LATER = Verdict(kind=VerdictKind.LATER, code="BP420", message="under way", http_status=200)
SKIP = Verdict(kind=VerdictKind.SKIP, code="BP422", message="a guard", http_status=200)
ALL = (Stage.EXPECT, Stage.PRETEST, Stage.PATCH, Stage.VERIFY)
ROUND_TRIP_S = 0.1
Told = Callable[[Work, float], Verdict]


@dataclass(kw_only=True)
class FleetRun:
    """Feeds, sends and hears until nothing more will start; what must hold at every moment is asserted."""

    bench: Bench
    rows: Sequence[tuple[Operation, PendingRow]]
    told: Told
    limits: PerRecipient = field(default_factory=PerRecipient)
    batch: int = 10
    passes: int = 1
    asked: list[tuple[float, int, Stage]] = field(default_factory=list)
    settled: dict[int, Outcome] = field(default_factory=dict)
    known: dict[int, PendingRow] = field(default_factory=dict)
    _under_way: list[tuple[float, int, Work, Verdict]] = field(default_factory=list)
    _at: int = 0

    def __post_init__(self) -> None:
        self.known = {op.row: one for op, one in self.rows}

    def to_its_end(self) -> None:
        """Run."""
        d, steps = self.bench.d, 0
        while not d.finished:
            steps += 1
            assert steps < 60 * len(self.rows) + 1000, "it goes in circles"
            self._feed()
            self._start()
            if self._under_way and self._under_way[0][0] <= self.bench.now:
                self._hear()
            elif not (d.drained or d.wants):
                self._wait()

    def _feed(self) -> None:
        d = self.bench.d
        while d.wants:
            batch = self.rows[self._at : self._at + self.batch]
            if not batch:
                d.source_ended()
                break
            self._at += len(batch)
            fresh = [(op, self.known[op.row]) for op, _ in batch if op.row not in self.settled]
            self._keep(*d.offer(fresh, at_us=0))
        if d.drained:
            if d.stopped is None and d.feed_again():
                self.passes += 1
                self._at = 0
            else:
                d.finish()

    def _start(self) -> None:
        bench = self.bench
        while (work := bench.d.pick(bench.now)) is not None:
            self._keep(work.intent(0, bench.now))
            ready = bench.d.ready_at(bench.now)
            assert ready < math.inf
            bench.now = max(bench.now, ready)
            bench.d.grant(bench.now)
            bench.d.sent(bench.now)
            self.asked.append((bench.now, work.op.row, work.stage))
            due = (bench.now + ROUND_TRIP_S, len(self.asked), work, self.told(work, bench.now))
            heapq.heappush(self._under_way, due)
            self._held_to()

    def _held_to(self) -> None:
        if self.limits == PerRecipient():
            return
        in_flight = Counter(work.known.recipient_id for _, _, work, _ in self._under_way)
        changing = {work.op.row: work.known.recipient_id for _, _, work, _ in self._under_way}
        changing |= {one.row: one.recipient_id for one in self.known.values() if self._begun(one)}
        unverified = Counter(recipient for number, recipient in changing.items() if number not in self.settled)
        for recipient in {one.recipient_id for one in self.known.values()} - {None}:
            assert in_flight[recipient] <= (self.limits.in_flight or math.inf)
            assert unverified[recipient] <= (self.limits.unverified or math.inf)

    def _begun(self, one: PendingRow) -> bool:
        return one.doubted or one.passed is Stage.PATCH

    def _hear(self) -> None:
        now_s, _, work, verdict = heapq.heappop(self._under_way)
        self.bench.now = max(self.bench.now, now_s)
        record = self.bench.end(work, verdict, chance=random.Random(len(self.asked)).random())  # noqa: S311
        self._keep(record)

    def _keep(self, *records: Any) -> None:
        for record in records:
            one = self.known[record.row]
            match record:
                case Intent():
                    self.known[record.row] = one._replace(attempt=record.attempt, open=True, open_stage=record.stage)
                case Setback():
                    doubted = one.doubted or (record.maybe_applied and record.stage is Stage.PATCH)
                    tried = one.tried + (record.counted and record.stage is not Stage.EXPECT)
                    self.known[record.row] = one._replace(open=False, doubted=doubted, tried=tried)
                case Passed():
                    self.known[record.row] = one._replace(open=False, passed=record.stage, tried=0)
                case Outcome():
                    assert record.row not in self.settled, "settled twice"
                    self.settled[record.row] = record

    def _wait(self) -> None:
        d, now = self.bench.d, self.bench.now
        due = min(d.wakes_at(now), self._under_way[0][0] if self._under_way else math.inf)
        assert now < due < math.inf, "nothing is under way, and nothing will wake it"
        self.bench.now = due

    def states(self) -> Counter[RowState]:
        """Rows by where they ended."""
        return Counter(one.state for one in self.settled.values())


def fleet(count: int, *, vendor: Callable[[int], str], recipient: Callable[[int], str | None] = lambda _: None) -> Any:
    """``count`` rows of those vendors and recipients."""
    return [row(number, vendor=vendor(number), recipient_id=recipient(number)) for number in range(1, count + 1)]


def by_vendor(*failing: str, verdict: Verdict = BUSY) -> Told:
    """Destinations of ``failing`` vendors fail always, the others never."""
    return lambda work, _: verdict if work.known.vendor in failing else OK


# ── vendors ──────────────────────────────────────────────────────────────────────────────────────

ORDERS: dict[str, Callable[[int], str]] = {
    "interleaved": lambda number: "abcde"[number % 5],
    "sorted, failing first": lambda number: "abcde"[(number - 1) // 60],
    "sorted, failing last": lambda number: "edcba"[(number - 1) // 60],
    "sorted, failing in the middle": lambda number: "bcade"[(number - 1) // 60],
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("verdict", [BUSY, DOUBT])
@pytest.mark.parametrize("concurrency", [1, 8])
def test_a_vendor_that_fails_is_held_and_all_the_others_go_on_in_whatever_order(
    order: str, verdict: Verdict, concurrency: int
) -> None:
    """Of it, two rounds of answers and two probes at most; the rest of its rows stays pending, and it is said so."""
    bench = Bench(attempts=5, concurrency=concurrency, rate="50/s")
    run = FleetRun(bench=bench, rows=fleet(300, vendor=ORDERS[order]), told=by_vendor("a", verdict=verdict))
    run.to_its_end()
    assert run.states()[RowState.ACCEPTED] == 240
    stopped = bench.stopped()
    assert stopped is not None
    assert (stopped.code, stopped.exit_code) == ("BP505", 3)
    assert stopped.reason.endswith(": a")
    failing = sum(run.known[number].vendor == "a" for _, number, _ in run.asked)
    assert failing <= MIN_ANSWERS + concurrency + 2
    assert len(run.settled) + sum(number not in run.settled for number in run.known) == 300
    assert bench.now < 3 * OPEN_S


@pytest.mark.parametrize("order", ORDERS)
def test_a_vendor_that_is_well_again_in_time_gets_all_its_rows(order: str) -> None:
    bench = Bench(attempts=50, concurrency=8, rate="50/s")
    run = FleetRun(
        bench=bench,
        rows=fleet(300, vendor=ORDERS[order]),
        told=lambda work, now_s: BUSY if work.known.vendor == "a" and now_s < OPEN_S else OK,
    )
    run.to_its_end()
    assert bench.stopped() is None
    assert run.states() == {RowState.ACCEPTED: 300}


@pytest.mark.parametrize("vendors", [3, 4, 7, 20])
@pytest.mark.parametrize("good_before", [0, 40])
def test_an_outage_over_many_vendors_opens_the_whole_within_twenty_answers(vendors: int, good_before: int) -> None:
    """Or within as many as make half of the last hundred; no lane is blamed for it, and the third opening stops."""
    bench = Bench(attempts=50, concurrency=8, rate="50/s")
    bad = [0]

    def told(_: Work, __: float) -> Verdict:
        if len(run.asked) <= good_before:
            return OK
        bad[0] += bench.d.health.lanes.whole.openings == 0
        return BUSY

    run = FleetRun(bench=bench, rows=fleet(400, vendor=lambda number: f"v{number % vendors}"), told=told)
    run.to_its_end()
    stopped = bench.stopped()
    assert stopped is not None
    assert (stopped.code, bench.d.health.lanes.whole.openings) == ("BP502", 3)
    assert bad[0] <= max(MIN_ANSWERS, 1.25 * good_before) + bench.concurrency
    assert len(run.settled) == good_before


@pytest.mark.parametrize("vendors", [1, 2, 3, 4, 7, 20])
@pytest.mark.parametrize("verdict", [BUSY, DOUBT])
def test_an_outage_that_ends_leaves_no_vendor_held_and_no_row_behind(vendors: int, verdict: Verdict) -> None:
    """What was answered during the outage is laid to the whole, and to no vendor once it is over."""
    bench = Bench(attempts=50, concurrency=8, rate="50/s")
    run = FleetRun(
        bench=bench,
        rows=fleet(300, vendor=lambda number: f"v{number % vendors}"),
        told=lambda _, now_s: verdict if 2.0 < now_s < 10.0 else OK,
    )
    run.to_its_end()
    assert bench.stopped() is None
    assert run.states() == {RowState.ACCEPTED: 300}
    assert bench.now < 2 * OPEN_S + 30


# ── customers ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "limits", [PerRecipient(in_flight=1), PerRecipient(unverified=1), PerRecipient(in_flight=1, unverified=1)]
)
@pytest.mark.parametrize("stages", [(Stage.EXPECT, Stage.PATCH), ALL])
def test_a_row_is_changed_right_after_its_guard_though_others_of_its_customer_wait(
    limits: PerRecipient, stages: tuple[Stage, ...]
) -> None:
    """None of them comes between: a guard that was asked minutes ago guards nothing. They keep their order."""
    bench = Bench(concurrency=4, rate="50/s", staging=Staging(stages=stages), per_recipient=limits)
    told: Told = lambda _, __: OK  # noqa: E731
    run = FleetRun(bench=bench, rows=fleet(30, vendor=str, recipient=lambda _: "r"), told=told, limits=limits)
    run.to_its_end()
    assert len(run.settled) == 30
    assert [(number, stage) for _, number, stage in run.asked] == [
        (number, stage) for number in range(1, 31) for stage in stages
    ]


def test_a_guarded_row_whose_place_a_retry_took_is_the_next_of_its_customer() -> None:
    """It does not go behind all the others that wait."""
    limits = PerRecipient(in_flight=1)
    bench = Bench(concurrency=4, staging=Staging(stages=(Stage.EXPECT, Stage.PATCH)), per_recipient=limits)
    bench.offer(*fleet(30, vendor=str, recipient=lambda _: "r"))
    bench.end(bench.start(), BUSY, chance=0.4)
    guarded = bench.start()
    assert bench.d.pick(bench.now) is None
    bench.now += 1.0
    bench.end(guarded, OK)
    retried = bench.start()
    assert bench.d.pick(bench.now) is None
    bench.end(retried, FINAL)
    assert (guarded.op.row, retried.op.row) == (2, 1)
    assert bench.start() is guarded


ANSWERS = {
    Stage.EXPECT: [OK, OK, OK, OK, SKIP, BUSY, SLOW],
    Stage.PRETEST: [OK, OK, OK, FINAL, BUSY, LATER],
    Stage.PATCH: [OK, OK, OK, DOUBT, DOUBT, BUSY, SLOW, FINAL],
    Stage.VERIFY: [OK, OK, LATER, LATER, BUSY, FINAL],
}


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    count=st.integers(1, 60),
    recipients=st.integers(1, 4),
    vendors=st.integers(1, 4),
    in_flight=st.none() | st.integers(1, 3),
    unverified=st.none() | st.integers(1, 3),
    stages=st.sampled_from([(Stage.PATCH,), (Stage.EXPECT, Stage.PATCH), (Stage.PATCH, Stage.VERIFY), ALL]),
    failing=st.sampled_from(["", "v0", "v0v1"]),
    failing_in=st.sampled_from([*Stage, None]),
    concurrency=st.integers(1, 8),
)
def test_no_customer_is_touched_more_than_allowed_and_nothing_hangs(  # noqa: PLR0913
    *,
    seed: int,
    count: int,
    recipients: int,
    vendors: int,
    in_flight: int | None,
    unverified: int | None,
    stages: tuple[Stage, ...],
    failing: str,
    failing_in: Stage | None,
    concurrency: int,
) -> None:
    """With guards, tests, doubts, retries and vendors that fail: each row ends once, or stays pending for a reason."""
    chance = random.Random(seed)  # noqa: S311  (a seed)
    limits = PerRecipient(in_flight=in_flight, unverified=unverified)
    staging = Staging(stages=stages, deadline_s=30.0, poll_s=2.0)
    bench = Bench(attempts=4, concurrency=concurrency, rate="50/s", staging=staging, per_recipient=limits)
    names = [f"v{chance.randrange(vendors)}" for _ in range(count)]
    owners = [chance.choice([None, *(f"r{number}" for number in range(recipients))]) for _ in range(count)]

    def told(work: Work, _: float) -> Verdict:
        if (work.known.vendor or "-") in failing and failing_in in {work.stage, None}:
            return BUSY
        return chance.choice(ANSWERS[work.stage])

    rows = fleet(count, vendor=lambda number: names[number - 1], recipient=lambda number: owners[number - 1])
    run = FleetRun(bench=bench, rows=rows, told=told, limits=limits, batch=chance.choice([1, 7, 100]))
    run.to_its_end()
    assert bench.d.in_slots == 0
    assert len(run.settled) == count or bench.stopped() is not None
    if bench.stopped() is None:
        assert bench.d.waiting == 0


@pytest.mark.parametrize("batch", [500, 10_000])
@pytest.mark.parametrize("first", ["held", "others"])
def test_rows_that_do_not_fit_leave_no_customer_waiting_for_a_row_that_is_not_there(batch: int, first: str) -> None:
    """More rows of a held vendor than are kept: those begun before are verified, and their customer is served."""
    limits = PerRecipient(unverified=2)
    staging = Staging(stages=(Stage.PATCH, Stage.VERIFY))
    bench = Bench(attempts=5, concurrency=8, rate="100000/s", staging=staging, per_recipient=limits)
    held = [row(number, vendor="a") for number in range(1, PARKED_MAX + 101)]
    begun = [row(number, vendor="a", recipient_id="r", passed=Stage.PATCH) for number in (6001, 6002)]
    others = [row(number, vendor="b", recipient_id="r") for number in range(7000, 7017)]
    told: Told = lambda work, now_s: BUSY if work.known.vendor == "a" and now_s < OPEN_S else OK  # noqa: E731
    ordered = [*held, *begun, *others] if first == "held" else [*others, *held, *begun]
    run = FleetRun(bench=bench, rows=ordered, told=told, batch=batch)
    run.to_its_end()
    assert bench.stopped() is None
    assert run.states() == {RowState.VERIFIED: len(run.rows)}
