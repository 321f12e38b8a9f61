"""Which limit holds a run back now, in the words that people are shown."""

from __future__ import annotations

import math

from bulkpatch.core.breaker import BreakerState
from bulkpatch.core.dispatcher import Dispatcher
from bulkpatch.core.waves import Phase


def bound_by(dispatcher: Dispatcher, now_s: float) -> str:
    """The one limit that, raised, would let the run go faster now."""
    wave, lanes = dispatcher.wave, dispatcher.health.lanes
    if dispatcher.paused:
        return "a pause"
    if wave.phase not in {Phase.SENDING, Phase.PASSED}:
        return f"the gate of wave {wave.wave.number} ({wave.phase})"
    if lanes.waiting and (lanes.whole.state is not BreakerState.CLOSED or not dispatcher.in_flight):
        return "an API that fails"
    if dispatcher.pacer.speed < dispatcher.limits.rate.per_s:
        return "the API's own limit"
    if not dispatcher.in_slots and math.isfinite(dispatcher.wakes_at(now_s)):
        return "waits before another attempt"
    return "concurrency" if dispatcher.in_flight >= dispatcher.limits.concurrency else "the rate"
