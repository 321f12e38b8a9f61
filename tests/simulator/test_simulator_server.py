"""The server: starting, stopping, what it leaves behind, what it carries."""

from __future__ import annotations

import http.client
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from simulator_rig import KEY, address, ask, fleet, patch, raw_exchange, request_bytes, serving

from bulkpatch.errors import InvalidInput
from bulkpatch.model import Rate, Secret
from bulkpatch.simulator.faults import FaultPlan
from bulkpatch.simulator.limits import busiest
from bulkpatch.simulator.server import serve_forever


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_leaves_nothing() -> None:
    """Starting and stopping leaves no thread and no socket."""
    with serving(fleet()) as warm:
        patch(warm, warm.fleet.ids[0], name="x")
    threads, files = threading.active_count(), _open_files()
    for _ in range(3):
        with serving(fleet()) as server:
            patch(server, server.fleet.ids[0], name="x")
    assert (threading.active_count(), _open_files()) == (threads, files)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address(server), timeout=1)


def test_stop_cuts() -> None:
    """Stopping does not wait for idle, half-sent or stalled exchanges."""
    served = fleet()
    with serving(served, faults=FaultPlan.parse("stall=1")) as server:
        idle, half, stalled = (socket.create_connection(address(server), timeout=5) for _ in range(3))
        half.sendall(request_bytes(served.ids[0])[:-5])
        stalled.sendall(request_bytes(served.ids[1]))
        while not served.effects:
            time.sleep(0.01)
        before_s = time.monotonic()
        server.stop()
        assert time.monotonic() - before_s < 3
    for connection in (idle, half, stalled):
        with connection:
            assert _ended(connection)


def _ended(connection: socket.socket) -> bool:
    try:
        return connection.recv(10) == b""
    except ConnectionResetError:
        return True


def test_stop_twice() -> None:
    """Stop is safe before start, and twice."""
    server = serving(fleet())
    server.stop()
    server.start()
    server.stop()
    server.stop()


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.1", "example.com", "", "::"])  # noqa: S104  (refused)
def test_loopback_only(host: str) -> None:
    """Only loopback addresses are served."""
    with pytest.raises(ValueError, match=r"."):
        serving(fleet(), host=host)


def test_localhost() -> None:
    """The name localhost is loopback."""
    with serving(fleet(), host="localhost") as server:
        assert ask(server, "GET", "/destinations").status == 200


@pytest.mark.parametrize("port", [None, 70_000])
def test_port_taken(port: int | None) -> None:
    """A port that cannot be had is a user's error."""
    with serving(fleet()) as server, pytest.raises(InvalidInput, match="cannot be used") as refused:
        serving(fleet(), port=address(server)[1] if port is None else port).start()
    assert refused.value.code == "BP120"


def test_quiet(capfd: pytest.CaptureFixture[str]) -> None:
    """Logging is left alone, and nothing is printed, whatever clients do."""
    names = ("", "uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi")

    def settings() -> list[tuple[int, int, bool]]:
        loggers = [logging.getLogger(name) for name in names]
        return [(len(one.handlers), one.level, one.propagate) for one in loggers]

    before = settings()
    with serving(fleet(), faults=FaultPlan.parse("reset_after=0.5,truncated=0.5")) as server:
        raw_exchange(server, b"no http at all\r\n\r\n")
        for own in server.fleet.ids:
            with pytest.raises((ConnectionError, http.client.IncompleteRead)):
                patch(server, own, name="x")
        connection = socket.create_connection(address(server))
        connection.sendall(request_bytes(server.fleet.ids[0])[:-5])
        connection.close()
    assert settings() == before
    assert capfd.readouterr() == ("", "")


def test_rate_under_load() -> None:
    """Under concurrent load every place is given away, and none twice."""
    served = fleet(8)
    with serving(served, rate=Rate(count=20, unit_s=1)) as server, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda at: patch(server, served.ids[at % 8], name="x"), range(400)))
    admitted = sorted(one.at_s for one in served.arrivals if one.status == 200)
    throttled = sum(one.status == 429 for one in served.arrivals)
    assert len(admitted) + throttled == 400
    assert throttled > 100, "the load was beyond the limit"
    assert busiest(admitted) == 20, "every place was given away and none twice"
    assert sum(served.effects.values()) == len(admitted)


def test_gauge_overlap() -> None:
    """With latency, the gauge sees requests overlap."""
    served = fleet(6)
    with serving(served, latency_s=0.15) as server, ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda own: patch(server, own, name="x"), served.ids))
        assert 2 <= server.simulator.in_flight.most <= 6
        assert server.simulator.in_flight.now == 0


def test_throughput() -> None:
    """A floor far below what was measured, yet far above 40 ms a request, which small packets held back would cost."""
    served = fleet(200)
    with serving(served) as server:
        connection = http.client.HTTPConnection(*address(server), timeout=10)
        before_s = time.monotonic()
        for own in served.ids:
            connection.request("PATCH", f"/destinations/{own}", '{"destination":{"name":"x"}}', {"X-API-KEY": KEY})
            assert connection.getresponse().read()
        per_s = 200 / (time.monotonic() - before_s)
        connection.close()
    assert per_s > 60


def test_serve_forever() -> None:
    """Serving forever ends when told to, and when its caller fails."""
    until, urls = threading.Event(), list[str]()

    def ready(url: str) -> None:
        urls.append(url)
        until.set()

    serve_forever(fleet(), key=Secret(KEY, reference="env:KEY"), on_ready=ready, until=until)
    assert urls[0].startswith("http://127.0.0.1:")

    def broken(_: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        serve_forever(fleet(), key=Secret(KEY, reference="env:KEY"), on_ready=broken, until=threading.Event())
    assert [thread.name for thread in threading.enumerate() if thread.name == "simulator"] == []


def test_interrupt() -> None:
    """SIGINT reaches the caller of serve_forever, and nothing is printed."""
    program = """
import sys, threading
sys.path.insert(0, sys.argv[1])
from simulator_rig import KEY, fleet
from bulkpatch.model import Secret
from bulkpatch.simulator.server import serve_forever
try:
    serve_forever(fleet(), key=Secret(KEY, reference="env:KEY"), on_ready=lambda url: print(url, flush=True),
                  until=threading.Event())
except KeyboardInterrupt:
    sys.exit(7)
"""
    with subprocess.Popen(
        [sys.executable, "-c", program, str(Path(__file__).parent)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline().startswith(b"http://127.0.0.1:")
        os.kill(child.pid, signal.SIGINT)
        out, err = child.communicate(timeout=20)
    assert (child.returncode, out, err) == (7, b"", b"")
