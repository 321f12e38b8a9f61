"""Rates, durations and thresholds as users write them. Text in, value or ``ValueError`` out."""

from __future__ import annotations

import re

from bulkpatch.model import Rate, Threshold

RATE_PER_S_MAX = 1_000_000
"""Requests per second; beyond it a rate is a typing error, not a wish."""
DURATION_S_MAX = 7 * 24 * 3600.0
"""Seconds; a week, since no run is meant to wait longer for one thing."""

_UNITS_S = {"s": 1, "min": 60, "h": 3600}
_RATE = re.compile(r"([0-9]{1,10})\s*/\s*(s|min|h)", re.ASCII)
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)(ms|s|m|h)", re.ASCII)
_DURATION_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_SHARE = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,4})?)%", re.ASCII)


def parse_rate(text: str) -> Rate:
    """``"5/s"``, ``"300/min"``, ``"20000/h"``."""
    match = _RATE.fullmatch(text.strip())
    if match is None:
        raise ValueError('a rate is a whole number per s, min or h, such as "5/s"')
    rate = Rate(count=int(match[1]), unit_s=_UNITS_S[match[2]])
    if rate.count == 0 or rate.per_s > RATE_PER_S_MAX:
        raise ValueError(f"a rate is at least 1 and at most {RATE_PER_S_MAX}/s")
    return rate


def parse_duration(text: str) -> float:
    """``"30s"``, ``"500ms"``, ``"5m"``, ``"1h"`` → seconds."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError('a duration is a number and ms, s, m or h, such as "30s"')
    seconds = float(match[1]) * _DURATION_UNITS_S[match[2]]
    if seconds > DURATION_S_MAX:
        raise ValueError("a duration is at most a week")
    return seconds


def parse_threshold(value: int | str) -> Threshold:
    """A whole number of rows, or a share such as ``"1%"``."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return Threshold(count=value)
    match = _SHARE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None or float(match[1]) > 100:  # noqa: PLR2004  (per cent)
        raise ValueError('a threshold is a whole number, or a share from "0%" to "100%"')
    return Threshold(share=float(match[1]) / 100)
