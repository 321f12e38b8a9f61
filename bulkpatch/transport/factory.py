"""The transport that a job names: one of ours, or one that another package brings."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any, Final

from bulkpatch import plugins
from bulkpatch.errors import CODES, InvalidInput, Problem
from bulkpatch.model import Secret
from bulkpatch.plugins import Group
from bulkpatch.ports import Clock, Transport
from bulkpatch.transport.held import HeldTransport
from bulkpatch.transport.rules import checked

TRANSPORTS: Final = {
    "httpx": ("bulkpatch.transport.httpx_transport", "HttpxTransport"),
    "curl": ("bulkpatch.transport.curl_transport", "CurlTransport"),
}
"""Ours. Only what is used is imported: libcurl is an extra, and httpx takes a quarter of a second."""


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
    """The transport ``name``: ``httpx``, ``curl`` with the extra ``fast``, or an entry point's. None connects yet.

    Raises ``InvalidInput``: BP115 for one that is not to be had, and as the transports do.
    """
    if flaw := transport_flaw(name):
        raise InvalidInput([flaw])
    settings = {"concurrency": concurrency, "clock": clock, "user_agent": user_agent, "ca_file": ca_file}
    if name in TRANSPORTS:
        transport: Transport = _load(name)(base_url, key, **settings)
        return transport
    url, brought = checked(base_url, key), plugins.installed(Group.TRANSPORTS)[name]
    try:
        return HeldTransport(brought.load()(url, key, **settings), clock)
    except Exception as error:  # noqa: BLE001  (another package's; its text may hold the key)
        words = f"{brought} could not be opened ({type(error).__name__})"
        raise InvalidInput([Problem(code="BP115", message=words, hint=CODES["BP115"].fix)]) from None


def transport_flaw(name: str) -> Problem | None:
    """Why the transport ``name`` is not to be had here (BP115), or None."""
    if name not in TRANSPORTS:
        flaw = plugins.flaw(Group.TRANSPORTS, name, besides=TRANSPORTS)
        return Problem(code="BP115", message=flaw[0], hint=flaw[1]) if flaw else None
    try:
        _load(name)
    except ImportError as missing:
        what = f"the extra `fast`: {missing}" if missing.name != "libcurl" else str(missing)
        hint = "pip install 'bulkpatch[fast]', or leave transport out. Nothing was sent."
        return Problem(code="BP115", message=f"{name} needs {what}", hint=hint)
    return None


def _load(name: str) -> Any:
    # libcurl reads it when it is loaded, and would write the keys of every TLS connection to that file.
    os.unsetenv("SSLKEYLOGFILE")
    module, kind = TRANSPORTS[name]
    return getattr(importlib.import_module(module), kind)
