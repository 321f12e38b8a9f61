"""A quantity is what the user wrote, or it is refused; nothing is rounded or guessed."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkpatch.core.quantities import DURATION_S_MAX, RATE_PER_S_MAX, parse_duration, parse_rate, parse_threshold
from bulkpatch.model import Rate, Threshold

UNITS = {"s": 1, "min": 60, "h": 3600}


@pytest.mark.parametrize(
    ("text", "count", "unit_s"),
    [
        ("1/s", 1, 1),
        ("5/s", 5, 1),
        (" 5 / s ", 5, 1),
        ("300/min", 300, 60),
        ("20000/h", 20_000, 3600),
        ("1/h", 1, 3600),
        ("1000000/s", 1_000_000, 1),
        ("60000000/min", 60_000_000, 60),
        ("3600000000/h", 3_600_000_000, 3600),
    ],
)
def test_a_rate_is_a_number_per_unit(text: str, count: int, unit_s: int) -> None:
    assert parse_rate(text) == Rate(count=count, unit_s=unit_s)


@pytest.mark.parametrize("text", ["0/s", "0/h", "1000001/s", "60000001/min", "3600000001/h", "9999999999/s"])
def test_a_rate_lies_between_one_and_a_million_a_second(text: str) -> None:
    with pytest.raises(ValueError, match="at least 1 and at most 1000000/s"):
        parse_rate(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "/s",
        "-1/s",
        "+1/s",
        "1.5/s",
        "1e3/s",
        "NaN/s",
        "5/m",
        "5/S",
        "5/10s",
        "5/0s",
        "5/s/s",
        "\u0665/s",
        "12345678901/s",
    ],
)
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a rate is a whole number per s, min or h"):
        parse_rate(text)


@given(count=st.integers(1, 10**10 - 1), unit=st.sampled_from(sorted(UNITS)))
def test_a_rate_is_read_back_as_it_is_shown(count: int, unit: str) -> None:
    """And the limit is the same in every unit."""
    if count > RATE_PER_S_MAX * UNITS[unit]:
        with pytest.raises(ValueError, match="at most"):
            parse_rate(f"{count}/{unit}")
        return
    rate = parse_rate(f"{count}/{unit}")
    assert str(rate) == f"{count}/{unit}"
    assert rate.per_s == pytest.approx(count / UNITS[unit])


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30.0),
        (" 30s ", 30.0),
        ("500ms", 0.5),
        ("7ms", 0.007),
        ("5m", 300.0),
        ("1h", 3600.0),
        ("1.5h", 5400.0),
        ("0.001s", 0.001),
        ("0s", 0.0),
        ("168h", DURATION_S_MAX),
        ("604800s", DURATION_S_MAX),
    ],
)
def test_a_duration_is_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["604800.001s", "168.001h", "10081m", "999999999h"])
def test_a_duration_is_a_week_at_most(text: str) -> None:
    with pytest.raises(ValueError, match="a duration is at most a week"):
        parse_duration(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "30",
        "s",
        "-1s",
        "1 s",
        "1e3s",
        "1.s",
        ".5s",
        "1.0001s",
        "1d",
        "1min",
        "30S",
        "\u0663s",
        "1234567890s",
        "infs",
    ],
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a duration is a number and ms, s, m or h"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("value", "threshold"),
    [
        (0, Threshold(count=0)),
        (12, Threshold(count=12)),
        ("0%", Threshold(share=0.0)),
        ("1%", Threshold(share=0.01)),
        (" 1% ", Threshold(share=0.01)),
        ("0.0001%", Threshold(share=0.000001)),
        ("99.9999%", Threshold(share=0.999999)),
        ("100%", Threshold(share=1.0)),
    ],
)
def test_a_threshold_is_a_number_or_a_share(value: int | str, threshold: Threshold) -> None:
    assert parse_threshold(value) == threshold


@pytest.mark.parametrize(
    "value",
    [
        -1,
        True,
        False,
        1.0,
        None,
        "",
        "1",
        "%",
        "-1%",
        "+1%",
        "1 %",
        "1.%",
        "0.00001%",
        "100.0001%",
        "101%",
        "1000%",
        "1e1%",
        "\u0661%",
    ],
)
def test_what_is_no_threshold_is_refused(value: int | str) -> None:
    """A number of rows is a number in TOML; as text it would look like a share with its sign forgotten."""
    with pytest.raises(ValueError, match='a threshold is a whole number, or a share from "0%" to "100%"'):
        parse_threshold(value)


@given(millionths=st.integers(0, 10**6))
def test_every_share_that_can_be_written_is_the_nearest_float(millionths: int) -> None:
    share = parse_threshold(f"{millionths // 10_000}.{millionths % 10_000:04}%").share
    assert share is not None
    assert abs(Fraction(share) - Fraction(millionths, 10**6)) < Fraction(1, 10**15)
