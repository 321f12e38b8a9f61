"""Check, plan, run, resume, retry, report: each one call, each a few steps."""

from __future__ import annotations

import json
import string
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, assert_never

from bulkpatch import __version__
from bulkpatch.api.opened import SIMULATED_KEY, Opened, check_rows, make_plan, open_job
from bulkpatch.api.options import Options, Plan
from bulkpatch.api.session import Session, cells_of, work_on
from bulkpatch.core.lifecycle import OPEN
from bulkpatch.errors import InvalidInput, Mismatch, Problem
from bulkpatch.job.reading import job_sha256
from bulkpatch.job.rows import Rows
from bulkpatch.job.spec import Job
from bulkpatch.ledger.folder import list_runs as list_runs  # noqa: PLC0414  (handed on)
from bulkpatch.ledger.folder import make_run_folder, resolve_run
from bulkpatch.ledger.lock import RunLock, read_holder
from bulkpatch.ledger.opening import create, open_ledger
from bulkpatch.ledger.sqlite import SqliteLedger
from bulkpatch.model import (
    Intent,
    Limits,
    Operation,
    Outcome,
    Passed,
    RowEvent,
    RowState,
    RunHeader,
    RunResult,
    Secret,
    SeedRow,
    Setback,
    Settlement,
    Sight,
)
from bulkpatch.report.write import ReportFiles, write_report
from bulkpatch.secrets.redaction import LiveRedactor
from bulkpatch.simulator.faults import FaultPlan
from bulkpatch.simulator.server import SimulatorServer
from bulkpatch.simulator.state import fleet_for

_ALPHABET = string.ascii_lowercase + string.digits
SIMULATOR_SEED = 20_231_201
"""Seed of the embedded fleet and its faults: every simulated run of one job meets the same API."""
SPOOL = "input.csv"
"""In the run folder: what standard input held."""
RETRIED = frozenset({RowState.REJECTED, RowState.EXHAUSTED, RowState.UNKNOWN, RowState.NOT_ATTEMPTED})
"""The states that ``retry`` takes without being told."""


class Selected:
    """ports.Source: only the rows of ``rows`` that stand in ``chosen``."""

    def __init__(self, rows: Rows, chosen: frozenset[int]) -> None:
        self._rows = rows
        self._chosen = chosen

    def operations(self, wanted: Callable[[int, int], Sequence[int]]) -> Iterator[Sequence[Operation]]:
        """As ``Rows.operations``, of the chosen rows."""
        return self._rows.operations(lambda first, last: [row for row in wanted(first, last) if row in self._chosen])

    def seed_rows(self) -> Iterator[Sequence[SeedRow]]:
        """As ``Rows.seed_rows``, of the chosen rows."""
        for batch in self._rows.seed_rows():
            yield [row for row in batch if row.row in self._chosen]


def check(path: Path, options: Options) -> Plan:
    """Parse the job and every row; touch no secret and no network. Raises ``InvalidInput`` with all that is wrong."""
    opened = open_job(path, options, with_key=False)
    return make_plan(opened, opened.rows.check())


def plan(path: Path, options: Options) -> Plan:
    """The dry run without the API: bodies, cost and limits. Raises ``InvalidInput``."""
    return check(path, options)


def run(path: Path, options: Options) -> RunResult:
    """Plan, ask ``options.confirm``, seed the ledger, send, report.

    Raises ``InvalidInput`` or ``NotConfirmed`` (nothing was sent), ``Mismatch``, ``LedgerFailed``, ``Broken``.
    """
    opened = open_job(path, options)
    made = make_plan(opened, check_rows(opened))
    if options.confirm is not None:
        options.confirm(made)
    return _begin(opened, options, rows=made.rows, chosen=None, parent=None)


def retry(run_name: str, options: Options, states: frozenset[RowState] = RETRIED) -> RunResult:
    """A new run of the rows of an ended run that stand in one of ``states``."""
    folder = resolve_run(options.report_dir, run_name)
    with RunLock(folder):
        ledger = open_ledger(folder)
        header, chosen = ledger.header(), frozenset(ledger.row_numbers(states))
        ledger.close()
    opened = _reopen(folder, header, options)
    if not chosen:
        raise Mismatch("BP608", "no row of this run stands in the states that are asked for")
    made = make_plan(opened, check_rows(opened))
    if options.confirm is not None:
        options.confirm(replace(made, rows=len(chosen), sends=len(chosen)))
    return _begin(opened, options, rows=len(chosen), chosen=chosen, parent=header.run_id)


