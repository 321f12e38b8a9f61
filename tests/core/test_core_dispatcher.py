"""The dispatcher decides what is sent, tried again and given up, and when a run stops."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from core_rig import BUSY, DOUBT, FINAL, HALT, LATE, NEVER, OK, SLOW, UNMADE, Bench, ending, row, rows

from bulkpatch.core.adaptive import AdaptiveSpeed
from bulkpatch.core.breaker import OPEN_S, BreakerState
from bulkpatch.core.dispatcher import ROW_DEADLINE_S, SOLO_S, THROTTLES_MAX, Dispatcher
from bulkpatch.core.hints import WAIT_S_MAX
from bulkpatch.core.pacer import LEAD_S, Pacer
from bulkpatch.core.quantities import parse_rate, parse_threshold
from bulkpatch.core.queueing import PARKED_MAX, RETRIES_MAX
from bulkpatch.core.tally import Tally
from bulkpatch.core.waves import Phase, WaveState
from bulkpatch.core.work import Stop, Why
from bulkpatch.model import (
    Gate,
    Guard,
    Intent,
    Limits,
    Notice,
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

ASKED_LONG = replace(SLOW, retry_after_s=WAIT_S_MAX)
PAUSED = replace(OK, pause_s=30.0)
WRONG_TARGET = Verdict(
    kind=VerdictKind.HALT, code="BP413", message="another", http_status=200, maybe_applied=True, exit_code=3
)


def stop(why: Why, exit_code: int = 3) -> Stop:
    """A stop for that reason."""
    return Stop(why=why, code="BP503", reason=why.name, exit_code=exit_code)


def test_the_constants_are_those_of_the_design() -> None:
    """The contract's ten waits and half an hour; the others bound what a refused key and a storm may cost."""
    assert (THROTTLES_MAX, ROW_DEADLINE_S) == (10, 1800.0)
    assert (SOLO_S, LEAD_S, RETRIES_MAX) == (1.0, 0.05, 10_000)


# ── where a row ends ─────────────────────────────────────────────────────────────────────────────


def test_an_accepted_row_is_settled_by_one_attempt() -> None:
    bench = Bench()
    bench.offer(row(1))
    bench.run(OK)
    intent, settled = bench.records
    assert isinstance(intent, Intent)
    assert isinstance(settled, Outcome)
    assert (intent.attempt, settled.state) == (1, RowState.ACCEPTED)
    assert bench.finished()


@pytest.mark.parametrize(
    ("verdicts", "state"),
    [
        ([DOUBT, DOUBT, DOUBT], RowState.UNKNOWN),
        ([BUSY, BUSY, BUSY], RowState.EXHAUSTED),
        ([FINAL], RowState.REJECTED),
        ([UNMADE], RowState.REJECTED),
        ([BUSY, OK], RowState.ACCEPTED),
        ([DOUBT, BUSY, BUSY], RowState.UNKNOWN),
        ([BUSY, BUSY, DOUBT], RowState.UNKNOWN),
        ([BUSY, NEVER, NEVER], RowState.EXHAUSTED),
        ([DOUBT, OK], RowState.ACCEPTED),
        ([DOUBT, FINAL], RowState.REJECTED),
        ([DOUBT, UNMADE], RowState.UNKNOWN),
        ([BUSY, UNMADE], RowState.REJECTED),
    ],
    ids=lambda value: " ".join(v.code or "ok" for v in value) if isinstance(value, list) else value,
)
def test_where_a_row_ends(verdicts: list[Verdict], state: RowState) -> None:
    """One doubtful attempt makes what ran out unknown; only an answer that was understood ends a doubt."""
    bench = Bench(attempts=3)
    bench.offer(row(1))
    *earlier, last = [record for record in bench.run(*verdicts) if not isinstance(record, Intent)]
    assert isinstance(last, Outcome)
    assert (last.state, last.attempt, last.code) == (state, len(verdicts), verdicts[-1].code)
    assert all(isinstance(record, Setback) and record.counted for record in earlier)
    assert bench.finished()


@pytest.mark.proves("G12")
@pytest.mark.parametrize("attempts", [1, 2, 5])
def test_a_row_is_tried_as_often_as_allowed_and_not_once_more(attempts: int) -> None:
    bench = Bench(attempts=attempts)
    bench.offer(row(1))
    bench.run(*[BUSY] * attempts)
    assert isinstance(bench.records[-1], Outcome)
    assert bench.d.tally.retries == attempts - 1
    assert bench.finished()


@pytest.mark.proves("G12")
def test_throttled_attempts_use_nothing_up_but_end() -> None:
    """429 waits, up to ten times; then the row is given up as exhausted, and the run says why."""
    bench = Bench(attempts=1)
    bench.offer(row(1))
    *waits, last = [record for record in bench.run(*[SLOW] * (THROTTLES_MAX + 1)) if not isinstance(record, Intent)]
    assert isinstance(last, Outcome)
    assert (last.state, last.code, last.error) == (RowState.EXHAUSTED, "BP415", "gave up: 429")
    assert len(waits) == THROTTLES_MAX == bench.d.tally.retries
    assert all(isinstance(r, Setback) and not r.counted and r.wait_us >= 2_000_000 for r in waits)
    assert bench.d.tally.throttled == THROTTLES_MAX + 1


def test_a_throttled_row_that_is_in_doubt_is_given_up_as_unknown() -> None:
    bench = Bench(attempts=2)
    bench.offer(row(1))
    last = bench.run(DOUBT, *[SLOW] * (THROTTLES_MAX + 1))[-1]
    assert isinstance(last, Outcome)
    assert (last.state, last.code) == (RowState.UNKNOWN, "BP415")


def test_waits_of_earlier_processes_count_towards_the_ten() -> None:
    bench = Bench()
    bench.offer(row(1, throttled=THROTTLES_MAX))
    assert isinstance(bench.run(SLOW)[-1], Outcome)


