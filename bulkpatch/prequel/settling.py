"""Whether a change whose answer was lost was made: told from what the destination shows now and showed before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from bulkpatch.model import Operation
from bulkpatch.prequel.diff import Kind, compare, same
from bulkpatch.prequel.live import Live

PATHS_SHOWN_MAX: Final = 3
"""Fields named in a reason; the row's own list has them all."""


class Finding(StrEnum):
    """What reading a destination back says of a row's change."""

    APPLIED = "applied"
    NOT_APPLIED = "not_applied"
    UNKNOWABLE = "unknowable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """A finding and why; the reason names fields and never a value."""

    finding: Finding
    why: str = ""


def settle(operation: Operation, live: Live | None, before: Mapping[str, Any] | None) -> Settled:
    """What ``live`` says of ``operation``. ``before`` is its pre-image by path, None if there is none.

    A field that is not as the row sets it settles that it was not applied: a body is applied whole or not at
    all. Fields that are, settle that it was if one of them was not before. Where that cannot be told for any
    of them the row is unknowable, and so it is where nothing can be read. Raises ``ValueError`` for a body that
    lacks one of the fields.
    """
    if live is None:
        return Settled(finding=Finding.UNKNOWABLE, why="the API shows no such destination")
    readable = [one for one in compare(operation, live) if one.kind is not Kind.UNKNOWN]
    if not readable:
        return Settled(finding=Finding.UNKNOWABLE, why="no field that the row sets can be read back")
    if other := [one.path for one in readable if one.kind is Kind.CHANGE]:
        more = ", …" if len(other) > PATHS_SHOWN_MAX else ""
        words = f"not as the row sets it: {', '.join(other[:PATHS_SHOWN_MAX])}{more}"
        return Settled(finding=Finding.NOT_APPLIED, why=words)
    if before is None or any(one.path in before and not same(one.after, before[one.path]) for one in readable):
        return Settled(finding=Finding.APPLIED)
    return Settled(finding=Finding.UNKNOWABLE, why="its readable fields had the same values before")
