"""A peer: the script that many write. A task a request, a counter of what the rate leaves, a line of JSON a reply.

It looks every millisecond whether the next may go, tries again what failed, and appends each reply to a file.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import deque

import aiohttp

PER_MINUTE = 60_000_000.0
"""A rate that holds nothing back: what is measured is the pattern."""
ATTEMPTS = 3


Job = tuple[str, int, int]
"""An id, its number, and how often it may be tried again."""


async def send(session: aiohttp.ClientSession, url: str, job: Job, again: deque[Job]) -> None:
    """One request and its line in the file, or its place among those to be tried again."""
    one, number, left = job
    body = {"destination": {"name": f"Fleet {number}"}}
    try:
        async with session.patch(f"{url}/destinations/{one}", json=body) as told:
            reply = await told.json()
    except (aiohttp.ClientError, ValueError):
        if left:
            again.append((one, number, left - 1))
        return
    assert reply["status"] == "success"  # noqa: S101  (a benchmark of failures says nothing)
    with open("replies.jsonl", "a", encoding="utf-8") as lines:  # noqa: PTH123, ASYNC230  (as such scripts do)
        lines.write(json.dumps([one, reply]) + "\n")


async def main(url: str, key: str, ids: str, concurrency: int) -> None:
    """Send one PATCH for each line of the file ``ids``."""
    with open(ids, encoding="utf-8") as lines:  # noqa: PTH123, ASYNC230  (before anything is sent)
        waiting = deque((one, number, ATTEMPTS) for number, one in enumerate(lines.read().split()))
    again: deque[Job] = deque()
    under_way: set[asyncio.Task[None]] = set()
    room, looked_s = PER_MINUTE, time.monotonic()
    connector = aiohttp.TCPConnector(limit=concurrency)
    async with aiohttp.ClientSession(headers={"X-API-KEY": key}, connector=connector) as session:
        while waiting or again or under_way:
            now_s = time.monotonic()
            room, looked_s = min(PER_MINUTE, room + PER_MINUTE * (now_s - looked_s) / 60), now_s
            while (again or waiting) and room >= 1 and len(under_way) < concurrency:
                task = asyncio.create_task(send(session, url, (again or waiting).popleft(), again))
                under_way.add(task)
                task.add_done_callback(under_way.discard)
                room -= 1
            await asyncio.sleep(0.001)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))
