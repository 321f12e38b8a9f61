"""Waves and the gates between them: what must hold before more of the fleet is touched.

    sending ─drained▶ failed? ─▶ soaking ─▶ watching transfers ─▶ asking the plugin ─▶ awaiting approval ─▶ passed
                        │stop                    │ too few, or none    │no, or no verdict
                        ▼                        ▼                     ▼
                     stopped           awaiting approval            stopped

A wave whose rows are all settled never waits behind its own gate twice: what was passed is an act in the ledger.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum

from bulkpatch.core.guarding import exceeds
from bulkpatch.model import Gate, Threshold

CANARY_MAX = 5
"""Rows of a first wave up to which it is the canary: one failure in it stops, whatever its gate says."""
NO_FAILURE = Threshold(count=0)


class Phase(StrEnum):
    """Where a wave stands."""

    SENDING = "sending"
    SOAKING = "soaking"
    WATCHING = "watching transfers"
    ASKING = "asking the plugin"
    AWAITING = "awaiting approval"
    PASSED = "passed"


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveState:
    """One wave as a process finds it: ``rows`` with requests of their own, and what became of those tried."""

    number: int
    rows: int
    gate: Gate = field(default_factory=Gate)
    tried: int = 0
    failed: int = 0
    name: str | None = None
    passed: bool = False
    first: bool = False
    last: bool = False


class WaveKeeper:
    """Decides for one wave. Times are monotonic; ``ended_before_s`` is how long ago a former process saw it drained."""

    def __init__(self, wave: WaveState) -> None:
        self.wave = wave
        self.tried = wave.tried
        self.failed = wave.failed
        self.phase = Phase.SENDING
        self.reason = ""
        self.looked = False
        self._soaked_at_s = math.inf
        self.transfers_until_s = math.inf
        self._decided = False
        self._approved = False

    @property
    def limit(self) -> Threshold | None:
        """Failed rows that are allowed, if any limit is set."""
        canary = self.wave.first and not self.wave.last and self.wave.rows <= CANARY_MAX
        return NO_FAILURE if canary else self.wave.gate.failed

    def settled(self, *, failed: bool) -> str | None:
        """Count a row that was tried. A reason to stop at once, if a number is exceeded: it will not get less."""
        self.tried += 1
        self.failed += failed
        limit = self.limit
        if limit is None or limit.share is not None or not exceeds(limit, failed=self.failed, tried=self.tried):
            return None
        return self._failed_words(limit)

    def drained(self, now_s: float, *, ended_before_s: float = 0.0) -> str | None:
        """Nothing of the wave is under way any more. A reason to stop, or None: then ``phase`` goes on."""
        limit = self.limit
        if limit is not None and exceeds(limit, failed=self.failed, tried=self.tried):
            return self._failed_words(limit)
        if self.wave.last or self.wave.passed:
            self.phase = Phase.PASSED
            return None
        self._soaked_at_s = now_s + max(0.0, self.wave.gate.soak_s - max(0.0, ended_before_s))
        self.phase = Phase.SOAKING
        self.tick(now_s)
        return None

    def tick(self, now_s: float) -> None:
        """Time has passed."""
        if self.phase is Phase.SOAKING and now_s >= self._soaked_at_s:
            if self.wave.gate.transfers is None:
                self._ask()
            else:
                self.phase = Phase.WATCHING
                self.transfers_until_s = now_s + self.wave.gate.window_s

    def transfers_seen(self, now_s: float, *, succeeded: int, ended: int, expected: int) -> None:
        """How many of the wave's destinations have had a transfer that began after their change, and ended well."""
        self.looked = True
        if self.phase is not Phase.WATCHING or (ended < expected and now_s < self.transfers_until_s):
            return
        share = self.wave.gate.transfers or 0.0
        if ended and succeeded >= math.ceil(round(share * ended, 6)):
            self._ask()
            return
        self.phase = Phase.AWAITING
        if ended:
            failed = f"{ended - succeeded} of {ended} transfers since the change failed"
            self.reason = f"{failed}; {share * 100:g}% must succeed"
        else:
            self.reason = "no transfer began after the change and ended in its window, so nothing can be said"

    def _ask(self) -> None:
        """Transfers are as they should be, or a person took them as they are: the plugin is asked, then a person."""
        self.reason = ""
        if self.wave.gate.plugin is not None and not self._decided:
            self.phase = Phase.ASKING
        elif self.wave.gate.approve and not self._approved:
            self.phase, self.reason = Phase.AWAITING, "the gate asks for approval"
        else:
            self.phase = Phase.PASSED

    def decided(self) -> None:
        """The plugin lets the run go on."""
        assert self.phase is Phase.ASKING, "no plugin was asked"  # noqa: S101  (kept on in production)
        self._decided = True
        self._ask()

    @property
    def awaits(self) -> bool:
        """Whether a person is to decide."""
        return self.phase is Phase.AWAITING

    def approve(self) -> None:
        """A person lets the run go on."""
        assert self.awaits, "nothing waits for approval"  # noqa: S101  (kept on in production)
        self._approved = True
        self._ask()

    def wakes_at(self) -> float:
        """When ``tick`` should be called."""
        match self.phase:
            case Phase.SOAKING:
                return self._soaked_at_s
            case Phase.WATCHING:
                return self.transfers_until_s
            case _:
                return math.inf

    def _failed_words(self, limit: Threshold) -> str:
        name = f"wave {self.wave.number}" + (f" ({self.wave.name})" if self.wave.name else "")
        return f"{name}: {self.failed} of {self.tried} rows tried failed; its gate allows {limit}"
