"""What the API shows of destinations: one by one, or page by page.

An answer is either understood whole or its problem is named in words that hold nothing of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import msgspec

from bulkpatch.model import Reply
from bulkpatch.prequel.facts import parse_time
from bulkpatch.prequel.replies import facts_of, read_success

VOLATILE: Final = frozenset(
    {
        "created_at",
        "updated_at",
        "last_completed_transfer",
        "last_successful_transfer_ended_at",
        "total_rows_transferred_last_billing_period",
        "total_delta_rows_transferred_last_billing_period",
        "total_rows_transferred_current_billing_period",
    }
)
"""What the digest leaves out: transfers and the calendar move these, and nobody changed the destination's settings.

``updated_at`` is kept beside the digest; whether transfers move it too is not documented.
"""
CURSOR_LENGTH_MAX: Final = 2048
"""Characters of a cursor; base64 of an id and a sort value has about 100, and servers end at some thousands."""
QUERY_FIELDS_MAX: Final = 64
"""Fields in the query of a next URL; the API has under ten."""

_ENCODER: Final = msgspec.json.Encoder(order="deterministic")


class Missing(Enum):
    """The type of ``MISSING``."""

    MISSING = "missing"


MISSING: Final = Missing.MISSING
"""There is no value, not even null."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Live:
    """One destination as the API shows it. Prints as its id alone.

    ``settings`` is the whole object as decoded: no secret is expected in it, and no page promises
    that there is none. ``digest`` is the SHA-256 of its canonical JSON without ``VOLATILE``. Times
    are the API's text, and None where ``parse_time`` cannot read them; ``transfer_…`` is of the last
    completed transfer; ``facts`` are what reports keep of it (see ``facts``).
    """

    destination_id: str
    vendor: str | None
    recipient_id: str | None
    updated_at: str | None
    digest: bytes
    settings: Mapping[str, Any]
    transfer_started_at: str | None
    transfer_status: str | None
    facts: bytes

    def __repr__(self) -> str:
        return f"<destination {self.destination_id!r}>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page of destinations. ``next_cursor`` asks for the page after it; None: this is the last."""

    live: tuple[Live, ...]
    next_cursor: str | None = field(repr=False)


def read_live(reply: Reply, destination_id: str) -> Live | str:
    """What a GET of ``destination_id`` shows, or the problem in words. Never raises."""
    envelope = read_success(reply)
    if isinstance(envelope, str):
        return envelope
    live = _live(envelope["data"].get("destination"))
    if live is None:
        return "no destination with an id in it"
    return live if live.destination_id == destination_id else "another destination than the one asked for"


def read_page(reply: Reply, after: str | None = None) -> Page | str:
    """One page of a listing, or the problem in words; ``after`` is the cursor it was asked with. Never raises.

    Of ``next_url`` only the cursor is used, so no address of the API's choosing is ever asked. A page that
    leads back to itself, or that is empty and leads on, is a problem. So a listing that goes in a longer
    circle brings only ids that were there before, and that is for the reader of the pages to see.
    """
    envelope = read_success(reply)
    if isinstance(envelope, str):
        return envelope
    entries = envelope["data"].get("destinations")
    if not isinstance(entries, list):
        return "no list of destinations in it"
    found = tuple(live for live in map(_live, entries) if live)
    if len(found) < len(entries):
        return "a destination without an id in the list"
    match envelope.get("has_next"):
        case False:
            return Page(live=found, next_cursor=None)
        case True:
            return _leading_on(found, _cursor(envelope.get("next_url")), after)
        case _:
            return "a list that does not say whether it goes on"


def value_at(settings: Mapping[str, Any], path: str) -> Any:
    """The value at the dotted ``path``, or ``MISSING``; below null or a value that is no object there is none."""
    node: Any = settings
    for name in path.split("."):
        node = node.get(name, MISSING) if isinstance(node, Mapping) else MISSING
    return node


def _leading_on(found: tuple[Live, ...], cursor: str | None, after: str | None) -> Page | str:
    if cursor is None:
        return "a list that goes on without one usable cursor"
    if cursor == after:
        return "a page that leads to itself"
    return Page(live=found, next_cursor=cursor) if found else "an empty page that leads on"


def _cursor(next_url: Any) -> str | None:
    """The one cursor in the query of ``next_url``."""
    if not isinstance(next_url, str):
        return None
    try:
        cursors = parse_qs(urlsplit(next_url).query, max_num_fields=QUERY_FIELDS_MAX).get("cursor", [])
    except ValueError:
        return None
    return cursors[0] if len(cursors) == 1 and len(cursors[0]) <= CURSOR_LENGTH_MAX else None


def _live(entry: Any) -> Live | None:
    """``entry`` if it is an object with an id; whatever else does not fit is None in it."""
    destination_id = _text(entry, "id")
    if not destination_id:
        return None
    last = entry.get("last_completed_transfer")
    lasting = {name: value for name, value in entry.items() if name not in VOLATILE}
    return Live(
        destination_id=destination_id,
        vendor=_text(entry, "vendor"),
        recipient_id=_text(entry, "recipient_id"),
        updated_at=_time(entry, "updated_at"),
        digest=hashlib.sha256(_ENCODER.encode(lasting)).digest(),
        settings=entry,
        transfer_started_at=_time(last, "started_at"),
        transfer_status=_text(last, "status"),
        facts=facts_of(entry),
    )


def _text(node: Any, name: str) -> str | None:
    value = node.get(name) if isinstance(node, dict) else None
    return value if isinstance(value, str) else None


def _time(node: Any, name: str) -> str | None:
    text = _text(node, name)
    return None if parse_time(text) is None else text


def pack(live: Live, paths: Sequence[str]) -> bytes:
    """``live`` as compact JSON, its settings as far as ``paths`` go: what a plan keeps of a large fleet."""
    kept = {path: value for path in paths if (value := value_at(live.settings, path)) is not MISSING}
    times = (live.updated_at, live.transfer_started_at, live.transfer_status)
    digest, facts = live.digest.hex(), live.facts.decode()
    return _ENCODER.encode([live.destination_id, live.vendor, live.recipient_id, *times, digest, kept, facts])


def unpack(document: bytes) -> Live:
    """What ``pack`` made. Raises ``ValueError`` for anything else."""
    destination_id, vendor, recipient_id, *times, digest, kept, facts = msgspec.json.decode(document)
    updated_at, started_at, status = times
    settings: dict[str, Any] = {}
    for path, value in kept.items():
        *above, name = path.split(".")
        node = settings
        for step in above:
            node = node.setdefault(step, {})
        node[name] = value
    return Live(
        destination_id=destination_id,
        vendor=vendor,
        recipient_id=recipient_id,
        updated_at=updated_at,
        digest=bytes.fromhex(digest),
        settings=settings,
        transfer_started_at=started_at,
        transfer_status=status,
        facts=facts.encode(),
    )
