"""A dry run's transport: it reads, and cannot write."""

from __future__ import annotations

from collections.abc import Callable

from bulkpatch.errors import Broken
from bulkpatch.model import Request, Result
from bulkpatch.ports import Transport


class DryTransport:
    """ports.Transport: ``inner`` for GET alone. Planning never writes, and here it could not.

    Anything else raises ``Broken`` (BP901) with no byte sent: a plan that tries to write is a bug.
    """

    def __init__(self, inner: Transport) -> None:
        self._inner = inner

    async def send(self, request: Request, *, timeout_s: float, on_sent: Callable[[float], None]) -> Result:
        """See ports.Transport."""
        if request.method != "GET":
            raise Broken("BP901", f"a dry run tried to send a {request.method}")
        return await self._inner.send(request, timeout_s=timeout_s, on_sent=on_sent)

    async def aclose(self) -> None:
        """See ports.Transport."""
        await self._inner.aclose()
