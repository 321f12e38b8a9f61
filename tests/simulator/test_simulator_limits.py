"""The sliding-window limit, against a reference that counts by hand."""

from __future__ import annotations

import math
from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from bulkpatch.model import Rate
from bulkpatch.simulator.limits import Gauge, RateLimit, busiest

# Quarters of a second: exact as floats, so the edges of windows are hit and not just neared.
_GAPS = st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0, 15.0, 30.0]), min_size=1, max_size=120)
_RATES = st.builds(Rate, count=st.sampled_from([1, 2, 3, 90]), unit_s=st.sampled_from([1, 60]))


@settings(max_examples=60, deadline=None)
@given(gaps=_GAPS, rate=_RATES)
def test_limit_is_exact(gaps: list[float], rate: Rate) -> None:
    """Exactly what no window forbids is admitted."""
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
def test_wait_is_exact(gaps: list[float], rate: Rate) -> None:
    """The wait told is as long as it must be, and no longer."""
    limit, now = RateLimit(rate), 0.0
    for gap in gaps:
        now += gap
        if wait := limit.wait_s(now):
            assert limit.wait_s(now + wait - 1 / 8) > 0.0
            assert limit.wait_s(now + wait) == 0.0
            now += wait


def test_gauge() -> None:
    """The gauge keeps the most there were, also when a block fails."""
    gauge = Gauge()
    with suppress(LookupError), gauge.hold(), gauge.hold():
        raise LookupError
    assert (gauge.now, gauge.most) == (0, 2)


def test_busiest() -> None:
    """Of two requests exactly one window apart, only one counts."""
    assert busiest([]) == 0
    assert busiest([0.0, 0.5, 0.99, 1.0, 1.2]) == 4
