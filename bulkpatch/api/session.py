"""One process's part in a run: look, ask, send between signals, then report and check for leaks."""

from __future__ import annotations

import asyncio
import json
import os
import platform
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import dataclass, replace
from datetime import time
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from bulkpatch.api.afterwards import afterwards
from bulkpatch.api.diffing import LiveView
from bulkpatch.api.earlier import earlier_run
from bulkpatch.api.gates import PluginGates
from bulkpatch.api.leaving import leak_facts, refuse_leaks
from bulkpatch.api.looking import Fleet, look
from bulkpatch.api.opened import Opened, stages_of
from bulkpatch.api.options import Options
from bulkpatch.api.pacing import Pace
from bulkpatch.api.runfile import FILE as RUN_FILE
from bulkpatch.api.runfile import RunFile
from bulkpatch.api.steering import Steering
from bulkpatch.api.waves import assign, states_of, waves_of
from bulkpatch.core.dispatcher import Dispatcher
from bulkpatch.core.guarding import in_words
from bulkpatch.core.lifecycle import OPEN, exit_code
from bulkpatch.core.tally import Tally
from bulkpatch.core.waves import WaveState
from bulkpatch.core.window import DAYS, SendWindow
from bulkpatch.core.work import Stop, Why
from bulkpatch.engine.control import ControlServer
from bulkpatch.engine.engine import Adapters, Engine
from bulkpatch.engine.signals import two_step
from bulkpatch.engine.stages import Guards
from bulkpatch.engine.system import ThreadExecutor
from bulkpatch.errors import BulkpatchError, ExitCode, KeyRefused, LedgerFailed, Unreachable
from bulkpatch.job.spec import Window
from bulkpatch.ledger.ballast import Ballast
from bulkpatch.ledger.folder import write_private
from bulkpatch.ledger.opening import OWNER
from bulkpatch.model import Act, Limits, Notice, RowState, RunEnded, RunResult, RunStarted, Snapshot
from bulkpatch.observe.log import EventLog
from bulkpatch.observe.many import Observers
from bulkpatch.observe.progress import SilentProgress
from bulkpatch.ports import Ledger, Source
from bulkpatch.reporting.glance import with_failures
from bulkpatch.reporting.write import ReportFiles, write_report
from bulkpatch.secrets.leaks import search_folder

LOG_FILE: Final = "log.jsonl"
PLANNED: Final = "planned"
"""The act by which it is known that the fleet was read and every row has its wave."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What one process needs to work on a run. ``source`` gives the rows, ``base_url`` may be a simulator's.

    ``confirm`` is asked once the fleet was looked at, if it was. ``drift``: what is done with a
    destination that changed since a saved plan.
    """

    folder: Path
    ledger: Ledger
    opened: Opened
    source: Source
    base_url: str
    limits: Limits
    pace: Pace
    options: Options
    resumed: bool
    drift: str = "send"
    confirm: Callable[[Any, tuple[WaveState, ...]], None] | None = None

    @property
    def fleet(self) -> Fleet:
        """The API, at this session's pace."""
        return Fleet(
            opened=self.opened, base_url=self.base_url, limits=self.limits, pace=self.pace, options=self.options
        )

    @property
    def who(self) -> str:
        """Who acts, in the words of the ledger."""
        return who(self.options)


def who(options: Options) -> str:
    """Who acts in this process, in the words of the ledger."""
    return f"{options.environ.get('USER') or os.getuid()}@{platform.node()}"


