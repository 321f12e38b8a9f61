"""What answers say about the API itself: how fast it takes requests, and whether a part of it is down."""

from __future__ import annotations

from dataclasses import dataclass

from bulkpatch.core.adaptive import AdaptiveSpeed
from bulkpatch.core.breaker import BreakerState
from bulkpatch.core.lanes import Lanes
from bulkpatch.core.work import Stop, Why
from bulkpatch.errors import ExitCode
from bulkpatch.model import Notice, Verdict, VerdictKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What follows from one answer for the run. ``freed``: the rows of its lane may go again."""

    notice: Notice | None = None
    stop: Stop | None = None
    hold_until_s: float | None = None
    freed: bool = False


_NOTHING = Said()
"""What follows from nearly every answer: made once."""


class Health:
    """Hears every answer; ``reached``: the API was, at least once."""

    def __init__(self, speed: AdaptiveSpeed) -> None:
        self.speed = speed
        self.lanes = Lanes()
        self.reached = False

    def heard(self, lane: str, verdict: Verdict, now_s: float, *, sent_s: float) -> Said:
        """The attempt that was sent at ``sent_s`` ended."""
        self.reached = self.reached or verdict.http_status is not None or verdict.maybe_applied
        slower = verdict.http_status is not None and self.speed.answered(
            now_s, sent_s=sent_s, refused=verdict.throttled
        )
        if slower:
            words = f"the API asked to slow down: {self.speed.at(now_s):.3g}/s from now"
            return Said(notice=Notice(code="BP406", message=words))
        if verdict.throttled or verdict.kind is VerdictKind.HALT:
            return _NOTHING
        of_lane, of_whole = self.lanes.record(lane, now_s, good=verdict.kind is not VerdictKind.RETRY)
        if BreakerState.OPEN in {of_lane, of_whole}:
            return self._opened(lane if of_whole is None else None, verdict.message)
        if BreakerState.CLOSED in {of_lane, of_whole}:
            self.speed.ramp(now_s)
            words = f"{_named(lane if of_whole is None else '')} answers again: going on at half speed"
            return Said(notice=Notice(code="BP502", message=words), freed=of_lane is BreakerState.CLOSED)
        return _NOTHING

    def _opened(self, lane: str | None, last_words: str) -> Said:
        whole = self.lanes.whole
        if not self.reached:
            return Said(stop=never_reached(last_words))
        if whole.spent:
            reason = f"the API seems to be down: {whole.openings} times most answers were failures"
            return Said(stop=Stop(why=Why.OUTAGE, code="BP502", reason=reason, exit_code=ExitCode.STOPPED))
        if self.lanes.all_held:
            # While the first was held, others were looked for: there are none, or they fail as well.
            reason = "the API seems to be down: most answers were failures, and so were the probes"
            return Said(stop=Stop(why=Why.OUTAGE, code="BP502", reason=reason, exit_code=ExitCode.STOPPED))
        if lane in self.lanes.held:
            return Said(notice=Notice(code="BP505", message=f"{_named(lane)} fails still: its rows stay pending"))
        if not lane:
            words = "the API seems to be down: waiting 60 s, then probing"
            until_s = (whole if lane is None else self.lanes.breaker(lane)).wakes_at_s
            # What is in line already waits too.
            return Said(notice=Notice(code="BP502", message=words), hold_until_s=until_s)
        words = f"most answers for {_named(lane)} are failures: it is held for 60 s, then probed; others go on"
        return Said(notice=Notice(code="BP505", message=words))

    def left_over(self) -> Stop | None:
        """At the end: why rows were held back, if any lane was."""
        if not self.lanes.held:
            return None
        words = f"held back, since most answers were failures: {', '.join(map(_named, self.lanes.held))}"
        return Stop(why=Why.OUTAGE, code="BP505", reason=words, exit_code=ExitCode.STOPPED)


def _named(lane: str) -> str:
    return lane or "the API"


def never_reached(words: str) -> Stop:
    """Nothing was ever sent, and attempts ran out."""
    reason = f"the API was never reached: {words}"
    return Stop(why=Why.OUTAGE, code="BP407", reason=reason, exit_code=ExitCode.STOPPED)
