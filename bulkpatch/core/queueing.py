"""Rows that wait in this process: fresh ones in order, others for another attempt, and those that may not go yet."""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Final

from bulkpatch.core.work import Work

RETRIES_MAX: Final = 10_000
"""Rows that wait for another attempt before no fresh one is begun: what bounds memory in a storm."""
PARKED_MAX: Final = 5_000
"""Rows kept here though they may not go: beyond it they are let go of, and found again in the ledger."""

DROPPED: Final = "dropped"
"""The reason of a row that will not go in this process; the ledger has it as pending."""


class Queue:
    """What is picked next. Whoever may not go is parked under the reason, until that is gone."""

    def __init__(self) -> None:
        self.left_behind = False
        self._fresh: deque[Work] = deque()
        self._retries: list[tuple[float, int, Work]] = []
        self._parked: dict[Hashable, deque[Work]] = {}
        self._parked_count = 0
        self._order = 0

    def __len__(self) -> int:
        return len(self._fresh) + len(self._retries) + self._parked_count

    @property
    def fresh(self) -> int:
        """Rows that wait for their turn and nothing else."""
        return len(self._fresh)

    @property
    def parked(self) -> int:
        """Rows that may not go yet."""
        return self._parked_count

    @property
    def reasons(self) -> Iterable[Hashable]:
        """For what rows are parked now."""
        return (reason for reason, waiting in self._parked.items() if waiting)

    @property
    def is_full(self) -> bool:
        """Whether no more rows should be brought now."""
        return self._parked_count >= PARKED_MAX

    def add(self, works: Iterable[Work]) -> None:
        """Fresh rows, behind all others."""
        self._fresh.extend(works)

    def put_back(self, work: Work) -> None:
        """A row that is next again."""
        self._fresh.appendleft(work)

    def retry(self, work: Work, at_s: float) -> None:
        """A row that waits until ``at_s``."""
        self._order += 1
        heapq.heappush(self._retries, (at_s, self._order, work))

    def next(self, now_s: float, barred: Callable[[Work], Hashable | None]) -> Work | None:
        """The next row for which ``barred`` gives no reason; those with one are parked under it, or ``DROPPED``."""
        while (work := self._first(now_s)) is not None:
            reason = barred(work)
            if reason is None:
                return work
            if reason is not DROPPED:
                self.park(work, reason)
        return None

    def _first(self, now_s: float) -> Work | None:
        if self._retries and self._retries[0][0] <= now_s:
            return heapq.heappop(self._retries)[2]
        if self._fresh and len(self._retries) < RETRIES_MAX:
            return self._fresh.popleft()
        return None

    def park(self, work: Work, reason: Hashable) -> None:
        """Keep ``work`` until ``reason`` is gone. One that changed its destination is kept in any case."""
        if self.is_full and not work.begun:
            self.left_behind = True
            return
        waiting = self._parked.setdefault(reason, deque())
        if work.ahead:
            waiting.appendleft(work)
        else:
            waiting.append(work)
        self._parked_count += 1

    def first_parked(self, reason: Hashable) -> Work | None:
        """The row that ``unpark`` would take first."""
        return next(iter(self._parked.get(reason, ())), None)

    def unpark(self, reason: Hashable, count: float = math.inf) -> Iterator[Work]:
        """Take up to ``count`` rows out of those parked under ``reason``, in order."""
        waiting = self._parked.get(reason, deque())
        while waiting and count > 0:
            count -= 1
            self._parked_count -= 1
            yield waiting.popleft()
        if not waiting:
            self._parked.pop(reason, None)

    def wakes_at(self) -> float:
        """When the first row that waits for another attempt is due."""
        return self._retries[0][0] if self._retries else math.inf
