"""The guard stops a run at the first failed row that is too many, and not one before."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bulkpatch.core.guarding import allowed, exceeds, in_words, trips
from bulkpatch.core.quantities import parse_threshold
from bulkpatch.model import Guard, Threshold


def guard(max_failed: int | str, min_tried: int = 20) -> Guard:
    """A guard as a job file gives it."""
    return Guard(max_failed=parse_threshold(max_failed), min_tried=min_tried)


@pytest.mark.parametrize(
    ("max_failed", "failed", "tried", "stops"),
    [
        (0, 0, 1, False),
        (0, 1, 1, True),
        (3, 3, 1000, False),
        (3, 4, 4, True),
        ("1%", 0, 100, False),
        ("1%", 1, 100, False),
        ("1%", 2, 100, True),
        ("1%", 1, 99, True),
        ("1%", 2, 199, True),
        ("1%", 2, 200, False),
        ("0%", 0, 1000, False),
        ("0%", 1, 1000, True),
        ("29%", 29, 100, False),
        ("29%", 30, 100, True),
        ("35%", 63, 180, False),
        ("35%", 64, 180, True),
        ("0.0001%", 10, 10_000_000, False),
        ("0.0001%", 11, 10_000_000, True),
        ("99.9999%", 20, 20, True),
        ("100%", 20, 20, False),
        ("100%", 10_000_000, 10_000_000, False),
        ("1%", 0, 0, False),
        ("100%", 0, 0, False),
    ],
)
def test_more_than_the_limit_stops_and_the_limit_itself_does_not(
    max_failed: int | str, failed: int, tried: int, *, stops: bool
) -> None:
    assert exceeds(parse_threshold(max_failed), failed=failed, tried=tried) is stops


@given(millionths=st.integers(0, 10**6), tried=st.integers(0, 10**7), off=st.integers(-2, 2))
@example(millionths=290_000, tried=100, off=0)
def test_a_share_is_judged_as_exact_arithmetic_judges_it(millionths: int, tried: int, off: int) -> None:
    """Around the edge of every share that can be written, for up to ten million rows."""
    limit = parse_threshold(f"{millionths // 10_000}.{millionths % 10_000:04}%")
    failed = max(0, millionths * tried // 10**6 + off)
    assert exceeds(limit, failed=failed, tried=tried) is (failed * 10**6 > millionths * tried)


def test_a_threshold_without_a_number_allows_nothing() -> None:
    assert exceeds(Threshold(), failed=1, tried=1)
    assert not exceeds(Threshold(), failed=0, tried=1)


@pytest.mark.parametrize(
    ("max_failed", "min_tried", "failed", "tried", "stops"),
    [
        ("1%", 20, 19, 19, False),
        ("1%", 20, 1, 20, True),
        ("1%", 20, 20, 20, True),
        ("1%", 0, 1, 1, True),
        ("50%", 20, 10, 20, False),
        ("50%", 20, 11, 20, True),
        ("100%", 0, 1, 1, False),
        (0, 20, 1, 1, True),
        (2, 20, 2, 19, False),
        (2, 20, 3, 3, True),
    ],
)
def test_a_share_waits_for_enough_rows_and_a_number_does_not(
    max_failed: int | str, min_tried: int, failed: int, tried: int, *, stops: bool
) -> None:
    assert trips(guard(max_failed, min_tried), failed=failed, tried=tried) is stops


@given(tried=st.integers(0, 10**7), share=st.floats(0, 1))
def test_a_share_never_allows_more_rows_than_there_are(tried: int, share: float) -> None:
    assert 0 <= allowed(share, tried) <= tried


@pytest.mark.parametrize(
    ("max_failed", "total", "words"),
    [
        (0, 100, "stops after more than 0 failed rows"),
        (5, 100, "stops after more than 5 failed rows"),
        ("100%", 100, "never stops for failed rows"),
        ("1%", 250, "stops when more than 1% of the rows tried failed (of all: 2), once 20 were tried"),
        ("29%", 100, "stops when more than 29% of the rows tried failed (of all: 29), once 20 were tried"),
        ("0.5%", 100, "stops when more than 0.5% of the rows tried failed (of all: 0), once 20 were tried"),
        ("99.9%", 1000, "stops when more than 99.9% of the rows tried failed (of all: 999), once 20 were tried"),
    ],
)
def test_a_person_is_told_the_number_that_a_share_comes_to(max_failed: int | str, total: int, words: str) -> None:
    assert in_words(guard(max_failed), total) == words
