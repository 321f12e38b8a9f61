"""One row on its way, the end of one of its attempts, and the records that come of it."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from bulkpatch.core.hints import WAIT_S_MAX
from bulkpatch.core.lifecycle import SETTLED, may_become
from bulkpatch.errors import ExitCode
from bulkpatch.model import Intent, Operation, Outcome, Passed, PendingRow, RowState, Setback, Stage, Verdict

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

    @classmethod
    def by_guard(cls, code: str, words: str) -> Stop:
        """The run stops by itself, resumable."""
        return cls(why=Why.GUARD, code=code, reason=words, exit_code=ExitCode.STOPPED)


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
    """One row on its way through ``stages``; only the dispatcher changes it.

    ``ahead``: it came through a stage here. ``begun``: its destination may have been changed.
    ``tried`` and ``throttled`` are of the present stage, and so is ``first_s``, when it was first picked.
    """

    __slots__ = (
        "_attempts", "_patch_throttled", "_patch_tried", "_stages", "ahead", "allowed", "attempt", "begun", "copies",
        "doubted", "facts", "first_s", "known", "lane", "op", "probe", "stage", "throttled", "tried",
    )  # fmt: skip

    def __init__(
        self,
        op: Operation,
        known: PendingRow,
        *,
        attempts: int,
        stages: Sequence[Stage] = (Stage.PATCH,),
        lane: str = "",
    ) -> None:
        self.op = op
        self.known = known
        self.lane = lane
        self.attempt = known.attempt
        open_stage = (known.open_stage or Stage.PATCH) if known.open else None
        self.doubted = known.doubted or open_stage is Stage.PATCH
        self.copies = known.copies
        self.facts: bytes | None = None
        self.probe = False
        self.ahead = False
        self.begun = self.doubted or known.passed is Stage.PATCH
        self._attempts = attempts
        self._patch_tried = known.tried + (open_stage in {Stage.PATCH, Stage.VERIFY})
        # Polls of a verification are uncounted waits as well: none of them may be taken for a throttle.
        self._patch_throttled = 0 if known.passed is Stage.PATCH else known.throttled
        self._stages = deque(self._left_of(stages))
        self.advance()

    def _left_of(self, stages: Sequence[Stage]) -> Sequence[Stage]:
        """A patch that may have been applied is neither guarded nor tried out again; one that passed is verified."""
        if self.known.passed is Stage.PATCH:
            return [Stage.VERIFY]
        if not self.doubted:
            return stages
        return [stage for stage in stages if stage in {Stage.PATCH, Stage.VERIFY}]

    @property
    def next_stage(self) -> Stage | None:
        """What follows the present stage."""
        return self._stages[0] if self._stages else None

    def advance(self) -> None:
        """Begin the next stage."""
        self.stage = self._stages.popleft()
        goes_on = self.stage is Stage.PATCH or self.known.passed is Stage.PATCH
        self.tried = self._patch_tried if goes_on else 0
        self.throttled = self._patch_throttled if goes_on else 0
        self.first_s = math.inf
        # A row whose answer was lost with the process gets one more attempt, even if they are used up.
        self.allowed = max(self._attempts, self.tried + 1)

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

    def passed(self, ending: Ending) -> Passed:
        """The attempt brought the row through its stage, and another one follows."""
        return Passed(
            row=self.op.row,
            attempt=self.attempt,
            stage=self.stage,
            at_us=ending.at_us,
            http_status=ending.verdict.http_status,
            latency_us=ending.latency_us,
            code=ending.verdict.code,
            facts=ending.facts,
        )

    def lost(self, at_us: int) -> Setback:
        """The last attempt of an earlier process, whose answer went with it."""
        return lost(self.op.row, self.attempt, self.known.open_stage or Stage.PATCH, at_us)

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
            facts=ending.facts or self.facts,
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


def lost(row: int, attempt: int, stage: Stage, at_us: int) -> Setback:
    """That an attempt of an earlier process will not be answered: a patch may have been applied."""
    return Setback(
        row=row,
        attempt=attempt,
        stage=stage,
        at_us=at_us,
        code="BP418",
        error="the process ended before the answer came",
        maybe_applied=stage is Stage.PATCH,
    )