@pytest.mark.parametrize(("past_s", "given_up"), [(0.0, False), (0.001, True)])
def test_a_row_is_given_up_when_its_next_attempt_would_come_after_half_an_hour(
    past_s: float, *, given_up: bool
) -> None:
    """From its first send to its last, waits included."""
    bench = Bench(now=500.0)
    bench.offer(row(1))
    work = bench.start()
    bench.now = 500.0 + ROW_DEADLINE_S - WAIT_S_MAX + past_s
    record = bench.end(work, ASKED_LONG, chance=0.0)
    assert isinstance(record, Outcome if given_up else Setback)
    assert record.code == ("BP415" if given_up else "BP406")


def test_the_deadline_holds_for_every_failure_and_runs_from_the_first_attempt() -> None:
    """A row whose attempts are slow is given up too, though some are left."""
    bench = Bench(attempts=20)
    bench.offer(row(1))
    for _ in range(3):
        work = bench.start()
        bench.now += 590.0
        assert isinstance(bench.end(work, BUSY, chance=0.0), Setback)
    work = bench.start()
    bench.now += 31.0
    record = bench.end(work, BUSY, chance=0.0)
    assert isinstance(record, Outcome)
    assert (record.state, record.code, record.attempt) == (RowState.EXHAUSTED, "BP415", 4)


def test_a_row_whose_attempts_and_time_are_both_up_says_what_happened_last() -> None:
    bench = Bench(attempts=1)
    bench.offer(row(1))
    work = bench.start()
    bench.now += 2 * ROW_DEADLINE_S
    record = bench.end(work, DOUBT)
    assert isinstance(record, Outcome)
    assert (record.code, record.error) == ("BP411", "500")


def test_facts_and_latency_of_the_answer_stand_in_the_outcome() -> None:
    bench = Bench()
    bench.offer(row(1))
    record = bench.d.ended(bench.start(), ending(OK, facts=b'{"vendor":"x"}'))
    assert isinstance(record, Outcome)
    assert (record.facts, record.latency_us) == (b'{"vendor":"x"}', 1000)


def test_an_unknown_kind_of_verdict_is_a_bug() -> None:
    bench = Bench()
    bench.offer(row(1))
    with pytest.raises(AssertionError):
        bench.end(bench.start(), Verdict(kind="perhaps"))  # type: ignore[arg-type]


# ── rows come in ─────────────────────────────────────────────────────────────────────────────────


def test_rows_are_sent_in_the_order_they_came() -> None:
    bench = Bench(concurrency=1)
    bench.offer(*rows(4))
    bench.run(*[OK] * 4)
    assert [record.row for record in bench.records if isinstance(record, Outcome)] == [1, 2, 3, 4]


def test_rows_are_wanted_while_less_than_one_round_of_the_slots_waits() -> None:
    bench = Bench(concurrency=3)
    wanted = []
    for number in (1, 2, 3):
        wanted.append(bench.d.wants)
        bench.d.offer([row(number)], at_us=0)
    wanted.append(bench.d.wants)
    bench.start()
    wanted.append(bench.d.wants)
    assert wanted == [True, True, True, False, True]
    assert bench.d.waiting == 2


@pytest.mark.parametrize("why", ["ended", "stopped"])
def test_no_rows_are_wanted_once_the_source_ended_or_the_run_stops(why: str) -> None:
    bench = Bench()
    if why == "ended":
        bench.d.source_ended()
        bench.d.finish()
    else:
        bench.d.stop(stop(Why.SIGNAL))
    assert not bench.d.wants
    assert bench.finished()


def test_a_run_is_not_finished_while_rows_may_come_wait_or_are_under_way() -> None:
    bench = Bench()
    assert not bench.finished()
    bench.offer(row(1))
    assert not bench.finished()
    work = bench.start()
    assert not bench.finished()
    bench.end(work, BUSY)
    assert bench.d.waiting == 1
    assert not bench.finished()
    bench.run(OK)
    assert bench.d.waiting == 0
    assert bench.finished()


@pytest.mark.proves("G13")
def test_a_stopped_run_is_finished_when_its_last_answer_is_in() -> None:
    bench = Bench()
    bench.offer(*rows(3))
    work = bench.start()
    bench.d.stop(stop(Why.SIGNAL))
    assert bench.d.pick(9.0) is None
    assert not bench.finished()
    record = bench.end(work, BUSY)
    assert isinstance(record, Setback)
    assert bench.finished()


def test_a_lost_answer_is_put_on_record_and_gets_one_more_attempt() -> None:
    """An in-flight row of a killed process is doubted, and sent again though its attempts are used up."""
    bench = Bench(attempts=1)
    bench.offer(row(1, attempt=1, tried=0, open=True), row(2, attempt=1, tried=1))
    (lost,) = bench.records
    assert isinstance(lost, Setback)
    assert (lost.row, lost.attempt, lost.code, lost.maybe_applied) == (1, 1, "BP418", True)
    bench.run(BUSY, BUSY)
    ends = [(r.row, r.attempt, r.state) for r in bench.records if isinstance(r, Outcome)]
    assert ends == [(1, 2, RowState.UNKNOWN), (2, 2, RowState.EXHAUSTED)]


# ── slots ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("verdict", [OK, BUSY, NEVER])
def test_the_first_request_goes_alone_until_anything_is_heard(verdict: Verdict) -> None:
    """So that a refused key costs one request."""
    bench = Bench()
    bench.offer(*rows(3))
    work = bench.start()
    assert bench.d.pick(bench.now) is None
    bench.end(work, verdict)
    bench.start()
    assert bench.d.pick(bench.now) is not None


def test_the_first_request_goes_alone_for_a_second_at_most() -> None:
    bench = Bench()
    bench.offer(*rows(3))
    bench.start()
    assert bench.d.pick(SOLO_S - 0.001) is None
    assert bench.d.wakes_at(0.0) == SOLO_S
    assert bench.d.pick(SOLO_S) is not None
    assert bench.d.wakes_at(SOLO_S) == math.inf


