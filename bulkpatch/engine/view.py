"""A run at one moment, as those who watch are told: what is durable, the pace, the wave, and how long it may take."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bulkpatch.core.binding import bound_by
from bulkpatch.core.dispatcher import Dispatcher
from bulkpatch.core.remaining import Headway, guess_per_s, waits_ahead
from bulkpatch.core.waves import Phase, WaveState
from bulkpatch.core.window import SendWindow
from bulkpatch.model import Snapshot, WaveView
from bulkpatch.ports import Clock

THE_WINDOW = "the send window"


class View:
    """Looks at ``dispatcher``. ``now`` is to be called about once a second: it learns the pace from what it sees."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        waves: Sequence[WaveState],
        clock: Clock,
        *,
        total: int,
        window: SendWindow | None = None,
    ) -> None:
        self._dispatcher = dispatcher
        self._waves = waves
        self._clock = clock
        self._total = total
        self._window = window
        self._started_s = clock.monotonic()
        self._headway = Headway(self._settled, self._started_s)

    def now(self) -> Snapshot:
        """Where the run stands now."""
        dispatcher, tally, now_s = self._dispatcher, self._dispatcher.tally, self._clock.monotonic()
        opens_in_s = self._window.opens_in_s(self._clock.wall_us()) if self._window is not None else 0.0
        sending = dispatcher.wave.phase is Phase.SENDING and not dispatcher.paused and not opens_in_s
        self._headway.seen(now_s, self._settled, sending=sending)
        speed, p50_ms = dispatcher.health.speed.at(now_s), tally.latency_ms(0.5)
        sending_s = self._sending_s(speed, p50_ms)
        soaks_s, approvals = waits_ahead(self._waves, dispatcher.wave, now_s)
        return Snapshot(
            total=self._total,
            states=dict(tally.states),
            in_flight=dispatcher.in_flight,
            sends=tally.sends,
            retries=tally.retries,
            throttled=tally.throttled,
            rate_asked=dispatcher.limits.rate.per_s,
            rate_limit=speed,
            rate_now=tally.rate(now_s),
            p50_ms=p50_ms,
            p95_ms=tally.latency_ms(0.95),
            elapsed_s=now_s - self._started_s,
            left_s=None if sending_s is None else sending_s + soaks_s + opens_in_s,
            soaks_s=soaks_s,
            opens_in_s=opens_in_s,
            approvals=approvals,
            bound_by=THE_WINDOW if opens_in_s else bound_by(dispatcher, now_s),
            paused=dispatcher.paused,
            wave=self._wave(now_s),
            stopping=dispatcher.stopped.reason if dispatcher.stopped else "",
        )

    @property
    def _settled(self) -> int:
        return sum(self._dispatcher.tally.states.values())

    def _sending_s(self, speed: float, p50_ms: float | None) -> float | None:
        dispatcher = self._dispatcher
        guess = guess_per_s(
            speed=speed,
            concurrency=dispatcher.limits.concurrency,
            latency_ms=p50_ms,
            requests_per_row=len(dispatcher.staging.stages),
        )
        return self._headway.needs_s(self._total - self._settled, guess_per_s=guess)

    def _wave(self, now_s: float) -> WaveView | None:
        """The wave, where there is more than one."""
        keeper = self._dispatcher.wave
        if len(self._waves) < 2:  # noqa: PLR2004  (one wave is no wave)
            return None
        wave, wakes_at_s = keeper.wave, keeper.wakes_at()
        return WaveView(
            number=wave.number,
            waves=max(one.number for one in self._waves),
            rows=wave.rows,
            tried=keeper.tried,
            failed=keeper.failed,
            phase=str(keeper.phase),
            name=wave.name or "",
            allowed="" if keeper.limit is None else str(keeper.limit),
            soak_s=wave.gate.soak_s,
            approve=wave.gate.approve,
            transfers=wave.gate.transfers,
            plugin=wave.gate.plugin,
            waits_s=max(0.0, wakes_at_s - now_s) if math.isfinite(wakes_at_s) else None,
            reason=keeper.reason,
            last=wave.last,
        )
