"""The sliding-window limit, against a reference that counts by hand."""

from __future__ import annotations

import math
from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from bulkpatch.model import Rate
from bulkpatch.simulator.limits import Gauge, RateLimit, busiest

# Sixty-fourths of a second: exact as floats, so the edges of windows are hit and not just neared.
_GAPS = st.lists(st.integers(0, 200).map(lambda ticks: ticks / 64), min_size=1, max_size=120)
_RATES = st.builds(Rate, count=st.integers(1, 90), unit_s=st.sampled_from([1, 60]))


@settings(max_examples=60, deadline=None)
@given(gaps=_GAPS, rate=_RATES)
def test_exactly_what_no_window_forbids_is_admitted(gaps: list[float], rate: Rate) -> None:
    limit, admitted, now = RateLimit(rate), list[float](), 0.0
    windows = ((1.0, math.ceil(rate.per_s)), (float(rate.unit_s), rate.count))
    for gap in gaps:
        now += gap
        fits = all(sum(now - length < one for one in admitted) < most for length, most in windows)
        wait = limit.wait_s(now)
        assert (wait == 0.0) is fits
        if fits:
            admitted.append(now)
    assert all(busiest(admitted, length) <= most for length, most in windows)


@settings(max_examples=60, deadline=None)
@given(gaps=_GAPS, rate=_RATES)
def test_the_wait_is_as_long_as_it_must_be_and_no_longer(gaps: list[float], rate: Rate) -> None:
    limit, now = RateLimit(rate), 0.0
    for gap in gaps:
        now += gap
        if wait := limit.wait_s(now):
            assert limit.wait_s(now + wait - 1 / 64) > 0.0
            assert limit.wait_s(now + wait) == 0.0
            now += wait


def test_the_gauge_keeps_the_most_even_when_a_block_fails() -> None:
    gauge = Gauge()
    with suppress(LookupError), gauge.hold(), gauge.hold():
        raise LookupError
    assert (gauge.now, gauge.most) == (0, 2)


def test_busiest_counts_half_open_windows() -> None:
    assert busiest([]) == 0
    assert busiest([0.0, 0.5, 0.99, 1.0, 1.2]) == 4
