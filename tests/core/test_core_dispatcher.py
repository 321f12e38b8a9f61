"""The dispatcher decides what is sent, tried again and given up, and when a run stops."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import pytest

from bulkpatch.core.dispatcher import THROTTLES_MAX, Dispatcher
from bulkpatch.core.pacer import Pacer
from bulkpatch.core.quantities import parse_rate, parse_threshold
from bulkpatch.core.tally import Tally
from bulkpatch.core.work import Ending, Stop, Why, Work
from bulkpatch.model import (
    Guard,
    Intent,
    Limits,
    Operation,
    Outcome,
    PendingRow,
    Record,
    RowState,
    Setback,
    Verdict,
    VerdictKind,
)

OK = Verdict(kind=VerdictKind.ACCEPTED, http_status=200)
FINAL = Verdict(kind=VerdictKind.FINAL, code="BP401", message="no", http_status=422)
DOUBT = Verdict(kind=VerdictKind.RETRY, code="BP411", message="500", http_status=500, maybe_applied=True)
BUSY = Verdict(kind=VerdictKind.RETRY, code="BP416", message="503", http_status=503)
NEVER = Verdict(kind=VerdictKind.RETRY, code="BP407", message="refused", never_sent=True)
SLOW = Verdict(kind=VerdictKind.RETRY, code="BP406", message="429", http_status=429, throttled=True, retry_after_s=2.0)
HALT = Verdict(kind=VerdictKind.HALT, code="BP402", message="401", http_status=401, exit_code=4)


def row(number: int, **known: object) -> tuple[Operation, PendingRow]:
    """Row ``number`` as the feeder brings it."""
    body = b'{"destination":{"name":"n"}}'
    digest = hashlib.sha256(body).digest()
    op = Operation(row=number, destination_id=f"d{number}", body=body, digest=digest, fields=("name",))
    return op, PendingRow(row=number, destination_id=op.destination_id, digest=digest, **known)  # type: ignore[arg-type]


@dataclass
class Bench:
    """A dispatcher with a clock that jumps to whatever it waits for."""

    attempts: int = 3
    max_failed: int | str = "100%"
    min_tried: int = 0
    concurrency: int = 4
    rate: str = "1000/s"
    now: float = 0.0
    records: list[Record] = field(default_factory=list)

    def __post_init__(self) -> None:
        rate = parse_rate(self.rate)
        self.d = Dispatcher(
            limits=Limits(rate=rate, concurrency=self.concurrency, timeout_s=30, attempts=self.attempts),
            guard=Guard(max_failed=parse_threshold(self.max_failed), min_tried=self.min_tried),
            pacer=Pacer(rate, now_s=0.0),
            tally=Tally({}),
            now_s=0.0,
        )

    def offer(self, *rows: tuple[Operation, PendingRow]) -> None:
        """Bring rows, and say that there are no more."""
        self.records += self.d.offer(rows, at_us=0)
        self.d.source_ended()

    def start(self) -> Work:
        """Pick, intend, grant and send the next row."""
        while (work := self.d.pick(self.now)) is None:
            self.now = self.d.wakes_at(self.now)
            assert self.now < 1e6, "it would wait for ever"
        self.records.append(self.d.intend(work, at_us=0, now_s=self.now))
        self.now = max(self.now, self.d.ready_at(self.now))
        self.d.grant(self.now)
        self.d.sent(self.now)
        return work

    def end(self, work: Work, verdict: Verdict, chance: float = 0.5) -> Record:
        """The attempt ended; an outcome becomes durable at once."""
        ending = Ending(verdict=verdict, now_s=self.now, at_us=0, latency_us=1000, chance=chance)
        record = self.d.ended(work, ending)
        self.records.append(record)
        if isinstance(record, Outcome):
            self.d.settled(record, work.copies)
        return record

    def run(self, *verdicts: Verdict) -> list[Record]:
        """Send one row after the other, answered by ``verdicts`` in turn."""
        for verdict in verdicts:
            self.end(self.start(), verdict)
        return self.records


def test_an_accepted_row_is_settled_by_one_attempt() -> None:
    bench = Bench()
    bench.offer(row(1))
    bench.run(OK)
    intent, outcome = bench.records
    assert isinstance(intent, Intent)
    assert isinstance(outcome, Outcome)
    assert (intent.attempt, outcome.state) == (1, RowState.ACCEPTED)
    assert bench.d.finished


@pytest.mark.parametrize(
    ("verdict", "state"), [(DOUBT, RowState.UNKNOWN), (BUSY, RowState.EXHAUSTED), (FINAL, RowState.REJECTED)]
)
def test_where_a_row_ends_when_attempts_run_out(verdict: Verdict, state: RowState) -> None:
    """Doubt ends unknown, a refusal to process ends exhausted, a refusal of the row ends at once."""
    bench = Bench(attempts=3)
    bench.offer(row(1))
    last = bench.run(*[verdict] * (1 if verdict is FINAL else 3))[-1]
    assert isinstance(last, Outcome)
    assert last.state is state
    assert bench.d.finished


def test_one_doubtful_attempt_makes_the_row_unknown() -> None:
    bench = Bench(attempts=2)
    bench.offer(row(1))
    last = bench.run(DOUBT, BUSY)[-1]
    assert isinstance(last, Outcome)
    assert last.state is RowState.UNKNOWN


def test_throttled_attempts_use_nothing_up_but_end() -> None:
    """429 waits, up to ten times; then the row is given up as exhausted."""
    bench = Bench(attempts=1)
    bench.offer(row(1))
    records = bench.run(*[SLOW] * (THROTTLES_MAX + 1))
    assert isinstance(records[-1], Outcome)
    assert (records[-1].state, records[-1].code) == (RowState.EXHAUSTED, "BP415")
    assert all(not r.counted and r.wait_us >= 2_000_000 for r in records if isinstance(r, Setback))


def test_a_throttle_holds_the_whole_lane_and_lowers_the_speed() -> None:
    bench = Bench(rate="10/s")
    bench.offer(row(1), row(2))
    bench.end(bench.start(), SLOW, chance=0.0)
    assert bench.d.ready_at(bench.now) >= 2.0
    assert bench.d.pacer.speed == pytest.approx(7.0)


def test_a_refused_key_stops_and_leaves_the_row_pending() -> None:
    bench = Bench()
    bench.offer(row(1), row(2))
    record = bench.run(HALT)[-1]
    assert isinstance(record, Setback)
    assert not record.counted
    assert bench.d.stopped is not None
    assert bench.d.stopped.exit_code == 4
    assert bench.d.pick(9.0) is None
    assert bench.d.finished


def test_the_first_request_goes_alone() -> None:
    """So that a refused key costs one request."""
    bench = Bench()
    bench.offer(row(1), row(2))
    work = bench.start()
    assert bench.d.pick(bench.now) is None
    bench.end(work, OK)
    assert bench.d.pick(bench.now) is not None


def test_never_more_slots_than_concurrency() -> None:
    bench = Bench(concurrency=2)
    bench.offer(*[row(n) for n in range(1, 9)])
    bench.run(OK)
    bench.start()
    bench.start()
    assert bench.d.pick(bench.now + 5) is None


def test_the_guard_stops_the_run() -> None:
    bench = Bench(max_failed=1)
    bench.offer(*[row(n) for n in range(1, 9)])
    bench.run(FINAL, FINAL)
    assert bench.d.stopped is not None
    assert (bench.d.stopped.why, bench.d.stopped.exit_code) == (Why.GUARD, 3)


def test_a_lost_answer_is_put_on_record_and_gets_one_more_attempt() -> None:
    """An in-flight row of a killed process is doubted, and sent again though its attempts are used up."""
    bench = Bench(attempts=1)
    bench.offer(row(1, attempt=1, tried=0, open=True))
    lost = bench.records[0]
    assert isinstance(lost, Setback)
    assert (lost.code, lost.maybe_applied) == ("BP418", True)
    last = bench.run(BUSY)[-1]
    assert isinstance(last, Outcome)
    assert (last.attempt, last.state) == (2, RowState.UNKNOWN)


def test_a_stop_takes_an_unsent_intent_back() -> None:
    bench = Bench()
    bench.offer(row(1))
    work = bench.d.pick(0.0)
    assert work is not None
    bench.d.intend(work, at_us=0, now_s=0.0)
    bench.d.stop(Stop(why=Why.SIGNAL, code="BP503", reason="signal", exit_code=130))
    (record,) = bench.d.withdraw(work, at_us=0, intended=True)
    assert isinstance(record, Setback)
    assert record.withdrawn
    assert bench.d.finished


def test_an_api_that_is_never_reached_stops_the_run_with_its_rows_pending() -> None:
    bench = Bench(attempts=2)
    bench.offer(row(1))
    records = bench.run(NEVER, NEVER)
    assert not any(isinstance(record, Outcome) for record in records)
    assert bench.d.stopped is not None
    assert (bench.d.stopped.code, bench.d.stopped.exit_code) == ("BP407", 3)


def test_an_outage_opens_the_breaker_within_twenty_answers_and_stops_at_the_third() -> None:
    """Rows stay pending; three openings, two waits of a minute, and few requests in all."""
    bench = Bench(attempts=20, concurrency=8)
    bench.offer(*[row(n) for n in range(1, 200)])
    sent = 0
    while bench.d.stopped is None:
        bench.end(bench.start(), DOUBT)
        sent += 1
    assert bench.d.stopped.code == "BP502"
    assert sent <= 22
    assert bench.now >= 120
    assert not any(isinstance(record, Outcome) for record in bench.records)


def test_after_an_outage_the_run_goes_on_at_half_speed() -> None:
    bench = Bench(attempts=20, rate="100/s")
    bench.offer(*[row(n) for n in range(1, 200)])
    while bench.d.breaker.openings == 0:
        bench.end(bench.start(), BUSY)
    for _ in range(3):
        bench.end(bench.start(), OK)
    assert bench.d.speed.at(bench.now) == pytest.approx(50.0)
