"""An operation against the live state: what it changes, what is so already, what cannot be known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

import msgspec

from bulkpatch.model import Operation
from bulkpatch.prequel.catalogue import Field, catalogue
from bulkpatch.prequel.live import MISSING, Live, value_at

PATHS_CACHED_MAX: Final = 4096
"""Paths whose place in the catalogue is kept: it has some 300 fields, and jobs name few besides."""

_ENCODER: Final = msgspec.json.Encoder(order="deterministic")


class Kind(StrEnum):
    """What a row does to one field."""

    CHANGE = "change"
    SAME = "same"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldDiff:
    """One field of a row against the live state. Prints without values.

    ``before`` is ``MISSING`` where the live state lacks the field or is not known; of an unknown
    secret ``after`` is too.
    """

    path: str
    kind: Kind
    before: Any = field(default=MISSING, repr=False)
    after: Any = field(default=MISSING, repr=False)


def compare(operation: Operation, live: Live | None) -> tuple[FieldDiff, ...]:
    """Each field that ``operation`` sets, in its order; ``live`` None: nothing is known of the destination.

    Unknown is what no GET shows (secrets, ``machine_type_id``), and a field that neither the
    catalogue nor the live state has. A null equals a missing field. Objects are the same only if
    they are wholly equal: whether the API merges or replaces them is not documented. Raises ``ValueError``
    for a body that lacks one of the fields.
    """
    change = msgspec.json.decode(operation.body)["destination"]
    slots = [slot.path for slot in operation.secrets]
    return tuple(_diff(path, value_at(change, path), live, slots) for path in operation.fields)


def is_noop(diffs: Sequence[FieldDiff]) -> bool:
    """Whether sending would change nothing, for certain."""
    return all(diff.kind is Kind.SAME for diff in diffs)


def vendor_clash(operation: Operation, live: Live | None) -> str | None:
    """The vendor whose object the body holds, if the destination is known to be another vendor's."""
    if live is None or live.vendor is None:
        return None
    tops = (path.partition(".")[0] for path in operation.fields)
    return next((top for top in tops if top in catalogue().vendors and top != live.vendor), None)


def pre_image(operation: Operation, live: Live | None) -> bytes | None:
    """Compact JSON of what the readable fields that ``operation`` sets are now, by path; null for a missing one.

    None if ``live`` is. Not yet scrubbed.
    """
    if live is None:
        return None
    known = (diff for diff in compare(operation, live) if diff.kind is not Kind.UNKNOWN)
    return _ENCODER.encode({diff.path: None if diff.before is MISSING else diff.before for diff in known})


def expectation_failures(expect: Mapping[str, Any], live: Live) -> tuple[tuple[str, Any, Any], ...]:
    """Path, wanted and found value of each dotted path of ``expect`` that is not as wanted.

    What is found is ``MISSING`` if the live state lacks it.
    """
    found = ((path, wanted, value_at(live.settings, path)) for path, wanted in expect.items())
    return tuple(one for one in found if not same(one[1], one[2]))


def _diff(path: str, after: Any, live: Live | None, slots: Sequence[tuple[str, ...]]) -> FieldDiff:
    if after is MISSING:
        raise ValueError("the body lacks a field that its operation names")
    hidden = _hidden(path)
    names = tuple(path.split("."))
    if any(one.secret for one in hidden) or any(_overlap(names, slot) for slot in slots):
        return FieldDiff(path=path, kind=Kind.UNKNOWN)
    before = MISSING if live is None or hidden else value_at(live.settings, path)
    if live is None or hidden or (before is MISSING and catalogue().field(path) is None):
        return FieldDiff(path=path, kind=Kind.UNKNOWN, after=after)
    kind = Kind.SAME if same(after, before) else Kind.CHANGE
    return FieldDiff(path=path, kind=kind, before=before, after=after)


def is_shown(path: str) -> bool:
    """Whether a GET shows all of the field at ``path``, as far as the catalogue knows."""
    return not _hidden(path)


@lru_cache(maxsize=PATHS_CACHED_MAX)
def _hidden(path: str) -> tuple[Field, ...]:
    """The fields that no GET shows and that lie at, above or below ``path``: an object may hold one."""
    names = tuple(path.split("."))
    unreadable = (one for one in catalogue().fields.values() if not one.readable)
    return tuple(one for one in unreadable if _overlap(names, tuple(one.path.split("."))))


def _overlap(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether one path is the other, or leads to it."""
    return all(a == b for a, b in zip(one, other, strict=False))


def same(wanted: Any, found: Any) -> bool:
    """Whether a field holds what is wanted; a null equals a missing field."""
    return found is None or found is MISSING if wanted is None else _equal(wanted, found)


def _equal(one: Any, other: Any) -> bool:
    """Equality of JSON values: 1 is 1.0, and true is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    match one, other:
        case list() | tuple(), list() | tuple():
            return len(one) == len(other) and all(map(_equal, one, other))
        case Mapping(), Mapping():
            return one.keys() == other.keys() and all(_equal(value, other[name]) for name, value in one.items())
        case _:
            return bool(one == other)
