"""A transport that tells a file what became of each request, and leaves the sending to httpx."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from bulkpatch.model import Reply, Request, Result, Secret
from bulkpatch.transport.httpx_transport import HttpxTransport


class Traced:
    """bulkpatch.ports.Transport."""

    def __init__(self, base_url: str, key: Secret, **settings: Any) -> None:
        self._inner = HttpxTransport(base_url, key, **settings)
        self._trace = Path("trace.txt").open("a", encoding="utf-8")  # noqa: SIM115  (closed with the transport)

    async def send(self, request: Request, *, timeout_s: float, on_sent: Callable[[float], None]) -> Result:
        """Send it once: what is tried again, and when, is not a transport's to decide."""
        result = await self._inner.send(request, timeout_s=timeout_s, on_sent=on_sent)
        ending = result.status if isinstance(result, Reply) else result.kind
        print(request.method, request.path.partition("?")[0], ending, file=self._trace)
        return result

    async def aclose(self) -> None:
        """Let the connections and the file go."""
        await self._inner.aclose()
        self._trace.close()
