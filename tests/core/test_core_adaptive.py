"""The speed falls to what the API lets through, comes back along a curve, and is never above the limit."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkpatch.core import adaptive
from bulkpatch.core.adaptive import CLOSED, CURVE_S, CUT_MOST, FLOOR_PER_S, KEEP, WINDOW, WINDOW_S, AdaptiveSpeed

KNEE_S = CURVE_S * math.log(1 / KEEP) ** (1 / 3)
"""Seconds from a cut, once something is let through, to the speed that the API let through before."""


def hear(speed: AdaptiveSpeed, told: str, now_s: float = 0.0, sent_s: float | None = None) -> list[bool]:
    """Answers in a row, all at one time: ``x`` asks to slow down, anything else does not. Which of them cut?"""
    sent_s = now_s if sent_s is None else sent_s
    return [speed.answered(now_s, sent_s=sent_s, refused=one == "x") for one in told]


def slowed(limit: float = 100.0, now_s: float = 0.0) -> AdaptiveSpeed:
    """A speed that was just cut once, with three in ten refused: to 0.8 of 0.7 of the limit."""
    speed = AdaptiveSpeed(limit, now_s=now_s)
    assert hear(speed, ".x..x....x", now_s) == [False] * 9 + [True]
    return speed


def test_the_constants_are_those_of_the_design() -> None:
    """Chosen by the models of ``benchmarks/adaptive.py``."""
    assert (adaptive.SHARE, WINDOW, WINDOW_S, KEEP, CUT_MOST, CURVE_S) == (0.05, 50, 1.0, 0.8, 0.5, 15.0)
    assert (FLOOR_PER_S, CLOSED, adaptive.RAMP_START) == (0.5, 3, 0.5)


def test_a_run_starts_at_its_limit_and_stays_there() -> None:
    speed = AdaptiveSpeed(10.0, now_s=5.0)
    hear(speed, "....", 6.0)
    assert [speed.at(now_s) for now_s in (5.0, 6.0, 1e6)] == [10.0, 10.0, 10.0]


@pytest.mark.parametrize(
    ("told", "cut"),
    [
        ("x", False),
        ("xx", False),
        ("xxx", True),
        ("x.x.x", True),
        ("x" + "." * 47 + "xx", True),
        ("x" + "." * 48 + "xx", False),
        ("." * 500, False),
        (("x" + "." * 24) * 20, False),
    ],
)
def test_three_refusals_among_fifty_answers_are_the_fewest_that_cut(told: str, *, cut: bool) -> None:
    """At five answers a second; one in twenty-five for ever changes nothing."""
    speed = AdaptiveSpeed(10.0, now_s=0.0)
    cuts = [speed.answered(place / 5, sent_s=place / 5, refused=one == "x") for place, one in enumerate(told)]
    assert cuts == [False] * (len(told) - 1) + [cut]


@pytest.mark.parametrize(("refused", "cut"), [(50, False), (51, True)])
def test_of_a_fast_run_a_whole_second_is_looked_at(refused: int, *, cut: bool) -> None:
    """At 1,000 answers a second, evenly: one in twenty changes nothing, one more does."""
    speed = AdaptiveSpeed(1000.0, now_s=0.0)
    among = {round(place * 1000 / refused) for place in range(1, refused + 1)}
    told = [speed.answered(at / 1000, sent_s=at / 1000, refused=at in among) for at in range(1, 1001)]
    assert any(told) is cut


def test_of_a_fast_run_three_in_fifty_are_chance() -> None:
    speed = AdaptiveSpeed(1000.0, now_s=0.0)
    hear(speed, "." * 100, 0.5)
    assert not any(hear(speed, "xxx", 0.6))


def test_what_is_older_than_a_second_counts_no_more_once_there_are_fifty() -> None:
    speed = AdaptiveSpeed(100.0, now_s=0.0)
    hear(speed, "xx", 0.0)
    hear(speed, "." * 60, 1.1)
    assert hear(speed, "xxxx", 1.2) == [False, False, False, True]


def test_fewer_than_fifty_answers_count_however_old_they_are() -> None:
    speed = AdaptiveSpeed(100.0, now_s=0.0)
    hear(speed, "xx", 0.0)
    assert hear(speed, "x", 1000.0) == [True]


def test_a_cut_keeps_four_fifths_of_what_was_let_through() -> None:
    assert slowed().at(0.0) == pytest.approx(100.0 * 0.7 * KEEP)


def test_what_was_let_through_is_taken_by_the_speed_that_it_was_sent_at() -> None:
    """However long all had to wait meanwhile."""
    speed = slowed()
    hear(speed, "." * 20, 500.0)
    assert speed.at(500.0) == pytest.approx(56.0)
    now_s = 500.0 + KNEE_S
    assert speed.at(now_s) == pytest.approx(70.0)
    hear(speed, "." * 17, now_s)
    assert hear(speed, "x.x.x", now_s)[-1]
    seconds = 20 / 56 + 22 / 70
    assert speed.at(now_s) == pytest.approx(KEEP * 39 / seconds)


def test_an_api_that_takes_nothing_halves_the_speed_whatever_it_took_before() -> None:
    speed = AdaptiveSpeed(100.0, now_s=0.0)
    hear(speed, "." * 40)
    assert hear(speed, "xxx") == [False, False, True]
    assert speed.at(0.0) == 100.0 * CUT_MOST * KEEP


def test_no_cut_looks_below_half_the_speed() -> None:
    speed = AdaptiveSpeed(100.0, now_s=0.0)
    assert hear(speed, "xx.x")[-1]
    assert speed.at(0.0) == 100.0 * CUT_MOST * KEEP


@pytest.mark.parametrize(("told", "closed"), [("xx", False), ("xxx", True), ("xx.x", False), ("xxxx", True)])
def test_three_refusals_in_a_row_close_it_until_something_is_let_through(told: str, *, closed: bool) -> None:
    speed = AdaptiveSpeed(10.0, now_s=0.0)
    hear(speed, told)
    assert speed.closed is closed
    hear(speed, ".")
    assert not speed.closed


def test_what_was_sent_before_a_cut_says_nothing_about_the_speed_since() -> None:
    speed = slowed()
    assert not any(hear(speed, "x" * 100, 30.0, sent_s=-0.001))
    assert speed.at(30.0) == pytest.approx(56.0)
    hear(speed, ".", 30.0, sent_s=-0.001)
    assert speed.at(60.0) == pytest.approx(56.0)


def test_two_cuts_are_a_second_apart() -> None:
    speed = slowed()
    assert not any(hear(speed, "xxxxx", 0.999))
    assert hear(speed, "x", 1.0) == [True]
    assert speed.at(1.0) == pytest.approx(56.0 * CUT_MOST * KEEP)


def test_nothing_is_won_back_before_something_is_let_through() -> None:
    speed = slowed()
    hear(speed, "xx", 5.0)
    assert speed.at(1000.0) == pytest.approx(56.0)
    hear(speed, ".", 1000.0)
    assert speed.at(1001.0) > 56.0


def test_the_way_back_lingers_at_what_was_let_through_and_then_leaves_it() -> None:
    """0.8 of it at first, within 1 % of it for six seconds, e times it after another fifteen."""
    speed = slowed(1000.0)
    speed.set_limit(10_000.0)
    hear(speed, ".", 0.0)
    pasts = (-KNEE_S, -3.0, 0.0, 3.0, CURVE_S)
    seen = [speed.at(KNEE_S + past) / 700 for past in pasts]
    assert seen == pytest.approx([KEEP, math.exp(-0.008), 1.0, math.exp(0.008), math.e])


@pytest.mark.parametrize("rise", [1.5, 3.0, 100.0])
def test_a_limit_that_rises_is_found_within_forty_seconds(rise: float) -> None:
    """The server goes from 10/s to more, up to a hundred times as much."""
    speed, now_s = AdaptiveSpeed(10_000.0, now_s=0.0), 0.0
    while speed.at(now_s) > 10.0:
        now_s += WINDOW_S
        hear(speed, "xxx", now_s)
    before = speed.at(now_s)
    hear(speed, ".", now_s)
    assert speed.at(now_s + 40.0) >= before * rise


def test_at_the_limit_nothing_climbs_any_more() -> None:
    speed = slowed()
    hear(speed, ".", 0.0)
    assert speed.at(1000.0) == 100.0
    speed.set_limit(300.0)
    assert [speed.at(1000.0), speed.at(2000.0)] == [300.0, 300.0]


def test_no_cut_goes_below_the_floor() -> None:
    speed = AdaptiveSpeed(1.0, now_s=0.0)
    for second in range(20):
        hear(speed, "xxx", 2.0 * second)
        assert speed.at(2.0 * second) >= FLOOR_PER_S
    assert speed.at(38.0) == FLOOR_PER_S


def test_a_limit_below_the_floor_is_not_cut_and_not_raised() -> None:
    speed = AdaptiveSpeed(0.1, now_s=0.0)
    assert hear(speed, "xxx")[-1]
    hear(speed, ".")
    assert [speed.at(0.0), speed.at(100.0)] == [0.1, 0.1]


def test_a_cut_never_makes_a_ramp_faster() -> None:
    """A ramp may begin below the floor; being told to slow down then raises nothing."""
    speed = AdaptiveSpeed(0.6, now_s=0.0)
    speed.ramp(0.0)
    hear(speed, "xxx")
    assert speed.at(0.0) == pytest.approx(0.3)


def test_a_ramp_begins_at_half_the_last_speed_and_doubles_each_second_up_to_the_limit() -> None:
    speed = slowed()
    hear(speed, ".", 0.0)
    speed.ramp(0.0)
    hear(speed, ".", 0.0)
    seen = [speed.at(now_s) for now_s in (0.0, 0.5, 1.0, 1.5, 2.0)]
    assert seen == pytest.approx([28.0, 28.0 * 2**0.5, 56.0, 56.0 * 2**0.5, 100.0])


def test_a_ramp_ends_at_a_cut() -> None:
    speed = AdaptiveSpeed(100.0, now_s=0.0)
    speed.ramp(0.0)
    assert hear(speed, "xxx", 0.5)[-1]
    cut = 50.0 * 2**0.5 * CUT_MOST * KEEP
    assert [speed.at(0.5), speed.at(9.0)] == pytest.approx([cut, cut])


def test_a_ramp_over_a_long_sleep_ends_at_the_limit() -> None:
    speed = AdaptiveSpeed(1e6, now_s=0.0)
    speed.ramp(0.0)
    assert speed.at(1e9) == 1e6


@pytest.mark.parametrize("limit", [50.0, 200.0])
def test_another_limit_is_in_force_at_once(limit: float) -> None:
    speed = AdaptiveSpeed(100.0, now_s=0.0)
    speed.set_limit(limit)
    assert [speed.at(0.0), speed.at(10.0)] == [limit, limit]


@pytest.mark.parametrize(("limit", "now", "later"), [(40.0, 40.0, 40.0), (80.0, 56.0, 70.0), (200.0, 56.0, 70.0)])
def test_another_limit_gives_nothing_back_of_what_the_api_took(limit: float, now: float, later: float) -> None:
    """A limit is a ceiling: what was cut below it is won back as ever."""
    speed = slowed()
    speed.set_limit(limit)
    hear(speed, ".", 0.0)
    assert [speed.at(0.0), speed.at(KNEE_S)] == pytest.approx([now, later])


def test_another_limit_ends_no_ramp() -> None:
    speed = AdaptiveSpeed(100.0, now_s=0.0)
    speed.ramp(0.0)
    speed.set_limit(400.0)
    assert [speed.at(second) for second in (0.0, 1.0, 2.0, 3.0, 4.0)] == [50.0, 100.0, 200.0, 400.0, 400.0]


def test_a_time_that_goes_back_wins_nothing_back() -> None:
    speed = slowed(now_s=10.0)
    hear(speed, ".", 10.0)
    assert [speed.at(now_s) for now_s in (5.0, 10.0)] == pytest.approx([56.0, 56.0])


def test_a_storm_brings_the_speed_down_to_the_floor_and_it_comes_back_after() -> None:
    """From 1,000/s in under half a minute, and to all of it again within two thirds of one."""
    speed, now_s = AdaptiveSpeed(1000.0, now_s=0.0), 0.0
    asked = 0
    while speed.at(now_s) > FLOOR_PER_S:
        hear(speed, "x", now_s)
        asked += 1
        now_s += max(0.4, 1 / speed.at(now_s))
    assert now_s < 30.0
    assert asked < 50
    hear(speed, ".", now_s)
    assert speed.at(now_s + 40.0) == 1000.0


@settings(deadline=None)
@given(
    limit=st.floats(0.01, 1e6),
    steps=st.lists(
        st.tuples(st.sampled_from(["at", "x", "xxx", "x.x.x", "." * 60, "ramp", "limit"]), st.floats(0, 20)),
        max_size=40,
    ),
    lag_s=st.floats(0, 5),
)
def test_whatever_happens_the_speed_stays_within_its_bounds(
    limit: float, steps: list[tuple[str, float]], lag_s: float
) -> None:
    """Positive, never above the limit; only a cut, a ramp or a lower limit lowers it, a cut at most once a second."""
    speed, now_s, cut_at_s = AdaptiveSpeed(limit, now_s=0.0), 0.0, -math.inf
    for what, passed_s in steps:
        before = speed.at(now_s)
        now_s += passed_s
        rested = speed.at(now_s)
        assert before <= rested <= limit
        if what == "limit":
            limit = 0.01 + passed_s * 100
            speed.set_limit(limit)
        elif what == "ramp":
            speed.ramp(now_s)
            assert 0 < speed.at(now_s) <= rested
        elif what != "at":
            cut = any(hear(speed, what, now_s, now_s - lag_s))
            assert not cut or (now_s - cut_at_s >= WINDOW_S and now_s - lag_s >= cut_at_s)
            assert speed.at(now_s) == rested or (cut and min(FLOOR_PER_S, 0.4 * rested) <= speed.at(now_s) < rested)
            cut_at_s = now_s if cut else cut_at_s
        assert 0 < speed.at(now_s) <= limit
