"""A raw-socket server on loopback that does what a script says, and a way to send one request at it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from bulkpatch.engine.system import SystemClock
from bulkpatch.model import Request, Result, Secret
from bulkpatch.ports import Transport
from bulkpatch.transport.factory import open_transport
from bulkpatch.transport.held import HeldTransport

T = TypeVar("T")

HELD = "held"
"""Another package's, as far as it is held to the port: ours in its place must lose nothing by that."""
TRANSPORTS = ("httpx", "curl", HELD)
"""Every transport passes one suite: a new one adds its name here."""
KEY = "sk_staging_canary-0123456789"
BODY = b'{"destination":{"name":"x"}}'
ID = "3c90c3cc-0d44-4b50-8888-8dd25736052a"
PATCH = Request(method="PATCH", path=f"/destinations/{ID}", body=BODY)
GET = Request(method="GET", path=f"/destinations/{ID}")
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


class Talk:
    """The server's side of one connection."""

    def __init__(self, server: WireServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.server = server
        self.reader = reader
        self.writer = writer

    async def head(self) -> bytes:
        """Read a request's head, and count it as seen."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        self.server.requests.append(head)
        self.server.arrived.set()
        return head

    async def request(self) -> bytes:
        """Read a request whole."""
        head = await self.head()
        length = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
        body = await self.reader.readexactly(int(length[0].split(b":")[1])) if length else b""
        self.server.requests[-1] = head + body
        return head + body

    async def say(self, data: bytes) -> None:
        """Write ``data`` out."""
        self.writer.write(data)
        await self.writer.drain()

    def reset(self) -> None:
        """Close with RST."""
        linger = struct.pack("ii", 1, 0)
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.writer.transport.abort()

    async def until_closed(self) -> None:
        """Wait until the client lets go."""
        while await self.reader.read(65536):
            pass
        self.server.closed_by_client += 1


Script = Callable[[Talk], Awaitable[None]]


@dataclass(slots=True, kw_only=True)
class WireServer:
    """What a scripted server saw."""

    script: Script
    port: int = 0
    scheme: str = "http"
    connections: int = 0
    open: int = 0
    open_most: int = 0
    closed_by_client: int = 0
    written: int = 0
    requests: list[bytes] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        """Its base URL, with a path before the API's own."""
        return f"{self.scheme}://127.0.0.1:{self.port}/export"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection from its beginning to its end."""
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        self.connections += 1
        self.open += 1
        self.open_most = max(self.open_most, self.open)
        try:
            # A cancelled handler would be logged as an error by Python 3.11, so it just ends.
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self.script(Talk(self, reader, writer))
        finally:
            self.open -= 1
            self.tasks.discard(task)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


@contextlib.asynccontextmanager
async def serving(script: Script, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[WireServer]:
    """``script`` for every connection, until the block ends."""
    seen = WireServer(script=script, scheme="https" if tls else "http")
    server = await asyncio.start_server(seen.serve, "127.0.0.1", 0, ssl=tls)
    seen.port = server.sockets[0].getsockname()[1]
    try:
        yield seen
    finally:
        server.close()
        for task in list(seen.tasks):
            task.cancel()
        await asyncio.gather(*seen.tasks, return_exceptions=True)
        await server.wait_closed()


@dataclass(slots=True, kw_only=True)
class Sent:
    """How one request ended, and what ``on_sent`` was told."""

    result: Result
    told_s: list[float]
    began_s: float


Maker = Callable[..., Transport]


def make(name: str) -> Maker:
    """A maker of the transport ``name`` that fills in what a test does not care for."""

    def opened(base_url: str, *, concurrency: int = 1, ca_file: Path | None = None, key: str = KEY) -> Transport:
        inner = open_transport(
            "httpx" if name == HELD else name,
            base_url=base_url,
            key=Secret(key, reference="env:TEST"),
            concurrency=concurrency,
            clock=SystemClock(),
            user_agent="bulkpatch/test",
            ca_file=ca_file,
        )
        return HeldTransport(inner, SystemClock()) if name == HELD else inner

    return opened


async def send(transport: Transport, request: Request = PATCH, *, timeout_s: float = 5.0) -> Sent:
    """One request, with what was told of it."""
    told: list[float] = []
    began_s = SystemClock().monotonic()
    result = await transport.send(request, timeout_s=timeout_s, on_sent=told.append)
    return Sent(result=result, told_s=told, began_s=began_s)


@contextlib.asynccontextmanager
async def opened(transport: Transport) -> AsyncIterator[Transport]:
    """``transport``, closed at the end of the block."""
    try:
        yield transport
    finally:
        await transport.aclose()


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run ``work`` in a loop of its own; a hang becomes a failure."""

    async def bounded() -> T:
        async with asyncio.timeout(20):
            return await work

    return asyncio.run(bounded())


async def answers(talk: Talk) -> None:
    """A server that works: 200 to every request."""
    while True:
        await talk.request()
        await talk.say(OK)
