"""What ``import bulkpatch`` gives: the same acts as the commands, as functions of plain values.

Nothing here prints, asks, or configures logging. What a command would ask, a call has answered by being made: ``run``
sends. Each act has a twin that is awaited; it works in a thread of its own, where no signal is caught.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypedDict, Unpack

from bulkpatch.api.books import rebuild_report
from bulkpatch.api.doors import check as _check
from bulkpatch.api.doors import plan as _plan
from bulkpatch.api.doors import resume as _resume
from bulkpatch.api.doors import run as _run
from bulkpatch.api.named import missing
from bulkpatch.api.options import Options, Plan
from bulkpatch.engine.system import SystemClock, open_files_max
from bulkpatch.errors import InvalidInput, Problem
from bulkpatch.job.load import load_job as _load_job
from bulkpatch.job.spec import Job, Origin
from bulkpatch.model import Event, RunResult
from bulkpatch.ports import Observer, Redactor
from bulkpatch.reporting.write import ReportFiles

OnEvent = Callable[[Event], None]
_KEYS: Final = {
    "base_url": "api.base_url",
    "rate": "send.rate",
    "concurrency": "send.concurrency",
    "timeout": "send.timeout",
    "attempts": "send.attempts",
    "transport": "send.transport",
}


class How(TypedDict, total=False):
    """How it is done; what is left out comes from the job, and from there from its defaults.

    ``base_url``, ``rate`` (``"20/s"``), ``concurrency``, ``timeout`` (``"30s"``), ``attempts`` and ``transport`` win
    over the job. ``report_dir`` is where run folders lie (``reports``), ``limit`` takes the first rows only,
    ``simulate`` sends to an embedded simulator with ``faults``. ``environ`` is where ``env:`` references are read, by
    default a copy of the process's own. ``on_plan`` is called with the plan before anything is written, and may raise
    to refuse. ``on_event`` is called with each ``Event`` once it is durable, from the thread that works.
    """

    base_url: str
    rate: str
    concurrency: int
    timeout: str
    attempts: int
    transport: str
    report_dir: str | Path
    limit: int
    simulate: bool
    faults: str
    i_know: bool
    environ: Mapping[str, str]
    on_plan: Callable[[Plan], None]
    on_event: OnEvent


@dataclass(frozen=True, slots=True)
class _Teller:
    """The port ``Observer`` as a function, which is told of every request and row."""

    tell: OnEvent
    every_request: bool = True

    def notify(self, event: Event) -> None:
        self.tell(event)


def load_job(path: str | Path, **how: Unpack[How]) -> Job:
    """The job at ``path``. Raises ``InvalidInput`` with everything that is wrong."""
    return _load_job(Path(path), settings=_settings(how), beyond=missing)


def check(path: str | Path, **how: Unpack[How]) -> Plan:
    """Parse job and rows; no network, no secret. Raises ``InvalidInput`` with everything that is wrong."""
    return _check(Path(path), _options(how))


def plan(path: str | Path, *, offline: bool = False, save_as: str | Path | None = None, **how: Unpack[How]) -> Plan:
    """What ``run`` would do, against the live fleet unless ``offline``; ``save_as`` keeps it, to be run once.

    Raises ``InvalidInput``, ``KeyRefused``, ``Unreachable``.
    """
    return _plan(Path(path), _options(how), offline=offline, out=None if save_as is None else Path(save_as))


def run(path: str | Path, *, dry_run: bool = False, **how: Unpack[How]) -> RunResult:
    """Send what the job, or the saved plan, at ``path`` says, and report. A failed row is data, not an exception.

    Raises ``InvalidInput`` (nothing was sent), ``Mismatch``, ``LedgerFailed``, ``KeyRefused``, ``Unreachable``,
    ``Broken``.
    """
    return _run(Path(path), _options(how, dry_run=dry_run))


def resume(run_name: str, **how: Unpack[How]) -> RunResult:
    """Go on where a run stopped: an id, the beginning of one, a folder, or ``latest``. Raises as ``run`` does."""
    return _resume(run_name, _options(how))


def report(run_name: str, **how: Unpack[How]) -> ReportFiles:
    """Write the report of a run again; its files, and the run at a glance as plain values. Raises ``Mismatch``."""
    return rebuild_report(run_name, _options(how))


async def plan_async(
    path: str | Path, *, offline: bool = False, save_as: str | Path | None = None, **how: Unpack[How]
) -> Plan:
    """``plan``, awaited."""
    return await asyncio.to_thread(plan, path, offline=offline, save_as=save_as, **how)


async def run_async(path: str | Path, *, dry_run: bool = False, **how: Unpack[How]) -> RunResult:
    """``run``, awaited. A cancelled await leaves the run working: stop it with ``bulkpatch abort``."""
    return await asyncio.to_thread(run, path, dry_run=dry_run, **how)


async def resume_async(run_name: str, **how: Unpack[How]) -> RunResult:
    """``resume``, awaited."""
    return await asyncio.to_thread(resume, run_name, **how)


async def report_async(run_name: str, **how: Unpack[How]) -> ReportFiles:
    """``report``, awaited."""
    return await asyncio.to_thread(report, run_name, **how)


def _settings(how: How) -> Mapping[str, Origin]:
    given: Mapping[str, Any] = how
    if unknown := sorted(given.keys() - How.__annotations__.keys()):
        raise TypeError(f"no such option: {', '.join(unknown)}")
    return {key: Origin(value=given[name], source="argument") for name, key in _KEYS.items() if name in given}


def _options(how: How, *, dry_run: bool = False) -> Options:
    environ: MutableMapping[str, str] = dict(how.get("environ", os.environ))
    tell = how.get("on_event")
    limit = how.get("limit")
    if limit is not None and limit < 1:
        raise InvalidInput([Problem(code="BP106", message="limit: at least 1")])

    def observe(_: Redactor) -> Observer:
        assert tell is not None  # noqa: S101  (only then it is handed on)
        return _Teller(tell)

    return Options(
        clock=SystemClock(),
        environ=environ,
        draw=random.SystemRandom().random,
        report_dir=Path(how.get("report_dir", "reports")),
        settings=_settings(how),
        limit=limit,
        simulate=how.get("simulate", False),
        faults=how.get("faults", "none"),
        dry_run=dry_run,
        i_know=how.get("i_know", False),
        open_files_max=open_files_max(),
        observe=observe if tell is not None else None,
        confirm=how.get("on_plan"),
    )
