"""Answers that break off: what an ASGI server never does by itself.

``Wire`` is uvicorn's HTTP/1.1 protocol with two more ways to end an exchange. It hands itself to the
app as ``scope["state"]["wire"]``; the responses below use it.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from typing import Any, cast

from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

_LINGER_0 = struct.pack("ii", 1, 0)  # on, 0 seconds: close() then sends RST, not FIN
_LOG = logging.getLogger("bulkpatch.simulator")
_LOG.setLevel(logging.ERROR)  # a client's broken request is a warning, and the client's to see


class _Corked:
    """A transport that sends at once what one turn of the loop writes: an answer costs one system call, not two."""

    def __init__(self, inner: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._inner = inner
        self._loop = loop
        self._held = bytearray()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def write(self, data: bytes) -> None:
        """Hold ``data`` until the loop's next turn."""
        if data and not self._held:
            self._loop.call_soon(self._flush)
        self._held += data

    def close(self) -> None:
        """Send what is held, then close."""
        self._flush()
        self._inner.close()

    def _flush(self) -> None:
        if self._held:
            held, self._held = self._held, bytearray()
            self._inner.write(bytes(held))


class Wire(H11Protocol):
    """One connection. Only a failure of the simulator itself is logged."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, {**app_state, "wire": self}, _loop)
        self.logger = _LOG
        self.access_log = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Take ``transport``, corked."""
        super().connection_made(cast("asyncio.Transport", _Corked(transport, self.loop)))

    def reset(self) -> None:
        """Drop the connection with a TCP RST; what was not yet sent is lost."""
        connection: socket.socket | None = self.transport.get_extra_info("socket")
        if connection is not None and not self.transport.is_closing():
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_0)
        self._leave()
        self.transport.abort()

    def hang_up(self) -> None:
        """Send what was written so far, then FIN, however much was promised."""
        self._leave()
        self.transport.close()

    def _leave(self) -> None:
        """Tell the exchange under way that nothing more is expected of it."""
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()


def _wire(scope: Scope) -> Wire:
    wire: Wire = scope["state"]["wire"]
    return wire


class Reset(Response):
    """RST instead of an answer."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  (ASGI's signature)
        """Reset the connection of ``scope``."""
        _wire(scope).reset()


class Truncated(Response):
    """All headers, half the body they promise, then FIN."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  (ASGI's signature)
        """Send half, then hang up."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        half = bytes(self.body[: len(self.body) // 2])
        await send({"type": "http.response.body", "body": half, "more_body": True})
        _wire(scope).hang_up()


class Late:
    """``response`` after ``delay_s``, or nothing if the client leaves before."""

    def __init__(self, response: Response, *, delay_s: float) -> None:
        self._response = response
        self._delay_s = delay_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wait, then answer. The request is read, so all that can still be received is that the client left."""
        try:
            await asyncio.wait_for(receive(), self._delay_s)
        except TimeoutError:
            await self._response(scope, receive, send)
