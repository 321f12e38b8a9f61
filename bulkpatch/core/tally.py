"""What has become of the rows so far: counts and latency, from durable outcomes only."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Mapping

from bulkpatch.core.lifecycle import FAILED, NOT_TRIED
from bulkpatch.model import Outcome, RowState

_BASE = 1.1
"""Latency buckets grow by a tenth: a percentile is right to within 5 %, in constant memory."""
RATE_WINDOW_S = 5.0
"""Seconds over which the shown rate is taken."""


class Tally:
    """Counts of a run. ``before`` are the outcomes of earlier processes; guards look at this process's only."""

    def __init__(self, before: Mapping[RowState, int]) -> None:
        self.states: Counter[RowState] = Counter(before)
        self.tried = 0
        self.failed = 0
        self.accepted = 0
        self.sends = 0
        self.retries = 0
        self.throttled = 0
        self._latencies: Counter[int] = Counter()
        self._sent_at_s: deque[float] = deque()
        self._began_s = math.inf

    def settle(self, outcome: Outcome, copies: int) -> tuple[bool, bool]:
        """Count a durable outcome, once for each of the ``copies`` rows that share it. Was it tried, did it fail?"""
        self.states[outcome.state] += copies
        self.accepted += outcome.state in {RowState.ACCEPTED, RowState.VERIFIED, RowState.UNVERIFIED}
        tried, failed = outcome.state not in NOT_TRIED, outcome.state in FAILED
        self.tried += tried
        self.failed += tried and failed
        if outcome.latency_us:
            self._latencies[round(math.log(outcome.latency_us, _BASE))] += 1
        return tried, failed

    def send(self, at_s: float) -> None:
        """Count a request that left."""
        self.sends += 1
        self._sent_at_s.append(at_s)
        self._began_s = min(self._began_s, at_s)

    def rate(self, now_s: float) -> float:
        """Requests per second over the last few seconds, or since the first request."""
        sent = self._sent_at_s
        while sent and sent[0] <= now_s - RATE_WINDOW_S:
            sent.popleft()
        return len(sent) / min(RATE_WINDOW_S, max(1.0, now_s - self._began_s))

    def restart_rate(self) -> None:
        """Another limit holds from now on: what left under the one before would only mislead."""
        self._sent_at_s.clear()
        self._began_s = math.inf

    def latency_ms(self, share: float) -> float | None:
        """The latency that ``share`` of the settled attempts stayed below."""
        left = share * self._latencies.total()
        for bucket in sorted(self._latencies):
            left -= self._latencies[bucket]
            if left <= 0:
                return _BASE**bucket / 1000
        return None
