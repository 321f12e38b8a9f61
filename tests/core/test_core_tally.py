"""The tally counts what is durable, and guards see rows tried, each once."""

from __future__ import annotations

import math

import pytest
from core_rig import outcome
from hypothesis import given
from hypothesis import strategies as st

from bulkpatch.core.tally import RATE_WINDOW_S, Tally
from bulkpatch.model import RowState


@pytest.mark.parametrize(
    ("state", "tried", "failed", "accepted"),
    [
        (RowState.ACCEPTED, 1, 0, 1),
        (RowState.VERIFIED, 1, 0, 1),
        (RowState.UNVERIFIED, 1, 1, 1),
        (RowState.REJECTED, 1, 1, 0),
        (RowState.EXHAUSTED, 1, 1, 0),
        (RowState.UNKNOWN, 1, 1, 0),
        (RowState.NOOP, 0, 0, 0),
        (RowState.PLANNED, 0, 0, 0),
        (RowState.SKIPPED, 0, 0, 0),
    ],
)
def test_only_what_was_tried_is_tried_and_only_failures_fail(
    state: RowState, tried: int, failed: int, accepted: int
) -> None:
    tally = Tally({})
    tally.settle(outcome(state), copies=1)
    assert (tally.tried, tally.failed, tally.accepted) == (tried, failed, accepted)
    assert tally.states == {state: 1}


def test_copies_are_rows_but_one_try() -> None:
    """Five rows that share one request fill five lines of the report and are one row to a guard."""
    tally = Tally({})
    tally.settle(outcome(RowState.REJECTED), copies=5)
    assert tally.states[RowState.REJECTED] == 5
    assert (tally.tried, tally.failed) == (1, 1)


def test_earlier_processes_are_counted_as_rows_and_not_held_against_this_one() -> None:
    before = {RowState.REJECTED: 40, RowState.ACCEPTED: 2}
    tally = Tally(before)
    tally.settle(outcome(RowState.REJECTED), copies=1)
    assert tally.states == {RowState.REJECTED: 41, RowState.ACCEPTED: 2}
    assert before == {RowState.REJECTED: 40, RowState.ACCEPTED: 2}
    assert (tally.tried, tally.failed, tally.accepted) == (1, 1, 0)


def test_the_rate_is_that_of_the_last_five_seconds() -> None:
    tally = Tally({})
    for tenth in range(100):
        tally.send(1000 + tenth / 10)
    assert tally.sends == 100
    assert tally.rate(1009.9) == pytest.approx(10.0)
    assert tally.rate(1012.4) == pytest.approx(5.0)
    assert tally.rate(1009.95 + RATE_WINDOW_S) == 0.0
    assert tally.sends == 100


def test_a_slow_run_shows_its_own_rate_and_not_that_of_its_latest_request() -> None:
    """One request each two seconds is half a request a second, whenever it is asked."""
    tally = Tally({})
    for second in range(0, 60, 2):
        tally.send(float(second))
        for asked_s in (second + 0.1, second + 1.9):
            assert asked_s < RATE_WINDOW_S or tally.rate(asked_s) == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize(("now_s", "rate"), [(0.0, 4.0), (0.5, 4.0), (1.0, 4.0), (2.0, 2.0), (4.0, 1.0), (4.999, 0.8)])
def test_a_run_that_has_just_begun_shows_no_wild_rate(now_s: float, rate: float) -> None:
    """Four requests at once are four a second at most."""
    tally = Tally({})
    for _ in range(4):
        tally.send(1000.0)
    assert tally.rate(1000.0 + now_s) == pytest.approx(rate, rel=0.001)


def test_nothing_sent_is_no_rate_and_nothing_settled_no_latency() -> None:
    assert Tally({}).rate(3.0) == 0.0
    assert Tally({}).latency_ms(0.5) is None


@pytest.mark.parametrize("latency_us", [None, 0])
def test_an_outcome_without_a_latency_adds_none(latency_us: int | None) -> None:
    tally = Tally({})
    tally.settle(outcome(RowState.ACCEPTED, latency_us=latency_us), copies=1)
    assert tally.latency_ms(0.5) is None


def test_a_percentile_leaves_the_slower_ones_out() -> None:
    tally = Tally({})
    for latency_us in [1000] * 9 + [900_000]:
        tally.settle(outcome(RowState.ACCEPTED, latency_us=latency_us), copies=1)
    assert tally.latency_ms(0.5) == pytest.approx(1.0, rel=0.05)
    assert tally.latency_ms(0.9) == pytest.approx(1.0, rel=0.05)
    assert tally.latency_ms(0.95) == pytest.approx(900.0, rel=0.05)


@given(latencies=st.lists(st.integers(1, 10**9), min_size=1, max_size=50), share=st.sampled_from([0.0, 0.5, 0.95, 1.0]))
def test_a_percentile_is_right_to_within_five_per_cent(latencies: list[int], share: float) -> None:
    """However the latencies lie, from a microsecond to a quarter of an hour."""
    tally = Tally({})
    for latency_us in latencies:
        tally.settle(outcome(RowState.ACCEPTED, latency_us=latency_us), copies=3)
    exact_us = sorted(latencies)[max(0, math.ceil(share * len(latencies)) - 1)]
    assert tally.latency_ms(share) == pytest.approx(exact_us / 1000, rel=0.05)


def test_another_limit_is_not_shown_beside_what_left_under_the_one_before() -> None:
    """Else a run that was slowed down seems to break its limit for seconds."""
    tally = Tally({})
    for tenth in range(50):
        tally.send(tenth / 10)
    assert tally.rate(5.0) > 9
    tally.restart_rate()
    assert tally.rate(5.0) == 0
    tally.send(5.5)
    assert tally.rate(6.0) == 1
