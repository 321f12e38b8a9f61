"""The transport that a job names."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any, Final

from bulkpatch.errors import CODES, InvalidInput, Problem
from bulkpatch.model import Secret
from bulkpatch.ports import Clock, Transport

_PLACES: Final = {
    "httpx": ("bulkpatch.transport.httpx_transport", "HttpxTransport"),
    "curl": ("bulkpatch.transport.curl_transport", "CurlTransport"),
}
"""Only what is used is imported: libcurl is an extra, and httpx takes a quarter of a second."""


def open_transport(  # noqa: PLR0913  (the settings of one thing, each by name)
    name: str,
    *,
    base_url: str,
    key: Secret,
    concurrency: int,
    clock: Clock,
    user_agent: str,
    ca_file: Path | None = None,
) -> Transport:
    """The transport ``name``: ``httpx``, or ``curl`` with the extra ``fast``. Nothing is connected yet.

    Raises ``InvalidInput``: BP115 for one that is not to be had, and as the transports do.
    """
    if flaw := transport_flaw(name):
        raise InvalidInput([flaw])
    transport: Transport = _load(name)(
        base_url, key, concurrency=concurrency, clock=clock, user_agent=user_agent, ca_file=ca_file
    )
    return transport


def transport_flaw(name: str) -> Problem | None:
    """Why the transport ``name`` is not to be had here (BP115), or None."""
    if name not in _PLACES:
        return Problem(code="BP115", message=f"there is no transport {name[:40]}", hint=CODES["BP115"].fix)
    try:
        _load(name)
    except ImportError as missing:
        what = f"the extra `fast`: {missing}" if missing.name != "libcurl" else str(missing)
        hint = "pip install 'bulkpatch[fast]', or leave transport out. Nothing was sent."
        return Problem(code="BP115", message=f'transport = "{name}" needs {what}', hint=hint)
    return None


def _load(name: str) -> Any:
    # libcurl reads it when it is loaded, and would write the keys of every TLS connection to that file.
    os.unsetenv("SSLKEYLOGFILE")
    module, kind = _PLACES[name]
    return getattr(importlib.import_module(module), kind)
