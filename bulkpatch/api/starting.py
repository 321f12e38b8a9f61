"""The steps behind the doors: a folder, a header, a simulator if one is wanted, then a session."""

from __future__ import annotations

import json
import string
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from shutil import rmtree
from typing import Protocol

from bulkpatch import __version__
from bulkpatch.api.diffing import LiveView
from bulkpatch.api.opened import SIMULATED_KEY, Opened, make_plan, open_job
from bulkpatch.api.options import Options
from bulkpatch.api.pacing import fresh_pace, resumed_pace
from bulkpatch.api.session import Session, work_on
from bulkpatch.core.waves import WaveState
from bulkpatch.errors import InvalidInput, LedgerFailed, Mismatch, NotConfirmed
from bulkpatch.job.reading import job_sha256
from bulkpatch.job.rows import Rows, RowsCheck
from bulkpatch.job.spec import Job
from bulkpatch.ledger.folder import make_run_folder
from bulkpatch.ledger.lock import RunLock
from bulkpatch.ledger.opening import FILE, create
from bulkpatch.ledger.sqlite import SqliteLedger
from bulkpatch.model import Limits, Operation, PendingRow, RunHeader, RunResult, Secret, SeedRow
from bulkpatch.prequel.requests import key_class

_ALPHABET = string.ascii_lowercase + string.digits
SIMULATOR_SEED = 20_231_201
"""Seed of the embedded fleet and its faults: every simulated run of one job meets the same API."""
SPOOL = "input.csv"
"""In the run folder: what standard input held."""


class KnownRows(Protocol):
    """A ledger or a saved plan, as far as it tells which rows were planned."""

    def pending_between(self, first: int, last: int) -> Sequence[PendingRow]:
        """See ports.Ledger."""
        ...


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


def ask_leave(opened: Opened, options: Options) -> None:
    """The question whether the API may be asked at all. Raises ``NotConfirmed``."""
    if options.allow is not None:
        options.allow(opened.job, key_class(opened.key.reveal()) if opened.key is not None else "none")


def new_folder(opened: Opened, options: Options) -> Path:
    """The folder of a new run."""
    return make_run_folder(options.report_dir, opened.job.name, options.clock.wall_us(), _drawn(options))


def _drawn(options: Options) -> str:
    return "".join(_ALPHABET[int(options.draw() * len(_ALPHABET))] for _ in range(4))


def plan_id(options: Options) -> str:
    """By which a plan is known once it was used."""
    return f"plan-{options.clock.wall_us()}-{_drawn(options)}"


def begin(  # noqa: PLR0913  (a run is what it begins with)
    opened: Opened,
    options: Options,
    found: RowsCheck,
    *,
    chosen: frozenset[int] | None,
    parent: str | None,
    begins: Callable[[str], None] | None = None,
) -> RunResult:
    """A new run of all rows, or of the ``chosen`` ones of an earlier run ``parent``.

    ``begins`` is told its id once it was agreed to, before anything is written to the API.
    """
    source = opened.rows if chosen is None else Selected(opened.rows, chosen)
    folder = new_folder(opened, options)
    header = header_of(opened, options, run_id=folder.name, rows=found.rows, parent=parent)
    with held(folder):
        opened.rows.keep_stdin(folder / SPOOL)
        ledger = create(folder, header, source.seed_rows())
        return work(folder, ledger, opened, options, source, found=found, begins=begins)


def work(  # noqa: PLR0913  (what one process needs, each by name)
    folder: Path,
    ledger: SqliteLedger,
    opened: Opened,
    options: Options,
    source: Rows | Selected,
    *,
    alone_s: float | None = None,
    found: RowsCheck | None = None,
    begins: Callable[[str], None] | None = None,
) -> RunResult:
    """One process's part in the run in ``folder``, whose lock is held; ``found`` where the plan is to be asked for.

    A resume says since when it holds the lock, as ``alone_s``.
    """
    limits, header = limits_of(opened.job, options), ledger.header()
    drift = opened.job.on_drift if header.plan is not None else "send"

    def confirm(live: LiveView | None, waves: tuple[WaveState, ...]) -> None:
        if options.confirm is not None and found is not None:
            options.confirm(make_plan(opened, found, limits, live=live, waves=waves, drift=drift))
        if begins is not None:
            begins(header.run_id)

    with ExitStack() as at_end:
        at_end.callback(ledger.close)
        if resumed := alone_s is not None:
            pace = resumed_pace(limits.rate, options.clock, ledger, alone_s=alone_s)
        else:
            pace = fresh_pace(limits.rate, options.clock)
        session = Session(
            folder=folder,
            ledger=ledger,
            opened=opened,
            source=source,
            base_url=served(opened, options, at_end),
            limits=limits,
            pace=pace,
            options=options,
            resumed=resumed,
            drift=drift,
            confirm=confirm,
        )
        try:
            return work_on(session)
        except NotConfirmed:
            ledger.close()
            rmtree(folder)  # nothing was sent, so there is nothing to remember
            raise


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Work on the run in ``folder``, under its lock. Where its disk fails, the error says how the run goes on."""
    with RunLock(folder):
        try:
            yield
        except LedgerFailed as failure:
            if failure.code not in {"BP606", "BP607"} or not (folder / FILE).exists():
                raise
            hint = f"{failure.hint} The run goes on with: bulkpatch resume {folder.name}"
            raise LedgerFailed(failure.code, failure.message, hint=hint) from None


def served(opened: Opened, options: Options, at_end: ExitStack) -> str:
    """The address of the API: the job's, or that of a simulator that lives as long as ``at_end``."""
    if not options.simulate:
        return opened.job.api.base_url
    from bulkpatch.simulator.faults import FaultPlan  # noqa: PLC0415  (a web server, for those who simulate)
    from bulkpatch.simulator.server import SimulatorServer  # noqa: PLC0415
    from bulkpatch.simulator.state import fleet_for  # noqa: PLC0415

    operations = (operation for batch in opened.rows.operations(_every) for operation in batch)
    fleet = fleet_for(operations, seed=SIMULATOR_SEED, clock=options.clock)
    faults = FaultPlan.parse(options.faults, seed=SIMULATOR_SEED)
    key = Secret(SIMULATED_KEY, reference="simulator")
    return at_end.enter_context(SimulatorServer(fleet, key=key, rate=options.simulator_rate, faults=faults)).url


