"""The API as a client meets it: every endpoint over real HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit

import pytest
from simulator_rig import KEY, Got, HandClock, ask, fleet, patch, raw_exchange, request_bytes, serving

from bulkpatch.model import Rate
from bulkpatch.prequel.catalogue import FieldType, catalogue
from bulkpatch.simulator.faults import FaultPlan, Mishap
from bulkpatch.simulator.server import SimulatorServer
from bulkpatch.simulator.state import Fleet

CANARY = "canary-7f3a90c2d1"


@pytest.fixture(scope="module")
def server() -> Iterator[SimulatorServer]:
    """One server for the tests that leave its faults and limits alone; each has destinations of its own."""
    with serving(fleet(25, bad_secrets=["bad-password"], transfer_s=0.0), admin=True) as started:
        yield started


def _error(got: Got) -> tuple[int, str]:
    assert got.headers["content-type"] == "application/json"
    assert {**got.body, "message": ""} == {"status": "error", "data": None, "message": ""}
    return got.status, got.body["message"]


def test_patch(server: SimulatorServer) -> None:
    """A PATCH answers with what a GET then shows."""
    own = server.fleet.ids[0]
    got = patch(server, own, name="Renamed", is_enabled=False, postgres={"port": 6543})
    assert got.status == 200
    assert got.body["status"] == "success"
    shown = got.body["data"]["destination"]
    assert (shown["id"], shown["name"], shown["is_enabled"], shown["postgres"]["port"]) == (own, "Renamed", False, 6543)
    assert ask(server, "GET", f"/destinations/{own}").body["data"] == got.body["data"]


def test_shape(server: SimulatorServer) -> None:
    """A read has every field of the API's page, and no other."""
    shown = ask(server, "GET", f"/destinations/{server.fleet.ids[1]}").body["data"]["destination"]
    assert set(shown) == {
        "postgres", "id", "vendor", "name", "recipient_id", "created_at", "updated_at",
        "last_successful_transfer_ended_at", "frequency_minutes", "id_in_provider_system", "products",
        "enabled_models", "max_concurrent_transfers", "max_concurrent_queries_per_transfer", "is_enabled",
        "last_completed_transfer", "total_rows_transferred_last_billing_period",
        "total_delta_rows_transferred_last_billing_period", "total_rows_transferred_current_billing_period",
    }  # fmt: skip
    assert set(shown["last_completed_transfer"]) == {
        "id", "status", "is_full_refresh", "models", "log", "submitted_at", "start_transfer_window_at",
        "end_transfer_window_at", "rows_transferred", "delta_rows_transferred", "volume_transferred_in_mb",
        "is_debug_mode", "actor_id", "actor_type", "source_ids", "destination_id", "model_metrics",
        "models_snapshot", "started_at", "ended_at", "tags",
    }  # fmt: skip


@pytest.mark.parametrize("key", ["", "sk_staging_other", KEY + "x", "schlüssel"])
def test_wrong_key(server: SimulatorServer, key: str) -> None:
    """A wrong key is 401 and changes nothing."""
    own = server.fleet.ids[2]
    got = ask(server, "PATCH", f"/destinations/{own}", {"destination": {"name": "x"}}, key=key)
    assert _error(got)[0] == 401
    assert server.fleet.effects[own] == 0


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b'{"destination":{"name":NaN}}', "not JSON"),
        (b'{"destination":{"novelty":1e999}}', "not JSON"),
        (b'{"destination":' + b'{"a":' * 300 + b"1" + b"}" * 301, "64 deep"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "destination is required"),
        ({"destination": {"name": 7}}, "name must be a string"),
        ({"destination": {"mysql": {}}}, "vendor is postgres"),
    ],
)
def test_bad_body(server: SimulatorServer, body: Any, complaint: str) -> None:
    """A bad body is 400, in the error envelope."""
    own = server.fleet.ids[2]
    status, message = _error(ask(server, "PATCH", f"/destinations/{own}", body))
    assert status == 400
    assert complaint in message
    assert server.fleet.effects[own] == 0


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/destinations/nobody", 404),
        ("PATCH", "/destinations/nobody", 404),
        ("GET", "/transfers/nobody", 404),
        ("GET", "/nowhere", 404),
        ("GET", "/destinations/a/b/c", 404),
        ("PUT", "/destinations", 405),
        ("GET", "/destinations?page_size=101", 400),
    ],
)
def test_not_there(server: SimulatorServer, method: str, path: str, status: int) -> None:
    """What is not there is refused in the error envelope."""
    assert _error(ask(server, method, path, {"destination": {}} if method == "PATCH" else None))[0] == status


