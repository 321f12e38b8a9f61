"""The breaker opens for an outage and for nothing less, probes one at a time, and gives up at the third opening."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkpatch.core.breaker import BAD_SHARE, MIN_ANSWERS, OPEN_S, OPENINGS_MAX, PROBES, WINDOW, Breaker, BreakerState


def told(answers: str, now_s: float = 0.0) -> Breaker:
    """A breaker that was given ``answers``: ``+`` good, ``-`` bad."""
    breaker = Breaker()
    for answer in answers:
        breaker.record(now_s, good=answer == "+")
    return breaker


def probing(*, openings: int = 1) -> tuple[Breaker, float]:
    """A breaker that was opened ``openings`` times and now lets its first probe through, and when."""
    breaker, now_s = told("-" * MIN_ANSWERS), OPEN_S
    assert breaker.lets_through(now_s, in_flight=0)
    for _ in range(openings - 1):
        breaker.record(now_s, good=False)
        now_s += OPEN_S
        assert breaker.lets_through(now_s, in_flight=0)
    return breaker, now_s


def test_the_constants_are_those_of_the_design() -> None:
    assert (WINDOW, MIN_ANSWERS, BAD_SHARE, OPEN_S, PROBES, OPENINGS_MAX) == (100, 20, 0.5, 60.0, 3, 3)


@pytest.mark.parametrize(
    ("answers", "state"),
    [
        ("", BreakerState.CLOSED),
        ("-" * 19, BreakerState.CLOSED),
        ("-" * 20, BreakerState.OPEN),
        ("-" * 10 + "+" * 9, BreakerState.CLOSED),
        ("-" * 10 + "+" * 10, BreakerState.OPEN),
        ("-" * 9 + "+" * 11, BreakerState.CLOSED),
        ("+" * 11 + "-" * 10, BreakerState.CLOSED),
        ("+" * 11 + "-" * 11, BreakerState.OPEN),
        ("+" * 100 + "-" * 49, BreakerState.CLOSED),
        ("+" * 100 + "-" * 50, BreakerState.OPEN),
        ("+" * 5000 + "-" * 49, BreakerState.CLOSED),
        (("+" * 4 + "-") * 200, BreakerState.CLOSED),
        ("-" * 9 + "+" * 91 + "-" * 49 + "+", BreakerState.CLOSED),
    ],
)
def test_it_opens_when_half_of_the_last_hundred_and_at_least_twenty_were_bad(answers: str, state: BreakerState) -> None:
    """A brownout of one in five never opens it."""
    breaker = told(answers)
    assert breaker.state is state
    assert breaker.openings == (state is BreakerState.OPEN)


@given(answers=st.lists(st.booleans(), max_size=300))
def test_it_opens_exactly_when_the_last_hundred_say_so(answers: list[bool]) -> None:
    """Against the same said in one line; the answer that opens it is told, the others tell nothing."""
    breaker = Breaker()
    for index, good in enumerate(answers):
        last = answers[: index + 1][-WINDOW:]
        opens = len(last) >= MIN_ANSWERS and 2 * last.count(False) >= len(last)
        assert breaker.record(0.0, good=good) is (BreakerState.OPEN if opens else None)
        if opens:
            return
        assert breaker.lets_through(0.0, in_flight=10**6)


def test_nothing_leaves_for_a_minute_and_then_one_at_a_time() -> None:
    breaker = told("-" * 20, now_s=100.0)
    assert breaker.wakes_at_s == 160.0
    assert not breaker.lets_through(159.999, in_flight=0)
    assert not breaker.lets_through(160.0, in_flight=1)
    assert breaker.lets_through(160.0, in_flight=0)
    assert not breaker.lets_through(160.0, in_flight=1)


def test_only_an_open_breaker_wants_to_be_asked_again() -> None:
    assert Breaker().wakes_at_s == math.inf
    assert probing()[0].wakes_at_s == math.inf


def test_answers_to_what_left_before_the_opening_count_for_nothing() -> None:
    """Not while it is open, and not as probes when they come later than the first probe might have left."""
    breaker = told("-" * 20)
    assert breaker.record(1.0, good=True) is None
    assert breaker.record(59.0, good=False) is None
    assert not breaker.lets_through(61.0, in_flight=2)
    assert breaker.record(62.0, good=False) is None
    assert breaker.record(63.0, good=False) is None
    assert breaker.openings == 1
    assert breaker.lets_through(63.0, in_flight=0)
    assert breaker.state is BreakerState.PROBING


def test_three_good_probes_close_it() -> None:
    breaker, now_s = probing()
    assert [breaker.record(now_s, good=True) for _ in range(3)] == [None, None, BreakerState.CLOSED]
    assert breaker.lets_through(now_s, in_flight=1000)
    assert breaker.wakes_at_s == math.inf


@pytest.mark.parametrize("good", [0, 1, 2])
def test_a_bad_probe_opens_it_again_and_the_good_ones_before_are_forgotten(good: int) -> None:
    breaker, now_s = probing()
    for _ in range(good):
        assert breaker.record(now_s, good=True) is None
    assert breaker.record(now_s, good=False) is BreakerState.OPEN
    assert (breaker.openings, breaker.wakes_at_s) == (2, now_s + OPEN_S)
    assert breaker.lets_through(now_s + OPEN_S, in_flight=0)
    assert [breaker.record(now_s, good=True) for _ in range(3)] == [None, None, BreakerState.CLOSED]


@pytest.mark.parametrize(("bad", "last"), [(20, BreakerState.OPEN), (10, BreakerState.OPEN), (9, None)])
def test_once_closed_it_looks_back_on_nothing_from_before(bad: int, last: BreakerState | None) -> None:
    """It takes twenty new answers to open it again, and half of those."""
    breaker, now_s = probing()
    for _ in range(3):
        breaker.record(now_s, good=True)
    told = [breaker.record(now_s, good=index >= bad) for index in range(20)]
    assert told == [None] * 19 + [last]


@pytest.mark.parametrize(("openings", "spent"), [(1, False), (2, False), (3, True)])
def test_the_third_opening_is_the_last(openings: int, *, spent: bool) -> None:
    assert not Breaker().spent
    assert probing(openings=openings)[0].spent is spent
