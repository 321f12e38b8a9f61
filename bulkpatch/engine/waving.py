"""Wave after wave: rows are fed, what was begun is waited for, and the gate decides whether more may be touched."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from bulkpatch.core.dispatcher import Dispatcher
from bulkpatch.core.waves import Phase, WaveKeeper, WaveState
from bulkpatch.core.work import Stop
from bulkpatch.engine.feeder import Feeder
from bulkpatch.engine.waiting import moved_or_due
from bulkpatch.engine.writer import LedgerWriter
from bulkpatch.model import Act, GateVerdict, Notice, RowState
from bulkpatch.plugins import PluginFailed
from bulkpatch.ports import Clock

DRAINED: Final = "wave_drained"
PASSED: Final = "wave_passed"
APPROVED: Final = "approved"
STARTED: Final = "transfers_started"
DECIDED: Final = "gate_decided"
"""Kinds of acts, by which the next process knows where the waves stand."""
WATCH_S: Final = 15.0
"""Seconds between two looks at the transfers of a wave: they take minutes."""


class Watch(Protocol):
    """What a gate asks the API about the transfers of a wave."""

    async def start(self, wave: int, count: int) -> int:
        """Start transfers of up to ``count`` of the wave's destinations; how many were started."""
        ...

    async def look(self, wave: int) -> tuple[int, int, int]:
        """Of the wave's changed destinations: whose transfer since then succeeded, ended, and how many there are."""
        ...


