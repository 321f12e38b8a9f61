"""Asks the API about rows that ended unknown, and puts on record what can be told. Reads only."""

from __future__ import annotations

import asyncio
import json
import os
import platform
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, Final

from bulkpatch.api.diffing import pre_image_of
from bulkpatch.api.earlier import earlier_run
from bulkpatch.api.leaving import leak_facts, refuse_leaks
from bulkpatch.api.looking import Fleet, see
from bulkpatch.api.opened import Opened
from bulkpatch.api.options import Options
from bulkpatch.api.pacing import resumed_pace
from bulkpatch.api.runfile import FILE as RUN_FILE
from bulkpatch.api.session import cells_of
from bulkpatch.api.starting import limits_of, reopen, same_input
from bulkpatch.core.lifecycle import OPEN, exit_code
from bulkpatch.errors import ExitCode, Mismatch
from bulkpatch.ledger.folder import resolve_run, write_private
from bulkpatch.ledger.lock import RunLock
from bulkpatch.ledger.opening import open_ledger
from bulkpatch.ledger.sightings import TemporarySightings
from bulkpatch.model import Act, Operation, RowState, RunHeader, Secret, Settlement
from bulkpatch.ports import Ledger
from bulkpatch.prequel.live import unpack
from bulkpatch.prequel.settling import Finding, Settled, settle
from bulkpatch.reporting.write import ReportFiles, write_report
from bulkpatch.secrets.leaks import search_folder

NAMED_MAX: Final = 20
"""Rows that could not be settled and are named; the outcomes have them all."""
RECONCILED: Final = "reconciled"

