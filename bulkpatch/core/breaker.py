"""Tells an outage from rows that fail.

Closed: every answer counts. When at least half of the last 100 (and at least 20) were failures of
the API or the network, the breaker opens: nothing leaves for 60 s. Then three probes, one at a
time; all good closes it, a bad one opens it again, and the third opening stops the run.
"""

from __future__ import annotations

import math
from collections import deque
from enum import StrEnum

WINDOW = 100
"""Answers that are looked back on."""
MIN_ANSWERS = 20
"""Answers needed before a share says anything."""
BAD_SHARE = 0.5
"""Share of bad answers at which it opens."""
OPEN_S = 60.0
"""Seconds that nothing leaves once it is open."""
PROBES = 3
"""Good probes that close it."""
OPENINGS_MAX = 3
"""The opening that stops the run."""


class BreakerState(StrEnum):
    """What the breaker lets through: all, nothing, or one at a time."""

    CLOSED = "closed"
    OPEN = "open"
    PROBING = "probing"


class Breaker:
    """Counts answers; asked before each request."""

    __slots__ = ("_answers", "_bad", "_good_probes", "_reopens_at_s", "openings", "state")

    def __init__(self) -> None:
        self.state = BreakerState.CLOSED
        self.openings = 0
        self._answers: deque[bool] = deque(maxlen=WINDOW)
        self._bad = 0
        self._good_probes = 0
        self._reopens_at_s = -math.inf

    def lets_through(self, now_s: float, *, in_flight: int) -> bool:
        """Whether one more request may start.

        Probing begins when nothing is under way any more, so that only a probe is answered meanwhile.
        """
        if self.state is BreakerState.CLOSED:
            return True
        if in_flight:
            return False
        if self.state is BreakerState.OPEN and now_s >= self._reopens_at_s:
            self.state, self._good_probes = BreakerState.PROBING, 0
        return self.state is BreakerState.PROBING

    @property
    def wakes_at_s(self) -> float:
        """When an open breaker wants to be asked again."""
        return self._reopens_at_s if self.state is BreakerState.OPEN else math.inf

    @property
    def spent(self) -> bool:
        """Opened for the last time: the run is to stop."""
        return self.openings >= OPENINGS_MAX

    def record(self, now_s: float, *, good: bool, bad_share: float = BAD_SHARE) -> BreakerState | None:
        """Count one answer; ``bad_share`` of them bad opens it. Returns the new state if it changed."""
        if self.state is BreakerState.PROBING:
            return self._probed(now_s, good=good)
        if self.state is BreakerState.OPEN:
            return None
        if len(self._answers) == WINDOW:
            self._bad -= not self._answers[0]
        self._answers.append(good)
        self._bad += not good
        if len(self._answers) >= MIN_ANSWERS and self._bad >= bad_share * len(self._answers):
            return self.open(now_s)
        return None

    def _probed(self, now_s: float, *, good: bool) -> BreakerState | None:
        if not good:
            return self.open(now_s)
        self._good_probes += 1
        if self._good_probes < PROBES:
            return None
        self.state = BreakerState.CLOSED
        return self.state

    def forget(self) -> None:
        """Look back on nothing that was answered so far."""
        self._answers.clear()
        self._bad = 0

    def open(self, now_s: float) -> BreakerState:
        """Let nothing through for a while."""
        self.forget()
        self.openings += 1
        self._reopens_at_s = now_s + OPEN_S
        self.state = BreakerState.OPEN
        return self.state
