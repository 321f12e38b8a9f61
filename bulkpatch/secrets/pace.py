"""How often one store may be read, and how long to leave it alone."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from threading import Event, Lock

from bulkpatch.ports import Clock
from bulkpatch.secrets.flaws import Unusable

LOOK_S = 0.1
"""Between two looks at the clock while waiting: short enough that the end of a run is not held up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadLimit:
    """At most ``count`` reads in any ``per_s`` seconds."""

    count: int
    per_s: float


class Pace:
    """Lets reads of one store begin, from any thread, no faster than its limit."""

    def __init__(self, limit: ReadLimit | None, clock: Clock) -> None:
        self._limit = limit
        self._clock = clock
        self._begun: deque[float] = deque(maxlen=limit.count if limit else 0)
        self._one = Lock()
        self._stopped = Event()

    def take(self) -> None:
        """Come back when one more read may begin. Raises ``Unusable`` if the run ends before."""
        while (wait_s := self._wait_s()) > 0:
            self.rest(wait_s)

    def rest(self, seconds: float) -> None:
        """Wait. Raises ``Unusable`` if the run ends before."""
        until_s = self._clock.monotonic() + seconds
        while (left_s := until_s - self._clock.monotonic()) > 0:
            if self._stopped.wait(min(left_s, LOOK_S)):
                raise Unusable("BP306", "the run ended before the store could be asked")

    def stop(self) -> None:
        """Let nobody wait any more."""
        self._stopped.set()

    def _wait_s(self) -> float:
        """Seconds until the next read; 0 is the leave to begin it now."""
        if self._limit is None:
            return 0.0
        with self._one:
            now_s = self._clock.monotonic()
            if len(self._begun) == self._limit.count and (left_s := self._begun[0] + self._limit.per_s - now_s) > 0:
                return left_s
            self._begun.append(now_s)  # beyond its length, a deque drops the oldest
            return 0.0