def test_next_url(server: SimulatorServer) -> None:
    """next_url leads through the whole list, once, while its entries are patched."""
    seen, path = [], "/destinations?page_size=10&order=desc"
    while path:
        body = ask(server, "GET", path).body
        seen += [destination["id"] for destination in body["data"]["destinations"]]
        patch(server, seen[0], name="moved while reading")
        assert ("next_url" in body) is body["has_next"]
        following = body.get("next_url", "")
        assert following.startswith(f"{server.url}/destinations?") or not following
        path = following.removeprefix(server.url)
    assert seen == list(reversed(server.fleet.ids))


def test_connection_test(server: SimulatorServer) -> None:
    """A connection test says success at the top whatever its verdict."""
    path = f"/destinations/{server.fleet.ids[3]}/test-connection"
    good = ask(server, "POST", path, {"destination": {}}).body
    bad = ask(server, "POST", path, {"destination": {"postgres": {"password_auth": {"password": "bad-password"}}}}).body
    assert (good["status"], good["data"]["status"]) == ("success", "success")
    assert (bad["status"], bad["data"]["status"]) == ("success", "error")


def test_transfers(server: SimulatorServer) -> None:
    """Transfers are started, listed and read."""
    own = server.fleet.ids[4]
    started = ask(server, "POST", f"/destinations/{own}/transfer", {"full_refresh": True}).body["data"]["transfer_id"]
    one = ask(server, "GET", f"/transfers/{started}").body["data"]["transfer"]
    assert (one["status"], one["is_full_refresh"], one["destination_id"]) == ("SUCCESS", True, own)
    for path in (f"/destinations/{own}/transfers", f"/transfers?destination_id={own}"):
        listed = ask(server, "GET", path).body
        assert (listed["data"]["transfers"], listed["has_next"]) == ([one], False)


def test_admin(server: SimulatorServer) -> None:
    """The admin page counts, shows no secret, and is absent unless asked for."""
    own = server.fleet.ids[7]
    patch(server, own, name="x")
    state = ask(server, "GET", "/_sim/state", key="").body
    assert state["requests"] == len(server.fleet.arrivals)
    assert state["effects"][own] == 1
    assert "first-" not in json.dumps(state)
    with serving(fleet()) as plain:
        assert ask(plain, "GET", "/_sim/state").status == 404


def test_no_secret_in_any_answer() -> None:
    """Every secret field of every vendor is set to a canary; nothing that can be asked for shows one, old or new."""
    vendors = catalogue().vendors
    with serving(fleet(len(vendors), *vendors), admin=True) as server:
        replies = []
        for own in server.fleet.ids:
            vendor = server.fleet.vendor(own)
            change: dict[str, Any] = {}
            wrong: dict[str, Any] = {}
            for field in catalogue().fields.values():
                if field.secret and field.vendor == vendor:
                    _set(change, field.path, CANARY)
                    _set(wrong, field.path, CANARY if field.type is FieldType.OBJECT else [CANARY])
            body = {"destination": {**change, "machine_type_id": CANARY}}
            replies += [
                ask(server, "PATCH", f"/destinations/{own}", body),
                ask(server, "PATCH", f"/destinations/{own}", {"destination": {**wrong, "name": 7}}),
                ask(server, "POST", f"/destinations/{own}/test-connection", body),
                ask(server, "POST", f"/destinations/{own}/transfer", {}),
                ask(server, "GET", f"/destinations/{own}"),
                ask(server, "GET", f"/destinations/{own}/transfers"),
            ]
        replies += [ask(server, "GET", path) for path in ("/destinations?page_size=100", "/transfers", "/_sim/state")]
        held = [value for kept in server.fleet.snapshot().values() for value in kept["secrets"].values()]
    assert held.count(CANARY) > len(vendors) // 2, "the canaries did arrive"
    assert [got.raw for got in replies if CANARY.encode() in got.raw or b"first-" in got.raw] == []