def test_a_second_first_request_does_not_go_alone_again() -> None:
    """The second runs from the first pick, whatever is picked later."""
    bench = Bench()
    bench.offer(*rows(3))
    first = bench.pick()
    bench.d.unbuildable(first, code="BP417", message="", at_us=0)
    bench.now = 0.9
    bench.send(bench.pick())
    assert bench.d.pick(0.999) is None
    assert bench.d.pick(SOLO_S) is not None


@pytest.mark.proves("G6")
@pytest.mark.parametrize("concurrency", [1, 2, 5])
def test_never_more_slots_than_concurrency(concurrency: int) -> None:
    bench = Bench(concurrency=concurrency)
    bench.offer(*rows(20))
    bench.run(OK)
    works = [bench.start() for _ in range(concurrency)]
    assert bench.d.pick(bench.now + 5) is None
    bench.end(works[0], OK)
    assert bench.d.pick(bench.now + 5) is not None


@pytest.mark.parametrize(("rate", "ahead"), [("1/s", 1), ("19/s", 1), ("20/s", 2), ("100/s", 6), ("1000/s", 51)])
def test_intents_are_made_no_further_ahead_than_a_few_commits_take(rate: str, ahead: int) -> None:
    """One, and what leaves in ``LEAD_S``; each grant and each row that is put back makes room for one."""
    bench = Bench(rate=rate, concurrency=1000)
    bench.offer(*rows(200))
    bench.run(OK)
    picked = [bench.d.pick(bench.now) for _ in range(ahead + 1)]
    assert [work is None for work in picked] == [False] * ahead + [True]
    assert ahead == 1 + int(bench.d.pacer.speed * LEAD_S)
    assert picked[0] is not None
    bench.send(picked[0])
    again = bench.d.pick(bench.now)
    assert again is not None
    assert bench.d.pick(bench.now) is None
    bench.d.withdraw(again, at_us=0, intended=False)
    again = bench.d.pick(bench.now)
    assert again is not None
    bench.d.unbuildable(again, code="BP417", message="", at_us=0)
    assert bench.d.pick(bench.now) is not None
    assert bench.d.pick(bench.now) is None


def test_a_retry_goes_before_fresh_rows_once_it_is_due_and_the_earliest_first() -> None:
    bench = Bench(concurrency=8)
    bench.offer(*rows(5))
    for chance in (0.8, 0.4):
        bench.end(bench.start(), BUSY, chance=chance)
    assert bench.pick().op.row == 3
    assert bench.d.wakes_at(bench.now) == pytest.approx(0.1, abs=0.01)
    picked = [bench.d.pick(0.5) for _ in range(3)]
    assert [work.op.row for work in picked if work is not None] == [2, 1, 4]


def test_retries_due_at_once_go_in_the_order_they_failed() -> None:
    bench = Bench(concurrency=8)
    bench.offer(*rows(3))
    works = [bench.start()]
    bench.now = SOLO_S
    works += [bench.start(), bench.start()]
    for work in works:
        bench.end(work, BUSY, chance=0.0)
    bench.now += 1.0
    picked = [bench.d.pick(bench.now) for _ in range(3)]
    assert [work.op.row for work in picked if work is not None] == [1, 2, 3]


@pytest.mark.proves("G12")
def test_no_fresh_row_is_begun_while_ten_thousand_wait_for_another_attempt() -> None:
    """What bounds memory in a storm of 429s."""
    bench = Bench(rate="1000000/s", concurrency=20_000)
    bench.offer(*rows(RETRIES_MAX + 3))
    bench.run(OK)
    works = [bench.send(bench.pick()) for _ in range(RETRIES_MAX)]
    for work in works[:-1]:
        bench.end(work, SLOW)
    fresh = bench.d.pick(bench.now)
    assert fresh is not None
    bench.d.withdraw(fresh, at_us=0, intended=False)
    bench.end(works[-1], SLOW)
    assert bench.d.pick(bench.now) is None
    assert bench.d.pick(bench.now + 60.0) in works


@pytest.mark.parametrize("known", [{}, {"doubted": True}, {"open": True}])
def test_a_row_whose_body_cannot_be_built_ends_unsent(known: dict[str, Any]) -> None:
    """Rejected, or unknown if an earlier attempt may have been applied."""
    bench = Bench()
    bench.offer(row(1, **known))
    settled = bench.d.unbuildable(bench.pick(), code="BP417", message="no such file", at_us=9)
    assert settled == Outcome(
        row=1,
        attempt=0,
        stage=Stage.PATCH,
        state=RowState.UNKNOWN if known else RowState.REJECTED,
        at_us=9,
        code="BP417",
        error="no such file",
    )
    assert (bench.d.in_slots, bench.d.in_flight, bench.finished()) == (0, 0, True)


@pytest.mark.parametrize("intended", [True, False])
def test_a_stop_takes_an_unsent_row_back(*, intended: bool) -> None:
    """With its intent, if one was made; the row waits again, before all others."""
    bench = Bench()
    bench.offer(*rows(2))
    work = bench.pick()
    work.intent(0, 0.0)
    bench.d.stop(Stop(why=Why.SIGNAL, code="BP503", reason="signal", exit_code=130))
    records = bench.d.withdraw(work, at_us=0, intended=intended)
    assert [isinstance(record, Setback) and record.withdrawn for record in records] == [True] * intended
    assert bench.d.waiting == 2
    assert bench.finished()


def test_a_row_that_was_put_back_is_the_next() -> None:
    bench = Bench()
    bench.offer(*rows(2))
    work = bench.pick()
    bench.d.withdraw(work, at_us=0, intended=False)
    assert bench.pick() is work


# ── speed ────────────────────────────────────────────────────────────────────────────────────────


