"""Pages of a list that only grows at its end, so that reading while others write skips and repeats nothing."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bulkpatch.simulator.refusals import Refusal

PAGE_SIZE = 10
"""Entries of a page when nothing is asked for; the API's own default."""
PAGE_SIZE_MAX = 100
"""Entries; the API's own maximum."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page of ids. ``next_query`` asks for the page after it; None: this is the last."""

    ids: Sequence[str]
    next_query: Mapping[str, str] | None


def page_of(ids: Sequence[str], positions: Mapping[str, int], query: Mapping[str, str]) -> Page:
    """The page of ``ids`` that ``query`` (page_size, order, cursor) asks for. Raises ``Refusal`` 400."""
    size, order = _size(query.get("page_size", str(PAGE_SIZE))), query.get("order", "asc")
    if order not in {"asc", "desc"}:
        raise Refusal(400, "order is asc or desc")
    step = 1 if order == "asc" else -1
    first = 0 if step > 0 else len(ids) - 1
    if cursor := query.get("cursor"):
        first = _position(cursor, positions) + step
    last = min(first + size, len(ids)) if step > 0 else max(first - size, -1)
    found = [ids[at] for at in range(first, last, step)]
    if not found or not 0 <= last < len(ids):
        return Page(ids=found, next_query=None)
    return Page(ids=found, next_query={"page_size": str(size), "order": order, "cursor": _cursor(found[-1])})


def _size(text: str) -> int:
    if text.isascii() and text.isdigit() and 1 <= int(text) <= PAGE_SIZE_MAX:
        return int(text)
    raise Refusal(400, f"page_size is a whole number from 1 to {PAGE_SIZE_MAX}")


def _cursor(last_id: str) -> str:
    return base64.urlsafe_b64encode(json.dumps({"id": last_id}).encode()).decode()


def _position(cursor: str, positions: Mapping[str, int]) -> int:
    try:
        return positions[json.loads(base64.b64decode(cursor, altchars=b"-_", validate=True))["id"]]
    except (binascii.Error, ValueError, LookupError, TypeError):
        raise Refusal(400, "the cursor is not one of ours") from None
