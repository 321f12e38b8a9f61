"""Time that is only counted: an event loop without sockets whose clock jumps to the next timer."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from typing import Any

ROUNDS_MAX = 400_000
"""Rounds of the loop in one story: ten times what the longest one that ends takes."""

ROUND_S = 1e-7
"""Seconds that a round takes: who waits for a moment nearer than a clock can tell would else wait for ever."""
INSTANT_S = 1e-4
"""Seconds within which things happen at once: some hundred rounds."""


class Livelock(Exception):
    """The story goes on without an end, or nothing will ever wake it."""


class VirtualLoop(asyncio.BaseEventLoop):
    """Runs what is ready, in order, then jumps. Signals are delivered by ``deliver``; there is nothing else outside."""

    def __init__(self, *, ends_at_s: float) -> None:
        super().__init__()
        self.now_s = 1000.0
        self.rounds = 0
        self.failures: list[str] = []
        self._ends_at_s = ends_at_s
        self._signals: dict[int, tuple[Callable[..., Any], Sequence[Any]]] = {}
        self._selector = self
        self.set_exception_handler(self._note)

    def time(self) -> float:
        """Virtual seconds."""
        return self.now_s

    def select(self, timeout: float | None = None) -> Sequence[Any]:
        """What a selector does; here, time passes. Raises ``Livelock``."""
        self.rounds += 1
        if self.rounds > ROUNDS_MAX or self.now_s > self._ends_at_s:
            raise Livelock(f"it goes on after {self.rounds:,} rounds and {self.now_s:,.0f} virtual seconds")
        if timeout is None:
            raise Livelock("nothing is under way, and nothing will wake it")
        self.now_s += timeout + ROUND_S
        return ()

    def add_signal_handler(self, sig: int, callback: Callable[..., Any], *args: Any) -> None:  # type: ignore[override]
        """As asyncio's."""
        self._signals[sig] = (callback, args)

    def remove_signal_handler(self, sig: int) -> bool:
        """As asyncio's."""
        return self._signals.pop(sig, None) is not None

    def deliver(self, sig: int) -> bool:
        """Hand ``sig`` to whoever listens. False: nobody does."""
        callback, args = self._signals.get(sig, (None, ()))
        if callback is None:
            return False
        callback(*args)
        return True

    def end(self) -> None:
        """Cancel what a story that was cut off left behind, and close."""
        self.rounds, self._ends_at_s = 0, math.inf
        tasks = asyncio.all_tasks(self)
        for task in tasks:
            task.cancel()
        if tasks:
            self.run_until_complete(asyncio.wait(tasks, timeout=1.0))
        self.close()

    def forget_signals(self) -> None:
        """The process is gone, and its handlers with it."""
        self._signals.clear()

    def _note(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.failures.append(f"{context.get('message')}: {context.get('exception')!r}")

    def _process_events(self, event_list: Sequence[Any]) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """No thread wakes this loop."""
