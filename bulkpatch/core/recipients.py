"""How much of one customer is touched at a time: its destinations in flight, and those changed but not yet verified."""

from __future__ import annotations

from collections import Counter, defaultdict

from bulkpatch.core.work import Work
from bulkpatch.model import PerRecipient


class Recipients:
    """Counts by recipient. A row whose recipient is not known is held to no limit."""

    def __init__(self, limits: PerRecipient) -> None:
        self._limits = limits
        self._in_flight: Counter[str] = Counter()
        # By row, since a row that was let go of may be brought again: it is counted once.
        self._unverified: defaultdict[str, set[int]] = defaultdict(set)

    @property
    def none_counted(self) -> bool:
        """Whether no row has to wait for any recipient."""
        return self._limits.in_flight is None and self._limits.unverified is None

    def bars(self, work: Work) -> str | None:
        """The recipient whose limit ``work`` would exceed, or None."""
        recipient = work.known.recipient_id
        if recipient is None:
            return None
        if self._limits.in_flight is not None and self._in_flight[recipient] >= self._limits.in_flight:
            return recipient
        if self._limits.unverified is not None and not work.begun:
            return recipient if len(self._unverified[recipient]) >= self._limits.unverified else None
        return None

    def entered(self, work: Work) -> None:
        """``work`` took a slot. One that may change its destination counts as changed from then on."""
        if not self.none_counted and (recipient := work.known.recipient_id) is not None:
            self._in_flight[recipient] += 1
            self._count(work)

    def left(self, work: Work) -> None:
        """``work`` gave its slot back, and with it what it might have changed."""
        if not self.none_counted and (recipient := work.known.recipient_id) is not None:
            self._in_flight[recipient] -= 1
            if not work.begun:
                self._unverified[recipient].discard(work.op.row)

    def begun(self, work: Work) -> None:
        """``work`` has changed its destination, or may have, and it is not verified."""
        work.begun = True
        self._count(work)

    def ended(self, work: Work) -> None:
        """``work`` was settled: it counts as changed no more."""
        if not self.none_counted and (recipient := work.known.recipient_id) is not None:
            self._unverified[recipient].discard(work.op.row)

    def _count(self, work: Work) -> None:
        if self._limits.unverified is not None and (recipient := work.known.recipient_id) is not None:
            self._unverified[recipient].add(work.op.row)
