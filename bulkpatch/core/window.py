"""When requests may leave: days and hours in a time zone. Wall time in, seconds out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Final

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_AHEAD_DAYS: Final = 15
"""Days looked ahead: two weeks, since a zone may skip the hours of one day, and that may be the only one of a week."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SendWindow:
    """Open on ``days`` (0 is Monday) from ``start`` to ``end``, which is on the next day unless it is later."""

    days: frozenset[int]
    start: time
    end: time
    tz: tzinfo

    def opens_in_s(self, wall_us: int) -> float:
        """0 if it is open at ``wall_us``, else the seconds until it opens."""
        now = datetime.fromtimestamp(wall_us / 1e6, UTC)
        waits = [(begin - now).total_seconds() for begin, end in self._openings(now) if end > now]
        return max(0.0, min(waits))

    def closes_in_s(self, wall_us: int) -> float:
        """Seconds until it closes; 0 if it is not open."""
        now = datetime.fromtimestamp(wall_us / 1e6, UTC)
        left = [(end - now).total_seconds() for begin, end in self._openings(now) if begin <= now < end]
        return max(left, default=0.0)

    def _openings(self, now: datetime) -> Iterator[tuple[datetime, datetime]]:
        """The openings of the days around ``now``, in UTC."""
        today = now.astimezone(self.tz).date()
        for ahead in range(-1, _AHEAD_DAYS + 1):
            day = today + timedelta(days=ahead)
            if day.weekday() in self.days:
                last = day if self.end > self.start else day + timedelta(days=1)
                begin = datetime.combine(day, self.start, self.tz).astimezone(UTC)
                end = datetime.combine(last, self.end, self.tz).astimezone(UTC)
                if begin < end:  # an hour that the zone skips turns an opening inside out
                    yield begin, end