class Decide(Protocol):
    """A gate of another package, asked off the loop."""

    async def __call__(self, wave: WaveKeeper, states: Mapping[RowState, int]) -> GateVerdict:
        """Whether the next wave may begin; ``states`` counts the rows of the run. Raises ``PluginFailed``."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Waves:
    """The waves of a run, and what earlier processes saw of them. ``who`` acts for this one.

    ``watch`` and ``decide`` are there if a gate asks for transfers, or names a plugin.
    """

    states: tuple[WaveState, ...] = (WaveState(number=1, rows=0, last=True),)
    drained_at_us: Mapping[int, int] = field(default_factory=dict)
    approved: frozenset[int] = frozenset()
    started: frozenset[int] = frozenset()
    who: str = ""
    watch: Watch | None = None
    decide: Decide | None = None


class Waving:
    """Runs through ``waves``. ``moved`` is called whenever something changed that it may wait for."""

    def __init__(  # noqa: PLR0913  (the parts of the engine that it works with)
        self,
        waves: Waves,
        dispatcher: Dispatcher,
        feeder: Feeder,
        writer: LedgerWriter,
        clock: Clock,
        *,
        wake: Callable[[], None],
    ) -> None:
        self._waves = waves
        self._dispatcher = dispatcher
        self._feeder = feeder
        self._writer = writer
        self._clock = clock
        self._wake = wake
        self._moved = asyncio.Event()

    def moved(self) -> None:
        """Look again."""
        self._moved.set()

    async def run(self) -> None:
        """Feed every wave and wait at its gate, until the last one is through or the run stops."""
        for wave in self._waves.states:
            if self._dispatcher.stopped is not None:
                break
            self._dispatcher.begin_wave(wave)
            await self._feed(wave)
            if self._dispatcher.stopped is None:
                await self._gate(wave)
        self._dispatcher.finish()
        self._wake()

    async def _feed(self, wave: WaveState) -> None:
        while True:
            self._feeder.begin(wave.number)
            await self._one_pass()
            self._dispatcher.source_ended()
            self._wake()
            while not self._dispatcher.drained:
                await self._rest()
            await self._writer.durable()  # what is drained is counted once it is on the disk
            if self._dispatcher.stopped is not None or not self._dispatcher.feed_again():
                return

    async def _one_pass(self) -> None:
        while self._dispatcher.stopped is None:
            if not self._dispatcher.wants:
                await self._rest()
                continue
            rows = await self._feeder.next_rows()
            if rows is None:
                return
            for record in self._dispatcher.offer(rows, at_us=self._clock.wall_us()):
                self._writer.put(record)
            self._wake()

    async def _gate(self, wave: WaveState) -> None:
        dispatcher, keeper = self._dispatcher, self._dispatcher.wave
        now_us, now_s = self._clock.wall_us(), self._clock.monotonic()
        # What was tried since then, too, is to soak.
        drained_at_us = self._waves.drained_at_us.get(wave.number) if keeper.tried == wave.tried else None
        if drained_at_us is None and not wave.last:
            await self._act(DRAINED, wave, tried=keeper.tried, failed=keeper.failed)
        ended_before_s = 0.0 if drained_at_us is None else (now_us - drained_at_us) / 1e6
        dispatcher.close_wave(now_s, ended_before_s=ended_before_s)
        told = Phase.PASSED
        while keeper.phase is not Phase.PASSED and dispatcher.stopped is None:
            if keeper.phase is Phase.AWAITING and wave.number in self._waves.approved:
                keeper.approve()
                continue
            if keeper.phase is not told:
                told = keeper.phase
                self._tell(wave, keeper.phase, keeper.reason)
            if keeper.phase is Phase.WATCHING:
                await self._look(wave)
            elif keeper.phase is Phase.ASKING:
                await self._decide(wave)
            else:
                await self._rest(keeper.wakes_at())
            keeper.tick(self._clock.monotonic())
        if dispatcher.stopped is None and not wave.last and not wave.passed:
            await self._act(PASSED, wave)

    async def _look(self, wave: WaveState) -> None:
        watch, keeper = self._waves.watch, self._dispatcher.wave
        assert watch is not None  # noqa: S101  (a gate that asks for transfers comes with it)
        wanted = wave.gate.start_transfers
        if wanted and wave.number not in self._waves.started and not keeper.looked:
            await self._act(STARTED, wave, count=await watch.start(wave.number, wanted))
        succeeded, ended, expected = await watch.look(wave.number)
        keeper.transfers_seen(self._clock.monotonic(), succeeded=succeeded, ended=ended, expected=expected)
        if keeper.phase is Phase.WATCHING:
            await self._rest(min(keeper.wakes_at(), self._clock.monotonic() + WATCH_S))

    async def _decide(self, wave: WaveState) -> None:
        decide, keeper = self._waves.decide, self._dispatcher.wave
        assert decide is not None  # noqa: S101  (a gate that names a plugin comes with it)
        gate = f"wave {wave.number}: the gate {wave.gate.plugin}"
        try:
            verdict = await decide(keeper, dict(self._dispatcher.tally.states))
        except PluginFailed as failed:
            self._dispatcher.stop(Stop.by_guard("BP512", f"{gate} gave no verdict: {failed}"))
            return
        await self._act(DECIDED, wave, passes=verdict.passes, reason=verdict.reason)
        said = f": {verdict.reason}" if verdict.reason else ""
        if verdict.passes:
            self._dispatcher.notices.append(Notice(code="BP509", message=f"{gate} lets the run go on{said}"))
            keeper.decided()
        else:
            self._dispatcher.stop(Stop.by_guard("BP511", f"{gate} does not let the run go on{said}"))

    def _tell(self, wave: WaveState, phase: Phase, reason: str) -> None:
        words = f"wave {wave.number}: {phase}" + (f": {reason}" if reason else "")
        if phase is Phase.AWAITING:
            words += "; say `bulkpatch approve RUN` or `bulkpatch abort RUN`"
        self._dispatcher.notices.append(Notice(code="BP509", message=words))

    async def _act(self, kind: str, wave: WaveState, **detail: int | str) -> None:
        told = json.dumps({"wave": wave.number, **detail})
        await self._writer.durable(Act(at_us=self._clock.wall_us(), kind=kind, actor=self._waves.who, detail=told))

    async def _rest(self, until_s: float = math.inf) -> None:
        """Wait until something moved, or the time has come."""
        self._moved.clear()
        now_s = self._clock.monotonic()
        due_s = min(until_s, self._dispatcher.wakes_at(now_s))
        await moved_or_due(self._moved, due_s - now_s)
