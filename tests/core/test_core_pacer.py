"""The pacer never lets more than the rate leave in any window, and never bursts."""

from __future__ import annotations

import math
from bisect import bisect_left

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkpatch.core.pacer import CATCH_UP_S, PACE_SHARE, Pacer
from bulkpatch.core.quantities import parse_rate


def most_in(times: list[float], window_s: float) -> int:
    """The largest number of ``times`` within any window of ``window_s``."""
    times = sorted(times)
    return max((bisect_left(times, at + window_s) - index for index, at in enumerate(times)), default=0)


@settings(max_examples=60, deadline=None)
@given(
    rate=st.sampled_from(["1/s", "5/s", "37/s", "200/s", "90/min", "30/min", "4000/h"]),
    late=st.lists(st.floats(0, 0.4), min_size=20, max_size=120),
    stalls=st.lists(st.floats(0, 3), min_size=20, max_size=120),
)
def test_no_window_holds_more_than_the_rate(rate: str, late: list[float], stalls: list[float]) -> None:
    """However late each request leaves after its grant, and however the caller stalls."""
    pacer = Pacer(parse_rate(rate), now_s=0.0)
    now, left, under_way = 0.0, [], []
    for delay, stall in zip(late, stalls, strict=False):
        now += stall if stall > 2.5 else 0.0
        while (ready := pacer.ready_at(now)) > now:
            due = min(under_way, default=math.inf)
            now = max(now, min(ready, due))
            for at in sorted(at for at in under_way if at <= now):
                under_way.remove(at)
                pacer.sent(at)
        pacer.grant(now)
        under_way.append(now + delay)
        left.append(now + delay)
    held = parse_rate(rate)
    assert most_in(left, 1.0) <= math.ceil(held.per_s)
    assert most_in(left, float(held.unit_s)) <= max(held.count, 1)


def test_the_rate_is_reached() -> None:
    """With prompt sends, at least 99 % of the limit leaves."""
    pacer, now, sends = Pacer(parse_rate("100/s"), now_s=0.0), 0.0, 0
    while now < 60:
        now = max(now, pacer.ready_at(now)) + 0.0008
        pacer.grant(now)
        pacer.sent(now)
        sends += 1
    assert sends >= 0.99 * 6000


def test_lateness_is_made_up_only_a_little() -> None:
    """After a stall of ten seconds, the next requests are spaced, not sent at once."""
    pacer = Pacer(parse_rate("10/s"), now_s=0.0)
    pacer.grant(0.0)
    pacer.sent(0.0)
    pacer.grant(10.0)
    pacer.sent(10.0)
    assert pacer.ready_at(10.0) == pytest.approx(10.0 + 0.1 / PACE_SHARE - CATCH_UP_S)


def test_nothing_leaves_while_the_second_before_a_resume_counts() -> None:
    """What an earlier process sent stands in the window of the next one."""
    pacer = Pacer(parse_rate("5/s"), now_s=100.0, history=[99.5, 99.6, 99.7, 99.8, 99.9])
    assert pacer.ready_at(100.0) > 100.5


def test_a_lower_speed_holds_at_once() -> None:
    """A cut spaces the very next request."""
    pacer = Pacer(parse_rate("10/s"), now_s=0.0)
    pacer.grant(0.0)
    pacer.sent(0.0)
    pacer.set_speed(1.0)
    assert pacer.ready_at(0.0) == pytest.approx(1 / PACE_SHARE)


def test_hold_until_holds_everything() -> None:
    """A Retry-After pauses the lane."""
    pacer = Pacer(parse_rate("10/s"), now_s=0.0)
    pacer.hold_until(30.0)
    assert pacer.ready_at(0.0) == 30.0


def test_granting_before_its_time_is_a_bug() -> None:
    """The assertion stays on."""
    pacer = Pacer(parse_rate("1/s"), now_s=0.0)
    pacer.grant(0.0)
    with pytest.raises(AssertionError):
        pacer.grant(0.0)
