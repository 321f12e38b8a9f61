"""A dry run cannot write."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from transport_rig import GET, PATCH

from bulkpatch.errors import Broken
from bulkpatch.model import Reply, Request, Result
from bulkpatch.transport.dry import DryTransport


class Noting:
    """ports.Transport: answers everything, and notes it."""

    def __init__(self) -> None:
        self.sent: list[Request] = []

    async def send(self, request: Request, *, timeout_s: float, on_sent: Callable[[float], None]) -> Result:  # noqa: ARG002
        """A whole answer."""
        self.sent.append(request)
        return Reply(status=200, headers={}, body=b"{}", sent_at_s=0.0, ended_at_s=0.0)

    async def aclose(self) -> None:
        """Nothing is open."""


@pytest.mark.proves("G1")
def test_a_dry_run_cannot_write() -> None:
    """A GET passes; anything else is a bug that no byte leaves for."""
    inner = Noting()
    dry = DryTransport(inner)

    async def ask(request: Request) -> Result:
        return await dry.send(request, timeout_s=1.0, on_sent=lambda _: None)

    assert isinstance(asyncio.run(ask(GET)), Reply)
    for request in (PATCH, Request(method="POST", path=PATCH.path, body=b"{}")):
        with pytest.raises(Broken):
            asyncio.run(ask(request))
    assert inner.sent == [GET]
