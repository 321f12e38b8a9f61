"""The rate of one process: one pacer, one speed and one ceiling for reads and writes, before and after a resume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bulkpatch.core.adaptive import AdaptiveSpeed
from bulkpatch.core.pacer import Pacer
from bulkpatch.model import Rate
from bulkpatch.ports import Clock, Ledger
from bulkpatch.transport.ceiling import ThrottleCeiling

RESUME_HOLD_S: Final = 1.0
"""Seconds that a resume sends nothing: a whole window of a second, whatever the wall clock says, and whatever was
read, which is on no record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast this process may go."""

    pacer: Pacer
    speed: AdaptiveSpeed
    ceiling: ThrottleCeiling


def fresh_pace(rate: Rate, clock: Clock) -> Pace:
    """Of a process that nothing was sent before."""
    return _pace(rate, clock, history=())


def resumed_pace(rate: Rate, clock: Clock, ledger: Ledger, *, alone_s: float | None = None) -> Pace:
    """Of a process that goes on: what was sent lately counts, and it begins at half speed.

    It has held the lock, so that no other process sends, since ``alone_s`` by the monotonic clock, else since now.
    """
    now_s, wall_us = clock.monotonic(), clock.wall_us()
    # An intent may have waited long for its turn: what it led to left when its answer came, or until now.
    sends = ledger.recent_sends(wall_us - round(rate.unit_s * 1e6), now_s - rate.unit_s)
    ages_s = [0.0 if left is None else _age_s(now_s, wall_us, *left) for left in sends]
    history = [now_s - age_s for age_s in ages_s]
    hold_until_s = (now_s if alone_s is None else alone_s) + RESUME_HOLD_S
    pace = _pace(rate, clock, history=history, not_before_s=hold_until_s)
    pace.speed.ramp(now_s)
    return pace


def _age_s(now_s: float, wall_us: int, answered_us: int, answered_s: float, sent_s: float) -> float:
    """How long ago a request left, at the least.

    A wall clock may have been set meanwhile, on or back. The monotonic one may be another boot's, and then tells
    nothing; that is noticed where even its intent is yet to come by it, and else holds back for longer than need be.
    An answer that is yet to come means that the wall clock was set while it was waited for: then nothing is known.
    """
    by_wall_s = (wall_us - answered_us) / 1e6
    if sent_s > now_s:
        return max(0.0, by_wall_s)
    return max(0.0, min(now_s - answered_s, by_wall_s))


def _pace(rate: Rate, clock: Clock, *, history: Sequence[float], not_before_s: float = float("-inf")) -> Pace:
    now_s = clock.monotonic()
    return Pace(
        pacer=Pacer(rate, now_s=now_s, history=history, not_before_s=not_before_s),
        speed=AdaptiveSpeed(rate.per_s, now_s=now_s),
        ceiling=ThrottleCeiling(rate),
    )
