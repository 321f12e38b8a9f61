"""Who is next: rows in order, but for those whose vendor is held back or whose customer has enough under way."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable
from typing import NamedTuple

from bulkpatch.core.credentials import Credentials
from bulkpatch.core.lanes import Lanes
from bulkpatch.core.queueing import DROPPED, Queue
from bulkpatch.core.recipients import Recipients
from bulkpatch.core.work import Stop, Work
from bulkpatch.model import Verdict


class _Recipient(NamedTuple):
    """The reason of a row whose customer has enough under way; all with the same one may go, or none."""

    id: str | None
    begun: bool


class _Credential(NamedTuple):
    """The reason of a row whose credential has not passed its test, and has enough rows under way."""

    key: Hashable


class Line:
    """The queue of rows behind ``lanes``, ``recipients`` and ``credentials``."""

    def __init__(self, lanes: Lanes, recipients: Recipients, credentials: Credentials) -> None:
        self._lanes = lanes
        self._recipients = recipients
        self._credentials = credentials
        self._queue = Queue()
        self._wave = 0
        # Where neither is counted, no row waits for another: nothing of it need be asked row by row.
        self._counts = not (recipients.none_counted and credentials.none_counted)

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def is_still(self) -> bool:
        """Whether nothing here starts unless something in a slot ends: no rows, or such as wait for others of theirs.

        With no slot taken, those wait for a changed destination that was let go of with its lane.
        """
        waits_for_lanes = any(not isinstance(reason, _Recipient | _Credential) for reason in self._queue.reasons)
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
            self._wave = work.known.wave

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
            if self._counts:
                self._recipients.entered(work)
                self._credentials.entered(work)
        return work

    def _probe(self, now_s: float) -> Work | None:
        if not self._queue.parked:
            return None
        for lane in self._lanes.probes(now_s):
            for work in self._queue.unpark(lane):
                reason = self._kept_by(work)
                if reason is None:
                    return work
                if reason is not DROPPED:
                    self._queue.park(work, reason)
        return None

    def _barred(self, work: Work, now_s: float) -> Hashable | None:
        """The lane, recipient or credential for which ``work`` has to wait, or None."""
        reason = self._kept_by(work)
        if reason is DROPPED or self._lanes.lets_through(work.lane, now_s):
            return reason
        if reason is None:
            self.make_way(work)
        return self._aside(work, DROPPED if self._lanes.breaker(work.lane).spent else work.lane)

    def _aside(self, work: Work, reason: Hashable) -> Hashable:
        """``work`` is laid aside for ``reason``: unless a test of it is due, others of its credential may go."""
        if reason is DROPPED or not work.begun:
            self._credentials.ended(work)
            self._make_way_for_credential(work)
        return reason

    def _kept_by(self, work: Work) -> Hashable | None:
        """The recipient or credential for which ``work`` has to wait. What only the other one bars makes way."""
        if not self._counts:
            return None
        if self._credentials.is_held(work):
            self._credentials.hold(work)
            self.make_way(work)
            return DROPPED
        recipient, barred = self._recipients.bars(work), self._credentials.bars(work)
        if (recipient is not None) is not barred:
            self.make_way(work)
        if recipient is not None:
            return self._aside(work, _Recipient(recipient, work.begun))
        return _Credential(self._credentials.key(work)) if barred else None

    def leave(self, work: Work) -> None:
        """``work`` gives its places back."""
        self._lanes.left(work.lane)
        if self._counts:
            self._recipients.left(work)

    def ended(self, work: Work) -> None:
        """``work`` was settled."""
        if self._counts:
            self._recipients.ended(work)
            self._credentials.ended(work)

    def heard(self, work: Work, verdict: Verdict) -> str | None:
        """An attempt of ``work`` ended. If its credential is good, its rows may go; if it is held now, why in words."""
        if self._credentials.none_counted:
            return None
        reason = _Credential(self._credentials.key(work))
        good = self._credentials.heard(work, verdict)
        if good:
            self.free(reason)
        if good is not False:
            return None
        for waiting in self._queue.unpark(reason):
            self._credentials.hold(waiting)
        return self._credentials.words(work)

    def make_way(self, work: Work) -> None:
        """Another row of its recipient, and one of its credential, may go, now that all of ``work`` is counted."""
        if self._counts and self._queue.parked:
            self._make_way_for_credential(work)
            self._make_way_for_recipient(work)

    def _make_way_for_credential(self, work: Work) -> None:
        reason = _Credential(self._credentials.key(work))
        waiting = self._queue.first_parked(reason)
        if waiting is not None and not self._credentials.bars(waiting):
            for freed in self._queue.unpark(reason, 1):
                self._queue.put_back(freed)

    def _make_way_for_recipient(self, work: Work) -> None:
        """First one that was begun."""
        for begun in (True, False):
            reason = _Recipient(work.known.recipient_id, begun)
            waiting = self._queue.first_parked(reason)
            if waiting is not None and self._recipients.bars(waiting) is None:
                for freed in self._queue.unpark(reason, 1):
                    self._queue.put_back(freed)
                return

    def free(self, reason: Hashable) -> None:
        """The rows that wait for a lane, or for ``reason``, may go again, in their order."""
        for waiting in [*self._queue.unpark(reason)][::-1]:
            self._queue.put_back(waiting)

    def drop(self, lane: str) -> None:
        """The rows of ``lane`` will not go in this process; the ledger has them as pending."""
        for dropped in self._queue.unpark(lane):
            self._credentials.ended(dropped)
            self._make_way_for_credential(dropped)

    def left_behind(self) -> bool:
        """Whether rows were let go of that may go by now; asking forgets it."""
        again = self._queue.left_behind and not len(self._queue)
        if again:
            self._queue.left_behind = False
            self._credentials.recount(self._wave)
        return again

    def held_over(self) -> Stop | None:
        """At the end: why rows were held for their credential, if any were."""
        return self._credentials.left_over()

    def wakes_at(self) -> float:
        """When the first row that waits for another attempt is due."""
        return self._queue.wakes_at()