def work_on(session: Session) -> RunResult:
    """Look at the fleet, send what is left, then report. The lock on the folder is held by the caller.

    Raises ``NotConfirmed`` (nothing was written to the API), ``LedgerFailed``, ``Mismatch`` or ``Broken``;
    whatever was durable stays so.
    """
    header, options, opened = session.ledger.header(), session.options, session.opened
    log = EventLog(
        session.folder / LOG_FILE,
        run_id=header.run_id,
        redactor=opened.redactor,
        clock=options.clock,
        verbosity=options.verbosity,
    )
    run_file = RunFile(
        header,
        session.limits,
        {**_host_facts(options), "plugins": opened.plugins},
        write=lambda document: write_private(session.folder / RUN_FILE, document),
    )
    shown = options.observe(opened.redactor) if options.observe is not None else SilentProgress()
    observer = Observers(log, run_file, shown)
    with ExitStack() as at_end:
        at_end.callback(log.close)
        at_end.callback(opened.resolver.close)
        result = _planned(session) or asyncio.run(_send(session, observer))
        result, files, notes = _reported(session, result)
        session.ledger.close()
        for code, words in afterwards(opened.job, result, files, options.environ, dry_run=header.dry_run):
            notes = (*notes, words)
            observer.notify(Notice(code=code, message=words))
        observer.notify(RunEnded(result=result))
    leaks = search_folder(session.folder, opened.redactor, clock=options.clock)
    with suppress(LedgerFailed) if result.exit_code == ExitCode.LEDGER else nullcontext():  # that is known already
        run_file.end(result, {"notes": notes, "log_lines_lost": log.lost, "leak_check": leak_facts(leaks)})
    refuse_leaks(leaks)
    return result


def make_ready(session: Session, *, offline: bool = False) -> LiveView | None:
    """Look at the fleet and cut the waves, unless that was done before; what was seen, or what a plan saw.

    Raises ``KeyRefused`` and ``Unreachable``.
    """
    ledger = session.ledger
    for act in ledger.acts():
        if act.kind == PLANNED:
            told = json.loads(act.detail)
            return LiveView(known=told["known"], reads=0, verdicts=Counter(told["rows"])) if told["looked"] else None
    live = None if offline else look(session.fleet, ledger, session.source, dry_run=ledger.header().dry_run)
    assign(ledger, session.opened.job, session.opened.rows)
    seen = {} if live is None else {"known": live.known, "reads": live.reads, "rows": dict(live.verdicts)}
    ledger.commit([_act(session, PLANNED, looked=live is not None, **seen)])
    return live


def _planned(session: Session) -> RunResult | None:
    """Make ready, then ask. A result if the run ends with that."""
    ledger = session.ledger
    header = ledger.header()
    try:
        live = make_ready(session)
    except (KeyRefused, Unreachable) as refused:
        return _refused(session, refused)
    if session.confirm is not None:
        session.confirm(live, states_of(ledger, session.opened.job))
    if not header.dry_run:
        return None
    return _result(session, None, Snapshot(total=header.rows))


async def _send(session: Session, observer: Observers) -> RunResult:
    options, opened, ledger = session.options, session.opened, session.ledger
    executor = ThreadExecutor()
    counts = ledger.counts()
    dispatcher = Dispatcher(
        limits=session.limits,
        guard=opened.job.guard,
        pacer=session.pace.pacer,
        speed=session.pace.speed,
        tally=Tally({state: number for state, number in counts.items() if state not in OPEN}),
        now_s=options.clock.monotonic(),
        staging=stages_of(opened.job, drift=session.drift),
        per_recipient=opened.job.per_recipient,
    )
    transport, ballast = session.fleet.transport(), Ballast(session.folder)

    def make_room() -> None:
        ballast.free()
        ledger.reopen()

    adapters = Adapters(
        clock=options.clock,
        executor=executor,
        ledger=ledger,
        source=session.source,
        transport=transport,
        ceiling=session.pace.ceiling,
        secrets=opened.resolver,
        redactor=opened.redactor,
        observer=observer,
        draw=options.draw,
        make_room=make_room,
        guards=Guards(expect=opened.job.expect, drift=session.drift),
        window=window_of(opened.job.window),
    )
    gates = PluginGates(ledger.header(), opened.redactor)
    waves = waves_of(ledger, opened.job, session.fleet, executor, who=session.who, decide=gates)
    engine = Engine(adapters, dispatcher, total=ledger.header().rows, waves=waves)
    kind = "resumed" if session.resumed else "started"
    ledger.commit([_act(session, kind, limits=str(session.limits.rate), **{OWNER: ledger.header().run_id})])
    observer.notify(_started(session, counts))
    steering = Steering(engine, session.pace.ceiling, options.clock)
    try:
        async with ControlServer(session.folder, steering.handle):
            with ballast, two_step(engine):
                stop = await engine.run()
    finally:
        await transport.aclose()
        executor.close()
    return _result(session, stop, engine.snapshot())


