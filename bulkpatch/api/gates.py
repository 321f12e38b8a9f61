"""Gates of other packages: asked on a thread of their own, within a limit, about counts alone."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from bulkpatch.core.waves import WaveKeeper
from bulkpatch.model import GateVerdict, RowState, RunHeader, WaveCounts
from bulkpatch.plugins import Group, Plugin, PluginFailed, installed
from bulkpatch.ports import Redactor

GATE_S_MAX: Final = 60.0
"""Seconds that a gate has: it asks a service or two, and a wave waits. What takes longer is a soak."""


class PluginGates:
    """engine.waving.Decide: asks the plugin that the wave's gate names."""

    def __init__(self, header: RunHeader, redactor: Redactor, *, limit_s: float = GATE_S_MAX) -> None:
        self._header = header
        self._redactor = redactor
        self._limit_s = limit_s

    async def __call__(self, wave: WaveKeeper, states: Mapping[RowState, int]) -> GateVerdict:
        """See engine.waving.Decide. One that is late is left to its thread, which ends with the process."""
        verdict = await self._asked(installed(Group.GATES)[wave.wave.gate.plugin or ""], self._counts(wave, states))
        if not isinstance(verdict, GateVerdict) or type(verdict.passes) is not bool:
            raise PluginFailed(f"a {type(verdict).__name__} is no verdict")
        return GateVerdict(passes=verdict.passes, reason=self._redactor.scrub(str(verdict.reason)))

    async def _asked(self, gate: Plugin, counts: WaveCounts) -> object:
        try:
            async with asyncio.timeout(self._limit_s):
                return await asyncio.wrap_future(gate.call(counts))
        except TimeoutError:
            raise PluginFailed(f"it did not answer within {self._limit_s:g} s") from None

    def _counts(self, keeper: WaveKeeper, states: Mapping[RowState, int]) -> WaveCounts:
        wave = keeper.wave
        return WaveCounts(
            run_id=self._header.run_id,
            job_name=self._header.job_name,
            wave=wave.number,
            name=wave.name,
            rows=wave.rows,
            tried=keeper.tried,
            failed=keeper.failed,
            states=MappingProxyType({str(state): count for state, count in states.items() if count}),
        )
