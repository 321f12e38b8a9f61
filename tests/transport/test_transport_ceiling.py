"""The second hold on the rate holds by itself, without the pacer before it."""

from __future__ import annotations

import asyncio
import time

import pytest

from bulkpatch.core.quantities import parse_rate
from bulkpatch.transport.ceiling import ThrottleCeiling


@pytest.mark.proves("G5")
def test_no_window_holds_more_than_the_rate() -> None:
    """41 at 20/s take two seconds at least: asked for as fast as can be, the next window is another second."""

    async def act() -> None:
        ceiling = ThrottleCeiling(parse_rate("20/s"))
        for _ in range(41):
            await ceiling.admit()

    began_s = time.monotonic()
    asyncio.run(act())
    assert time.monotonic() - began_s >= 2.0


@pytest.mark.proves("G5")
@pytest.mark.parametrize("after", ["10/s", "20/s", "600/min"])
def test_what_was_admitted_counts_under_another_rate(after: str) -> None:
    """However often the rate is set."""

    async def act() -> None:
        ceiling = ThrottleCeiling(parse_rate("20/s"))
        for _ in range(20):
            await ceiling.admit()
        ceiling.set_rate(parse_rate(after))
        await ceiling.admit()

    began_s = time.monotonic()
    asyncio.run(act())
    assert time.monotonic() - began_s >= 1.0


def test_a_ceiling_has_one_waiter() -> None:
    """A second one at the same time is a bug."""

    async def act() -> None:
        ceiling = ThrottleCeiling(parse_rate("1/s"))
        await ceiling.admit()
        waiting = asyncio.create_task(ceiling.admit())
        await asyncio.sleep(0)
        with pytest.raises(AssertionError, match="one waiter"):
            await ceiling.admit()
        waiting.cancel()

    asyncio.run(act())
