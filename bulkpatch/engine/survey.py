"""What the fleet looks like now: list pages or single reads, whichever is fewer, before anything is written."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Final

from bulkpatch.engine.reading import TOO_LARGE, Reader
from bulkpatch.errors import BulkpatchError, Unreachable
from bulkpatch.ports import Sightings
from bulkpatch.prequel.live import pack, read_live, read_page
from bulkpatch.prequel.requests import PAGE_SIZE_MAX, get, list_page

_NOT_FOUND: Final = 404


async def survey(reader: Reader, sightings: Sightings, paths: Sequence[str], *, concurrency: int) -> bool:
    """Fill ``sightings`` with what the API shows of the ids they want, as far as ``paths`` go.

    True: an id that is missing afterwards is not there. False: the API neither lists nor shows them, or not
    in a form that is understood, so that nothing can be said of those that are missing.

    Pages are read for as long as fewer of them were read than ids are still missing; the rest is read one by
    one. So there are at most twice as many reads as the best choice would have needed, though nobody says how
    large the fleet is. Raises ``KeyRefused`` and ``Unreachable``.
    """
    listed, complete = await _list(reader, sightings, paths)
    if complete or not sightings.missing:
        return True
    return await _single(reader, sightings, paths, concurrency=concurrency, listed=listed)


async def _list(reader: Reader, sightings: Sightings, paths: Sequence[str]) -> tuple[bool, bool]:
    """Whether the API lists at all, and whether all of it was read."""
    pages, cursor, size = 0, None, PAGE_SIZE_MAX
    while pages < sightings.missing - 1:
        try:
            page = read_page(await reader.ask(list_page(size, cursor)), after=cursor)
        except Unreachable as failed:
            if failed.code != TOO_LARGE or size == 1:
                raise
            size //= 2  # destinations with many models are large
            continue
        if isinstance(page, str):
            return False, False
        pages += 1
        sightings.put((live.destination_id, pack(live, paths)) for live in page.live)
        cursor = page.next_cursor
        if cursor is None:
            return True, True
    return pages > 0, False


async def _single(
    reader: Reader, sightings: Sightings, paths: Sequence[str], *, concurrency: int, listed: bool
) -> bool:
    """Read the ids that are still missing one by one. False: the API does not let them be read."""
    waiting: Iterator[str] = iter(sightings.absentees())
    readable = True

    async def work() -> None:
        nonlocal readable
        for destination_id in waiting:
            if not readable:
                return
            reply = await reader.ask(get(destination_id))
            # One 404 is a destination that is not there; nothing but 404s, a route that is not.
            if reply.status == _NOT_FOUND:
                continue
            live = read_live(reply, destination_id)
            if isinstance(live, str):
                readable = False
            else:
                sightings.put([(destination_id, pack(live, paths))])

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(work())
    except* BulkpatchError as failed:
        raise failed.exceptions[0] from None
    return readable and (listed or sightings.found > 0)