def test_three_throttles_in_a_row_hold_the_whole_lane_and_lower_the_speed() -> None:
    """The API takes nothing now; the wait is the one that it asked for."""
    bench = Bench(rate="10/s")
    bench.offer(*rows(4))
    for _ in range(3):
        bench.end(bench.start(), SLOW, chance=0.0)
    assert bench.d.ready_at(bench.now) == pytest.approx(bench.now + 2.0)
    assert bench.d.pacer.speed == pytest.approx(4.0)
    (notice,) = bench.d.take_notices()
    assert notice == Notice(code="BP406", message="the API asked to slow down: 4/s from now")
    assert bench.d.take_notices() == []


def test_a_throttle_among_other_answers_makes_its_row_wait_and_no_other() -> None:
    """Some gateways answer 429 at random; the row comes back when it was told to, at the same speed."""
    bench = Bench(rate="10/s")
    bench.offer(*rows(3))
    bench.end(bench.start(), OK)
    throttled = bench.start()
    bench.end(throttled, SLOW, chance=0.0)
    told_s = bench.now
    assert bench.d.ready_at(bench.now) < bench.now + 0.11
    bench.end(bench.start(), OK)
    assert bench.pick() is throttled
    assert bench.now == pytest.approx(told_s + 2.0)
    assert (bench.d.health.speed.at(bench.now), bench.d.take_notices()) == (10.0, [])


@pytest.mark.parametrize(("latency_ms", "cuts"), [(100, 2), (3000, 1)])
def test_answers_to_what_was_already_under_way_cut_the_speed_once(latency_ms: int, cuts: int) -> None:
    """Throttles two seconds after a cut are of the same event if they were sent before it."""
    bench = Bench(rate="100/s", concurrency=8)
    bench.offer(*rows(6))
    works = [bench.start() for _ in range(6)]
    for work in works[:3]:
        bench.end(work, SLOW)
    bench.now += 2.0
    for work in works[3:]:
        bench.d.ended(work, replace(ending(SLOW, now_s=bench.now), latency_us=latency_ms * 1000))
    assert len(bench.d.take_notices()) == cuts


def test_a_quota_that_is_used_up_holds_the_lane_and_nothing_else() -> None:
    bench = Bench(rate="10/s")
    bench.offer(*rows(2))
    assert isinstance(bench.end(bench.start(), PAUSED), Outcome)
    assert bench.d.ready_at(bench.now) == 30.0
    assert bench.d.pacer.speed == 10.0


def test_only_a_throttle_holds_the_lane() -> None:
    """A row's own backoff lets the others go on."""
    bench = Bench(rate="10/s")
    bench.offer(*rows(2))
    bench.end(bench.start(), BUSY, chance=0.9)
    assert bench.d.ready_at(bench.now) < 0.11


def test_a_granted_request_holds_its_place_in_the_rate_until_it_is_known_when_it_left() -> None:
    bench = Bench(rate="1/s")
    bench.offer(*rows(2))
    bench.pick()
    bench.d.grant(0.0)
    held = bench.d.ready_at(50.0)
    bench.d.sent(50.0)
    assert held == math.inf
    assert bench.d.ready_at(50.0) == pytest.approx(51.0, abs=0.01)


def test_every_send_is_counted_and_every_grant_is_under_way_until_it_ends() -> None:
    bench = Bench()
    bench.offer(*rows(3))
    bench.run(OK)
    works = [bench.start(), bench.start()]
    assert (bench.d.in_flight, bench.d.in_slots, bench.d.tally.sends) == (2, 2, 3)
    bench.end(works[0], BUSY)
    assert (bench.d.in_flight, bench.d.in_slots, bench.d.tally.sends) == (1, 1, 3)


# ── when a run stops ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("verdict", "exit_code", "maybe"), [(HALT, 4, False), (WRONG_TARGET, 3, True)])
def test_a_halt_stops_and_leaves_its_row_pending(verdict: Verdict, exit_code: int, *, maybe: bool) -> None:
    """In doubt, if it may have been applied; no attempt is used up."""
    bench = Bench(attempts=1)
    bench.offer(*rows(2))
    record = bench.run(verdict)[-1]
    assert isinstance(record, Setback)
    assert (record.counted, record.maybe_applied, record.code, record.wait_us) == (False, maybe, verdict.code, 0)
    assert bench.stopped() == Stop(why=Why.HALT, code=verdict.code or "", reason=verdict.message, exit_code=exit_code)
    assert bench.d.pick(9.0) is None
    assert bench.d.waiting == 2
    assert bench.finished()


def test_a_halt_that_does_not_say_how_ends_as_a_stop() -> None:
    bench = Bench()
    bench.offer(row(1))
    bench.run(Verdict(kind=VerdictKind.HALT))
    assert bench.stopped() == Stop(why=Why.HALT, code="BP901", reason="", exit_code=3)


@pytest.mark.proves("G13")
def test_what_is_in_flight_when_the_run_stops_is_still_settled() -> None:
    bench = Bench()
    bench.offer(*rows(4))
    bench.run(OK)
    works = [bench.start() for _ in range(3)]
    bench.end(works[0], HALT)
    assert isinstance(bench.end(works[1], OK), Outcome)
    assert isinstance(bench.end(works[2], BUSY), Setback)
    assert bench.finished()


def test_the_guard_stops_the_run() -> None:
    bench = Bench(max_failed=1)
    bench.offer(*rows(8))
    bench.run(FINAL)
    assert bench.stopped() is None
    bench.run(FINAL)
    reason = "2 of 2 rows tried failed; allowed are 1"
    assert bench.stopped() == Stop(why=Why.GUARD, code="BP501", reason=reason, exit_code=3)
    assert bench.d.take_notices() == [Notice(code="BP501", message=reason)]


def test_a_share_that_may_fail_waits_for_enough_rows() -> None:
    bench = Bench(max_failed="50%", min_tried=4, concurrency=1)
    bench.offer(*rows(8))
    bench.run(FINAL, FINAL, FINAL)
    assert bench.stopped() is None
    bench.run(OK)
    reason = "3 of 4 rows tried failed; allowed are 50%"
    assert bench.stopped() == Stop(why=Why.GUARD, code="BP501", reason=reason, exit_code=3)


