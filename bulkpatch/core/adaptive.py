"""How fast to go below the user's limit: down when the API says so, up again slowly.

A limit is a ceiling, never a target to exceed. A run starts at its limit, as its user asked;
after a 429 it goes on at 0.7 of its speed and wins back 1 % of the limit a second. After an outage
or a resume it ramps: from half, doubling each second.
"""

from __future__ import annotations

CUT = 0.7
"""Share of the speed that is kept when the API asks to slow down."""
REGAIN_PER_S = 0.01
"""Share of the limit that is won back each second (AIMD)."""
FLOOR_PER_S = 0.5
"""Requests per second below which no cut goes."""
CUT_PAUSE_S = 1.0
"""Seconds between two cuts at least: the answers to what was already under way are one event."""
RAMP_START = 0.5
"""Share of the last speed that a ramp begins with."""


class AdaptiveSpeed:
    """Speed in requests per second, as a function of time and of what the API said."""

    __slots__ = ("_cut_at_s", "_limit", "_ramping", "_seen_s", "_speed")

    def __init__(self, limit_per_s: float, *, now_s: float) -> None:
        self._limit = limit_per_s
        self._speed = limit_per_s
        self._seen_s = now_s
        self._cut_at_s = -1e9
        self._ramping = False

    def at(self, now_s: float) -> float:
        """The speed at ``now_s``."""
        passed_s = max(0.0, now_s - self._seen_s)
        self._seen_s = max(now_s, self._seen_s)
        if self._speed < self._limit and passed_s:
            if self._ramping:
                self._speed = self._speed * 2.0 ** min(passed_s, 30.0)
            else:
                self._speed += REGAIN_PER_S * self._limit * passed_s
        if self._speed >= self._limit:
            self._speed, self._ramping = self._limit, False
        return self._speed

    def set_limit(self, limit_per_s: float) -> None:
        """Another ceiling, from now on in force. What the API slowed down stays so, and is won back as ever."""
        self._speed = limit_per_s if self._speed >= self._limit else min(self._speed, limit_per_s)
        self._limit = limit_per_s

    def slow_down(self, now_s: float, *, round_trip_s: float = 0.0) -> bool:
        """The API asked to slow down. True if the speed was cut, False if it just had been."""
        speed = self.at(now_s)
        if now_s - self._cut_at_s < max(CUT_PAUSE_S, round_trip_s):
            return False
        self._cut_at_s, self._ramping = now_s, False
        self._speed = max(min(FLOOR_PER_S, speed), speed * CUT)
        return True

    def ramp(self, now_s: float) -> None:
        """Begin again at half the speed, doubling each second."""
        self._speed = self.at(now_s) * RAMP_START
        self._ramping = True
