"""One process's part in a run: the ledger and its lock, the engine between signals, then report and leak check."""

from __future__ import annotations

import asyncio
import json
import os
import platform
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bulkpatch import __version__
from bulkpatch.api.opened import Opened
from bulkpatch.api.options import Options
from bulkpatch.api.runfile import FILE as RUN_FILE
from bulkpatch.api.runfile import RunFile
from bulkpatch.core.dispatcher import Dispatcher
from bulkpatch.core.guarding import in_words
from bulkpatch.core.lifecycle import OPEN, exit_code
from bulkpatch.core.pacer import Pacer
from bulkpatch.core.tally import Tally
from bulkpatch.core.work import Stop
from bulkpatch.engine.engine import Adapters, Engine
from bulkpatch.engine.signals import two_step
from bulkpatch.engine.system import ThreadExecutor
from bulkpatch.errors import Broken, ExitCode
from bulkpatch.ledger.folder import write_private
from bulkpatch.model import Act, Limits, RowState, RunEnded, RunResult, RunStarted, Snapshot
from bulkpatch.observe.log import EventLog
from bulkpatch.observe.many import Observers
from bulkpatch.observe.progress import SilentProgress
from bulkpatch.ports import Ledger, Source
from bulkpatch.report.write import write_report
from bulkpatch.secrets.leaks import search_folder
from bulkpatch.transport.ceiling import ThrottleCeiling
from bulkpatch.transport.factory import open_transport

LOG_FILE = "log.jsonl"
RESUME_HOLD_S = 1.0
"""Seconds that a resume sends nothing: whatever the earlier process sent left before this one began."""
RECENT_S = 10.0
"""Seconds after the last durable intent in which a resume is held back at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What one process needs to work on a run. ``source`` gives the rows, ``base_url`` may be a simulator's."""

    folder: Path
    ledger: Ledger
    opened: Opened
    source: Source
    base_url: str
    limits: Limits
    options: Options
    resumed: bool