def test_the_guard_is_silent_once_the_run_stops() -> None:
    bench = Bench(max_failed=0)
    bench.offer(*rows(3))
    works = [bench.start()]
    bench.d.stop(stop(Why.GUARD))
    bench.end(works[0], FINAL)
    assert [notice.message for notice in bench.d.take_notices()] == ["GUARD"]


@pytest.mark.parametrize("first", [why for why in Why if why])
@pytest.mark.parametrize("second", [why for why in Why if why])
def test_the_strongest_reason_to_stop_stands_and_the_first_of_two_alike(first: Why, second: Why) -> None:
    """A signal outranks a guard, a refused key a signal; only what changes the reason is told."""
    bench = Bench()
    bench.d.stop(stop(first, exit_code=1))
    bench.d.stop(stop(second, exit_code=2))
    assert bench.stopped() == (stop(second, exit_code=2) if second > first else stop(first, exit_code=1))
    assert len(bench.d.take_notices()) == 1 + (second > first)


# ── outages ──────────────────────────────────────────────────────────────────────────────────────


def test_an_api_that_is_never_reached_stops_the_run_with_its_rows_pending() -> None:
    """Naming the host; the attempts that were used up are not held against the rows."""
    bench = Bench(attempts=2)
    bench.offer(row(1))
    records = bench.run(NEVER, NEVER)
    assert not any(isinstance(record, Outcome) for record in records)
    reason = "the API was never reached: refused (api.example)"
    assert bench.stopped() == Stop(why=Why.OUTAGE, code="BP407", reason=reason, exit_code=3)
    assert bench.d.waiting == 1
    assert bench.finished()


def test_an_api_that_most_rows_never_reach_stops_the_run_at_the_first_opening() -> None:
    bench = Bench(attempts=20)
    bench.offer(*rows(40))
    bench.run(*[NEVER] * 20)
    reason = "the API was never reached: refused (api.example)"
    assert bench.stopped() == Stop(why=Why.OUTAGE, code="BP407", reason=reason, exit_code=3)


@pytest.mark.parametrize("reached", [OK, BUSY, SLOW, FINAL, LATE])
def test_an_api_that_was_reached_once_is_not_called_unreachable(reached: Verdict) -> None:
    """Any answer shows it, and so does a request that was sent and not answered."""
    bench = Bench(attempts=3)
    bench.offer(*rows(2))
    work = bench.start()
    bench.end(work, reached)
    # A throttled row waits while the other one uses up its attempts.
    bench.run(*[NEVER] * (3 if reached is SLOW or isinstance(bench.records[-1], Outcome) else 5))
    assert bench.stopped() is None
    last = bench.records[-1]
    assert isinstance(last, Outcome)
    assert last.state in {RowState.EXHAUSTED, RowState.UNKNOWN}


@pytest.mark.parametrize("verdict", [DOUBT, LATE, BUSY])
def test_an_outage_opens_the_breaker_within_twenty_answers_and_stops_at_the_third(verdict: Verdict) -> None:
    """Rows stay pending; three openings, two waits of a minute, and few requests in all. Stalls are an outage too."""
    bench = Bench(attempts=20, concurrency=8)
    bench.offer(*rows(200))
    sent = 0
    opened_after: list[int] = []
    while bench.stopped() is None:
        bench.end(bench.start(), verdict)
        sent += 1
        if bench.d.health.lanes.breaker("").openings > len(opened_after):
            opened_after.append(sent)
    assert opened_after == [20, 21, 22]
    assert bench.stopped() == Stop(
        why=Why.OUTAGE,
        code="BP502",
        reason="the API seems to be down: most answers were failures, and so were the probes",
        exit_code=3,
    )
    assert 2 * OPEN_S <= bench.now < 2 * OPEN_S + 10
    assert not any(isinstance(record, Outcome) for record in bench.records)
    waiting = Notice(code="BP502", message="the API seems to be down: waiting 60 s, then probing")
    assert bench.d.take_notices()[:-1] == [waiting] * 2


def test_nothing_leaves_while_the_breaker_is_open_not_even_what_was_in_line() -> None:
    """A request whose intent was durable when it opened waits with all the others."""
    bench = Bench(attempts=20, concurrency=8)
    bench.offer(*rows(60))
    bench.run(*[BUSY] * 19)
    works = [bench.start(), bench.pick()]
    opened_at = bench.now
    bench.end(works[0], BUSY)
    assert bench.breaker() is BreakerState.OPEN
    assert bench.d.ready_at(bench.now) == opened_at + OPEN_S
    bench.send(works[1])
    assert bench.now >= opened_at + OPEN_S


def test_probes_go_one_at_a_time_and_use_no_attempt_up() -> None:
    bench = Bench(attempts=2, concurrency=8)
    bench.offer(*rows(60))
    bench.run(*[BUSY] * 20)
    probe = bench.start()
    assert bench.now >= OPEN_S
    assert probe.probe
    assert bench.d.pick(bench.now + 1) is None
    record = bench.end(probe, BUSY)
    assert isinstance(record, Setback)
    assert not record.counted
    assert bench.d.health.lanes.breaker("").openings == 2


def test_a_probe_that_may_have_been_applied_leaves_its_row_in_doubt() -> None:
    bench = Bench(attempts=3, concurrency=8)
    bench.offer(*rows(60))
    bench.run(*[BUSY] * 20)
    probe = bench.start()
    before = probe.tried
    bench.end(probe, DOUBT)
    assert (probe.doubted, probe.tried) == (True, before)


def test_a_throttled_probe_says_nothing_about_the_outage() -> None:
    """The API answers, but it is not known yet whether it works."""
    bench = Bench(attempts=20, concurrency=8)
    bench.offer(*rows(60))
    bench.run(*[BUSY] * 20, SLOW)
    assert bench.breaker() is BreakerState.PROBING
    bench.run(OK, OK)
    assert bench.breaker() is BreakerState.PROBING
    bench.run(OK)
    assert bench.breaker() is BreakerState.CLOSED