_STATES: Final = {
    Finding.APPLIED: (RowState.ACCEPTED, "BP424"),
    Finding.NOT_APPLIED: (RowState.EXHAUSTED, "BP425"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsettled:
    """A row that stays unknown, and why."""

    row: int
    destination_id: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled:
    """What was found out, in input rows: those that share one request count each.

    ``unknown`` rows are left, ``unsettled`` names the first of those that were asked about. ``reads`` are the
    requests that left.
    """

    run_id: str
    folder: str
    applied: int = 0
    not_applied: int = 0
    unknown: int = 0
    reads: int = 0
    exit_code: int
    unsettled: tuple[Unsettled, ...] = ()
    notes: tuple[str, ...] = ()


def reconcile(run_name: str, options: Options) -> Reconciled:
    """Read the destinations of the ``unknown`` rows of a run (the first ``options.limit`` of them) and settle them.

    Raises ``Mismatch`` where the run is held, or job, input or API are not those it was sent with, ``KeyRefused``
    and ``Unreachable`` where the API does not answer; nothing is written to it, which this could not do.
    """
    folder = resolve_run(options.report_dir, run_name)
    with RunLock(folder), ExitStack() as at_end:
        ledger = open_ledger(folder)
        at_end.callback(ledger.close)
        header, before = ledger.header(), ledger.counts()
        if not before.get(RowState.UNKNOWN, 0):
            return Reconciled(run_id=header.run_id, folder=str(folder), exit_code=_exit_code(before))
        if header.simulated:
            raise Mismatch("BP614", f"{header.run_id} was sent to an embedded simulator, which ended with it")
        opened = reopen(folder, header, replace(options, limit=None))
        at_end.callback(opened.resolver.close)
        _same_api(opened, header)
        same_input(opened, header, ledger)
        opened.rows.check()
        work = _Reconciling(ledger, opened, options)
        work.run()
        after = ledger.counts()
        report = write_report(
            ledger,
            folder,
            redactor=opened.redactor,
            cells=cells_of(opened),
            id_column=opened.job.input.id,
            previous=opened.job.input.previous,
            earlier=earlier_run(folder, header),
        )
        ledger.close()
        _leave(folder, opened, options, after, report)
        return Reconciled(
            run_id=header.run_id,
            folder=str(folder),
            applied=after.get(RowState.ACCEPTED, 0) - before.get(RowState.ACCEPTED, 0),
            not_applied=after.get(RowState.EXHAUSTED, 0) - before.get(RowState.EXHAUSTED, 0),
            unknown=after.get(RowState.UNKNOWN, 0),
            reads=work.reads,
            exit_code=_exit_code(after),
            unsettled=tuple(work.unsettled),
            notes=report.notes,
        )


def _exit_code(counts: Mapping[RowState, int]) -> ExitCode:
    """7 while rows are unknown, else that of the rows as they stand; one that was not sent is not done."""
    left = sum(counts.get(state, 0) for state in OPEN)
    return exit_code({**counts, RowState.NOT_ATTEMPTED: left})


def _same_api(opened: Opened, header: RunHeader) -> None:
    """Raise ``Mismatch`` (BP614) unless the API is the run's; an address given for this very command is taken."""
    here = opened.job.api.base_url
    if here != header.base_url and opened.job.origins["api.base_url"].source != "flag":
        raise Mismatch(
            "BP614", f"the run was sent to {header.base_url}, not {here}", hint=f"Add --base-url {header.base_url}"
        )


@dataclass(slots=True)
class _Reconciling:
    """The unknown rows of one run: read, compared, settled."""

    ledger: Ledger
    opened: Opened
    options: Options
    reads: int = 0
    found: Counter[Finding] = field(default_factory=Counter)
    unsettled: list[Unsettled] = field(default_factory=list)

    def run(self) -> None:
        """Settle what can be settled, then put on record that it was done."""
        rows, clock = self.opened.rows, self.options.clock
        leads = (row for row in self.ledger.row_numbers({RowState.UNKNOWN}) if row not in rows.followers)
        asked = frozenset(islice(leads, self.options.limit))

        def wanted(first: int, last: int) -> Sequence[int]:
            return [row for row in range(first, last + 1) if row in asked]

        sightings = TemporarySightings()
        try:
            self._see(sightings, wanted)
            for batch in filter(None, rows.operations(wanted)):
                self.ledger.commit(list(self._settlements(batch, sightings)))
        finally:
            sightings.close()
        counts = {finding.value: self.found[finding] for finding in Finding}
        who = f"{self.options.environ.get('USER') or os.getuid()}@{platform.node()}"
        self.ledger.commit([Act(at_us=clock.wall_us(), kind=RECONCILED, actor=who, detail=json.dumps(counts))])

    def _see(self, sightings: TemporarySightings, wanted: Callable[[int, int], Sequence[int]]) -> None:
        opened, options = self.opened, self.options
        paths: set[str] = set()
        for batch in opened.rows.operations(wanted):
            sightings.want(one.destination_id for one in batch)
            paths.update(path for one in batch for path in one.fields)
            self._watch_for(batch)
        limits = limits_of(opened.job, options)
        fleet = Fleet(
            opened=opened,
            base_url=opened.job.api.base_url,
            limits=limits,
            pace=resumed_pace(limits.rate, options.clock, self.ledger),
            options=options,
        )
        _, self.reads = asyncio.run(see(fleet, sightings, sorted(paths)))

    def _watch_for(self, batch: Sequence[Operation]) -> None:
        """The API may quote what it was sent; a secret that is no longer at hand is no reason not to ask."""
        sources = [slot.source for one in batch for slot in one.secrets]
        self.opened.resolver.hold(source for source in sources if isinstance(source, str))
        for source in sources:
            if isinstance(source, Secret):
                self.opened.redactor.add(source)

    def _settlements(self, batch: Sequence[Operation], sightings: TemporarySightings) -> Iterator[Settlement]:
        sights = self.ledger.sights_between(batch[0].row, batch[-1].row)
        seen = sightings.get([one.destination_id for one in batch])
        scrub_json = self.opened.redactor.scrub_json
        for one in batch:
            live = unpack(seen[one.destination_id]) if one.destination_id in seen else None
            settled = settle(one, live, pre_image_of(sights.get(one.row)))
            self.found[settled.finding] += 1
            if live is None or settled.finding not in _STATES:
                self._leave_unknown(one, settled)
                continue
            state, code = _STATES[settled.finding]
            yield Settlement(
                row=one.row,
                at_us=self.options.clock.wall_us(),
                state=state,
                code=code,
                error=settled.why or None,
                facts=scrub_json(live.facts),
            )

    def _leave_unknown(self, operation: Operation, settled: Settled) -> None:
        if len(self.unsettled) < NAMED_MAX:
            named = Unsettled(row=operation.row, destination_id=operation.destination_id, why=settled.why)
            self.unsettled.append(named)


def _leave(folder: Path, opened: Opened, options: Options, counts: Mapping[RowState, int], report: ReportFiles) -> None:
    """Bring ``run.json`` up to date. Raises ``Broken`` if a secret stands in the folder."""
    leaks = search_folder(folder, opened.redactor, clock=options.clock)
    try:
        stands: dict[str, Any] = json.loads((folder / RUN_FILE).read_text("utf-8"))
    except (OSError, ValueError):
        stands = {"run_id": report.overview["run"]["run_id"], "state": "stopped"}
    if stands.get("state") == "finished":
        stands["exit_code"] = int(_exit_code(counts))
    stands["counts"] = {state.value: number for state, number in counts.items() if state not in OPEN and number}
    stands |= {"settled": sum(stands["counts"].values()), "notes": list(report.notes), "leak_check": leak_facts(leaks)}
    write_private(folder / RUN_FILE, json.dumps(stands, indent=1).encode())
    refuse_leaks(leaks)
