"""Two-step signals: the first drains, the second quits."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from bulkpatch.core.work import Stop, Why
from bulkpatch.engine.engine import Engine
from bulkpatch.errors import ExitCode

_EXIT_CODES = {
    signal.SIGINT: ExitCode.SIGINT,
    signal.SIGTERM: ExitCode.SIGTERM,
    signal.SIGHUP: ExitCode.SIGTERM,
}


@contextmanager
def two_step(engine: Engine) -> Iterator[None]:
    """While it lasts, SIGINT, SIGTERM and SIGHUP stop ``engine``, and a second one quits it."""
    loop = asyncio.get_running_loop()
    seen: list[signal.Signals] = []

    def on_signal(number: signal.Signals) -> None:
        seen.append(number)
        if len(seen) > 1:
            engine.quit()
            return
        reason = f"{number.name}: nothing new is sent, what is in flight is finished"
        engine.stop(Stop(why=Why.SIGNAL, code="BP503", reason=reason, exit_code=_EXIT_CODES[number]))

    try:
        for number in _EXIT_CODES:
            loop.add_signal_handler(number, on_signal, number)
    except (ValueError, RuntimeError):  # not the main thread: whoever owns it owns the signals
        yield
        return
    try:
        yield
    finally:
        for number in _EXIT_CODES:
            loop.remove_signal_handler(number)