def test_after_an_outage_the_run_goes_on_at_half_speed() -> None:
    bench = Bench(attempts=20, rate="100/s")
    bench.offer(*rows(200))
    while bench.d.health.lanes.breaker("").openings == 0:
        bench.end(bench.start(), BUSY)
    bench.d.take_notices()
    bench.run(OK, OK, OK)
    assert bench.d.health.speed.at(bench.now) == pytest.approx(50.0)
    assert bench.d.take_notices() == [Notice(code="BP502", message="the API answers again: going on at half speed")]
    assert not bench.start().probe


def test_a_row_that_fails_is_no_outage() -> None:
    """Refusals of rows and throttles never open the breaker, however many."""
    bench = Bench(concurrency=1)
    bench.offer(*rows(200))
    bench.run(OK, *[FINAL] * 150)
    assert bench.d.health.lanes.breaker("").openings == 0


def test_a_halt_tells_the_breaker_nothing() -> None:
    bench = Bench(attempts=20, concurrency=8)
    bench.offer(*rows(60))
    bench.run(*[BUSY] * 20)
    bench.end(bench.start(), HALT)
    assert (bench.d.health.lanes.breaker("").openings, bench.breaker()) == (1, BreakerState.PROBING)


def test_a_slot_is_never_told_to_wake_in_the_past() -> None:
    """An open breaker that waits for what is under way wakes nobody: the answer will."""
    bench = Bench(attempts=20, concurrency=8)
    bench.offer(*rows(60))
    bench.run(*[BUSY] * 18)
    works = [bench.start() for _ in range(3)]
    bench.end(works[0], BUSY)
    bench.end(works[1], BUSY)
    assert bench.d.wakes_at(bench.now) <= bench.now + OPEN_S
    late = bench.now + OPEN_S + 5
    assert bench.d.pick(late) is None
    assert bench.d.wakes_at(late) > late
    bench.now = late
    bench.end(works[2], LATE)
    assert bench.d.health.lanes.breaker("").openings == 1
    assert bench.d.pick(late) is not None


# ── lanes and recipients ─────────────────────────────────────────────────────────────────────────


def postgres(*numbers: int, **known: Any) -> list[tuple[Operation, PendingRow]]:
    """Rows of one vendor."""
    return [row(number, fields=("postgres.host",), **known) for number in numbers]


def redshift(*numbers: int, **known: Any) -> list[tuple[Operation, PendingRow]]:
    """Rows of another one."""
    return [row(number, fields=("redshift.host",), **known) for number in numbers]


def test_a_vendor_that_fails_is_held_while_the_other_goes_on_and_stops_the_run_at_its_end() -> None:
    """Its rows stay pending, those of the other are all sent; and a person is told."""
    bench = Bench(attempts=20, concurrency=1)
    bench.d.offer([*postgres(*range(1, 31)), *redshift(*range(31, 91))], at_us=0)
    bench.d.source_ended()
    bench.drain(lambda one: BUSY if one.lane == "postgres" else OK)
    bench.d.finish()
    assert bench.d.tally.states == {RowState.ACCEPTED: 60}
    reason = "held back, since most answers were failures: postgres"
    assert bench.stopped() == Stop(why=Why.OUTAGE, code="BP505", reason=reason, exit_code=3)
    assert bench.finished()
    assert {notice.code for notice in bench.d.take_notices()} == {"BP505"}


def test_a_vendor_that_is_well_again_is_sent_to_its_last_row() -> None:
    bench = Bench(attempts=20, concurrency=1)
    bench.offer(*postgres(*range(1, 31)), *redshift(*range(31, 91)))
    for _ in range(20):
        bench.end(bench.start(), BUSY)
    bench.drain(lambda _: OK)
    assert bench.stopped() is None
    assert bench.d.tally.states == {RowState.ACCEPTED: 90}


def test_no_recipient_has_more_in_flight_than_allowed_and_all_are_served() -> None:
    bench = Bench(concurrency=8, per_recipient=PerRecipient(in_flight=1))
    bench.offer(*[row(number, recipient_id=f"r{number % 2}") for number in range(1, 9)])
    bench.run(OK)
    works = [bench.start(), bench.start()]
    assert {one.known.recipient_id for one in works} == {"r0", "r1"}
    assert bench.d.pick(bench.now) is None
    bench.end(works[0], OK)
    following = bench.pick()
    assert following.known.recipient_id == works[0].known.recipient_id


def test_a_doubtful_row_counts_as_changed_until_it_is_settled_even_if_its_body_can_no_longer_be_built() -> None:
    """Then it ends unknown, and nobody waits for it."""
    bench = Bench(per_recipient=PerRecipient(unverified=1))
    bench.offer(row(1, recipient_id="r"), row(2, recipient_id="r"))
    bench.end(bench.start(), DOUBT, chance=0.9)
    assert bench.d.pick(bench.now) is None
    again = bench.pick()
    assert again.op.row == 1
    settled = bench.d.unbuildable(again, code="BP417", message="", at_us=0)
    assert settled.state is RowState.UNKNOWN
    assert bench.pick().op.row == 2


def test_a_row_that_was_put_back_unsent_is_not_counted_as_changed() -> None:
    bench = Bench(per_recipient=PerRecipient(unverified=1))
    bench.offer(row(1, recipient_id="r"), row(2, recipient_id="r"))
    first = bench.pick()
    assert bench.d.pick(SOLO_S) is None
    bench.d.withdraw(first, at_us=0, intended=False)
    assert {bench.pick().op.row} < {1, 2}
    assert bench.d.pick(SOLO_S) is None


