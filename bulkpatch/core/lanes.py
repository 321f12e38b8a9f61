"""Which part of the fleet fails: one breaker for each lane, and one for the API as a whole.

A lane is a vendor and how it signs in. One that fails is held while the others go on. The whole
opens when what fails cannot be laid to one lane: most of the last answers were bad, and so were
most of those that came from other lanes than the worst.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterator
from functools import lru_cache

from bulkpatch.core.breaker import BAD_SHARE, MIN_ANSWERS, WINDOW, Breaker, BreakerState
from bulkpatch.model import Operation, PendingRow

LANE_BAD_SHARE = 0.8
"""Share of bad answers at which one lane of several opens. There are many lanes of few answers: where an API fails a
quarter of all requests, at one half some lane of 25 opens by chance in every fourth run; at this in one of 200,000."""
OTHERS_MIN = 5
"""Answers from other lanes than the worst that it takes to call it an outage."""
_FIELDS_HELD = 4096
"""Sets of fields whose lane is held: the rows of a job hardly differ in which fields they set."""
_AUTH_DEPTH = 3
"""Names in a path from which the second one says how the vendor is signed in to: postgres.password_auth.password."""


def lane_of(operation: Operation, known: PendingRow) -> str:
    """The vendor, by the live state or else by the body, and the way of signing in that the body touches."""
    way, vendor = _told_by(operation.fields)
    return way or known.vendor or vendor


@lru_cache(_FIELDS_HELD)
def _told_by(fields: tuple[str, ...]) -> tuple[str, str]:
    """The vendor with its way of signing in, and the vendor, as far as the paths that a body sets tell them."""
    for path in fields:
        names = path.split(".")
        if len(names) >= _AUTH_DEPTH:
            return f"{names[0]}/{names[1]}", names[0]
    return "", next((path.partition(".")[0] for path in fields if "." in path), "")


class Lanes:
    """Counts answers by lane. ``whole`` is asked by the dispatcher for every request."""

    def __init__(self) -> None:
        self.whole = Breaker()
        self._of: dict[str, Breaker] = {}
        self._slots: Counter[str] = Counter()
        self._answers: deque[tuple[str, bool]] = deque(maxlen=WINDOW)

    def breaker(self, lane: str) -> Breaker:
        """The breaker of one lane."""
        found = self._of.get(lane)
        if found is None:
            found = self._of[lane] = Breaker()
        return found

    def lets_through(self, lane: str, now_s: float) -> bool:
        """Whether one more request of ``lane`` may start, as far as the lane goes."""
        breaker = self.breaker(lane)
        return not breaker.spent and breaker.lets_through(now_s, in_flight=self._slots[lane])

    def entered(self, lane: str) -> None:
        """A request of ``lane`` took a slot."""
        self._slots[lane] += 1

    def left(self, lane: str) -> None:
        """It gave the slot back."""
        self._slots[lane] -= 1

    def is_probe(self, lane: str) -> bool:
        """Whether what starts now in ``lane`` only tries whether it is well again."""
        return BreakerState.PROBING in {self.breaker(lane).state, self.whole.state}

    def record(self, lane: str, now_s: float, *, good: bool) -> tuple[BreakerState | None, BreakerState | None]:
        """Count one answer: what changed for the lane, and for the whole.

        What was answered in an outage is laid to the whole and to no lane.
        """
        if self.whole.state is BreakerState.OPEN:
            return None, self.whole.record(now_s, good=good)
        bad_share = LANE_BAD_SHARE if len(self._of) > 1 else BAD_SHARE
        changed = self.breaker(lane).record(now_s, good=good, bad_share=bad_share)
        if self.whole.state is not BreakerState.CLOSED:
            return changed, self.whole.record(now_s, good=good)
        self._answers.append((lane, good))
        if not good and self._is_outage():
            self._answers.clear()
            for breaker in self._of.values():
                breaker.forget()
            return changed, self.whole.open(now_s)
        return changed, None

    def _is_outage(self) -> bool:
        bad = Counter(lane for lane, good in self._answers if not good)
        if len(self._answers) < MIN_ANSWERS or bad.total() < BAD_SHARE * len(self._answers):
            return False
        worst, most = bad.most_common(1)[0]
        others = sum(lane != worst for lane, _ in self._answers)
        return others >= OTHERS_MIN and bad.total() - most >= BAD_SHARE * others

    def probes(self, now_s: float) -> Iterator[str]:
        """The lanes of which one request should go, to see whether they are well again."""
        for lane, breaker in self._of.items():
            if breaker.state is not BreakerState.CLOSED and self.lets_through(lane, now_s):
                yield lane

    @property
    def held(self) -> tuple[str, ...]:
        """The lanes that opened for the last time, by name."""
        return tuple(sorted(lane for lane, breaker in self._of.items() if breaker.spent))

    @property
    def all_held(self) -> bool:
        """Whether no lane is left that was ever tried."""
        return bool(self._of) and all(breaker.spent for breaker in self._of.values())

    @property
    def waiting(self) -> bool:
        """Whether a lane, or the whole, is not closed and will be tried again."""
        return any(one.state is not BreakerState.CLOSED and not one.spent for one in (self.whole, *self._of.values()))

    def wakes_at(self, now_s: float) -> float:
        """When the next open breaker wants to be asked again. One whose time is past waits for something else."""
        open_ = (one.wakes_at_s for one in (self.whole, *self._of.values()) if not one.spent or one is self.whole)
        return min((at_s for at_s in open_ if at_s > now_s), default=math.inf)
