"""When a run stops by itself because too many rows failed."""

from __future__ import annotations

import math

from bulkpatch.model import Guard, Threshold


def allowed(share: float, rows: int) -> int:
    """The whole rows in ``share`` of ``rows``. A share has six decimals; in floats, 0.29 of 100 is less than 29."""
    return math.floor(round(share * rows, 6))


def exceeds(limit: Threshold, *, failed: int, tried: int) -> bool:
    """More than ``limit`` failed; a share is of the rows tried, and 100 % is never exceeded."""
    if limit.share is None:
        return failed > (limit.count or 0)
    return failed > allowed(limit.share, tried)


def trips(guard: Guard, *, failed: int, tried: int) -> bool:
    """Whether the run must stop. ``min_tried`` waits only for shares: a number is a number at once."""
    if guard.max_failed.share is not None and tried < guard.min_tried:
        return False
    return exceeds(guard.max_failed, failed=failed, tried=tried)


def in_words(guard: Guard, total: int) -> str:
    """The guard with its share worked out for ``total`` rows: what a person sees at the start."""
    limit = guard.max_failed
    if limit.share is None:
        return f"stops after more than {limit.count} failed rows"
    if limit.share >= 1:
        return "never stops for failed rows"
    rows = allowed(limit.share, total)
    return f"stops when more than {limit} of the rows tried failed (of all: {rows}), once {guard.min_tried} were tried"
