"""Each kind of fault, seen on the wire as what it is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from simulator_rig import ask, fleet, patch, raw_exchange, request_bytes, serving

from bulkpatch.simulator.app import OTHER_ID
from bulkpatch.simulator.faults import APPLIED, FaultPlan, Mishap
from bulkpatch.simulator.server import SimulatorServer


@contextmanager
def _struck(mishap: Mishap, **knobs: float) -> Iterator[tuple[SimulatorServer, str]]:
    """A server on which the first attempt for the id meets ``mishap``, and the next nothing."""
    served = fleet()
    own = served.ids[0]
    plan = FaultPlan(overrides={own: (mishap, None)}, **knobs)  # type: ignore[arg-type]  # floats by name
    with serving(served, faults=plan) as server:
        yield server, own
        assert served.effects[own] == (mishap in APPLIED), "applied or not, as the kind says"
        again = patch(server, own, name="after")
        assert (again.status, again.body["data"]["destination"]["name"]) == (200, "after")


@pytest.mark.parametrize(
    ("mishap", "status", "retry_after"),
    [
        (Mishap.ERROR_500, 500, None),
        (Mishap.ERROR_502, 502, None),
        (Mishap.ERROR_503, 503, None),
        (Mishap.RETRY_AFTER_503, 503, "3"),
        (Mishap.THROTTLE_429, 429, "3"),
    ],
)
def test_status(mishap: Mishap, status: int, retry_after: str | None) -> None:
    """A status comes with the error envelope, and Retry-After with the kinds that carry it."""
    with _struck(mishap, retry_after_s=3) as (server, own):
        got = patch(server, own, name="x")
        assert (got.status, got.headers.get("retry-after")) == (status, retry_after)
        assert (got.body["status"], got.body["data"]) == ("error", None)


@pytest.mark.parametrize("mishap", [Mishap.RESET_BEFORE, Mishap.RESET_AFTER])
def test_reset(mishap: Mishap) -> None:
    """A reset is a TCP RST, before any byte of an answer."""
    with _struck(mishap) as (server, own), pytest.raises(ConnectionResetError):
        raw_exchange(server, request_bytes(own))
    first = server.fleet.arrivals[0]
    assert (first.status, first.fault) == (None, mishap.value)


def test_truncated() -> None:
    """A truncated answer promises more than it brings, and ends with FIN."""
    with _struck(Mishap.TRUNCATED) as (server, own):
        head, _, body = raw_exchange(server, request_bytes(own)).partition(b"\r\n\r\n")
    promised = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    assert head.startswith(b"HTTP/1.1 200 ")
    assert 0 < len(body) < promised


def test_stall() -> None:
    """A stall is silence."""
    with _struck(Mishap.STALL, stall_s=60.0) as (server, own), pytest.raises(TimeoutError):
        raw_exchange(server, request_bytes(own), timeout_s=0.3)


@pytest.mark.parametrize("mishap", [Mishap.STALL, Mishap.SLOW])
def test_late(mishap: Mishap) -> None:
    """A late answer comes whole, and not before its time."""
    with _struck(mishap, stall_s=0.3, slow_s=0.3) as (server, own):
        before_s = server.fleet.clock.monotonic()
        assert patch(server, own, name="late").body["data"]["destination"]["name"] == "late"
        assert server.fleet.clock.monotonic() - before_s >= 0.3


def test_malformed() -> None:
    """A malformed answer is a whole 200 that is no JSON."""
    with _struck(Mishap.MALFORMED) as (server, own):
        got = patch(server, own, name="x")
        assert (got.status, int(got.headers["content-length"])) == (200, len(got.raw))
        with pytest.raises(json.JSONDecodeError):
            json.loads(got.raw)


def test_html() -> None:
    """A sign-in page is HTML under a 200."""
    with _struck(Mishap.HTML) as (server, own):
        got = patch(server, own, name="x")
        assert (got.status, got.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert got.raw.startswith(b"<!DOCTYPE html>")


def test_wrong_id() -> None:
    """A wrong id is an ordinary answer about another destination."""
    with _struck(Mishap.WRONG_ID) as (server, own):
        got = patch(server, own, name="x")
        assert (got.status, got.body["status"], got.body["data"]["destination"]["id"]) == (200, "success", OTHER_ID)
        assert own.encode() not in got.raw


def test_204() -> None:
    """204 has no body."""
    with _struck(Mishap.NO_CONTENT_204) as (server, own):
        got = patch(server, own, name="x")
        assert (got.status, got.raw) == (204, b"")


def test_echo() -> None:
    """An echo repeats the body, secret and all."""
    with _struck(Mishap.ECHO_ERROR) as (server, own):
        got = patch(server, own, postgres={"password_auth": {"password": "echoed-secret"}})
        assert got.status == 400
        assert "echoed-secret" in got.body["message"]


def test_reads_fail() -> None:
    """Reads meet faults when that is asked for, and lists do too."""
    served = fleet()
    for kind in ("502", "wrong_id", "malformed"):
        with serving(served, faults=FaultPlan.parse(f"{kind}=1,reads")) as server:
            one, many = ask(server, "GET", f"/destinations/{served.ids[0]}"), ask(server, "GET", "/destinations")
            assert one.status == many.status == (502 if kind == "502" else 200)
            assert (many.raw[:1] == b"{", served.ids[0].encode() in one.raw) == (True, kind == "malformed")


def test_refusal_wins() -> None:
    """A refused request gets its refusal, whatever the faults."""
    with serving(fleet(), faults=FaultPlan.parse("reset_after=1")) as server:
        assert ask(server, "PATCH", "/destinations/nobody", {"destination": {}}).status == 404


def test_keep_alive() -> None:
    """Faults with an answer leave their connection usable, also for requests sent ahead."""
    served = fleet()
    own = served.ids[0]
    plan = FaultPlan(overrides={own: (Mishap.ERROR_500, Mishap.NO_CONTENT_204, Mishap.ECHO_ERROR, None)})
    last = request_bytes(own).replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
    with serving(served, faults=plan) as server:
        came = raw_exchange(server, request_bytes(own) * 3 + last)
    assert re.findall(rb"HTTP/1\.1 (\d+)", came) == [b"500", b"204", b"400", b"200"]
