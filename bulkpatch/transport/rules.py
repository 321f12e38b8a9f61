"""What every transport holds to: the same limits, the same refusals, the same headers kept of an answer."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from bulkpatch.errors import InvalidInput, Problem
from bulkpatch.model import Fault, FaultKind, Secret
from bulkpatch.prequel.requests import check_base_url

BODY_BYTES_MAX: Final = 1024 * 1024
"""Bytes of a reply's body: a destination is a few KB, a page of 100 some hundred KB."""
HEADER_BYTES_MAX: Final = 64 * 1024
"""Bytes of a reply's headers; real ones are under 2 KB."""
IDLE_S_MAX: Final = 4.0
"""Seconds that an idle connection is used again: below the 5 s after which common servers close theirs."""
CONNECT_S_MAX: Final = 5.0
"""Seconds for name, TCP and TLS together, within the attempt's own limit; a path that works takes well under one."""
MISDIRECTED: Final = 421
"""Status of a server that does not serve this address: its connection leads astray, and is not used again."""

DECIDING: Final = frozenset({b"retry-after", b"ratelimit", b"ratelimit-policy", b"date", b"location", b"content-type"})
"""The headers of an answer that decide anything."""

_PATH: Final = re.compile(r"(?:/[A-Za-z0-9_-]{1,128})+(?:\?[A-Za-z0-9_.~%=&-]*)?", re.ASCII)
"""Segments that a destination id could be, so no id changes the address, and a quoted query."""
_HEADER_TEXT: Final = re.compile(r"[!-~]+", re.ASCII)

sendable = _PATH.fullmatch
"""Whether a path names what it seems to and nothing else."""


def unsendable(now_s: float) -> Fault:
    """What comes of a path that is not sendable."""
    return Fault(kind=FaultKind.INVALID_REQUEST, sent=False, detail="its path", sent_at_s=now_s, ended_at_s=now_s)


def checked(base_url: str, key: Secret) -> str:
    """``base_url`` as it is used. Raises ``InvalidInput`` if ``key`` must not go there, or no header can carry it."""
    try:
        url = check_base_url(base_url)
    except ValueError as error:
        raise InvalidInput([Problem(code="BP111", message=str(error))]) from None
    if not _HEADER_TEXT.fullmatch(key.reveal()):
        message = f"the API key of {key.reference} holds a character that no header can carry"
        raise InvalidInput([Problem(code="BP304", message=message)])
    return url


def is_plain(content_encoding: str) -> bool:
    """Whether a body is as it came: another encoding was not asked for, and could become any size."""
    return content_encoding.strip().lower() in {"", "identity"}


def deciding(raw: Iterable[tuple[bytes, bytes]], own_host: str) -> dict[str, str]:
    """The headers that decide anything; one that stands twice is joined with a comma, for the judge to see both."""
    kept: dict[str, str] = {}
    for raw_name, raw_value in raw:
        if raw_name.lower() in DECIDING:
            name, value = raw_name.lower().decode("ascii"), raw_value.decode("latin-1")
            if name == "location":
                value = host_of(value, own_host)
            kept[name] = f"{kept[name]}, {value}" if name in kept else value
    return kept


def host_of(location: str, own_host: str) -> str:
    """Where a redirect points, and nothing else of it."""
    try:
        return urlsplit(location).hostname or own_host
    except ValueError:
        return "an address that is none"
