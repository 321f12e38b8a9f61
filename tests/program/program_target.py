"""A lean API in a process of its own: it can answer for a million rows, goes wrong by a rule, and counts by row."""

from __future__ import annotations

import asyncio
import multiprocessing as mp
import socket
import struct
import zlib
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.shared_memory import SharedMemory
from types import TracebackType
from typing import Self

FAULTS = ("500", "502", "503", "reset", "cut", "html")
FAULT_SHARE = 0.03
"""Of all requests; those of one row are drawn one by one."""
OK = b'{"status":"success","message":"","data":{"destination":{"id":"%b","name":"x","vendor":"postgres"}}}'
ERROR = b'{"status":"error","data":null,"message":"not now"}'


def fault_of(row: int, attempt: int) -> str:
    """What goes wrong with that attempt, or nothing."""
    draw = zlib.crc32(b"%d %d" % (row, attempt))
    return FAULTS[draw % len(FAULTS)] if draw / 2**32 < FAULT_SHARE else ""


@dataclass
class Target:
    """``with Target(n) as target``: serves ids ``d-0`` … at ``target.url``.

    ``arrivals`` holds how often the PATCH of each row came in whole, ``effects`` how often it was applied; a byte each.
    """

    rows: int

    def __enter__(self) -> Self:
        self._shared = SharedMemory(create=True, size=2 * self.rows)
        here, there = mp.get_context("spawn").Pipe()
        self._process = mp.get_context("spawn").Process(
            target=_serve, args=(self._shared.name, self.rows, there), daemon=True
        )
        self._process.start()
        self.url = f"http://127.0.0.1:{here.recv()}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.join()
        self._shared.close()
        self._shared.unlink()

    @property
    def arrivals(self) -> bytes:
        """By row, from 0."""
        return self._counts[: self.rows]

    @property
    def effects(self) -> bytes:
        """By row, from 0."""
        return self._counts[self.rows :]

    @property
    def _counts(self) -> bytes:
        assert self._shared.buf is not None
        return bytes(self._shared.buf[: 2 * self.rows])

    @property
    def begun(self) -> int:
        """Rows that came in at least once."""
        return self.rows - self.arrivals.count(0)


class _Talk(asyncio.Protocol):
    def __init__(self, counts: memoryview, rows: int) -> None:
        self._counts = counts
        self._rows = rows
        self._read = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._read += data
        head, end, rest = self._read.partition(b"\r\n\r\n")
        if not end:
            return
        at = head.lower().find(b"content-length:")
        length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at > 0 else 0
        if len(rest) >= length:
            self._read = b""
            self._answer(head)

    def _answer(self, head: bytes) -> None:
        method, path, _ = head.split(b" ", 2)
        if method != b"PATCH":
            self._say(b"405 No", ERROR)
            return
        destination_id = path.rpartition(b"/")[2]
        row = int(destination_id[2:])
        self._counts[row] += 1
        fault = fault_of(row, self._counts[row])
        self._counts[self._rows + row] += fault in ("", "reset", "cut", "html")
        body = OK % destination_id
        match fault:
            case "":
                self._say(b"200 OK", body)
            case "reset":
                linger = struct.pack("ii", 1, 0)
                self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                self._transport.abort()
            case "cut":
                self._say(b"200 OK", body, claims=len(body) + 100)
                self._transport.close()
            case "html":
                self._say(b"200 OK", b"<html>sign in</html>")
            case status:
                self._say(f"{status} Broken".encode(), ERROR)

    def _say(self, status: bytes, body: bytes, *, claims: int = 0) -> None:
        head = b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        self._transport.write(head % (status, claims or len(body)) + body)


def _serve(name: str, rows: int, tell: Connection) -> None:
    shared = SharedMemory(name)

    counts = shared.buf
    assert counts is not None

    async def run() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Talk(counts, rows), "127.0.0.1", 0)
        tell.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())
