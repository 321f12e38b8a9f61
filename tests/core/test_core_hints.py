"""Headers make the run wait exactly as long as they say, and malformed ones not at all."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bulkpatch.core.hints import quota_pause_s, retry_after_s

NOON = "Fri, 31 Dec 2027 12:00:00 GMT"
NOON_US = round(datetime(2027, 12, 31, 12, tzinfo=UTC).timestamp() * 1e6)


@pytest.mark.parametrize(
    ("value", "wait_s"),
    [
        ("1", 1.0),
        ("120", 120.0),
        (" 7\t", 7.0),
        ("007", 7.0),
        ("600", 600.0),
        ("601", 601.0),
        ("1000000000", 1e9),
        ("0", None),
        ("-1", None),
        ("+5", None),
        ("5.5", None),
        ("1e9", None),
        ("5s", None),
        ("\u0665", None),
        ("soon", None),
        ("", None),
        ("5, 7", None),
        ("5,5", None),
    ],
)
def test_seconds_are_honoured_and_what_is_no_positive_whole_number_is_ignored(value: str, wait_s: float | None) -> None:
    """Two fields reach this joined by a comma, and are ignored even if they agree."""
    assert retry_after_s({"retry-after": value}, NOON_US) == wait_s


def test_without_the_header_nothing_is_asked() -> None:
    assert retry_after_s({"date": NOON}, NOON_US) is None


@pytest.mark.parametrize(
    ("value", "wait_s"),
    [
        ("Fri, 31 Dec 2027 12:00:30 GMT", 30.0),
        ("Fri, 31 Dec 2027 12:00:01 GMT", 1.0),
        ("Friday, 31-Dec-27 12:00:30 GMT", 30.0),
        ("Fri Dec 31 12:00:30 2027", 30.0),
        ("Sat Jan  1 12:00:30 2028", 86_430.0),
        ("Fri, 31 Dec 2027 13:00:00 GMT", 3600.0),
        (NOON, None),
        ("Fri, 31 Dec 2027 11:59:59 GMT", None),
        ("Fri, 31 Dec 2027 12:00:30 GMT, Fri, 31 Dec 2027 12:00:30 GMT", None),
        ("Fri, 31 Dec 2027 12:00:30 GMT, 5", None),
        ("Fri Dec 31 12:00:30 2027, 5", None),
        ("5, Fri, 31 Dec 2027 12:00:30 GMT", None),
        ("Fri Dec 31 12:00:30 2027, Fri Dec 31 12:00:30 2027", None),
        ("Fri, 32 Dec 2027 12:00:30 GMT", None),
        ("Fri, 31 Dez 2027 12:00:30 GMT", None),
        ("Fri, 31 Dec 2027 12:00:30", None),
        ("Fri, 31 Dec 2027 12:00:30 XYZ", None),
        ("Fri, 31 Dec 2027 12:00:30 +0000", None),
        ("Fri, 31 Dec 2027 12:00:30 GMT soon", None),
    ],
)
@pytest.mark.parametrize("skew_s", [-86_400, 0, 86_400])
def test_a_date_is_taken_against_the_answers_own_date(value: str, wait_s: float | None, skew_s: int) -> None:
    """However wrong our clock is; a past date, two of them and what is no date of HTTP are ignored."""
    assert retry_after_s({"retry-after": value, "date": NOON}, NOON_US + skew_s * 1_000_000) == wait_s


@pytest.mark.parametrize("date", ["", "noon", "Fri, 31 Dec 2027 12:00:00 GMT, Fri, 31 Dec 2027 12:00:00 GMT"])
@pytest.mark.parametrize(
    ("value", "wait_s"),
    [
        ("Fri, 31 Dec 2027 12:00:30 GMT", 20.0),
        ("Fri, 31 Dec 2027 12:00:10 GMT", None),
        ("Fri, 31 Dec 2027 12:00:00 GMT", None),
        ("Fri, 31 Dec 2027 12:10:10 GMT", 600.0),
        ("Fri, 31 Dec 2027 12:10:11 GMT", 600.0),
        ("Sat, 31 Dec 2050 12:00:00 GMT", 600.0),
    ],
)
def test_without_a_date_of_its_own_a_date_is_taken_against_our_clock(
    value: str, wait_s: float | None, date: str
) -> None:
    """And then never for longer than the longest wait, since our clock may be wrong."""
    assert retry_after_s({"retry-after": value, "date": date}, NOON_US + 10_000_000) == wait_s


HEADERS = st.text(max_size=60) | st.from_regex(
    r"[A-Z][a-z]+, [0-9]{2}[ -][A-Z][a-z]{2}[ -][0-9]{2,4} [0-9:]{8} GMT", fullmatch=True
)


@given(value=HEADERS, date=HEADERS)
@example(value="Fri, 31 Dec 99999 23:59:59 GMT", date="")
@example(value="Fri, 31 Dec 9999 23:59:59 GMT", date="Mon, 01 Jan 0001 00:00:00 GMT")
@example(value="Mon, 01 Jan 0000 00:00:00 GMT", date="Fri, 31 Dec 2027 99:99:99 GMT")
def test_whatever_a_header_holds_the_answer_is_none_or_a_positive_number(value: str, date: str) -> None:
    for wait_s in (retry_after_s({"retry-after": value, "date": date}, NOON_US), quota_pause_s({"ratelimit": value})):
        assert wait_s is None or wait_s > 0


@given(seconds=st.integers(1, 10**10 - 1))
def test_every_whole_number_of_seconds_is_read_as_it_stands(seconds: int) -> None:
    assert retry_after_s({"retry-after": str(seconds)}, NOON_US) == seconds


@pytest.mark.parametrize(
    ("value", "pause_s"),
    [
        ("r=0;t=30", 30.0),
        ("r=0; t=30", 30.0),
        ("t=30;r=0", 30.0),
        ('"default";r=0;t=30', 30.0),
        ("limit=100, remaining=0, reset=30", 30.0),
        ("r=0;t=999999999", 999_999_999.0),
        ("r=1;t=30", None),
        ("limit=100, remaining=1, reset=30", None),
        ("r=0;t=0", None),
        ("r=0", None),
        ("t=30", None),
        ("r=-1;t=30", None),
        ("r=0;t=-30", None),
        ("r=0;t=soon", None),
        ("r=0;t=30s", None),
        ("r=0x;t=30", None),
        ("pr=0;t=30", None),
        ("r=0;at=30", None),
        ("r=\u0660;t=30", None),
        ("", None),
        ('"burst";r=5;t=1, "daily";r=0;t=3600', 3600.0),
        ('"burst";r=0;t=1, "daily";r=7;t=3600', 1.0),
        ('"burst";r=0;t=1, "daily";r=0;t=3600', 3600.0),
        ('"daily";r=0;t=3600,"burst";r=0;t=1', 3600.0),
        ('"burst";r=5;t=1, "daily";r=7;t=3600', None),
        ('"burst";r=0, "daily";r=7;t=3600', None),
        ('"burst";t=1, "daily";r=0', None),
        ('"a, b;r=0;t=9";r=3;t=30', None),
        ('"a \\"r=0;t=9";r=3;t=30', None),
        ('limit=9, remaining=0, reset=30, policy="9;w=60"', 30.0),
    ],
)
def test_only_an_empty_quota_with_a_reset_pauses(value: str, pause_s: float | None) -> None:
    """In the draft's form and in the older one, whichever policy it is; malformed ones are ignored."""
    assert quota_pause_s({"ratelimit": value}) == pause_s


def test_without_a_quota_nothing_pauses() -> None:
    assert quota_pause_s({}) is None
