"""The waves of a run: which rows each takes, where they stand after a resume, and what its gate asks the API."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from bulkpatch.api.looking import Fleet
from bulkpatch.core.cutting import WaveCut, cut
from bulkpatch.core.lifecycle import FAILED, NOT_TRIED
from bulkpatch.core.waves import WaveState
from bulkpatch.engine.survey import survey
from bulkpatch.engine.waving import APPROVED, DRAINED, PASSED, STARTED, Decide, Waves
from bulkpatch.job.rows import Rows
from bulkpatch.job.spec import Job, Wave
from bulkpatch.ledger.sightings import TemporarySightings
from bulkpatch.model import Gate, RowState
from bulkpatch.ports import Executor, Ledger
from bulkpatch.prequel.facts import decode_facts, parse_time
from bulkpatch.prequel.live import unpack
from bulkpatch.prequel.requests import start_transfer

_CHANGED = frozenset({RowState.ACCEPTED, RowState.VERIFIED, RowState.UNVERIFIED})
_ENDED = frozenset({"SUCCESS", "PARTIAL_FAILURE", "ERROR", "CANCELLED", "EXPIRED", "ORPHANED"})


def assign(ledger: Ledger, job: Job, rows: Rows) -> None:
    """Put every row that is to be sent into its wave."""
    if not job.waves:
        return
    pending = (row for row in ledger.row_numbers({RowState.NOT_ATTEMPTED}) if row not in rows.followers)
    cuts = [_cut(wave, rows) for wave in job.waves]
    filled = cut(pending, cuts, seed=ledger.header().run_id)
    ledger.assign_waves((row, number) for number, taken in enumerate(filled, start=1) for row in taken)


def _cut(wave: Wave, rows: Rows) -> WaveCut:
    values = rows.values_of(wave.by) if wave.by is not None else None
    return WaveCut(
        size=wave.size,
        among=rows.matching(wave.where) if wave.where is not None else None,
        order=wave.order,
        value_of=None if values is None else values.get,
    )


def states_of(ledger: Ledger, job: Job) -> tuple[WaveState, ...]:
    """The waves that have rows to send, with what became of those tried so far."""
    passed = set(_acts_of(ledger, PASSED))
    counts = {
        number: {state: count for state, count in states.items() if state is not RowState.NOOP}
        for number, states in sorted(ledger.wave_counts().items())
    }
    numbers = [number for number, states in counts.items() if states]
    return tuple(
        WaveState(
            number=number,
            rows=sum(counts[number].values()),
            gate=_spec(job, number).gate,
            name=_spec(job, number).name,
            tried=sum(count for state, count in counts[number].items() if state not in NOT_TRIED),
            failed=sum(count for state, count in counts[number].items() if state in FAILED and state not in NOT_TRIED),
            passed=number in passed,
            first=number == numbers[0],
            last=number == numbers[-1],
        )
        for number in numbers
    )


def _spec(job: Job, number: int) -> Wave:
    """What the job says of a wave; nothing of the last one, for the rows that none took."""
    return job.waves[number - 1] if number <= len(job.waves) else Wave(size=None, gate=Gate())


def waves_of(  # noqa: PLR0913  (whom its gates ask, each by name)
    ledger: Ledger, job: Job, fleet: Fleet, executor: Executor, *, who: str, decide: Decide | None = None
) -> Waves:
    """The waves as a process finds them."""
    return Waves(
        states=states_of(ledger, job),
        drained_at_us=_acts_of(ledger, DRAINED),
        approved=frozenset(_acts_of(ledger, APPROVED)),
        started=frozenset(_acts_of(ledger, STARTED)),
        who=who,
        watch=TransferWatch(ledger, fleet, executor),
        decide=decide,
    )


def _acts_of(ledger: Ledger, kind: str) -> Mapping[int, int]:
    """When ``kind`` was done to each wave."""
    return {int(json.loads(act.detail)["wave"]): act.at_us for act in ledger.acts() if act.kind == kind}


class TransferWatch:
    """engine.waving.Watch: looks at the transfers of the destinations that a wave changed.

    A transfer counts if it began after the change by the API's own clock: its ``started_at`` against
    the ``updated_at`` that the PATCH was answered with.
    """

    def __init__(self, ledger: Ledger, fleet: Fleet, executor: Executor) -> None:
        self._ledger = ledger
        self._fleet = fleet
        self._executor = executor

    async def start(self, wave: int, count: int) -> int:
        """Start transfers of the first ``count`` destinations of the wave."""
        changed = await self._executor.run(self._changed, wave)
        transport = self._fleet.transport()
        started = 0
        try:
            async with self._fleet.reader(transport) as reader:
                for destination_id in list(changed)[:count]:
                    reply = await reader.ask(start_transfer(destination_id))
                    started += reply.status < 300  # noqa: PLR2004  (HTTP success)
        finally:
            await transport.aclose()
        return started

    async def look(self, wave: int) -> tuple[int, int, int]:
        """Of the wave's changed destinations: whose transfer since then succeeded, ended, and how many there are."""
        changed = await self._executor.run(self._changed, wave)
        sightings = TemporarySightings()
        transport = self._fleet.transport()
        try:
            sightings.want(changed)
            async with self._fleet.reader(transport) as reader:
                await survey(reader, sightings, (), concurrency=self._fleet.limits.concurrency)
            statuses = [one for one in self._since(changed, sightings) if one in _ENDED]
        finally:
            sightings.close()
            await transport.aclose()
        return statuses.count("SUCCESS"), len(statuses), len(changed)

    def _since(self, changed: Mapping[str, int], sightings: TemporarySightings) -> Sequence[str | None]:
        found = []
        for document in sightings.get(list(changed)).values():
            live = unpack(document)
            started_us = parse_time(live.transfer_started_at)
            if started_us is not None and started_us > changed[live.destination_id]:
                found.append(live.transfer_status)
        return found

    def _changed(self, wave: int) -> dict[str, int]:
        """The destinations that the wave changed, and when, by the API's clock."""
        found: dict[str, int] = {}
        for batch in self._ledger.outcome_rows():
            for row in batch:
                if row.wave == wave and row.state in _CHANGED:
                    facts: Any = decode_facts(row.facts) if row.facts is not None else None
                    at_us = parse_time(facts.updated_at) if facts is not None else None
                    found[row.destination_id] = at_us if at_us is not None else row.finished_at_us or 0
        return found
