"""People are told the one limit that holds a run back now."""

from __future__ import annotations

from core_rig import BUSY, OK, SLOW, Bench, row, rows

from bulkpatch.core.binding import bound_by
from bulkpatch.core.breaker import OPEN_S
from bulkpatch.core.waves import WaveState
from bulkpatch.model import Gate


def test_a_run_that_goes_as_it_should_is_bound_by_its_rate_or_its_slots() -> None:
    bench = Bench(rate="10/s", concurrency=1)
    bench.offer(*rows(3))
    idle = bound_by(bench.d, bench.now)
    bench.start()
    assert (idle, bound_by(bench.d, bench.now)) == ("the rate", "concurrency")


def test_a_speed_below_the_limit_is_the_apis_own() -> None:
    bench = Bench(rate="10/s", concurrency=1)
    bench.offer(*rows(4))
    for _ in range(3):
        bench.end(bench.start(), SLOW)
    bench.d.ready_at(bench.now)
    assert bound_by(bench.d, bench.now) == "the API's own limit"


def test_rows_that_all_wait_for_another_attempt_are_not_held_by_the_rate() -> None:
    """Nothing leaves though the rate would let it."""
    bench = Bench(concurrency=1)
    bench.offer(row(1))
    bench.end(bench.start(), BUSY)
    assert bound_by(bench.d, bench.now) == "waits before another attempt"


def test_an_outage_is_waited_for() -> None:
    bench = Bench(attempts=20, concurrency=1)
    bench.offer(*rows(60))
    bench.run(*[BUSY] * 20)
    assert bound_by(bench.d, bench.now) == "an API that fails"
    bench.d.health.lanes.whole.open(bench.now)
    bench.now += OPEN_S
    bench.start()
    assert bound_by(bench.d, bench.now) == "an API that fails"


def test_a_lane_that_is_held_does_not_bind_while_others_go() -> None:
    bench = Bench(attempts=20, concurrency=1, rate="10/s")
    bench.offer(*rows(60), row(61, fields=("postgres.host",)))
    bench.run(OK)
    bench.d.health.lanes.breaker("postgres").open(0.0)
    bench.start()
    assert bound_by(bench.d, bench.now) == "concurrency"


def test_a_gate_binds_until_it_is_passed_and_a_pause_before_all() -> None:
    bench = Bench()
    bench.d.begin_wave(WaveState(number=3, rows=9, gate=Gate(soak_s=5.0, approve=True)))
    sending = bound_by(bench.d, bench.now)
    bench.d.close_wave(0.0)
    soaking = bound_by(bench.d, bench.now)
    bench.d.wave.tick(5.0)
    awaiting = bound_by(bench.d, bench.now)
    bench.d.paused = True
    paused = bound_by(bench.d, bench.now)
    bench.d.paused = False
    bench.d.wave.approve()
    assert [sending, soaking, awaiting, paused, bound_by(bench.d, bench.now)] == [
        "the rate",
        "the gate of wave 3 (soaking)",
        "the gate of wave 3 (awaiting approval)",
        "a pause",
        "the rate",
    ]
