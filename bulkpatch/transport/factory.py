"""The transport that a job names."""

from __future__ import annotations

from pathlib import Path

from bulkpatch.errors import InvalidInput, Problem
from bulkpatch.model import Secret
from bulkpatch.ports import Clock, Transport


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
    """The transport ``name``: ``httpx``. Nothing is connected yet.

    Raises ``InvalidInput``: BP115 for one that this version does not have, and as HttpxTransport does.
    """
    if name != "httpx":
        raise InvalidInput([Problem(code="BP115", message=f'[send] transport = "{name[:40]}" is not built yet')])
    from bulkpatch.transport.httpx_transport import HttpxTransport  # noqa: PLC0415  (only what is used is imported)

    return HttpxTransport(base_url, key, concurrency=concurrency, clock=clock, user_agent=user_agent, ca_file=ca_file)
