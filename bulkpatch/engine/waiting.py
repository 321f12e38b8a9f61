"""Waiting for what was moved, or for a time: one timer of the loop, and no exception when it comes."""

from __future__ import annotations

import asyncio
import math


async def moved_or_due(event: asyncio.Event, at_most_s: float) -> None:
    """Return once ``event`` is set; after ``at_most_s`` seconds (infinite: never) it is set here."""
    if math.isinf(at_most_s):
        await event.wait()
        return
    timer = asyncio.get_running_loop().call_later(max(0.0, at_most_s), event.set)
    try:
        await event.wait()
    finally:
        timer.cancel()
