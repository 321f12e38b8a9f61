"""The second hold on the rate, by a library that knows nothing of ours: asyncio-throttle, with one waiter."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable

from asyncio_throttle.throttler import Throttler

from bulkpatch.model import Rate

POLL_S = 0.001
"""Seconds between two looks while it holds; the library's own 10 ms would end a wait half a place late at 100/s."""


class ThrottleCeiling:
    """ports.Ceiling: at most the rate in any second, and in any window of the rate's own unit.

    Returns without suspending while there is room. What was admitted counts on under a new rate,
    as far back as the longest window under the old one.
    """

    def __init__(self, rate: Rate) -> None:
        self._windows = _windows(rate, ())
        self._waiting = False

    def set_rate(self, rate: Rate) -> None:
        """Hold to ``rate`` from now on; one who waits is held to it too."""
        self._windows = _windows(rate, self._windows[-1].admitted)

    async def admit(self) -> bool:
        """Return when one more request may leave; whether that had to be waited for."""
        assert not self._waiting, "a ceiling has one waiter"  # noqa: S101  (kept on in production)
        self._waiting, waited = True, False
        try:
            while not self._has_room():
                waited = True
                await asyncio.sleep(POLL_S)
            for window in self._windows:
                await window.acquire()  # type: ignore[no-untyped-call]  # never waits: there is room, and one taker
        finally:
            self._waiting = False
        return waited

    def _has_room(self) -> bool:
        for window in self._windows:  # noqa: SIM110  (no generator for each request)
            if not window.has_room():
                return False
        return True


class _Window(Throttler):
    """A throttler that can be asked first, so that two of them admit at one moment."""

    def __init__(self, count: int, period_s: float, admitted: Iterable[float]) -> None:
        super().__init__(count, period=period_s, retry_interval=POLL_S)
        self._task_logs.extend(admitted)

    @property
    def admitted(self) -> Iterable[float]:
        """When the requests of this window were admitted, ascending."""
        return self._task_logs

    def has_room(self) -> bool:
        self.flush()  # type: ignore[no-untyped-call]
        return len(self._task_logs) < self.rate_limit


def _windows(rate: Rate, admitted: Iterable[float]) -> list[_Window]:
    """The second, and last the longest: the rate's own unit, if it is another."""
    windows = [_Window(math.ceil(rate.per_s), 1.0, admitted)]
    if rate.unit_s > 1:
        windows.append(_Window(rate.count, float(rate.unit_s), admitted))
    return windows
