"""How fast to go below the user's limit: down to what the API lets through, back up along a curve.

A limit is a ceiling, never a target to exceed. A 429 alone slows nothing down: any gateway gives one
now and then. When more than ``SHARE`` of the answers are, the speed falls to ``KEEP`` of what was let
through; from the first answer let through after that it climbs to where it was refused, lingers
there, and leaves it ever faster while nothing is refused (as CUBIC does for TCP). After an outage or
a resume it ramps: from half, doubling each second. ``benchmarks/adaptive.py`` shows what that is worth.
"""

from __future__ import annotations

import math
from collections import deque

SHARE = 0.05
"""Share of 429s among the answers above which the API is being asked too fast; random ones stay below."""
WINDOW = 50
"""Answers that the share is of, at least: three 429s are the fewest that say something."""
WINDOW_S = 1.0
"""Seconds of answers that the share is of, where those are more; and between two cuts at least."""
KEEP = 0.8
"""Share kept of what the API let through: it lets a server's burst allowance fill up again."""
CUT_MOST = 0.5
"""Share of the speed that one cut looks below at most: one bad second is no reason to stop."""
CURVE_S = 15.0
"""Seconds from lingering at a limit to e times it: faster asks for more 429s, slower finds a new limit later."""
FLOOR_PER_S = 0.5
"""Requests per second below which no cut goes."""
CLOSED = 3
"""429s with no other answer between them that mean: the API takes nothing now."""
RAMP_START = 0.5
"""Share of the last speed that a ramp begins with."""


class AdaptiveSpeed:
    """Speed in requests per second, as a function of time and of what the API answered."""

    __slots__ = (
        "_answers", "_climbs_s", "_cut_at_s", "_in_a_row", "_knee_s", "_limit", "_mark", "_ramping", "_refused",
        "_seen_s", "_speed",
    )  # fmt: skip

    def __init__(self, limit_per_s: float, *, now_s: float) -> None:
        self._limit = self._speed = self._mark = limit_per_s
        self._seen_s = now_s
        self._ramping = False
        self._cut_at_s = -math.inf
        self._climbs_s = math.inf  # since when the speed climbs back
        self._knee_s = 0.0  # seconds of climbing after which it is at the mark
        self._answers: deque[tuple[float, float, bool]] = deque()  # when, the speed then, refused?
        self._refused = self._in_a_row = 0

    def at(self, now_s: float) -> float:
        """The speed at ``now_s``."""
        passed_s = max(0.0, now_s - self._seen_s)
        self._seen_s = max(now_s, self._seen_s)
        if self._ramping:
            self._speed *= 2.0 ** min(passed_s, 30.0)
        elif self._seen_s > self._climbs_s:
            past = (self._seen_s - self._climbs_s - self._knee_s) / CURVE_S
            self._speed = max(self._speed, self._mark * math.exp(min(past, 4.0) ** 3))
        if self._speed >= self._limit:
            self._speed, self._ramping, self._climbs_s = self._limit, False, math.inf
        return self._speed

    @property
    def closed(self) -> bool:
        """Whether the API takes nothing now: then all wait as long as it asks one to."""
        return self._in_a_row >= CLOSED

    def set_limit(self, limit_per_s: float) -> None:
        """Another ceiling, from now on in force. What the API slowed down stays so, and is won back as ever."""
        self._speed = limit_per_s if self._speed >= self._limit else min(self._speed, limit_per_s)
        self._limit = limit_per_s

    def answered(self, now_s: float, *, sent_s: float, refused: bool) -> bool:
        """An answer came to what was sent at ``sent_s``; ``refused``: it asks to slow down. True if that was done.

        What was sent before the last cut says nothing about the speed since, so one excess is one cut.
        """
        speed = self.at(now_s)
        self._in_a_row = self._in_a_row + 1 if refused else 0
        if sent_s < self._cut_at_s:
            return False
        if not refused and self._speed < self._limit and not self._ramping:
            self._climbs_s = min(self._climbs_s, self._seen_s)
        self._remember(now_s, speed, refused=refused)
        allowed = SHARE * max(WINDOW, len(self._answers))
        if not refused or self._refused <= allowed or now_s - self._cut_at_s < WINDOW_S:
            return False
        self._cut(now_s, speed)
        return True

    def _remember(self, now_s: float, speed: float, *, refused: bool) -> None:
        answers = self._answers
        answers.append((now_s, speed, refused))
        self._refused += refused
        while len(answers) > WINDOW and answers[0][0] < now_s - WINDOW_S:
            self._refused -= answers.popleft()[2]

    def _cut(self, now_s: float, speed: float) -> None:
        let_through = len(self._answers) - self._refused
        # By the pace they were sent at, not by the clock: waits in between say nothing about the limit.
        measured = let_through / sum(1.0 / then for _, then, _ in self._answers)
        lowest = CUT_MOST * speed
        self._mark = min(speed, lowest if self.closed else max(lowest, measured))
        self._speed = max(min(FLOOR_PER_S, speed), KEEP * self._mark)
        self._mark = max(self._mark, self._speed)
        self._knee_s = CURVE_S * math.log(self._mark / self._speed) ** (1 / 3)
        self._cut_at_s, self._climbs_s, self._ramping = now_s, math.inf, False
        self._answers.clear()
        self._refused = 0

    def ramp(self, now_s: float) -> None:
        """Begin again at half the speed, doubling each second."""
        self._speed = self.at(now_s) * RAMP_START
        self._ramping, self._climbs_s = True, math.inf