def test_a_changed_destination_whose_vendor_is_held_leaves_its_customers_others_pending() -> None:
    """Nothing hangs: the wave is drained, and the run stops resumable."""
    bench = Bench(attempts=20, concurrency=1, per_recipient=PerRecipient(unverified=1))
    bench.d.offer(
        [
            *redshift(*range(1, 61)),
            *postgres(61, recipient_id="r", doubted=True),
            *redshift(62, recipient_id="r"),
            *postgres(*range(63, 90)),
        ],
        at_us=0,
    )
    bench.d.source_ended()
    bench.drain(lambda one: BUSY if one.lane == "postgres" else OK)
    bench.d.finish()
    assert bench.d.tally.states == {RowState.ACCEPTED: 60}
    assert bench.stopped() is not None


def test_rows_that_did_not_fit_are_fed_again_once_the_others_are_through() -> None:
    """Not while one is under way, and only once for each time that rows were let go of."""
    bench = Bench(concurrency=1, per_recipient=PerRecipient(in_flight=1))
    bench.d.offer([row(number, recipient_id="r") for number in range(PARKED_MAX + 3)], at_us=0)
    bench.d.source_ended()
    bench.d.limits = replace(bench.d.limits, concurrency=2)
    bench.d.health.lanes.breaker("other").open(0.0)
    first = bench.start()
    bench.now = SOLO_S
    assert bench.d.pick(bench.now) is None
    assert bench.d.waiting == PARKED_MAX
    bench.end(first, OK)
    early = bench.d.feed_again()
    bench.drain(lambda _: OK)
    wanted = [bench.d.wants]
    assert [early, bench.d.feed_again(), bench.d.feed_again()] == [False, True, False]
    assert [*wanted, bench.d.wants] == [False, True]


# ── stages ───────────────────────────────────────────────────────────────────────────────────────

ALL_STAGES = Staging(stages=(Stage.EXPECT, Stage.PRETEST, Stage.PATCH, Stage.VERIFY), deadline_s=60.0, poll_s=5.0)
NOT_YET = Verdict(kind=VerdictKind.LATER, code="BP419", message="still running", http_status=200)
SKIP = Verdict(kind=VerdictKind.SKIP, code="BP421", message="vendor is another", http_status=200)


def test_a_row_goes_through_its_stages_one_after_the_other_before_any_other_row() -> None:
    """Each is an attempt with its intent; all but the last are passed, and the facts of the patch are kept."""
    bench = Bench(staging=ALL_STAGES, concurrency=1)
    bench.offer(*rows(2))
    facts = {Stage.PATCH: b'{"vendor":"x"}'}
    for _ in range(4):
        one = bench.start()
        bench.records.append(bench.d.ended(one, ending(OK, now_s=bench.now, facts=facts.get(one.stage))))
    told = [record for record in bench.records if isinstance(record, (Intent, Passed, Outcome))]
    seen = [(type(record), record.row, record.stage) for record in told]
    assert len(seen) == len(bench.records)
    first = [(Passed, 1, stage) for stage in ALL_STAGES.stages[:-1]] + [(Outcome, 1, Stage.VERIFY)]
    assert seen[1::2] == first
    assert [(kind, stage) for kind, _, stage in seen[::2]] == [(Intent, stage) for stage in ALL_STAGES.stages]
    last = bench.records[-1]
    assert isinstance(last, Outcome)
    assert (last.state, last.attempt, last.facts) == (RowState.VERIFIED, 4, b'{"vendor":"x"}')
    assert bench.pick().op.row == 2


@pytest.mark.parametrize(
    ("verdicts", "state", "stage"),
    [
        ([SKIP], RowState.SKIPPED, Stage.EXPECT),
        ([FINAL], RowState.REJECTED, Stage.EXPECT),
        ([DOUBT] * 3, RowState.EXHAUSTED, Stage.EXPECT),
        ([OK, FINAL], RowState.REJECTED, Stage.PRETEST),
        ([OK, LATE, LATE, LATE], RowState.EXHAUSTED, Stage.PRETEST),
        ([OK, OK, FINAL], RowState.REJECTED, Stage.PATCH),
        ([BUSY, BUSY, OK, BUSY, BUSY, OK, DOUBT, DOUBT, DOUBT], RowState.UNKNOWN, Stage.PATCH),
        ([OK, OK, OK, FINAL], RowState.UNVERIFIED, Stage.VERIFY),
        ([OK, OK, OK, BUSY, BUSY, BUSY], RowState.UNVERIFIED, Stage.VERIFY),
        ([OK, OK, DOUBT, OK, BUSY, OK], RowState.VERIFIED, Stage.VERIFY),
    ],
    ids=str,
)
def test_where_a_row_ends_in_each_stage(verdicts: list[Verdict], state: RowState, stage: Stage) -> None:
    """A question that was not answered leaves no doubt, and each stage has all the attempts."""
    bench = Bench(attempts=3, staging=ALL_STAGES)
    bench.offer(row(1))
    last = bench.run(*verdicts)[-1]
    assert isinstance(last, Outcome)
    assert (last.state, last.stage, last.attempt) == (state, stage, len(verdicts))
    assert bench.finished()


def test_a_verification_that_has_no_verdict_yet_is_asked_again_and_uses_nothing_up() -> None:
    """Every five seconds; the retries that people are shown are of failures only."""
    bench = Bench(attempts=1, staging=ALL_STAGES)
    bench.offer(row(1, passed=Stage.PATCH))
    for poll in range(12):
        one = bench.start()
        assert bench.now == pytest.approx(5.0 * poll, abs=0.1)
        record = bench.end(one, NOT_YET)
        assert isinstance(record, Setback)
        assert (record.counted, record.wait_us, record.code) == (False, 5_000_000, "BP419")
    assert bench.d.tally.retries == 0
    last = bench.end(bench.start(), OK)
    assert isinstance(last, Outcome)
    assert last.state is RowState.VERIFIED


