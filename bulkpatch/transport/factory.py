"""The transport that a job names."""

from __future__ import annotations

from typing import Any

from bulkpatch.errors import InvalidInput, Problem
from bulkpatch.ports import Transport


def open_transport(name: str, **settings: Any) -> Transport:
    """``httpx``. Raises ``InvalidInput`` (BP115) for one that this version does not have."""
    if name != "httpx":
        raise InvalidInput([Problem(code="BP115", message=f"no transport {name!r} in this version")])
    from bulkpatch.transport.httpx_transport import HttpxTransport  # noqa: PLC0415  (only what is used is imported)

    return HttpxTransport(**settings)
