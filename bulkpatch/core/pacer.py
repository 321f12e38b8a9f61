"""When the next request may leave. Two rules, both on the monotonic clock.

Spacing (GCRA, burst 1): requests are granted ``1 / rate`` apart; a grant that came late is made up
for by at most ``CATCH_UP_S``, so a stall never turns into a burst.

Windows: at most ``count`` requests in any second, and in any window of the rate's own unit, judged
by when they *left*. A granted request counts from its grant until it is known when it left.
Why that is exact: of the requests that left within one window, take the one granted last. At its
grant every other one had either not left or left less than a window before, so all were counted,
and there were fewer than ``count``.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from bulkpatch.model import Rate

PACE_SHARE = 0.995
"""Share of the limit that is used: half a per cent is room for jitter between leaving and arriving."""
WINDOW_SLACK_S = 0.002
"""Seconds added to every window, for the same reason."""
CATCH_UP_S = 0.005
"""Seconds of lateness that may be made up: timers wake about 1 ms late, a commit takes a few."""
LEAD_S = 0.05
"""Seconds ahead of its turn that a request is prepared and its intent made durable: a few commits' time."""


class Window:
    """A sliding window over the times at which requests left."""

    __slots__ = ("_left", "capacity", "length_s", "unsent")

    def __init__(self, capacity: int, length_s: float, history: Iterable[float] = ()) -> None:
        self.capacity = capacity
        self.length_s = length_s + WINDOW_SLACK_S
        self.unsent = 0
        self._left: deque[float] = deque(sorted(history))

    def ready_at(self, now_s: float) -> float:
        """When one more fits: ``now_s`` or later, infinite until one of the granted has left."""
        left = self._left
        while left and left[0] < now_s - self.length_s:
            left.popleft()
        over = self.unsent + len(left) - self.capacity
        if over < 0:
            return now_s
        return left[over] + self.length_s if over < len(left) else math.inf

    @property
    def left(self) -> Iterable[float]:
        """When those left that still count."""
        return self._left

    def sent(self, at_s: float) -> None:
        """One of the granted left at ``at_s``."""
        self.unsent -= 1
        if self._left and at_s < self._left[-1]:
            self._left = deque(sorted([*self._left, at_s]))
        else:
            self._left.append(at_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """Leave to send one request."""

    at_s: float


class Pacer:
    """Grants requests one by one.

    ``history`` holds when earlier requests of this run left (a resume on the same boot);
    ``not_before_s`` holds everything back, for a resume that cannot know.
    """

    def __init__(
        self, rate: Rate, *, now_s: float, history: Iterable[float] = (), not_before_s: float = -math.inf
    ) -> None:
        past = tuple(history)
        self.rate = rate
        self._speed = rate.per_s
        self._next_s = max(now_s, not_before_s)
        self._blocked_until_s = not_before_s
        self._windows = self._make_windows(rate, past)
        if past:
            self._next_s = max(self._next_s, max(past) + self._spacing_s)

    @staticmethod
    def _make_windows(rate: Rate, history: tuple[float, ...]) -> list[Window]:
        windows = [Window(math.ceil(rate.per_s), 1.0, history)]
        if rate.unit_s > 1:
            windows.append(Window(rate.count, float(rate.unit_s), history))
        return windows

    @property
    def _spacing_s(self) -> float:
        return 1.0 / (self._speed * PACE_SHARE)

    @property
    def speed(self) -> float:
        """Requests per second now: the limit, or what the API's answers lowered it to."""
        return self._speed

    @property
    def ahead(self) -> int:
        """Requests that are prepared ahead of their turn, at most."""
        return 1 + int(self._speed * LEAD_S)

    def set_speed(self, per_s: float) -> None:
        """Space requests for ``per_s``, never above the rate. Applies to the next grant."""
        if per_s == self._speed:
            return
        speed = min(per_s, self.rate.per_s)
        if speed < self._speed:
            self._next_s += 1.0 / (speed * PACE_SHARE) - self._spacing_s
        self._speed = speed

    def set_rate(self, rate: Rate) -> None:
        """Hold to ``rate`` from the next grant on; what has left counts, as far back as it is known."""
        longest = max(self._windows, key=lambda window: window.length_s)
        before = self._spacing_s
        self.rate, self._speed = rate, rate.per_s
        self._windows = self._make_windows(rate, tuple(longest.left))
        for window in self._windows:
            window.unsent = longest.unsent
        self._next_s += self._spacing_s - before

    def hold_until(self, at_s: float) -> None:
        """Grant nothing before ``at_s``."""
        self._blocked_until_s = max(self._blocked_until_s, at_s)

    def ready_at(self, now_s: float) -> float:
        """When the next request may be granted; infinite until a granted one has left."""
        earliest = max(now_s, self._next_s, self._blocked_until_s)
        for window in self._windows:
            earliest = max(earliest, window.ready_at(now_s))
        return earliest

    def grant(self, now_s: float) -> Grant:
        """Take the next place. Call it only when ``ready_at`` has come."""
        assert self.ready_at(now_s) <= now_s, "granted before its time"  # noqa: S101  (kept on in production)
        for window in self._windows:
            window.unsent += 1
        self._next_s = max(self._next_s, now_s - CATCH_UP_S) + self._spacing_s
        return Grant(at_s=now_s)

    def sent(self, at_s: float) -> None:
        """A granted request left at ``at_s`` (or turned out never to leave, then)."""
        for window in self._windows:
            window.sent(at_s)
