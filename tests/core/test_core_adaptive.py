"""The speed goes down when the API says so, up again slowly, and never above the limit."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkpatch.core.adaptive import CUT, CUT_PAUSE_S, FLOOR_PER_S, RAMP_START, REGAIN_PER_S, AdaptiveSpeed


def test_the_constants_are_those_of_the_design() -> None:
    assert (CUT, REGAIN_PER_S, FLOOR_PER_S, CUT_PAUSE_S, RAMP_START) == (0.7, 0.01, 0.5, 1.0, 0.5)


def test_a_run_starts_at_its_limit_and_stays_there() -> None:
    speed = AdaptiveSpeed(10.0, now_s=5.0)
    assert [speed.at(now_s) for now_s in (5.0, 6.0, 1e6)] == [10.0, 10.0, 10.0]


def test_a_cut_keeps_seven_tenths_and_wins_back_a_hundredth_of_the_limit_a_second() -> None:
    speed = AdaptiveSpeed(100.0, now_s=0.0)
    assert speed.slow_down(0.0)
    seen = [speed.at(now_s) for now_s in (0.0, 1.0, 1.5, 29.0, 30.0, 31.0, 500.0)]
    assert seen == pytest.approx([70.0, 71.0, 71.5, 99.0, 100.0, 100.0, 100.0])


@pytest.mark.parametrize(
    ("round_trip_s", "again_s", "cut"),
    [(0.0, 0.0, False), (0.0, 0.999, False), (0.0, 1.0, True), (3.0, 2.999, False), (3.0, 3.0, True), (0.2, 1.0, True)],
)
def test_two_cuts_are_a_second_or_a_round_trip_apart(round_trip_s: float, again_s: float, *, cut: bool) -> None:
    """The answers to what was already under way are one event."""
    speed = AdaptiveSpeed(100.0, now_s=0.0)
    assert speed.slow_down(0.0, round_trip_s=round_trip_s)
    before = speed.at(again_s)
    assert speed.slow_down(again_s, round_trip_s=round_trip_s) is cut
    assert speed.at(again_s) == pytest.approx(before * (CUT if cut else 1.0))


def test_the_first_cut_waits_for_nothing() -> None:
    """Also where the monotonic clock has only just begun."""
    assert AdaptiveSpeed(100.0, now_s=0.0).slow_down(0.0, round_trip_s=60.0)


def test_no_cut_goes_below_the_floor() -> None:
    speed = AdaptiveSpeed(1.0, now_s=0.0)
    for second in range(20):
        speed.slow_down(2.0 * second)
        assert speed.at(2.0 * second) >= FLOOR_PER_S
    assert speed.at(38.0) == FLOOR_PER_S


def test_a_limit_below_the_floor_is_not_cut_and_not_raised() -> None:
    speed = AdaptiveSpeed(0.1, now_s=0.0)
    speed.slow_down(0.0)
    assert speed.at(0.0) == 0.1


def test_a_cut_never_makes_a_ramp_faster() -> None:
    """A ramp may begin below the floor; being told to slow down then raises nothing."""
    speed = AdaptiveSpeed(0.6, now_s=0.0)
    speed.ramp(0.0)
    speed.slow_down(0.0)
    assert speed.at(0.0) == pytest.approx(0.3)


def test_a_ramp_begins_at_half_the_last_speed_and_doubles_each_second_up_to_the_limit() -> None:
    speed = AdaptiveSpeed(100.0, now_s=0.0)
    speed.slow_down(0.0)
    speed.ramp(0.0)
    seen = [speed.at(now_s) for now_s in (0.0, 0.5, 1.0, 1.5, 2.0)]
    assert seen == pytest.approx([35.0, 35.0 * 2**0.5, 70.0, 70.0 * 2**0.5, 100.0])


def test_a_ramp_ends_at_the_limit_and_at_a_cut() -> None:
    """From then on the speed is won back slowly again."""
    speed = AdaptiveSpeed(100.0, now_s=0.0)
    speed.ramp(0.0)
    assert speed.at(1.0) == 100.0
    speed.slow_down(1.0)
    assert speed.at(2.0) == pytest.approx(71.0)
    speed.ramp(2.0)
    speed.slow_down(2.5)
    assert speed.at(3.5) == pytest.approx(35.5 * 2**0.5 * CUT + 1.0)


def test_a_ramp_over_a_long_sleep_ends_at_the_limit() -> None:
    speed = AdaptiveSpeed(1e6, now_s=0.0)
    speed.ramp(0.0)
    assert speed.at(1e9) == 1e6


@pytest.mark.parametrize("limit", [50.0, 200.0])
def test_another_limit_is_in_force_at_once(limit: float) -> None:
    speed = AdaptiveSpeed(100.0, now_s=0.0)
    speed.set_limit(limit)
    assert [speed.at(0.0), speed.at(10.0)] == [limit, limit]


@pytest.mark.parametrize(("limit", "now", "later"), [(40.0, 40.0, 40.0), (80.0, 70.0, 74.0), (200.0, 70.0, 80.0)])
def test_another_limit_gives_nothing_back_of_what_the_api_took(limit: float, now: float, later: float) -> None:
    """A limit is a ceiling: what was cut below it is won back a hundredth of the new one a second."""
    speed = AdaptiveSpeed(100.0, now_s=0.0)
    speed.slow_down(0.0)
    speed.set_limit(limit)
    assert [speed.at(0.0), speed.at(5.0)] == pytest.approx([now, later])


def test_another_limit_ends_no_ramp() -> None:
    speed = AdaptiveSpeed(100.0, now_s=0.0)
    speed.ramp(0.0)
    speed.set_limit(400.0)
    assert [speed.at(second) for second in (0.0, 1.0, 2.0, 3.0, 4.0)] == [50.0, 100.0, 200.0, 400.0, 400.0]


def test_a_time_that_goes_back_wins_nothing_back() -> None:
    speed = AdaptiveSpeed(100.0, now_s=10.0)
    speed.slow_down(10.0)
    assert [speed.at(now_s) for now_s in (5.0, 10.0, 11.0)] == pytest.approx([70.0, 70.0, 71.0])


@settings(deadline=None)
@given(
    limit=st.floats(0.01, 1e6),
    steps=st.lists(st.tuples(st.sampled_from(["at", "slow_down", "ramp"]), st.floats(0, 20)), max_size=40),
)
def test_whatever_happens_the_speed_stays_within_its_bounds(limit: float, steps: list[tuple[str, float]]) -> None:
    """Positive, never above the limit; a cut or a ramp never raises it, and without them it never falls."""
    speed, now_s = AdaptiveSpeed(limit, now_s=0.0), 0.0
    for what, passed_s in steps:
        before = speed.at(now_s)
        now_s += passed_s
        rested = speed.at(now_s)
        assert before <= rested <= limit
        if what != "at":
            cut = getattr(speed, what)(now_s)
            assert 0 < speed.at(now_s) <= rested
            assert cut is not False or speed.at(now_s) == rested
