"""Group commit: records of many rows share one fsync, in the order they were made.

Where the rate is what holds rows back, a commit is nobody's hurry: it waits a moment for others to share it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice

from bulkpatch.model import Intent, Record, Resolved
from bulkpatch.ports import Executor, Ledger

_Queued = tuple[Record, Callable[[], None] | None]

GROUP_MAX = 1_000
"""Records a commit at most: one fsync for a thousand is already free."""
GATHER_S = 0.01
"""Seconds that a commit waits for others where nobody is in a hurry: at 1,000 requests a second, some 20 records."""


class LedgerWriter:
    """Writes what it is given, at once when idle and in groups when busy, or gathered while ``has_time``.

    After a failed commit nothing more is written, and every waiter gets the error. What could not be written is held.
    """

    def __init__(
        self,
        ledger: Ledger,
        executor: Executor,
        *,
        on_failure: Callable[[BaseException], None],
        has_time: Callable[[], bool] = lambda: False,
    ) -> None:
        self._has_time = has_time
        self._ledger = ledger
        self._executor = executor
        self._on_failure = on_failure
        self._queue: deque[_Queued] = deque()
        self._waiters: deque[tuple[int, asyncio.Future[bool], Callable[[asyncio.Future[bool]], None]]] = deque()
        self._put = 0
        self._written = 0
        self.failure: BaseException | None = None
        self._task: asyncio.Task[None] | None = None

    def put(self, record: Record, then: Callable[[], None] | None = None) -> None:
        """Queue ``record``; ``then`` is called in the loop once it is durable."""
        self._queue.append((record, then))
        self._put += 1
        if self._task is None and self.failure is None:
            self._task = asyncio.get_running_loop().create_task(self._drain())

    async def durable(self, *records: Record, then: Callable[[asyncio.Future[bool]], None] | None = None) -> bool:
        """Queue ``records`` and return when they, and all before them, are durable.

        ``then`` is given what is waited for, to be set to the answer: who goes on to wait for something else
        is woken once.
        """
        for record in records:
            self.put(record)
        if self.failure is not None:
            raise self.failure
        waiter: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        if self._written < self._put:
            self._waiters.append((self._put, waiter, then or _done))
        else:
            (then or _done)(waiter)
        return await waiter

    async def rescue(self, make_room: Callable[[], None]) -> None:
        """After a commit that failed: write what is held, once ``make_room`` made that possible.

        Intents are let go, since nothing was sent for them: their waiters got the error.
        """
        held = [one for one in self._queue if not isinstance(one[0], Intent | Resolved)]
        self._queue.clear()
        await self._executor.run(make_room)
        await self._executor.run(self._ledger.commit, [record for record, _ in held])
        self._landed(held)

    async def _drain(self) -> None:
        try:
            while self._queue:
                if self._has_time():
                    await asyncio.sleep(GATHER_S)
                group = list(islice(self._queue, GROUP_MAX))
                await self._executor.run(self._ledger.commit, [record for record, _ in group])
                for _ in group:
                    self._queue.popleft()
                self._landed(group)
        except Exception as failure:  # noqa: BLE001  (handed to every waiter and to the engine)
            self._fail(failure)
        finally:
            self._task = None

    def _landed(self, group: Sequence[_Queued]) -> None:
        self._written += len(group)
        for _, then in group:
            if then is not None:
                then()
        while self._waiters and self._waiters[0][0] <= self._written:
            _, waiter, then_wait = self._waiters.popleft()
            if not waiter.done():
                then_wait(waiter)

    def _fail(self, failure: BaseException) -> None:
        self.failure = failure
        for _, waiter, _ in self._waiters:
            if not waiter.done():
                waiter.set_exception(failure)
        self._waiters.clear()
        self._on_failure(failure)


def _done(waiter: asyncio.Future[bool]) -> None:
    waiter.set_result(True)
