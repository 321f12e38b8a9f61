"""The peer: PATCH as fast as httpx goes, one client a slot, replies parsed, nothing remembered and nothing limited."""

from __future__ import annotations

import asyncio
import sys
from collections import deque

import httpx


async def main(url: str, key: str, ids: str, concurrency: int) -> None:
    """Send one PATCH for each line of the file ``ids``."""
    with open(ids, encoding="utf-8") as lines:  # noqa: PTH123, ASYNC230  (before anything is sent)
        waiting = deque(enumerate(lines.read().split()))
    headers = {"X-API-KEY": key, "Accept-Encoding": "identity"}

    async def slot() -> None:
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=1)
        async with httpx.AsyncClient(base_url=url, headers=headers, limits=limits, trust_env=False) as client:
            while waiting:
                number, one = waiting.popleft()
                body = {"destination": {"name": f"Fleet {number}"}}
                reply = await client.patch(f"/destinations/{one}", json=body)
                assert reply.json()["status"] == "success"  # noqa: S101  (a benchmark of failures says nothing)

    await asyncio.gather(*(slot() for _ in range(concurrency)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))