@pytest.mark.parametrize(("past_s", "given_up"), [(0.0, False), (0.001, True)])
def test_a_verification_is_given_up_when_it_would_be_asked_after_its_deadline(past_s: float, *, given_up: bool) -> None:
    bench = Bench(staging=ALL_STAGES, now=500.0)
    bench.offer(row(1, passed=Stage.PATCH))
    one = bench.start()
    bench.now = 500.0 + ALL_STAGES.deadline_s - ALL_STAGES.poll_s + past_s
    record = bench.end(one, NOT_YET)
    assert isinstance(record, Outcome if given_up else Setback)
    if isinstance(record, Outcome):
        words = "no verdict within 60 s"
        assert (record.state, record.code, record.error) == (RowState.UNVERIFIED, "BP420", words)


def test_a_changed_destination_counts_for_its_recipient_until_it_is_verified() -> None:
    """The next of the customer is touched then, and not before."""
    bench = Bench(staging=ALL_STAGES, per_recipient=PerRecipient(unverified=1), concurrency=8)
    bench.offer(row(1, recipient_id="r"), row(2, recipient_id="r"))
    bench.run(OK, OK, OK, NOT_YET)
    assert bench.d.pick(bench.now) is None
    bench.run(OK)
    assert isinstance(bench.records[-1], Outcome)
    assert bench.pick().op.row == 2


# ── waves ────────────────────────────────────────────────────────────────────────────────────────


def wave(failed_max: int | str | None = None, *, rows: int = 100, last: bool = False, **gate: Any) -> WaveState:
    """A wave and its gate."""
    limit = None if failed_max is None else parse_threshold(failed_max)
    return WaveState(number=1, rows=rows, gate=Gate(failed=limit, **gate), last=last)


def test_a_failure_that_the_waves_gate_does_not_allow_stops_the_run_at_once() -> None:
    """What the guard allows is another matter, and rows that were not tried are nobody's failure."""
    bench = Bench(staging=ALL_STAGES)
    bench.d.begin_wave(wave(1))
    bench.d.offer(rows(9), at_us=0)
    bench.run(SKIP, SKIP, FINAL)
    assert bench.stopped() is None
    bench.run(FINAL)
    words = "wave 1: 2 of 2 rows tried failed; its gate allows 1"
    assert bench.stopped() == Stop(why=Why.GUARD, code="BP506", reason=words, exit_code=3)


def test_a_share_that_the_waves_gate_does_not_allow_stops_the_run_when_it_is_drained() -> None:
    bench = Bench()
    bench.d.begin_wave(wave("40%"))
    bench.d.offer(rows(2), at_us=0)
    bench.d.source_ended()
    bench.run(FINAL, OK)
    assert bench.stopped() is None
    assert bench.d.drained
    bench.d.close_wave(bench.now)
    words = "wave 1: 1 of 2 rows tried failed; its gate allows 40%"
    assert bench.stopped() == Stop(why=Why.GUARD, code="BP506", reason=words, exit_code=3)


def test_a_wave_that_no_process_before_saw_drained_soaks_for_all_its_time() -> None:
    bench = Bench()
    bench.d.begin_wave(wave(soak_s=30.0))
    bench.d.close_wave(100.0)
    assert bench.d.wakes_at(100.0) == 130.0


def test_a_gate_that_holds_is_waited_for_and_the_next_wave_is_fed() -> None:
    bench = Bench()
    bench.d.begin_wave(wave(soak_s=30.0))
    bench.d.offer(rows(1), at_us=0)
    bench.d.source_ended()
    bench.run(OK)
    bench.d.close_wave(100.0, ended_before_s=10.0)
    assert (bench.d.wave.phase, bench.d.wakes_at(100.0)) == (Phase.SOAKING, 120.0)
    assert not bench.d.wants
    assert not bench.finished()
    bench.d.wave.tick(120.0)
    assert bench.d.wave.phase is Phase.PASSED
    bench.d.begin_wave(wave(last=True))
    wanted = bench.d.wants
    bench.d.source_ended()
    bench.d.close_wave(121.0)
    bench.d.finish()
    assert (wanted, bench.d.wants, bench.finished()) == (True, False, True)


# ── steering ─────────────────────────────────────────────────────────────────────────────────────


def test_a_pause_starts_nothing_and_what_is_under_way_goes_on() -> None:
    bench = Bench()
    bench.offer(*rows(3))
    one = bench.start()
    bench.d.paused = True
    assert isinstance(bench.end(one, OK), Outcome)
    assert bench.d.pick(bench.now) is None
    assert not bench.finished()
    bench.d.paused = False
    bench.run(OK, OK)
    assert bench.finished()


def test_another_rate_is_in_force_from_the_next_request_on() -> None:
    """In the limits, in the spacing, and as the ceiling of the speed."""
    bench = Bench(rate="10/s")
    bench.offer(*rows(3))
    bench.run(OK)
    bench.d.set_rate(parse_rate("2/s"))
    assert bench.d.ready_at(bench.now) == pytest.approx(bench.now + 0.5, abs=0.01)
    assert bench.d.limits.rate == parse_rate("2/s")
    bench.d.set_rate(parse_rate("20/s"))
    bench.d.ready_at(bench.now)
    assert bench.d.pacer.speed == 20.0


def test_a_speed_that_was_lowered_before_is_gone_on_with() -> None:
    """Reads went before, and the API asked them to slow down."""
    speed = AdaptiveSpeed(10.0, now_s=0.0)
    for _ in range(3):
        speed.answered(0.0, sent_s=0.0, refused=True)
    rate = parse_rate("10/s")
    dispatcher = Dispatcher(
        limits=Limits(rate=rate, concurrency=1, timeout_s=30, attempts=1),
        guard=Guard(max_failed=parse_threshold("100%"), min_tried=0),
        pacer=Pacer(rate, now_s=0.0),
        tally=Tally({}),
        now_s=0.0,
        speed=speed,
    )
    dispatcher.ready_at(0.0)
    assert dispatcher.pacer.speed == pytest.approx(4.0)
