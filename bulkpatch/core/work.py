"""One row on its way, the end of one of its attempts, and the records that come of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum

from bulkpatch.core.hints import WAIT_S_MAX
from bulkpatch.core.lifecycle import SETTLED, may_become
from bulkpatch.model import Intent, Operation, Outcome, PendingRow, RowState, Setback, Stage, Verdict

BACKOFF_S_MAX = 20.0
"""Seconds: the longest backoff, cut before the draw."""
BACKOFF_BASE_S = 0.25
"""Seconds: the first backoff after a passing failure."""
THROTTLE_BASE_S = 1.0
"""Seconds: the first backoff after the API asked to slow down."""
SPREAD = 0.1
"""Share of a Retry-After that is added at random: many clients return at once."""


class Why(IntEnum):
    """How strongly a run was asked to stop; a stronger reason replaces a weaker one."""

    NOT = 0
    GUARD = 1
    OUTAGE = 2
    SIGNAL = 3
    HALT = 4
    BROKEN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Why nothing more is sent, and the exit code that follows from it."""

    why: Why
    code: str
    reason: str
    exit_code: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """An attempt ended: its verdict, when, how long it took, and the reply's facts.

    ``chance`` is drawn from [0, 1) by the caller, since nothing here draws.
    """

    verdict: Verdict
    now_s: float
    at_us: int
    latency_us: int
    chance: float
    facts: bytes | None = None


class Work:
    """One row on its way; only the dispatcher changes it."""

    __slots__ = ("allowed", "attempt", "copies", "doubted", "first_s", "op", "probe", "stage", "throttled", "tried")

    def __init__(self, op: Operation, known: PendingRow, *, attempts: int) -> None:
        self.op = op
        self.stage = Stage.PATCH
        self.attempt = known.attempt
        self.tried = known.tried + known.open
        self.throttled = known.throttled
        self.doubted = known.doubted or known.open
        self.copies = known.copies
        # A row whose answer was lost with the process gets one more attempt, even if they are used up.
        self.allowed = max(attempts, self.tried + 1)
        self.first_s = math.inf
        self.probe = False

    def wait_s(self, verdict: Verdict, chance: float) -> float:
        """Seconds to the next attempt: a backoff drawn by ``chance``, or longer if the API asks for it."""
        if not verdict.throttled:
            return chance * min(BACKOFF_S_MAX, BACKOFF_BASE_S * 2.0 ** max(0, self.tried - 1))
        backoff_s = chance * min(BACKOFF_S_MAX, THROTTLE_BASE_S * 2.0 ** max(0, self.throttled - 1))
        asked_s = min(verdict.retry_after_s or 0.0, WAIT_S_MAX)
        return max(backoff_s, asked_s) + chance * SPREAD * asked_s

    def intent(self, at_us: int, now_s: float) -> Intent:
        """The next attempt, about to leave."""
        self.attempt += 1
        return Intent(row=self.op.row, attempt=self.attempt, stage=self.stage, at_us=at_us, at_s=now_s)

    def setback(self, ending: Ending, *, wait_s: float, counted: bool) -> Setback:
        """The attempt ended and the row waits."""
        verdict = ending.verdict
        return Setback(
            row=self.op.row,
            attempt=self.attempt,
            stage=self.stage,
            at_us=ending.at_us,
            code=verdict.code or "BP901",
            error=verdict.message,
            http_status=verdict.http_status,
            latency_us=ending.latency_us,
            maybe_applied=verdict.maybe_applied,
            counted=counted,
            wait_us=round(wait_s * 1e6),
        )

    def withdrawn(self, at_us: int) -> Setback:
        """The attempt never left: the run stopped before its turn."""
        return Setback(
            row=self.op.row,
            attempt=self.attempt,
            stage=self.stage,
            at_us=at_us,
            code="BP503",
            error="not sent: the run stopped before its turn",
            counted=False,
            withdrawn=True,
        )

    def lost(self, at_us: int) -> Setback:
        """The last attempt of an earlier process, whose answer went with it."""
        return Setback(
            row=self.op.row,
            attempt=self.attempt,
            stage=self.stage,
            at_us=at_us,
            code="BP418",
            error="the process ended before the answer came",
            maybe_applied=True,
        )

    def outcome(self, state: RowState, ending: Ending) -> Outcome:
        """The attempt settled the row."""
        assert state in SETTLED, state  # noqa: S101  (kept on in production)
        assert may_become(RowState.IN_FLIGHT, state), state  # noqa: S101  (kept on in production)
        verdict = ending.verdict
        return Outcome(
            row=self.op.row,
            attempt=self.attempt,
            stage=self.stage,
            state=state,
            at_us=ending.at_us,
            http_status=verdict.http_status,
            code=verdict.code,
            error=verdict.message or None,
            latency_us=ending.latency_us,
            facts=ending.facts,
        )

    def unsent(self, state: RowState, code: str, message: str, at_us: int) -> Outcome:
        """The row is settled without another attempt."""
        assert state in SETTLED, state  # noqa: S101  (kept on in production)
        assert may_become(RowState.PENDING, state), state  # noqa: S101  (kept on in production)
        return Outcome(
            row=self.op.row,
            attempt=self.attempt,
            stage=self.stage,
            state=state,
            at_us=at_us,
            code=code,
            error=message,
        )
