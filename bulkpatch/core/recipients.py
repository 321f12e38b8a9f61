"""How much of one customer is touched at a time: its destinations in flight, and those changed but not yet verified."""

from __future__ import annotations

from collections import Counter

from bulkpatch.core.work import Work
from bulkpatch.model import PerRecipient


class Recipients:
    """Counts by recipient. A row whose recipient is not known is held to no limit."""

    def __init__(self, limits: PerRecipient) -> None:
        self._limits = limits
        self._in_flight: Counter[str] = Counter()
        self._unverified: Counter[str] = Counter()

    def bars(self, work: Work) -> str | None:
        """The recipient whose limit ``work`` would exceed, or None."""
        recipient = work.known.recipient_id
        if recipient is None:
            return None
        if self._limits.in_flight is not None and self._in_flight[recipient] >= self._limits.in_flight:
            return recipient
        if self._limits.unverified is not None and not work.begun:
            return recipient if self._unverified[recipient] >= self._limits.unverified else None
        return None

    def entered(self, work: Work) -> None:
        """``work`` took a slot. One that may change its destination counts as changed from then on."""
        if (recipient := work.known.recipient_id) is not None:
            self._in_flight[recipient] += 1
            work.starting = not work.begun
            self._unverified[recipient] += work.starting

    def left(self, work: Work) -> None:
        """``work`` gave its slot back, and with it what it might have changed."""
        if (recipient := work.known.recipient_id) is not None:
            self._in_flight[recipient] -= 1
            self._unverified[recipient] -= work.starting
            work.starting = False

    def begun(self, work: Work) -> None:
        """``work`` has changed its destination, or may have, and it is not verified."""
        work.begun = True
        if (recipient := work.known.recipient_id) is not None:
            self._unverified[recipient] += 1

    def ended(self, work: Work) -> None:
        """``work`` was settled: if it had begun, it counts as changed no more."""
        if (recipient := work.known.recipient_id) is not None:
            self._unverified[recipient] -= work.begun
