"""Numbers as a person reads them, and texts that come from outside."""

from __future__ import annotations

import re
from textwrap import wrap

from bulkpatch.model import RowState, Snapshot

DONE = (RowState.ACCEPTED, RowState.VERIFIED, RowState.NOOP, RowState.PLANNED)
FAILED = (
    RowState.REJECTED,
    RowState.EXHAUSTED,
    RowState.UNKNOWN,
    RowState.UNVERIFIED,
    RowState.SKIPPED,
    RowState.NOT_ATTEMPTED,
)
"""States that count as done and as failed, in the order in which they are told."""

_UNPRINTED = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")
_NAMED = re.compile(r" *\S+(?: \S+)*  +")
_MINUTE_S = 60
_HOUR_S = 3600
_DAY_S = 86_400


def harmless(line: str) -> str:
    """``line`` without anything that moves a cursor, hides or turns around: each is shown by its JSON escape."""
    return _UNPRINTED.sub(lambda match: f"\\u{ord(match[0]):04x}", line)


def within(width: int | None, line: str) -> list[str]:
    """``line`` broken between words into ``width`` columns; what follows stands below what the line says.

    That is behind its name, where two blanks set one off, else as far in as it began. None: there is no width.
    """
    if width is None or len(line) <= width:
        return [line]
    named = _NAMED.match(line)
    hang = named.end() if named is not None and named.end() <= width // 2 else len(line) - len(line.lstrip()) or 2
    return wrap(
        line, width, subsequent_indent=" " * hang, break_long_words=False, break_on_hyphens=False, expand_tabs=False
    )


def count(number: int) -> str:
    """``12,345``."""
    return f"{number:,}"


def duration(seconds: float) -> str:
    """The two greatest units that matter: ``45 s``, ``12 min 5 s``, ``3 h 20 min``, ``2 d 4 h``."""
    whole = max(0, round(seconds))
    if whole < _MINUTE_S:
        return f"{whole} s"
    if whole < _HOUR_S:
        return _two(whole, _MINUTE_S, "min", 1, "s")
    if whole < _DAY_S:
        return _two(whole, _HOUR_S, "h", _MINUTE_S, "min")
    return _two(whole, _DAY_S, "d", _HOUR_S, "h")


def latency(ms: float) -> str:
    """``0.4 ms``, ``120 ms`` or ``2.4 s``."""
    if ms < 1:
        return f"{ms:.1f} ms"
    return f"{ms:.0f} ms" if ms < 1000 else f"{ms / 1000:.1f} s"  # noqa: PLR2004 - milliseconds in a second


def rate(per_s: float, *, like: float | None = None) -> str:
    """A rate in the unit that leaves a readable number, or that of ``like``: ``4.9/s``, ``30/min``."""
    if 0 < (per_s if like is None else like) < 1:
        return f"{per_s * _MINUTE_S:.3g}/min"
    return f"{per_s:,.1f}/s".replace(".0/", "/")


def share(part: int, whole: int) -> str:
    """Rounded down, so that 100 % means all."""
    return f"{part * 1000 // whole / 10:g}%" if whole else "100%"


def gate_words(  # noqa: PLR0913  (what a gate may ask for, each by name)
    *,
    allowed: str,
    soak_s: float,
    transfers: float | None,
    window_s: float | None,
    approve: bool,
    plugin: str | None = None,
) -> str:
    """What a gate asks for before the next wave."""
    within = f" within {duration(window_s)}" if window_s is not None else ""
    asked = (
        f"at most {allowed} failed" if allowed else "",
        f"{duration(soak_s)} of soak" if soak_s else "",
        f"{transfers:.0%} of transfers good{within}" if transfers else "",
        f"the plugin {plugin}" if plugin else "",
        "approval" if approve else "",
    )
    return ", ".join(filter(None, asked)) or "nothing"


def states(snapshot: Snapshot) -> list[tuple[RowState, str]]:
    """``(state, "accepted 12,300")`` for each state that holds rows: done first, then failed."""
    held = ((state, snapshot.states.get(state, 0)) for state in (*DONE, *FAILED))
    return [(state, f"{state.value} {count(number)}") for state, number in held if number]


def _two(whole: int, large_s: int, large: str, small_s: int, small: str) -> str:
    more = whole % large_s // small_s
    return f"{whole // large_s} {large}" + (f" {more} {small}" if more else "")
