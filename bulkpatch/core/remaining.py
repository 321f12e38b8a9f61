"""How long a run may still take: sending at the pace that was seen, then what the gates soak."""

from __future__ import annotations

import math
from collections.abc import Iterable

from bulkpatch.core.waves import Phase, WaveKeeper, WaveState

HALF_LIFE_S = 60.0
"""Seconds of sending after which what was seen counts half: the pace of an hour ago says little of now."""
GUESSED_S = 5.0
"""Seconds for which the guess counts as if it had been seen: a canary of five rows is no measure of a pace."""


class Headway:
    """Rows settled per second of sending; soaks, approvals, pauses and closed windows do not make it slower."""

    def __init__(self, settled: int, now_s: float) -> None:
        self._settled = settled
        self._seen_s = now_s
        self._sending = True
        self._rows = 0.0
        self._seconds = 0.0

    def seen(self, now_s: float, settled: int, *, sending: bool) -> None:
        """So many rows are settled now, and from now on rows are ``sending``, or held by something else."""
        if self._sending:
            lately_s = now_s - self._seen_s
            kept = 0.5 ** (lately_s / HALF_LIFE_S)
            self._rows = self._rows * kept + settled - self._settled
            self._seconds = self._seconds * kept + lately_s
        self._settled, self._seen_s, self._sending = settled, now_s, sending

    def needs_s(self, rows: int, *, guess_per_s: float | None) -> float | None:
        """Seconds of sending for ``rows`` more; ``guess_per_s`` helps while little was seen. None: nobody can say."""
        seen, seconds = self._rows, self._seconds
        if guess_per_s is not None:
            seen, seconds = seen + guess_per_s * GUESSED_S, seconds + GUESSED_S
        return rows * seconds / seen if seen > 0 else None


def guess_per_s(*, speed: float, concurrency: int, latency_ms: float | None, requests_per_row: int) -> float | None:
    """Rows per second that ``speed`` and the slots let through at this latency; None as long as it is not known."""
    if latency_ms is None:
        return None
    slots = math.inf if latency_ms <= 0 else concurrency / (latency_ms / 1000)
    return min(speed, slots) / requests_per_row


def waits_ahead(waves: Iterable[WaveState], keeper: WaveKeeper, now_s: float) -> tuple[float, int]:
    """Seconds of soaks that are to come, the rest of one under way among them, and how many approvals."""
    here = keeper.wave.number
    gates = [wave.gate for wave in waves if wave.number > here and not (wave.last or wave.passed)]
    soaks_s, approvals = sum(gate.soak_s for gate in gates), sum(gate.approve for gate in gates)
    before_gate = keeper.phase is Phase.SENDING and not (keeper.wave.last or keeper.wave.passed)
    if before_gate:
        soaks_s += keeper.wave.gate.soak_s
    elif keeper.phase is Phase.SOAKING:
        soaks_s += max(0.0, keeper.wakes_at() - now_s)
    at_gate = keeper.phase in {Phase.SOAKING, Phase.WATCHING}
    approvals += keeper.awaits or (keeper.wave.gate.approve and (before_gate or at_gate))
    return soaks_s, approvals
