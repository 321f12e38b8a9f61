"""The rate of one process: one pacer, one speed and one ceiling for reads and writes, before and after a resume."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bulkpatch.core.adaptive import AdaptiveSpeed
from bulkpatch.core.pacer import Pacer
from bulkpatch.model import Rate
from bulkpatch.ports import Clock, Ledger
from bulkpatch.transport.ceiling import ThrottleCeiling

RESUME_HOLD_S: Final = 1.0
"""Seconds that a resume sends nothing: whatever the earlier process sent left before this one began."""
RECENT_S: Final = 10.0
"""Seconds after the last durable intent in which a resume is held back at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast this process may go."""

    pacer: Pacer
    speed: AdaptiveSpeed
    ceiling: ThrottleCeiling


def fresh_pace(rate: Rate, clock: Clock) -> Pace:
    """Of a process that nothing was sent before."""
    return _pace(rate, clock, history=())


def resumed_pace(rate: Rate, clock: Clock, ledger: Ledger) -> Pace:
    """Of a process that goes on: what was sent lately counts, and it begins at half speed."""
    now_s, wall_us, known_s = clock.monotonic(), clock.wall_us(), rate.unit_s + RECENT_S
    sends = ledger.recent_sends(wall_us - round(known_s * 1e6), now_s - known_s)
    ages_s = [_age_s(now_s - at_s, (wall_us - at_us) / 1e6) for at_us, at_s in sends]
    history = [min(now_s, now_s - age_s + RESUME_HOLD_S) for age_s in ages_s]
    held = min(ages_s, default=math.inf) < RECENT_S
    pace = _pace(rate, clock, history=history, not_before_s=now_s + RESUME_HOLD_S if held else float("-inf"))
    pace.speed.ramp(now_s)
    return pace


def _age_s(by_monotonic_s: float, by_wall_s: float) -> float:
    """How long ago a request left, at the least.

    A wall clock may have been set meanwhile, on or back. The monotonic one may be another boot's, and then tells
    nothing; that is noticed where the request is yet to leave by it, and else holds back for longer than need be.
    """
    return max(0.0, by_wall_s if by_monotonic_s < 0 else min(by_monotonic_s, by_wall_s))


def _pace(rate: Rate, clock: Clock, *, history: Sequence[float], not_before_s: float = float("-inf")) -> Pace:
    now_s = clock.monotonic()
    return Pace(
        pacer=Pacer(rate, now_s=now_s, history=history, not_before_s=not_before_s),
        speed=AdaptiveSpeed(rate.per_s, now_s=now_s),
        ceiling=ThrottleCeiling(rate),
    )
