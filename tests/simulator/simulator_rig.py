"""What the simulator's tests share: clocks, a plain HTTP client, a raw socket."""

from __future__ import annotations

import http.client
import json
import socket
import time
from dataclasses import dataclass
from typing import Any

from bulkpatch.model import Secret
from bulkpatch.simulator.server import SimulatorServer
from bulkpatch.simulator.state import Fleet

KEY = "sk_staging_simulator_0123456789"


class RealClock:
    """The machine's clocks."""

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()

    def wall_us(self) -> int:
        """Microseconds since 1970."""
        return time.time_ns() // 1000


class HandClock:
    """A clock that moves when told."""

    def __init__(self) -> None:
        self.now_s = 1_000_000.0

    def monotonic(self) -> float:
        """As it was set."""
        return self.now_s

    def wall_us(self) -> int:
        """Moves with the other."""
        return int(self.now_s * 1_000_000) + 1_790_000_000_000_000


@dataclass(frozen=True)
class Got:
    """One answer."""

    status: int
    headers: dict[str, str]
    raw: bytes

    @property
    def body(self) -> Any:
        """The JSON of the answer."""
        return json.loads(self.raw)


def fleet(n: int = 3, *vendors: str, **knobs: Any) -> Fleet:
    """A fleet on the machine's clocks, of Postgres unless told otherwise."""
    return Fleet.synthetic(n, 7, clock=RealClock(), vendors=vendors or ("postgres",), **knobs)


def serving(served: Fleet, **knobs: Any) -> SimulatorServer:
    """A server for ``served`` with the tests' key; enter it to start it."""
    return SimulatorServer(served, key=Secret(KEY, reference="env:KEY"), **knobs)


def address(server: SimulatorServer) -> tuple[str, int]:
    """Host and port."""
    host, _, port = server.url.removeprefix("http://").rpartition(":")
    return host, int(port)


def ask(server: SimulatorServer, method: str, path: str, body: Any = None, *, key: str = KEY) -> Got:
    """One request on a connection of its own. ``body`` is JSON, or bytes as they are."""
    connection = http.client.HTTPConnection(*address(server), timeout=10)
    try:
        sent = body if body is None or isinstance(body, bytes) else json.dumps(body)
        connection.request(method, path, sent, {"X-API-KEY": key, "Content-Type": "application/json"})
        answer = connection.getresponse()
        return Got(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def patch(server: SimulatorServer, destination_id: str, **fields: Any) -> Got:
    """PATCH one destination."""
    return ask(server, "PATCH", f"/destinations/{destination_id}", {"destination": fields})


def request_bytes(destination_id: str, body: bytes = b'{"destination":{"name":"new"}}') -> bytes:
    """A whole PATCH as it goes over the wire."""
    head = f"PATCH /destinations/{destination_id} HTTP/1.1\r\nHost: x\r\nX-API-KEY: {KEY}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def raw_exchange(server: SimulatorServer, sent: bytes, *, timeout_s: float = 5.0) -> bytes:
    """Everything that comes back until the server ends the connection; a reset or a silence is raised."""
    with socket.create_connection(address(server), timeout=timeout_s) as connection:
        connection.sendall(sent)
        came = b""
        while chunk := connection.recv(65536):
            came += chunk
        return came
