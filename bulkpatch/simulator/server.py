"""The simulator as a server on a loopback address: in a thread of its own, or for as long as a command runs."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import uvicorn

from bulkpatch.errors import Broken, InvalidInput, Problem
from bulkpatch.model import Rate, Secret
from bulkpatch.simulator.app import Simulator
from bulkpatch.simulator.faults import FaultPlan
from bulkpatch.simulator.state import Fleet
from bulkpatch.simulator.wire import Wire

PORT_MAX = 65_535
"""The highest TCP port; 0 stands for any free one."""
KEEP_ALIVE_S = 75
"""Seconds an idle connection is kept; common among servers, and longer than clients keep theirs."""
BACKLOG = 1024
"""Connections that may wait to be accepted; more than a client opens at once."""
STOP_GRACE_S = 0.3
"""Seconds for exchanges under way to end before they are reset."""
START_S_MAX = 10.0
"""Seconds for the server's thread to come up on a busy machine."""
STOP_S_MAX = 10.0
"""Seconds for it to go down."""


class SimulatorServer:
    """``fleet`` served over HTTP in a daemon thread with its own event loop.

    ``port`` 0 takes a free one. ``knobs`` are those of ``Simulator``: ``dated_retry_after``, ``latency_s``, ``admin``.
    Raises ``ValueError`` for a host that is not loopback. Use it once: ``start`` and ``stop``, or ``with``.
    """

    def __init__(  # noqa: PLR0913  (the settings of one thing, each by name)
        self,
        fleet: Fleet,
        *,
        key: Secret,
        rate: Rate | None = None,
        faults: FaultPlan | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        **knobs: Any,
    ) -> None:
        self.fleet = fleet
        self.simulator = Simulator(fleet, key=key, rate=rate, faults=faults, **knobs)
        self.url = ""
        self._address = (_loopback(host), port)
        self._thread: threading.Thread | None = None
        self._server: _Server | None = None

    def start(self) -> str:
        """Accept requests from now on; the base URL. Raises ``InvalidInput`` if the port cannot be had."""
        listener = _listen(*self._address)
        host, port = listener.getsockname()[:2]
        self.url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        self._server = _Server(self.simulator)
        self._thread = threading.Thread(target=self._server.serve_on, args=(listener,), name="simulator", daemon=True)
        self._thread.start()
        if not self._server.ready.wait(START_S_MAX) or not self._server.started:
            listener.close()
            raise Broken("BP901", "the simulator's server did not come up")
        return self.url

    def stop(self) -> None:
        """Close every connection and end the thread. Safe to call twice."""
        if self._server is not None and self._thread is not None:
            self._server.leave()
            self._thread.join(STOP_S_MAX)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def serve_forever(fleet: Fleet, *, on_ready: Callable[[str], None], until: threading.Event, **knobs: Any) -> None:
    """Serve ``fleet`` until ``until`` is set, or an exception such as ``KeyboardInterrupt`` comes through.

    ``on_ready`` gets the base URL once requests are accepted; nothing is printed and no signal is
    handled here. ``knobs`` are those of ``SimulatorServer``.
    """
    with SimulatorServer(fleet, **knobs) as server:
        on_ready(server.url)
        until.wait()


class _Server(uvicorn.Server):
    """uvicorn that says when it accepts, and that cuts what has not ended when it must."""

    def __init__(self, simulator: Simulator) -> None:
        super().__init__(
            uvicorn.Config(
                simulator.app,
                http=Wire,
                ws="none",
                lifespan="off",
                log_config=None,
                proxy_headers=False,
                server_header=False,
                timeout_keep_alive=KEEP_ALIVE_S,
                backlog=BACKLOG,
            )
        )
        self.ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def serve_on(self, listener: socket.socket) -> None:
        """Run until told to leave; the body of the thread."""
        try:
            asyncio.run(self.serve(sockets=[listener]))
        finally:
            self.ready.set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn does; then say so."""
        await super().startup(sockets)
        self._loop = asyncio.get_running_loop()
        self.ready.set()

    def leave(self) -> None:
        """From another thread: stop accepting, let answers leave for ``STOP_GRACE_S``, then reset what is left."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._leave)

    def _leave(self) -> None:
        self.should_exit = True
        asyncio.get_running_loop().call_later(STOP_GRACE_S, self._cut)

    def _cut(self) -> None:
        for connection in list(self.server_state.connections):
            if isinstance(connection, Wire):
                connection.reset()


def _loopback(host: str) -> str:
    """``host`` as an address. Raises ``ValueError`` unless it is loopback."""
    address = "127.0.0.1" if host == "localhost" else host
    if not ipaddress.ip_address(address).is_loopback:
        raise ValueError("the simulator serves loopback addresses only, such as 127.0.0.1")
    return address


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    if not 0 <= port <= PORT_MAX:
        raise _no_port(host, port, "it is no port number")
    try:
        listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise _no_port(host, port, os.strerror(error.errno or 0)) from None
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # inherited; else each answer waits 40 ms for an ACK
    return listener


def _no_port(host: str, port: int, reason: str) -> InvalidInput:
    message = f"port {port} of {host} cannot be used: {reason}"
    return InvalidInput([Problem(code="BP120", message=message, hint="Use another, or a free one: --port 0.")])