def _set(into: dict[str, Any], path: str, value: Any) -> None:
    *parents, leaf = path.split(".")
    for parent in parents:
        into = into.setdefault(parent, {})
    into[leaf] = value


def test_rejected() -> None:
    """Rejected ids are refused for good, and can be read."""
    served = fleet()
    bad = served.ids[1]
    with serving(served, faults=FaultPlan.parse(f"reject={bad}")) as server:
        assert [_error(patch(server, bad, name="x"))[0] for _ in range(3)] == [422] * 3
        assert patch(server, served.ids[0], name="x").status == 200
        assert ask(server, "GET", f"/destinations/{bad}").status == 200
    assert served.effects[bad] == 0


@pytest.mark.parametrize("dated", [False, True])
def test_retry_after(*, dated: bool) -> None:
    """Beyond the rate it is 429, and Retry-After says when, in either form."""
    clock = HandClock()
    served = Fleet.synthetic(1, 7, clock=clock)
    with serving(served, rate=Rate(count=2, unit_s=60), dated_retry_after=dated) as server:
        got = []
        for _ in range(3):
            got.append(patch(server, served.ids[0], name="x"))
            clock.now_s += 10
    assert [one.status for one in got] == [200, 200, 429]
    assert _error(got[-1])[0] == 429
    told = got[-1].headers["retry-after"]
    until_s = parsedate_to_datetime(told).timestamp() if dated else clock.wall_us() / 1_000_000 - 10 + int(told)
    assert until_s == clock.wall_us() / 1_000_000 - 10 + 40
    assert served.effects[served.ids[0]] == 2


def test_arrivals() -> None:
    """Arrivals tell when each request came, what it was and how it ended."""
    served = fleet()
    one, other = served.ids[:2]
    faults = FaultPlan(overrides={one: (Mishap.ERROR_500, None)})
    with serving(served, faults=faults) as server:
        patch(server, one, name="x")
        patch(server, one, name="x")
        ask(server, "GET", f"/destinations/{other}", key="wrong")
    told = [(one.method, one.destination_id, one.status, one.fault) for one in served.arrivals]
    assert told == [("PATCH", one, 500, "500"), ("PATCH", one, 200, None), ("GET", other, 401, None)]
    assert all(before.at_s <= after.at_s for before, after in pairwise(served.arrivals))


def test_too_large(server: SimulatorServer) -> None:
    """A body beyond the API's limit is 413."""
    own = server.fleet.ids[5]
    got = ask(server, "PATCH", f"/destinations/{own}", b" " * (32 * 1024 * 1024 + 1))
    assert _error(got)[0] == 413
    assert server.fleet.effects[own] == 0


def test_chunks(server: SimulatorServer) -> None:
    """A body in chunks is read like any other."""
    own = server.fleet.ids[6]
    head, _, body = request_bytes(own).partition(b"\r\n\r\n")
    lines = [line for line in head.split(b"\r\n") if not line.startswith(b"Content-Length")]
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
    sent = b"\r\n".join([*lines, b"Transfer-Encoding: chunked", b"Connection: close", b"", chunks])
    assert raw_exchange(server, sent).startswith(b"HTTP/1.1 200 ")
    assert server.fleet.get(own)["name"] == "new"


def test_host(server: SimulatorServer) -> None:
    """next_url names the host that was asked."""
    following = ask(server, "GET", "/destinations?page_size=1").body["next_url"]
    assert urlsplit(following).netloc == server.url.removeprefix("http://")