def resume(run_name: str, options: Options) -> RunResult:
    """Go on where a run stopped, for whatever reason. Raises ``Mismatch`` if job or input moved."""
    folder = resolve_run(options.report_dir, run_name)
    with RunLock(folder):
        ledger = open_ledger(folder)
        header, counts = ledger.header(), ledger.counts()
        if header.dry_run:
            raise Mismatch("BP610", f"{header.run_id} was a dry run: it sent nothing")
        if not sum(counts.get(state, 0) for state in OPEN) and _finished(folder):
            raise Mismatch("BP608", f"every row of {header.run_id} has its outcome; there is nothing to resume")
        options = replace(options, simulate=header.simulated)
        opened = _reopen(folder, header, options)
        if opened.rows.input_sha256 != header.input_sha256:
            raise Mismatch("BP602", "the input is not the one that was planned", hint=_changed(opened, ledger))
        check_rows(opened)
        if options.confirm is not None:
            options.confirm(make_plan(opened, opened.rows.check()))
        return _work(folder, ledger, opened, options, opened.rows, resumed=True)


def rebuild_report(run_name: str, options: Options) -> ReportFiles:
    """Write the report files again, from the ledger and the input."""
    folder = resolve_run(options.report_dir, run_name)
    with RunLock(folder):
        ledger = open_ledger(folder)
        try:
            try:
                opened = open_job(Path(ledger.header().job_path), options, with_key=False)
                cells = cells_of(opened) if opened.rows.input_sha256 == ledger.header().input_sha256 else None
                id_column = opened.job.input.id
            except InvalidInput:
                cells, id_column = None, "destination_id"
            return write_report(ledger, folder, redactor=LiveRedactor(), cells=cells, id_column=id_column)
        finally:
            ledger.close()


def status(run_name: str, report_dir: Path) -> dict[str, Any]:
    """Where a run stands: its ``run.json``, and who works on it now. Never touches the ledger."""
    folder = resolve_run(report_dir, run_name)
    holder = read_holder(folder)
    try:
        stands = dict(json.loads((folder / "run.json").read_text("utf-8")))
    except (OSError, ValueError):
        stands = {"run_id": folder.name, "state": "seeding" if holder else "never began", "counts": {}}
    if stands.get("state") == "running" and holder is None:
        stands["state"] = "ended without a word"
        stands["reason"] = f"its process is gone; resume it: bulkpatch resume {folder.name}"
    stands["holder"] = f"process {holder.pid} on {holder.host}" if holder else None
    stands["folder"] = str(folder)
    return stands


def story(run_name: str, destination_id: str, report_dir: Path) -> Sequence[str]:
    """All that happened to one destination in a run, in order, in lines."""
    folder = resolve_run(report_dir, run_name)
    with RunLock(folder):
        ledger = open_ledger(folder)
        told = ledger.story(destination_id)
        ledger.close()
    if not told:
        raise InvalidInput([Problem(code="BP120", message=f"no row of {folder.name} has this id")])
    return [line for row, events in told for line in (f"row {row}  {destination_id}", *map(_event_line, events))]


def _event_line(event: RowEvent) -> str:
    at = datetime.fromtimestamp(event.at_us / 1e6, UTC).strftime("%H:%M:%S.%f")[:-3]
    match event:
        case Sight():
            return f"  {at}  seen: {_seen(event)}"
        case Settlement():
            return f"  {at}  settled later: {event.state}: {event.code} {event.error or ''}".rstrip()
        case _:
            head = f"  {at}  attempt {event.attempt}  {event.stage}"
    match event:
        case Passed():
            return f"{head}  passed" + (f": {event.code}" if event.code else "")
        case Intent():
            return f"{head}  about to be sent"
        case Setback():
            return f"{head}  {event.code} {event.error}; waits {event.wait_us / 1e6:.2f} s"
        case Outcome():
            return f"{head}  {event.state}" + (f": {event.code} {event.error}" if event.code else "")
        case _:
            assert_never(event)


def _seen(sight: Sight) -> str:
    if not sight.found:
        return "nothing is known of it" if sight.found is None else "there is no such destination"
    return f"vendor {sight.vendor}, recipient {sight.recipient_id}, updated {sight.updated_at}"


# ── the steps behind the doors ───────────────────────────────────────────────────────────────


