"""A loopback API in a process of its own, which answers every PATCH at once and notes when the first one came."""

from __future__ import annotations

import asyncio
import multiprocessing as mp
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.sharedctypes import SynchronizedArray
from typing import Any

MODELS = 2
_METRIC = (
    '{{"model_id":"model-{0}","model_name":"orders_{0}","rows_transferred":123456,"delta_rows_transferred":1234,'
    '"volume_transferred_in_mb":12.5,"start_transfer_window_at":"2026-01-01T00:00:00Z",'
    '"end_transfer_window_at":"2026-01-01T01:00:00Z","most_recent_last_updated_at":"2026-01-01T00:59:00Z"}}'
)
_METRICS = ",".join(map(_METRIC.format, range(MODELS))).encode()
ANSWER = (
    b'{"status":"success","message":"","data":{"destination":{"id":"%b","name":"Fleet","vendor":"postgres",'
    b'"recipient_id":"3c90c3cc-0d44-4b50-8888-8dd25736052a","id_in_provider_system":"p-1","is_enabled":true,'
    b'"updated_at":"2026-01-01T00:00:00Z","last_completed_transfer":{"id":"3c90c3cc-0d44-4b50-8888-8dd25736052b",'
    b'"status":"SUCCESS","started_at":"2026-01-01T00:00:00Z","ended_at":"2026-01-01T00:05:00Z",'
    b'"rows_transferred":1000,"model_metrics":[' + _METRICS + b"]}}}}"
)
NO = b'{"status":"error","data":null,"message":"not here"}'


@dataclass(frozen=True, slots=True)
class Api:
    """Where it is, and what it has seen."""

    url: str
    _seen: SynchronizedArray[Any]

    @property
    def count(self) -> int:
        """PATCHes that came since the last ``forget``."""
        return int(self._seen[0])

    @property
    def first_s(self) -> float:
        """When the first of them came, by the monotonic clock; 0 if none did."""
        return float(self._seen[1])

    def forget(self) -> None:
        """Begin anew."""
        self._seen[:] = [0.0, 0.0]


@contextmanager
def answering() -> Iterator[Api]:
    """The API, for as long as the context."""
    context = mp.get_context("spawn")
    here, there = context.Pipe()
    seen = context.Array("d", 2)
    process = context.Process(target=_serve, args=(seen, there), daemon=True)
    process.start()
    there.close()  # so that a child that fails is not waited for
    try:
        yield Api(f"http://127.0.0.1:{here.recv()}", seen)
    finally:
        process.terminate()
        process.join()


class _Talk(asyncio.Protocol):
    def __init__(self, seen: SynchronizedArray[Any]) -> None:
        self._seen = seen
        self._read = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  (a TCP server's are)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._read += data
        head, end, rest = self._read.partition(b"\r\n\r\n")
        at = head.lower().find(b"content-length:")
        length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at > 0 else 0
        if not end or len(rest) < length:
            return
        self._read = b""
        method, path, _ = head.split(b" ", 2)
        if method != b"PATCH":
            self._say(b"405 No", NO)
            return
        with self._seen.get_lock():
            self._seen[1] = self._seen[1] or time.monotonic()
            self._seen[0] += 1
        self._say(b"200 OK", ANSWER % path.rpartition(b"/")[2])

    def _say(self, status: bytes, body: bytes) -> None:
        head = b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        self._transport.write(head % (status, len(body)) + body)


def _serve(seen: SynchronizedArray[Any], tell: Connection) -> None:
    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(lambda: _Talk(seen), "127.0.0.1", 0)
        tell.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())
