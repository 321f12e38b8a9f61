"""Signals reach the run in two steps, and only for as long as it lasts."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Iterator
from typing import cast

import pytest

from bulkpatch.core.work import Stop
from bulkpatch.engine.engine import Engine
from bulkpatch.engine.signals import two_step

NUMBERS = [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)]


class Asked:
    """In the place of an engine: what it was asked for."""

    def __init__(self) -> None:
        self.stops: list[Stop] = []
        self.quits = 0

    def stop(self, stop: Stop) -> None:
        """Drain."""
        self.stops.append(stop)

    def quit(self) -> None:
        """Wait for nothing."""
        self.quits += 1


@pytest.fixture(autouse=True)
def _harmless() -> Iterator[None]:
    """A signal that nobody takes does not end the tests."""
    assert threading.current_thread() is threading.main_thread()
    before = {number: signal.signal(number, signal.SIG_IGN) for number, _ in NUMBERS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.proves("G13")
@pytest.mark.parametrize(("number", "code"), NUMBERS)
def test_the_first_signal_drains_and_the_second_quits(number: signal.Signals, code: int) -> None:
    """The first asks for a stop with the exit code of its number; any other one ends the waiting."""
    engine = Asked()

    async def act() -> None:
        with two_step(cast("Engine", engine)):
            for quits, sent in enumerate((number, signal.SIGTERM, signal.SIGINT)):
                signal.raise_signal(sent)
                await asyncio.sleep(0.01)
                assert [stop.exit_code for stop in engine.stops] == [code]
                assert engine.quits == quits

    asyncio.run(act())