def _begin(
    opened: Opened, options: Options, *, rows: int, chosen: frozenset[int] | None, parent: str | None
) -> RunResult:
    source = opened.rows if chosen is None else Selected(opened.rows, chosen)
    suffix = "".join(_ALPHABET[int(options.draw() * len(_ALPHABET))] for _ in range(4))
    folder = make_run_folder(options.report_dir, opened.job.name, options.clock.wall_us(), suffix)
    header = _header(opened, options, run_id=folder.name, rows=rows, parent=parent)
    with RunLock(folder):
        opened.rows.keep_stdin(folder / SPOOL)
        ledger = create(folder, header, source.seed_rows())
        return _work(folder, ledger, opened, options, source, resumed=False)


def _work(  # noqa: PLR0913  (what one process needs, each by name)
    folder: Path, ledger: SqliteLedger, opened: Opened, options: Options, source: Rows | Selected, *, resumed: bool
) -> RunResult:
    with ExitStack() as at_end:
        base_url = opened.job.api.base_url
        if options.simulate:
            fleet = fleet_for(
                (operation for batch in opened.rows.operations(_every) for operation in batch),
                seed=SIMULATOR_SEED,
                clock=options.clock,
            )
            faults = FaultPlan.parse(options.faults, seed=SIMULATOR_SEED)
            key = Secret(SIMULATED_KEY, reference="simulator")
            server = SimulatorServer(fleet, key=key, rate=options.simulator_rate, faults=faults)
            base_url = at_end.enter_context(server).url
        session = Session(
            folder=folder,
            ledger=ledger,
            opened=opened,
            source=source,
            base_url=base_url,
            limits=_limits(opened.job, options),
            options=options,
            resumed=resumed,
        )
        try:
            return work_on(session)
        finally:
            ledger.close()


def _every(first: int, last: int) -> Sequence[int]:
    return range(first, last + 1)


def _limits(job: Job, options: Options) -> Limits:
    return replace(
        job.limits, rate=options.rate or job.limits.rate, concurrency=options.concurrency or job.limits.concurrency
    )


def _header(opened: Opened, options: Options, *, run_id: str, rows: int, parent: str | None) -> RunHeader:
    job = opened.job
    return RunHeader(
        run_id=run_id,
        job_name=job.name,
        job_path=str(job.path),
        job_sha256=job.sha256,
        inputs=tuple(opened.rows.seal),
        input_sha256=opened.rows.input_sha256,
        base_url="simulator" if options.simulate else job.api.base_url,
        tool_version=__version__,
        created_at_us=options.clock.wall_us(),
        rows=rows,
        label_names=tuple(opened.rows.label_names),
        simulated=options.simulate,
        parent=parent,
    )


def _finished(folder: Path) -> bool:
    """Whether a process saw the run to its end. One that was killed before its report was not seen to it."""
    try:
        return bool(json.loads((folder / "run.json").read_text("utf-8"))["state"] == "finished")
    except (OSError, ValueError, KeyError):
        return False


def _reopen(folder: Path, header: RunHeader, options: Options) -> Opened:
    """The job and the input that the run in ``folder`` was planned with. Raises ``Mismatch`` where either moved."""
    path = Path(header.job_path)
    if job_sha256(path) != header.job_sha256:
        raise Mismatch(
            "BP603",
            f"{path} is not the job that was planned, or is not there",
            hint="Put the original back, or start a new run. Rate and concurrency may be given as flags.",
        )
    try:
        return open_job(path, replace(options, stdin=None), spool=folder / SPOOL)
    except InvalidInput as error:
        # The job is the one that was planned, so an input that no longer holds is not the one that did.
        if not error.code.startswith("BP2"):
            raise
        hint = "Put the original back where it was."
        why = f"{error.problems[0].place}: {error.message}".removeprefix(": ")
        raise Mismatch("BP602", f"the input is not the one that was planned: {why}", hint=hint) from None


def _changed(opened: Opened, ledger: SqliteLedger) -> str:
    """The first rows that differ from what was planned, in one sentence."""
    moved: list[int] = []
    with suppress(InvalidInput):  # what cannot be read any more is another input, too
        for batch in opened.rows.operations(_every):
            known = {row.row: row for row in ledger.pending_between(batch[0].row, batch[-1].row)} if batch else {}
            moved += [op.row for op in batch if op.row in known and known[op.row].digest != op.digest]
            if len(moved) >= 5:  # noqa: PLR2004  (enough to find the place)
                break
    rows = ", ".join(map(str, moved[:5]))
    return (f"Changed since: row {rows}. " if rows else "") + "Put the original input back, or start a new run."
