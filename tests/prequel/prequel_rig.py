"""What the tests of reading answers share: replies, JSON that is nearly right, a simulator asked without a socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import MutableMapping
from typing import Any

from hypothesis import strategies as st

from bulkpatch.model import Reply, Request, Secret
from bulkpatch.simulator.app import Simulator
from bulkpatch.simulator.state import Fleet

KEY = "sk_staging_simulator_0123456789"
CANARY = "C4naRy"
"""Planted where a value may stand; no repr and no problem may show it."""


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


def reply(document: Any, status: int = 200) -> Reply:
    """A whole answer; ``document`` is a JSON value or bytes."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return Reply(status=status, headers={}, body=body, sent_at_s=0.0, ended_at_s=0.1)


def success(data: Any, **beside: Any) -> dict[str, Any]:
    """The envelope of a success; ``beside`` stands beside its data."""
    return {"status": "success", "message": "ok", "data": data, **beside}


def ask(simulator: Simulator, request: Request) -> Reply:
    """What the simulator answers, by its ASGI application."""
    got: dict[str, Any] = {"body": b""}
    path, _, query = request.path.partition("?")
    scope: MutableMapping[str, Any] = {
        "type": "http",
        "method": request.method,
        "path": path,
        "query_string": query.encode(),
        "headers": [(b"x-api-key", KEY.encode()), (b"host", b"127.0.0.1:1")],
    }

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": request.body or b"", "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        got["status"] = message.get("status", got.get("status"))
        got["body"] += message.get("body", b"")

    asyncio.run(simulator.app(scope, receive, send))
    return reply(got["body"], got["status"])


def simulator(n: int, *vendors: str, clock: HandClock | None = None, **knobs: Any) -> Simulator:
    """The API over a fleet of ``n`` destinations."""
    fleet = Fleet.synthetic(n, 7, clock=clock or HandClock(), vendors=vendors, **knobs)
    return Simulator(fleet, key=Secret(KEY, reference="test"))


NAMES = st.sampled_from(
    "status data destination destinations id message has_next next_url transfers error "
    f"last_completed_transfer started_at vendor updated_at {CANARY}".split()
)
ODD = st.sampled_from(["success", "failed", CANARY, f"https://x/?cursor={CANARY}", f"http://[{CANARY}", "2023-11-07"])
NEARLY: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ODD,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=6),
    max_leaves=15,
)
"""JSON with the right names in wrong places."""
GOOD = success(
    {
        "status": "success",
        "error": None,
        "destination": {"id": CANARY, "vendor": "s3", "last_completed_transfer": {"status": "SUCCESS"}},
        "destinations": [{"id": "d1", "updated_at": "2023-11-07T05:31:56Z"}, {"id": CANARY}],
        "transfers": [{"id": "t1", "status": "SUCCESS", "started_at": "2023-11-07T05:31:56Z"}, {"id": CANARY}],
    },
    has_next=True,
    next_url=f"https://x/destinations?cursor={CANARY}",
)
"""An answer that every reader understands."""


def every_path(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value inside ``node``."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [found for key, value in items for found in [(*path, key), *every_path(value, (*path, key))]]


def spoilt(path: tuple[Any, ...], strange: Any) -> bytes:
    """``GOOD`` with something else at ``path``."""
    document = json.loads(json.dumps(GOOD))
    node = document
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = strange
    return json.dumps(document).encode()


BODIES: st.SearchStrategy[bytes] = (
    st.binary(max_size=100)
    | st.builds(
        lambda value, beside: json.dumps({"status": "success", "data": value, **beside}).encode(),
        NEARLY,
        st.dictionaries(NAMES, NEARLY, max_size=3),
    )
    | st.builds(spoilt, st.sampled_from(every_path(GOOD)), NEARLY)
)
"""Bodies that no API should send: bytes, right names in wrong places, a good answer with one wrong value."""
TOWERS = (b"[" * 200_000, b'{"a":' * 200_000, b'{"status":"success","data":' + b"[" * 100 + b"]" * 100 + b"}")
"""Nesting that ends a naive parser."""
