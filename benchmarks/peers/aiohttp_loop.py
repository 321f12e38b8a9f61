"""A peer: PATCH as fast as aiohttp goes, replies parsed, nothing remembered and nothing limited."""

from __future__ import annotations

import asyncio
import ssl
import sys
from collections import deque

import aiohttp


async def main(url: str, key: str, ids: str, concurrency: int, authority: str) -> None:
    """Send one PATCH for each line of the file ``ids``."""
    with open(ids, encoding="utf-8") as lines:  # noqa: PTH123, ASYNC230  (before anything is sent)
        waiting = deque(enumerate(lines.read().split()))
    headers = {"X-API-KEY": key, "Accept-Encoding": "identity"}

    async def slot(session: aiohttp.ClientSession) -> None:
        while waiting:
            number, one = waiting.popleft()
            body = {"destination": {"name": f"Fleet {number}"}}
            async with session.patch(f"{url}/destinations/{one}", json=body) as reply:
                assert (await reply.json())["status"] == "success"  # noqa: S101  (failures say nothing)

    connector = aiohttp.TCPConnector(limit=concurrency, ssl=ssl.create_default_context(cafile=authority))
    async with aiohttp.ClientSession(headers=headers, connector=connector) as session:
        await asyncio.gather(*(slot(session) for _ in range(concurrency)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5]))
