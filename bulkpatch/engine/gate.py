"""The last step before the wire: slots wait here in line until the rate lets the next one through."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from typing import Final, Protocol

from bulkpatch.core.window import SendWindow
from bulkpatch.core.work import Stop
from bulkpatch.engine.waiting import moved_or_due
from bulkpatch.ports import Ceiling, Clock

WINDOW_LOOK_S: Final = 30.0
"""Seconds between two looks at the wall clock while the send window is closed."""


class Turns(Protocol):
    """Who says when the next request may leave."""

    @property
    def stopped(self) -> Stop | None:
        """Set once nothing may leave any more."""
        ...

    def ready_at(self, now_s: float) -> float:
        """When the next request may leave; infinite until one that was granted has left."""
        ...

    def grant(self, now_s: float) -> None:
        """One request takes its place."""
        ...


class Gate:
    """Lets requests leave one by one: the pacer behind ``turns`` spaces them, the ceiling holds a second time.

    Only ``run`` ever awaits the ceiling, so it has exactly one waiter. Outside ``window`` nothing leaves.
    """

    def __init__(self, turns: Turns, ceiling: Ceiling, clock: Clock, *, window: SendWindow | None = None) -> None:
        self._turns = turns
        self._ceiling = ceiling
        self._clock = clock
        self._window = window
        self._line: deque[asyncio.Future[bool]] = deque()
        self._changed = asyncio.Event()
        self._held = False

    @property
    def waiting(self) -> int:
        """Requests that stand in line."""
        return len(self._line)

    async def pass_through(self) -> bool:
        """Wait for a place in the rate. False: the run stops, nothing may leave."""
        place: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.enter(place)
        return await place

    def enter(self, place: asyncio.Future[bool]) -> None:
        """Stand in line: ``place`` is set when its turn has come, or to False if the run stops."""
        if self._turns.stopped is not None:
            place.set_result(False)
            return
        self._line.append(place)
        self._changed.set()

    def changed(self) -> None:
        """Look again: a limit changed, or the run stops."""
        self._changed.set()

    def left(self) -> None:
        """A request left. Only where the windows are full of such as have not is that waited for."""
        if self._held:
            self._changed.set()

    async def run(self) -> None:
        """Serve the line until cancelled."""
        while True:
            self._changed.clear()
            if self._turns.stopped is not None:
                self._turn_away()
            wait_s = self._wait_s()
            if wait_s <= 0:
                waited = await self._ceiling.admit()
                # Meanwhile the API may have asked to wait, a rate may have been lowered, or the window have closed.
                if not waited or (self._turns.stopped is None and self._wait_s() <= 0):
                    self._let_through()
                continue
            self._held = bool(self._line) and math.isinf(wait_s)
            await moved_or_due(self._changed, wait_s)

    def _wait_s(self) -> float:
        while self._line and self._line[0].done():
            self._line.popleft()
        if not self._line:
            return math.inf
        now_s = self._clock.monotonic()
        closed_s = self._window.opens_in_s(self._clock.wall_us()) if self._window is not None else 0.0
        # A wall clock may be set meanwhile, so it is asked again and again.
        return max(self._turns.ready_at(now_s) - now_s, min(closed_s, WINDOW_LOOK_S))

    def _let_through(self) -> None:
        self._turns.grant(self._clock.monotonic())
        self._line.popleft().set_result(True)

    def _turn_away(self) -> None:
        while self._line:
            place = self._line.popleft()
            if not place.done():
                place.set_result(False)
