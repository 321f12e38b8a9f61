"""The rate limit and the gauge of requests in flight. No clock of their own: every call is told the time."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from bulkpatch.model import Rate


class RateLimit:
    """At most ``rate.count`` admitted requests in any window of ``rate.unit_s``, and the rate's share in any second.

    Windows slide and are half open: of two requests exactly one window apart only one counts. What is
    refused does not count. Exact, at the price of one number per admitted request of the last window.
    """

    def __init__(self, rate: Rate) -> None:
        windows = {rate.unit_s: rate.count, 1: math.ceil(rate.per_s)}
        self._windows = [(float(length_s), most, deque[float]()) for length_s, most in windows.items()]

    def wait_s(self, now_s: float) -> float:
        """0 and one more admitted, or the seconds until the next could be."""
        full_until_s = []
        for length_s, most, admitted in self._windows:
            while admitted and admitted[0] + length_s <= now_s:
                admitted.popleft()
            if len(admitted) >= most:
                full_until_s.append(admitted[0] + length_s)
        if full_until_s:
            return max(full_until_s) - now_s
        for _, _, admitted in self._windows:
            admitted.append(now_s)
        return 0.0


class Gauge:
    """How many are inside now, and the most there ever were."""

    def __init__(self) -> None:
        self.now = 0
        self.most = 0

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Count one more for as long as the block runs."""
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            yield
        finally:
            self.now -= 1


def busiest(times_s: Sequence[float], window_s: float = 1.0) -> int:
    """The most of the ascending ``times_s`` in any half-open window of ``window_s``."""
    most = first = 0
    for at, time_s in enumerate(times_s):
        while times_s[first] + window_s <= time_s:
            first += 1
        most = max(most, at - first + 1)
    return most
