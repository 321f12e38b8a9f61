"""What an answer's headers say about waiting. Whatever is malformed is ignored, never guessed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

WAIT_S_MAX = 600.0
"""Seconds: the longest wait that is honoured; beyond it the run stops and can be resumed."""

_SECONDS = re.compile(r"[0-9]{1,10}", re.ASCII)
_DATE = re.compile(
    r"[A-Z][a-z]+, [0-9]{2}[ -][A-Z][a-z]{2}[ -](?:[0-9]{2}){1,2} [0-9:]{8} GMT"
    r"|[A-Z][a-z]{2} [A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{8} [0-9]{4}",
    re.ASCII,
)
"""The three forms of RFC 9110 §5.6.7. The parser alone reads nearly anything, two dates in a row too."""
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_REMAINING = re.compile(r"(?:^|[;,\s])(?:r|remaining)=([0-9]{1,9})(?=$|[;,\s])", re.ASCII)
_RESET = re.compile(r"(?:^|[;,\s])(?:t|reset)=([0-9]{1,9})(?=$|[;,\s])", re.ASCII)


def retry_after_s(headers: Mapping[str, str], wall_us: int) -> float | None:
    """Seconds that ``Retry-After`` asks for; None if it is missing, malformed, repeated or not positive.

    A date is taken against the answer's own ``Date``, so that a skewed clock does not matter; without
    one against ours, and then never for longer than ``WAIT_S_MAX``.
    """
    value = headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(value):
        return float(value) or None
    due = _date(value)
    if due is None:
        return None
    now = _date(headers.get("date", "").strip())
    ours_s = min(WAIT_S_MAX, due.timestamp() - wall_us / 1e6)
    wait_s = ours_s if now is None else (due - now).total_seconds()
    return wait_s if wait_s > 0 else None


def quota_pause_s(headers: Mapping[str, str]) -> float | None:
    """Seconds to hold everything, if ``RateLimit`` says that nothing is left (``r=0;t=30``).

    Of several policies each counts: the longest wait of those that are used up.
    """
    given = headers.get("ratelimit")
    if not given:
        return None
    value = _QUOTED.sub("", given)
    # In the older form (``limit=9, remaining=0, reset=30``) the comma stands within the one policy.
    policies = value.split(",") if ";" in value else [value]
    return max(map(_pause_s, policies)) or None


def _pause_s(policy: str) -> float:
    remaining, reset = _REMAINING.search(policy), _RESET.search(policy)
    return 0.0 if remaining is None or reset is None or int(remaining[1]) > 0 else float(reset[1])


def _date(text: str) -> datetime | None:
    if not _DATE.fullmatch(text):
        return None
    try:
        found = parsedate_to_datetime(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
