"""Every row goes in exactly one wave, and each wave is as large as was asked for, to the row."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bulkpatch.core.cutting import WaveCut, cut, wanted
from bulkpatch.core.quantities import parse_threshold
from bulkpatch.model import Threshold


def wave(size: int | str | None) -> WaveCut:
    """A wave of the next rows of the input; None for the rest."""
    return WaveCut(size=None if size is None else parse_threshold(size))


@pytest.mark.parametrize(
    ("size", "total", "rows"),
    [
        (25, 100, 25),
        (25, 10, 25),
        (0, 10, 0),
        ("10%", 100, 10),
        ("10%", 101, 11),
        ("7%", 100, 7),
        ("29%", 100, 29),
        ("1%", 1, 1),
        ("0%", 50, 1),
        ("0.0001%", 10_000_000, 10),
        ("100%", 33, 33),
        ("10%", 0, 0),
        (None, 10, math.inf),
    ],
)
def test_a_share_is_of_all_rows_rounded_up_and_at_least_one(size: int | str | None, total: int, rows: float) -> None:
    assert wanted(wave(size).size, total) == rows


@given(millionths=st.integers(1, 10**6), total=st.integers(1, 10**7))
@example(millionths=70_000, total=100)
def test_a_share_is_rounded_as_exact_arithmetic_rounds_it(millionths: int, total: int) -> None:
    size = parse_threshold(f"{millionths // 10_000}.{millionths % 10_000:04}%")
    assert wanted(size, total) == -(-millionths * total // 10**6)


def test_a_size_without_a_number_takes_nothing() -> None:
    assert wanted(Threshold(), 10) == 0


@pytest.mark.parametrize(
    ("waves", "sizes"),
    [
        ([], [10]),
        ([3], [3, 7]),
        ([3, None], [3, 7]),
        ([10], [10]),
        ([11], [10]),
        ([3, 7], [3, 7]),
        (["10%", "50%", None], [1, 5, 4]),
        ([None], [10]),
        ([None, 3], [10, 0]),
        ([0, 3], [0, 3, 7]),
    ],
)
def test_waves_take_the_next_rows_in_order_and_a_last_one_what_is_left(
    waves: list[int | str | None], sizes: list[int]
) -> None:
    """Shares stay shares of all, not of what is left; a wave may be empty."""
    filled = cut(range(1, 11), [wave(size) for size in waves], seed="run")
    assert [len(rows) for rows in filled] == sizes
    assert [row for rows in filled for row in rows] == list(range(1, 11))


def test_nothing_to_send_fills_no_wave() -> None:
    assert cut([], [wave(3), wave("50%"), wave(None)], seed="run") == [[], [], []]
    assert cut([], [], seed="run") == []


def test_a_wave_takes_only_among_its_own_rows() -> None:
    """What it did not take is left for the waves after it; its share is still of all."""
    even = frozenset(range(0, 11, 2))
    filled = cut(range(1, 11), [WaveCut(size=parse_threshold("30%"), among=even), wave(2)], seed="run")
    assert filled == [[2, 4, 6], [1, 3], [5, 7, 8, 9, 10]]
    assert cut(range(1, 4), [WaveCut(size=None, among=even)], seed="run") == [[2], [1, 3]]


@pytest.mark.proves("G18")
def test_random_order_is_another_for_each_seed_and_the_same_for_the_same() -> None:
    """A resume cuts as the run did; and the wave is told in the order of the input."""
    draws = {seed: cut(range(1, 101), [WaveCut(size=Threshold(count=10), order="random")], seed=seed) for seed in "abc"}
    assert draws["a"] == cut(range(1, 101), [WaveCut(size=Threshold(count=10), order="random")], seed="a")
    assert len({tuple(filled[0]) for filled in draws.values()}) == 3
    assert all(filled[0] == sorted(filled[0]) and filled[0] != list(range(1, 11)) for filled in draws.values())


@pytest.mark.parametrize("order", ["input", "random"])
def test_a_wave_by_value_has_each_value_in_turn(order: str) -> None:
    """Nine rows of one vendor and one of each of the others: a wave of three has all three vendors."""
    vendor = dict.fromkeys(range(1, 10), "postgres") | {10: "bigquery"}

    def value_of(row: int) -> str | None:
        return vendor.get(row)

    first = WaveCut(size=Threshold(count=3), order=order, value_of=value_of)
    (taken, rest) = cut(range(1, 12), [first], seed="run")
    assert {10, 11} < set(taken)
    assert len(rest) == 8
    (taken, _) = cut(range(1, 12), [WaveCut(size=Threshold(count=5), order="input", value_of=value_of)], seed="run")
    assert taken == [1, 2, 3, 10, 11]


@given(
    total=st.integers(0, 60),
    waves=st.lists(
        st.builds(
            WaveCut,
            size=st.none()
            | st.builds(Threshold, count=st.integers(0, 70))
            | st.builds(Threshold, share=st.floats(0, 1)),
            among=st.none() | st.frozensets(st.integers(1, 60)),
            order=st.sampled_from(["input", "random"]),
            value_of=st.sampled_from([None, lambda row: str(row % 3) if row % 4 else None]),
        ),
        max_size=5,
    ),
)
def test_every_row_stands_in_exactly_one_wave(total: int, waves: list[WaveCut]) -> None:
    """However the waves overlap; each is no larger than asked, within its rows, and ascending."""
    rows = range(1, total + 1)
    filled = cut(rows, waves, seed="run")
    assert sorted(row for wave in filled for row in wave) == list(rows)
    assert len(filled) in {len(waves), len(waves) + 1}
    for asked, taken in zip(waves, filled, strict=False):
        assert taken == sorted(taken)
        assert len(taken) <= wanted(asked.size, total)
        assert asked.among is None or all(row in asked.among for row in taken)
