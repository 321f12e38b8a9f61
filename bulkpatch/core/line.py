"""Who is next: rows in order, but for those whose vendor is held back or whose customer has enough under way."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable
from typing import NamedTuple

from bulkpatch.core.lanes import Lanes
from bulkpatch.core.queueing import DROPPED, Queue
from bulkpatch.core.recipients import Recipients
from bulkpatch.core.work import Work


class _Recipient(NamedTuple):
    """The reason of a row whose customer has enough under way; all with the same one may go, or none."""

    id: str | None
    begun: bool


class Line:
    """The queue of rows behind ``lanes`` and ``recipients``."""

    def __init__(self, lanes: Lanes, recipients: Recipients) -> None:
        self._lanes = lanes
        self._recipients = recipients
        self._queue = Queue()

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def is_still(self) -> bool:
        """Whether nothing here starts unless something in a slot ends: no rows, or such as wait for their recipient.

        With no slot taken, those wait for a changed destination that was let go of with its lane.
        """
        waits_for_lanes = any(not isinstance(reason, _Recipient) for reason in self._queue.reasons)
        return not self._queue.fresh and math.isinf(self._queue.wakes_at()) and not waits_for_lanes

    def wants(self, count: int) -> bool:
        """Whether fewer than ``count`` rows wait for their turn, and more may come.

        While a lane is held more do come, in search of others; what does not fit is found again later.
        """
        return self._queue.fresh < count and (not self._queue.is_full or self._lanes.waiting)

    def add(self, works: Iterable[Work]) -> None:
        """Rows behind all others. What was begun by a process before counts for its recipient."""
        for work in works:
            if work.begun:
                self._recipients.begun(work)
            self._queue.add([work])

    def put_back(self, work: Work) -> None:
        """A row that is next again."""
        self._queue.put_back(work)

    def retry(self, work: Work, at_s: float) -> None:
        """A row that waits until ``at_s``."""
        self._queue.retry(work, at_s)

    def next(self, now_s: float) -> Work | None:
        """The next row that may go now; it takes its place in its lane and at its recipient."""
        work = self._probe(now_s) or self._queue.next(now_s, lambda one: self._barred(one, now_s))
        if work is not None:
            self._lanes.entered(work.lane)
            self._recipients.entered(work)
        return work

    def _probe(self, now_s: float) -> Work | None:
        for lane in self._lanes.probes(now_s):
            for work in self._queue.unpark(lane):
                if self._recipients.bars(work) is None:
                    return work
                self._queue.park(work, _Recipient(work.known.recipient_id, work.begun))
        return None

    def _barred(self, work: Work, now_s: float) -> Hashable | None:
        """The lane or the recipient for which ``work`` has to wait, or None."""
        recipient = self._recipients.bars(work)
        if self._lanes.lets_through(work.lane, now_s):
            return None if recipient is None else _Recipient(recipient, work.begun)
        if recipient is None:
            self.make_way(work)
        return DROPPED if self._lanes.breaker(work.lane).spent else work.lane

    def leave(self, work: Work) -> None:
        """``work`` gives its places back."""
        self._lanes.left(work.lane)
        self._recipients.left(work)

    def make_way(self, work: Work) -> None:
        """Another row of the recipient may go, now that all of ``work`` is counted: first one that was begun."""
        for begun in (True, False):
            reason = _Recipient(work.known.recipient_id, begun)
            waiting = self._queue.first_parked(reason)
            if waiting is not None and self._recipients.bars(waiting) is None:
                for freed in self._queue.unpark(reason, 1):
                    self._queue.put_back(freed)
                return

    def free(self, lane: str) -> None:
        """The rows of ``lane`` may go again, in their order."""
        for waiting in [*self._queue.unpark(lane)][::-1]:
            self._queue.put_back(waiting)

    def drop(self, lane: str) -> None:
        """The rows of ``lane`` will not go in this process; the ledger has them as pending."""
        for _ in self._queue.unpark(lane):
            pass

    def left_behind(self) -> bool:
        """Whether rows were let go of that may go by now; asking forgets it."""
        again = self._queue.left_behind and not len(self._queue)
        if again:
            self._queue.left_behind = False
        return again

    def wakes_at(self) -> float:
        """When the first row that waits for another attempt is due."""
        return self._queue.wakes_at()
