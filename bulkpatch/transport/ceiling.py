"""The second hold on the rate, by a library that knows nothing of ours: asyncio-throttle, with one waiter."""

from __future__ import annotations

import math

from asyncio_throttle import Throttler  # type: ignore[attr-defined]

from bulkpatch.model import Rate

POLL_S = 0.001
"""Seconds between two looks while it holds; one waiter, so it costs next to nothing."""


class ThrottleCeiling:
    """ports.Ceiling: at most the rate in any second, and in any window of the rate's own unit."""

    def __init__(self, rate: Rate) -> None:
        self.set_rate(rate)
        self._waiting = False

    def set_rate(self, rate: Rate) -> None:
        """Hold to ``rate`` from now on, with an empty memory of what left before."""
        self._throttlers = [Throttler(math.ceil(rate.per_s), period=1.0, retry_interval=POLL_S)]
        if rate.unit_s > 1:
            self._throttlers.append(Throttler(rate.count, period=float(rate.unit_s), retry_interval=POLL_S))

    async def admit(self) -> None:
        """Return when one more request may leave."""
        assert not self._waiting, "a ceiling has one waiter"  # noqa: S101  (kept on in production)
        self._waiting = True
        try:
            for throttler in self._throttlers:
                await throttler.acquire()  # type: ignore[no-untyped-call]
        finally:
            self._waiting = False
