"""A peer: PATCH as fast as httpx goes, replies parsed, nothing remembered and nothing limited.

``each``: one client a slot. ``shared``: one for all, as its documentation has it. After it, an authority to trust.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import sys
from collections import deque

import httpx


async def main(url: str, key: str, ids: str, concurrency: int, *more: str) -> None:
    """Send one PATCH for each line of the file ``ids``."""
    with open(ids, encoding="utf-8") as lines:  # noqa: PTH123, ASYNC230  (before anything is sent)
        waiting = deque(enumerate(lines.read().split()))
    headers = {"X-API-KEY": key, "Accept-Encoding": "identity"}
    each = more[0] == "each"
    trusted = ssl.create_default_context(cafile=next(iter(more[1:]), None))

    def client() -> httpx.AsyncClient:
        connections = 1 if each else concurrency
        limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
        return httpx.AsyncClient(base_url=url, headers=headers, limits=limits, verify=trusted, trust_env=False)

    async def slot(sender: httpx.AsyncClient) -> None:
        while waiting:
            number, one = waiting.popleft()
            body = {"destination": {"name": f"Fleet {number}"}}
            reply = await sender.patch(f"/destinations/{one}", json=body)
            assert reply.json()["status"] == "success"  # noqa: S101  (a benchmark of failures says nothing)

    async with contextlib.AsyncExitStack() as stack:
        senders = [await stack.enter_async_context(client()) for _ in range(concurrency if each else 1)]
        await asyncio.gather(*(slot(senders[number % len(senders)]) for number in range(concurrency)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), *sys.argv[5:]))
