"""Time left is sending at the pace that was seen, then soaks; what held the run back is no pace."""

from __future__ import annotations

import pytest

from bulkpatch.core.remaining import GUESSED_S, HALF_LIFE_S, Headway, guess_per_s, waits_ahead
from bulkpatch.core.waves import WaveKeeper, WaveState
from bulkpatch.model import Gate


def test_a_soak_does_not_slow_the_pace() -> None:
    """Ten rows a second before it are ten rows a second after it."""
    headway = Headway(0, 0.0)
    headway.seen(1.0, 10, sending=False)
    headway.seen(601.0, 10, sending=True)
    headway.seen(602.0, 20, sending=True)
    assert headway.needs_s(100, guess_per_s=None) == pytest.approx(10.0, rel=0.01)


def test_rows_of_an_earlier_process_are_no_pace_of_this_one() -> None:
    """A resume begins at what was settled before."""
    headway = Headway(900, 0.0)
    assert headway.needs_s(100, guess_per_s=None) is None
    headway.seen(10.0, 910, sending=True)
    assert headway.needs_s(90, guess_per_s=None) == pytest.approx(90.0, rel=0.1)


def test_what_is_long_ago_counts_little() -> None:
    """An hour at 1/s, then some minutes at 10/s: it is the minutes that tell."""
    headway, settled = Headway(0, 0.0), 0
    for second in range(1, 3_601 + int(5 * HALF_LIFE_S)):
        settled += 1 if second <= 3_600 else 10
        headway.seen(float(second), settled, sending=True)
    assert headway.needs_s(100, guess_per_s=None) == pytest.approx(10.0, rel=0.1)


def test_a_guess_helps_while_little_was_seen() -> None:
    """A canary of one row in its first second is no measure; after two minutes the guess hardly counts."""
    headway = Headway(0, 0.0)
    headway.seen(1.0, 1, sending=True)
    early = headway.needs_s(200, guess_per_s=20.0)
    assert early == pytest.approx(200 * (1 + GUESSED_S) / (1 + 20 * GUESSED_S), rel=0.01)
    headway.seen(120.0, 120, sending=True)
    late = headway.needs_s(200, guess_per_s=20.0)
    assert late is not None
    assert late > 90


@pytest.mark.parametrize(
    ("speed", "concurrency", "latency_ms", "requests_per_row", "expected"),
    [
        (20.0, 8, None, 1, None),
        (20.0, 8, 100.0, 1, 20.0),
        (1e6, 8, 100.0, 1, 80.0),
        (1e6, 8, 100.0, 4, 20.0),
        (20.0, 8, 0.0, 1, 20.0),
    ],
)
def test_the_guess_is_the_rate_or_the_slots(
    speed: float, concurrency: int, latency_ms: float | None, requests_per_row: int, expected: float | None
) -> None:
    """Whichever lets less through; without an answer yet there is none."""
    guess = guess_per_s(speed=speed, concurrency=concurrency, latency_ms=latency_ms, requests_per_row=requests_per_row)
    assert guess == expected


def test_soaks_and_approvals_that_are_to_come() -> None:
    """Each gate once: whole before it, its rest while it soaks, and nothing behind it or after the last wave."""
    first = WaveState(number=1, rows=50, gate=Gate(soak_s=60.0, approve=True))
    second = WaveState(number=2, rows=50, gate=Gate(soak_s=300.0))
    last = WaveState(number=3, rows=500, gate=Gate(soak_s=9_000.0, approve=True), last=True)
    waves = (first, second, last)
    keeper = WaveKeeper(first)
    assert waits_ahead(waves, keeper, 0.0) == (360.0, 1)
    keeper.drained(100.0)
    assert waits_ahead(waves, keeper, 120.0) == (340.0, 1)
    keeper.tick(160.0)
    assert waits_ahead(waves, keeper, 500.0) == (300.0, 1)
    keeper.approve()
    assert waits_ahead(waves, keeper, 500.0) == (300.0, 0)
    assert waits_ahead(waves, WaveKeeper(second), 0.0) == (300.0, 0)
    assert waits_ahead(waves, WaveKeeper(last), 0.0) == (0.0, 0)


def test_a_gate_that_was_passed_is_not_waited_at_again() -> None:
    """After a resume, neither here nor ahead; one that watches transfers still asks when it is through."""
    gate = Gate(soak_s=60.0, approve=True)
    passed = [WaveState(number=number, rows=1, gate=gate, passed=True) for number in (1, 2)]
    assert waits_ahead(passed, WaveKeeper(passed[0]), 0.0) == (0.0, 0)
    watching = WaveKeeper(WaveState(number=1, rows=1, gate=Gate(transfers=0.9, approve=True)))
    watching.drained(0.0)
    assert waits_ahead((watching.wave,), watching, 1.0) == (0.0, 1)