def _every(first: int, last: int) -> Sequence[int]:
    return range(first, last + 1)


def limits_of(job: Job, options: Options) -> Limits:
    """The limits of the job, or those given instead."""
    return replace(
        job.limits, rate=options.rate or job.limits.rate, concurrency=options.concurrency or job.limits.concurrency
    )


def header_of(  # noqa: PLR0913  (a run is what it is started from)
    opened: Opened,
    options: Options,
    *,
    run_id: str,
    rows: int = 0,
    parent: str | None = None,
    plan: str | None = None,
) -> RunHeader:
    """What a run is started from."""
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
        dry_run=options.dry_run,
        simulated=options.simulate,
        parent=parent,
        plan=plan,
        key_class=key_class(opened.key.reveal()) if opened.key is not None else "",
        plugins=opened.plugins,
    )


def was_finished(folder: Path) -> bool:
    """Whether a process saw the run to its end. One that was killed before its report was not seen to it."""
    try:
        return bool(json.loads((folder / "run.json").read_text("utf-8"))["state"] == "finished")
    except (OSError, ValueError, KeyError):
        return False


def refuse_less_than_told(folder: Path, settled: int) -> None:
    """Raise ``LedgerFailed`` (BP605) if the ledger holds fewer outcomes than ``run.json``, which tells durable ones."""
    try:
        told = int(json.loads((folder / "run.json").read_text("utf-8"))["settled"])
    except (OSError, ValueError, KeyError, TypeError):
        return
    if settled < told:
        words = f"the ledger holds {settled:,} outcomes and run.json tells of {told:,}: its write-ahead log is gone"
        raise LedgerFailed("BP605", words, hint=f"Put {FILE} and {FILE}-wal back as the last process left them.")


def reopen(folder: Path, header: RunHeader, options: Options, *, with_key: bool = True) -> Opened:
    """The job and the input that the run in ``folder`` was planned with. Raises ``Mismatch`` where either moved."""
    path = Path(header.job_path)
    if job_sha256(path) != header.job_sha256:
        raise Mismatch(
            "BP603",
            f"{path} is not the job that was planned, or is not there",
            hint="Put the original back, or start a new run. Rate and concurrency may be given as flags.",
        )
    try:
        return open_job(path, replace(options, stdin=None), spool=folder / SPOOL, with_key=with_key)
    except InvalidInput as error:
        # The job is the one that was planned, so an input that no longer holds is not the one that did.
        if not error.code.startswith("BP2"):
            raise
        raise another_input(error) from None


def another_input(flaw: InvalidInput) -> Mismatch:
    """An input that held when it was planned and does not now, with its first flaw."""
    why = f"{flaw.problems[0].place}: {flaw.message}".removeprefix(": ")
    words = f"the input is not the one that was planned: {why}"
    return Mismatch("BP602", words, hint="Put the original back where it was.")


def same_input(opened: Opened, header: RunHeader, known: KnownRows) -> None:
    """Raise ``Mismatch`` unless the input is the one that was planned."""
    if opened.rows.input_sha256 != header.input_sha256:
        raise Mismatch("BP602", "the input is not the one that was planned", hint=_changed(opened, known))


def same_place(opened: Opened, planned: RunHeader) -> None:
    """Raise ``Mismatch`` unless address and kind of key are those of the plan."""
    here = "simulator" if planned.simulated else opened.job.api.base_url
    kind = key_class(opened.key.reveal()) if opened.key is not None else ""
    for what, wanted, found in (("base URL", planned.base_url, here), ("class of the key", planned.key_class, kind)):
        if wanted != found:
            raise Mismatch("BP613", f"the plan was made with another {what}: {wanted}, not {found}")


def same_plugins(opened: Opened, planned: RunHeader) -> None:
    """Raise ``Mismatch`` unless what other packages bring is what the plan was made with."""
    if opened.plugins != planned.plugins:
        made, here = ("; ".join(one) or "no plugin" for one in (planned.plugins, opened.plugins))
        raise Mismatch("BP613", f"the plan was made with {made}; here is {here}", hint="Make a new plan.")


def _changed(opened: Opened, ledger: KnownRows) -> str:
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