def work_on(session: Session) -> RunResult:
    """Send what is left, then report. The lock on the folder is held by the caller.

    Raises ``LedgerFailed``, ``Mismatch`` or ``Broken``; whatever was durable stays so.
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
        _host_facts(options),
        write=lambda document: write_private(session.folder / RUN_FILE, document),
    )
    shown = options.observe(opened.redactor) if options.observe is not None else SilentProgress()
    observer = Observers(log, run_file, shown)
    with ExitStack() as at_end:
        at_end.callback(log.close)
        at_end.callback(opened.resolver.close)
        result = asyncio.run(_send(session, observer))
        notes = _report(session, result)
        session.ledger.close()
        observer.notify(RunEnded(result=result))
    leaks = search_folder(session.folder, opened.redactor, clock=options.clock)
    run_file.end(result, {"notes": notes, "log_lines_lost": log.lost, "leak_check": _leak_facts(leaks)})
    if leaks.hits:
        file, reference, encoding = leaks.hits[0]
        raise Broken(
            "BP902", f"{file} holds the secret behind {reference} ({encoding}); {len(leaks.hits)} places in all"
        )
    return result


async def _send(session: Session, observer: Observers) -> RunResult:
    options, opened, ledger = session.options, session.opened, session.ledger
    header, clock = ledger.header(), options.clock
    executor = ThreadExecutor()
    counts = ledger.counts()
    dispatcher = _dispatcher(session, counts)
    assert opened.key is not None  # noqa: S101  (a session that sends has its key)
    transport = open_transport(
        opened.job.transport,
        base_url=session.base_url,
        key=opened.key,
        concurrency=session.limits.concurrency,
        clock=clock,
        user_agent=f"bulkpatch/{__version__}",
    )
    adapters = Adapters(
        clock=clock,
        executor=executor,
        ledger=ledger,
        source=session.source,
        transport=transport,
        ceiling=ThrottleCeiling(session.limits.rate),
        secrets=opened.resolver,
        redactor=opened.redactor,
        observer=observer,
        draw=options.draw,
    )
    engine = Engine(adapters, dispatcher, total=header.rows)
    started = RunStarted(
        run_id=header.run_id,
        job_name=header.job_name,
        total=header.rows,
        left=sum(counts.get(state, 0) for state in OPEN),
        limits=session.limits,
        guard_text=in_words(opened.job.guard, header.rows),
        base_url=session.base_url,
        resumed=session.resumed,
        in_doubt=counts.get(RowState.IN_FLIGHT, 0),
    )
    ledger.commit([_act(options, "resumed" if session.resumed else "started", limits=str(session.limits.rate))])
    observer.notify(started)
    try:
        with two_step(engine):
            stop = await engine.run()
    finally:
        await transport.aclose()
        executor.close()
    result = _result(session, ledger, stop, engine.snapshot())
    ledger.commit([_act(options, result.status, exit_code=int(result.exit_code), code=result.code)])
    return result


def _dispatcher(session: Session, counts: Mapping[RowState, int]) -> Dispatcher:
    clock, rate = session.options.clock, session.limits.rate
    now_s, wall_us = clock.monotonic(), clock.wall_us()
    history: list[float] = []
    held_until_s = float("-inf")
    if session.resumed:
        sends = session.ledger.recent_sends(wall_us - round((rate.unit_s + RECENT_S) * 1e6))
        # By wall time, and never later than now: the monotonic clock of another boot says nothing here.
        history = [min(now_s, now_s - (wall_us - at_us) / 1e6 + RESUME_HOLD_S) for at_us, _ in sends]
        if sends and wall_us - sends[-1][0] < RECENT_S * 1e6:
            held_until_s = now_s + RESUME_HOLD_S
    pacer = Pacer(rate, now_s=now_s, history=history, not_before_s=held_until_s)
    settled = {state: number for state, number in counts.items() if state not in OPEN}
    dispatcher = Dispatcher(
        limits=session.limits, guard=session.opened.job.guard, pacer=pacer, tally=Tally(settled), now_s=now_s
    )
    if session.resumed:
        dispatcher.speed.ramp(now_s)
    return dispatcher


def _result(session: Session, ledger: Ledger, stop: Stop | None, snapshot: Snapshot) -> RunResult:
    counts = ledger.counts()
    left = sum(counts.get(state, 0) for state in OPEN)
    snapshot = replace(snapshot, states={state: n for state, n in counts.items() if state not in OPEN and n})
    run_id, folder = ledger.header().run_id, str(session.folder)
    if stop is None or not left:
        code = exit_code(counts)
        return RunResult(run_id=run_id, folder=folder, status="finished", exit_code=code, snapshot=snapshot)
    interrupted = stop.exit_code in {ExitCode.SIGINT, ExitCode.SIGTERM}
    return RunResult(
        run_id=run_id,
        folder=folder,
        status="interrupted" if interrupted else "stopped",
        exit_code=stop.exit_code,
        snapshot=snapshot,
        code=stop.code,
        reason=session.opened.redactor.scrub(stop.reason),
    )


def _report(session: Session, result: RunResult) -> Sequence[str]:
    opened = session.opened
    files = write_report(
        session.ledger,
        session.folder,
        redactor=opened.redactor,
        cells=cells_of(opened),
        id_column=opened.job.input.id,
        result=result,
    )
    return files.notes


def cells_of(opened: Opened) -> Any:
    """The input's own cells, for ``failures.csv``."""

    def cells(rows: Sequence[int]) -> Any:
        wanted = sorted(rows)
        return opened.rows.cells(lambda first, last: [row for row in wanted if first <= row <= last])

    return cells


def _act(options: Options, kind: str, **detail: Any) -> Act:
    who = options.environ.get("USER") or str(os.getuid())
    return Act(at_us=options.clock.wall_us(), kind=kind, actor=f"{who}@{platform.node()}", detail=json.dumps(detail))


def _host_facts(options: Options) -> dict[str, Any]:
    return {
        "host": platform.node(),
        "user": options.environ.get("USER") or str(os.getuid()),
        "pid": os.getpid(),
        "python": platform.python_version(),
        "started_at_us": options.clock.wall_us(),
    }


def _leak_facts(leaks: Any) -> dict[str, Any]:
    return {
        "hits": len(leaks.hits),
        "files": leaks.files,
        "bytes": leaks.bytes,
        "skipped": list(leaks.skipped),
        "searched_for": leaks.searched_for,
    }
