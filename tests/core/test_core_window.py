"""The send window is open on its days and hours, in its time zone, and at no other time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkpatch.core.window import DAYS, SendWindow

BERLIN = ZoneInfo("Europe/Berlin")
MONDAY = datetime(2027, 3, 1, tzinfo=UTC)


def window(days: str, start: str, end: str, tz: tzinfo = UTC) -> SendWindow:
    """A window as a job writes it."""
    return SendWindow(
        days=frozenset(DAYS.index(day) for day in days.split()),
        start=time.fromisoformat(start),
        end=time.fromisoformat(end),
        tz=tz,
    )


def at(day: str, clock: str, *, tz: tzinfo = UTC) -> int:
    """That time in the first week of March 2027, in microseconds."""
    moment = datetime.combine(MONDAY.date() + timedelta(days=DAYS.index(day)), time.fromisoformat(clock), tz)
    return round(moment.timestamp() * 1e6)


@pytest.mark.parametrize(
    ("day", "clock", "opens_in_s", "closes_in_s"),
    [
        ("sat", "00:59:59", 1, 0),
        ("sat", "01:00:00", 0, 4 * 3600),
        ("sat", "04:59:59", 0, 1),
        ("sat", "05:00:00", 20 * 3600, 0),
        ("sun", "03:00:00", 0, 2 * 3600),
        ("sun", "05:00:00", (5 * 24 + 20) * 3600, 0),
        ("mon", "01:00:00", 5 * 24 * 3600, 0),
        ("fri", "23:00:00", 2 * 3600, 0),
    ],
)
def test_it_is_open_from_its_start_up_to_its_end_on_its_days(
    day: str, clock: str, opens_in_s: float, closes_in_s: float
) -> None:
    weekend = window("sat sun", "01:00", "05:00")
    assert weekend.opens_in_s(at(day, clock)) == opens_in_s
    assert weekend.closes_in_s(at(day, clock)) == closes_in_s


@pytest.mark.parametrize(
    ("day", "clock", "opens_in_s", "closes_in_s"),
    [
        ("fri", "21:59:59", 1, 0),
        ("fri", "22:00:00", 0, 8 * 3600),
        ("sat", "05:59:59", 0, 1),
        ("sat", "06:00:00", (6 * 24 + 16) * 3600, 0),
        ("fri", "05:00:00", 17 * 3600, 0),
    ],
)
def test_a_window_that_ends_before_it_starts_ends_on_the_next_day(
    day: str, clock: str, opens_in_s: float, closes_in_s: float
) -> None:
    """It belongs to the day on which it starts."""
    night = window("fri", "22:00", "06:00")
    assert night.opens_in_s(at(day, clock)) == opens_in_s
    assert night.closes_in_s(at(day, clock)) == closes_in_s


def test_a_window_that_ends_when_it_starts_is_a_whole_day() -> None:
    whole = window("mon", "09:00", "09:00")
    assert whole.closes_in_s(at("mon", "09:00")) == 24 * 3600
    assert whole.opens_in_s(at("tue", "08:59:59")) == 0
    assert whole.opens_in_s(at("tue", "09:00")) == 6 * 24 * 3600


def test_days_and_hours_are_those_of_the_zone() -> None:
    """One in the night of Saturday in Kolkata is still Friday in UTC."""
    kolkata = timezone(timedelta(hours=5, minutes=30))
    there = window("sat", "01:00", "05:00", kolkata)
    assert there.opens_in_s(at("fri", "19:29:59")) == 1
    assert there.opens_in_s(at("fri", "19:30")) == 0
    assert there.closes_in_s(at("sat", "01:00", tz=kolkata)) == 4 * 3600


@pytest.mark.parametrize(
    ("start", "end", "hours"),
    [
        ("01:00", "05:00", 3),
        ("01:30", "02:30", 1),
        ("02:15", "02:45", 0.5),
        ("22:00", "06:00", 8),
        ("00:00", "00:00", 23),
    ],
)
def test_where_the_clock_is_put_forward_the_hour_that_is_missing_is_not_sent_in(
    start: str, end: str, hours: float
) -> None:
    """28 March 2027, 2 to 3 in Berlin: a window that lies in it comes an hour later, by the clock."""
    that_day = window("sun", start, end, BERLIN)
    opens_us = round(datetime.combine(date(2027, 3, 28), time.fromisoformat(start), BERLIN).timestamp() * 1e6)
    assert that_day.closes_in_s(opens_us) == hours * 3600
    assert that_day.closes_in_s(opens_us - 1) == 0


def test_where_the_clock_is_put_back_the_hour_that_comes_twice_is_sent_in_twice() -> None:
    """31 October 2027, 2 to 3 in Berlin."""
    night = window("sun", "01:00", "05:00", BERLIN)
    opens_us = round(datetime(2027, 10, 31, 1, tzinfo=BERLIN).timestamp() * 1e6)
    assert night.closes_in_s(opens_us) == 5 * 3600


def test_a_window_that_a_missing_hour_turns_inside_out_opens_the_next_time() -> None:
    """From 02:50, which is put forward to 03:50, to 03:10: there is no such time on that day."""
    short = window("sun", "02:50", "03:10", BERLIN)
    day_us = round(datetime(2027, 3, 28, tzinfo=BERLIN).timestamp() * 1e6)
    minute_us = 60_000_000
    assert all(short.closes_in_s(day_us + minute * minute_us) == 0 for minute in range(23 * 60))
    next_week_us = round(datetime(2027, 4, 4, 2, 50, tzinfo=BERLIN).timestamp() * 1e6)
    assert short.closes_in_s(next_week_us) == 20 * 60


def test_what_is_told_to_open_is_open_then_though_the_zone_skips_the_only_opening_of_a_week() -> None:
    """Asked in the week before, and on the day itself before and after."""
    short = window("sun", "02:50", "03:10", BERLIN)
    opens_us = round(datetime(2027, 4, 4, 2, 50, tzinfo=BERLIN).timestamp() * 1e6)
    for asked in (datetime(2027, 3, 21, 3, 10), datetime(2027, 3, 28, 0, 5), datetime(2027, 3, 28, 1, 55)):  # noqa: DTZ001  (Berlin's)
        asked_us = round(asked.replace(tzinfo=BERLIN).timestamp() * 1e6)
        assert short.opens_in_s(asked_us) == (opens_us - asked_us) / 1e6
    assert short.opens_in_s(opens_us) == 0


def times() -> st.SearchStrategy[time]:
    """Whole minutes."""
    return st.builds(time, st.integers(0, 23), st.integers(0, 59))


@given(
    days=st.frozensets(st.integers(0, 6), min_size=1),
    start=times(),
    end=times(),
    offset_min=st.integers(-14 * 60, 14 * 60),
    minute=st.integers(0, 14 * 24 * 60),
)
def test_it_is_open_exactly_when_the_clock_says_so(
    days: frozenset[int], start: time, end: time, offset_min: int, minute: int
) -> None:
    """Against days and clock times compared as they stand; and after the wait that it names it is open, not before."""
    tz = timezone(timedelta(minutes=offset_min))
    sends = SendWindow(days=days, start=start, end=end, tz=tz)

    def is_open(moment: datetime) -> bool:
        there = moment.astimezone(tz)
        today, yesterday = there.weekday() in days, (there.weekday() - 1) % 7 in days
        if end > start:
            return today and start <= there.time() < end
        return (today and there.time() >= start) or (yesterday and there.time() < end)

    now = MONDAY + timedelta(minutes=minute)
    wait_s, left_s = _both(sends, now)
    assert (wait_s == 0) == (left_s > 0) == is_open(now)
    then = now + timedelta(seconds=wait_s)
    assert is_open(then)
    assert wait_s == 0 or not is_open(then - timedelta(seconds=1))
    assert left_s == 0 or _held(is_open, now, left_s)


def _both(sends: SendWindow, moment: datetime) -> tuple[float, float]:
    now_us = round(moment.timestamp() * 1e6)
    return sends.opens_in_s(now_us), sends.closes_in_s(now_us)


def _held(is_open: Callable[[datetime], bool], now: datetime, left_s: float) -> bool:
    """Open up to its last second; whether the next window follows at once is another matter."""
    return is_open(now + timedelta(seconds=left_s - 1))