def window_of(window: Window | None) -> SendWindow | None:
    """``[send] window`` as the core takes it."""
    if window is None:
        return None
    return SendWindow(
        days=frozenset(DAYS.index(day) for day in window.days),
        start=time.fromisoformat(window.start),
        end=time.fromisoformat(window.end),
        tz=ZoneInfo(window.tz),
    )


def _started(session: Session, counts: Any) -> RunStarted:
    header = session.ledger.header()
    return RunStarted(
        run_id=header.run_id,
        job_name=header.job_name,
        total=header.rows,
        left=sum(counts.get(state, 0) for state in OPEN),
        limits=session.limits,
        guard_text=in_words(session.opened.job.guard, header.rows),
        base_url=session.base_url,
        resumed=session.resumed,
        in_doubt=counts.get(RowState.IN_FLIGHT, 0),
    )


def _refused(session: Session, error: BulkpatchError) -> RunResult:
    """The fleet could not be read: the run stops with every row as it was."""
    stop = Stop(why=Why.HALT, code=error.code, reason=error.message, exit_code=int(error.exit_code))
    return _result(session, stop, Snapshot(total=session.ledger.header().rows))


def _result(session: Session, stop: Stop | None, snapshot: Snapshot) -> RunResult:
    """How this process's part ended, put on record."""
    ledger = session.ledger
    counts = ledger.counts()
    left = sum(counts.get(state, 0) for state in OPEN)
    snapshot = replace(snapshot, states={state: n for state, n in counts.items() if state not in OPEN and n})
    run_id, folder = ledger.header().run_id, str(session.folder)
    if stop is None and left and not ledger.header().dry_run:
        stop = Stop(
            why=Why.HALT,
            code="BP901",
            reason=f"the run ended with {left:,} of its rows still open and no reason given",
            exit_code=int(ExitCode.INTERNAL),
        )
    if stop is None or not left:
        code = exit_code(counts)
        if ledger.header().dry_run:
            code = ExitCode.DONE
        result = RunResult(run_id=run_id, folder=folder, status="finished", exit_code=code, snapshot=snapshot)
    else:
        interrupted = stop.exit_code in {ExitCode.SIGINT, ExitCode.SIGTERM}
        result = RunResult(
            run_id=run_id,
            folder=folder,
            status="interrupted" if interrupted else "stopped",
            exit_code=stop.exit_code,
            snapshot=snapshot,
            code=stop.code,
            reason=session.opened.redactor.scrub(stop.reason),
        )
    ledger.commit([_act(session, result.status, exit_code=int(result.exit_code), code=result.code)])
    return result


def _reported(session: Session, result: RunResult) -> tuple[RunResult, ReportFiles | None, tuple[str, ...]]:
    """Write the report. Where the disk does not take it the ledger is done all the same, and the result says so."""
    try:
        files = _report(session, result)
    except LedgerFailed as failure:
        words = f"{failure.message}. {failure.hint}"
        reason = f"{result.reason} {words}".strip()
        failed = replace(result, exit_code=ExitCode.LEDGER, code=result.code or failure.code, reason=reason)
        return failed, None, (words,)
    return with_failures(result, files.overview), files, files.notes


def _report(session: Session, result: RunResult) -> ReportFiles:
    opened = session.opened
    return write_report(
        session.ledger,
        session.folder,
        redactor=opened.redactor,
        cells=cells_of(opened),
        id_column=opened.job.input.id,
        previous=opened.job.input.previous,
        result=result,
        earlier=earlier_run(session.folder, session.ledger.header()),
    )


def cells_of(opened: Opened) -> Any:
    """The input's own cells, for ``failures.csv``."""

    def cells(rows: Sequence[int]) -> Any:
        wanted = sorted(rows)
        return opened.rows.cells(lambda first, last: [row for row in wanted if first <= row <= last])

    return cells


def _act(session: Session, kind: str, **detail: Any) -> Act:
    at_us = session.options.clock.wall_us()
    return Act(at_us=at_us, kind=kind, actor=session.who, detail=json.dumps(detail))


def _host_facts(options: Options) -> dict[str, Any]:
    return {
        "host": platform.node(),
        "user": options.environ.get("USER") or str(os.getuid()),
        "pid": os.getpid(),
        "python": platform.python_version(),
        "started_at_us": options.clock.wall_us(),
    }
