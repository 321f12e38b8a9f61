"""Check, plan, run, resume, retry: each one call, each a few steps."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from bulkpatch.api.edited import compare_input
from bulkpatch.api.opened import Opened, check_rows, look_at_rows, make_plan, open_job
from bulkpatch.api.options import Options, Plan
from bulkpatch.api.pacing import fresh_pace
from bulkpatch.api.session import Session, make_ready, who
from bulkpatch.api.starting import (
    another_input,
    ask_leave,
    begin,
    header_of,
    held,
    limits_of,
    new_folder,
    plan_id,
    refuse_less_than_told,
    reopen,
    same_input,
    same_place,
    same_plugins,
    served,
    was_finished,
    work,
)
from bulkpatch.api.waves import states_of
from bulkpatch.core.lifecycle import OPEN
from bulkpatch.errors import InvalidInput, Mismatch, Problem
from bulkpatch.job.seal import STDIN
from bulkpatch.ledger.folder import list_runs, resolve_run
from bulkpatch.ledger.lock import RunLock
from bulkpatch.ledger.opening import create, open_ledger
from bulkpatch.ledger.planfile import is_plan, read_plan, refuse_plan_file, use_plan, write_plan
from bulkpatch.model import Act, RowState, RunResult
from bulkpatch.ports import Ledger

SUPERSEDED = "superseded"
"""The act by which a run is known to go on as another one."""
RETRIED = frozenset({RowState.REJECTED, RowState.EXHAUSTED, RowState.UNKNOWN, RowState.NOT_ATTEMPTED})
"""The states that ``retry`` takes without being told."""


def check(path: Path, options: Options) -> Plan:
    """Parse the job and every row; keep no secret, touch no network. Raises ``InvalidInput`` with all that is wrong.

    Files that hold secrets are looked into: what could not be sent is told now.
    """
    opened = open_job(path, options, with_key=False)
    return make_plan(opened, look_at_rows(opened), limits_of(opened.job, options))


def plan(path: Path, options: Options, *, offline: bool = False, out: Path | None = None) -> Plan:
    """What ``run`` would do; nothing is written to the API. With ``out`` the plan is kept there, to be run once.

    Offline the fleet is not read, and no secret is kept. Raises as ``run`` does, and ``KeyRefused``, ``Unreachable``.
    """
    opened = open_job(path, options, with_key=not offline or out is not None)
    found = look_at_rows(opened) if offline else check_rows(opened)
    limits = limits_of(opened.job, options)
    if out is not None:
        refuse_plan_file(out, stdin=opened.job.input.path == STDIN)
    elif offline and not opened.job.waves:
        return make_plan(opened, found, limits)
    with ExitStack() as at_end:
        folder = Path(at_end.enter_context(TemporaryDirectory(prefix="bulkpatch-")))
        base_url = served(opened, options, at_end)
        ledger = create(folder, header_of(opened, options, run_id=plan_id(options)), opened.rows.seed_rows())
        at_end.callback(ledger.close)
        session = Session(
            folder=folder,
            ledger=ledger,
            opened=opened,
            source=opened.rows,
            base_url=base_url,
            limits=limits,
            pace=fresh_pace(limits.rate, options.clock),
            options=options,
            resumed=False,
        )
        live = make_ready(session, offline=offline)
        waves = states_of(ledger, opened.job)
        ledger.close()
        if out is not None:
            write_plan(folder, out)
    drift = opened.job.on_drift if out is not None else "send"
    return make_plan(opened, found, limits, live=live, waves=waves, drift=drift)


def run(path: Path, options: Options) -> RunResult:
    """Plan a job, ask, send, report; or do exactly what a saved plan says.

    Raises ``InvalidInput`` or ``NotConfirmed`` (nothing was sent), ``Mismatch``, ``LedgerFailed``, ``Broken``.
    """
    if is_plan(path):
        return _run_plan(path, options)
    opened = open_job(path, options)
    found = check_rows(opened)
    ask_leave(opened, options)
    return begin(opened, options, found, chosen=None, parent=None)


def _run_plan(path: Path, options: Options) -> RunResult:
    made = read_plan(path)
    planned = made.header
    options = replace(options, simulate=planned.simulated)
    opened = reopen(path.parent, planned, options)
    same_input(opened, planned, made)
    same_place(opened, planned)
    found = check_rows(opened)
    same_plugins(opened, planned)
    ask_leave(opened, options)
    folder = new_folder(opened, options)
    header = header_of(opened, options, run_id=folder.name, rows=planned.rows, plan=planned.run_id)
    with held(folder):
        use_plan(path, folder, header, runs=list_runs(options.report_dir))
        ledger = open_ledger(folder)
        return work(folder, ledger, opened, options, opened.rows, found=found)


def _resume_edited(ledger: Ledger, opened: Opened, options: Options) -> RunResult:
    """Go on with an edited input, as a new run of what is still to be sent. Raises ``Mismatch`` unless asked to."""
    header = ledger.header()
    try:
        found = check_rows(opened)
    except InvalidInput as flaw:
        if options.accept_input_changes:
            raise
        raise another_input(flaw) from None
    edit = compare_input(ledger, opened.rows)
    lines = "; ".join(edit.lines())
    if not options.accept_input_changes:
        hint = f"{lines}. Put the original input back, or go on with this one: --accept-input-changes."
        raise Mismatch("BP602", "the input is not the one that was planned", hint=hint)
    if not edit.rows:
        raise Mismatch("BP608", f"nothing of the edited input is left to be sent: {lines}")
    ask_leave(opened, options)
    warning = Problem(code="BP602", message=f"the input was edited: {lines}", warning=True)
    followers = len(edit.rows & set(opened.rows.followers))
    found = replace(found, rows=len(edit.rows), duplicates=followers, warnings=(*found.warnings, warning))

    def begins(run_id: str) -> None:
        """From now on the rows are another run's: this one is never gone on with."""
        detail = json.dumps({"run": run_id})
        ledger.commit([Act(at_us=options.clock.wall_us(), kind=SUPERSEDED, actor=who(options), detail=detail)])
        ledger.close()

    return begin(opened, options, found, chosen=frozenset(edit.rows), parent=header.run_id, begins=begins)


def retry(run_name: str, options: Options, states: frozenset[RowState] = RETRIED) -> RunResult:
    """A new run of the rows of an ended run that stand in one of ``states``."""
    folder = resolve_run(options.report_dir, run_name)
    with RunLock(folder):
        ledger = open_ledger(folder)
        header, chosen = ledger.header(), frozenset(ledger.row_numbers(states))
        ledger.close()
    options = replace(options, simulate=options.simulate or header.simulated)
    opened = reopen(folder, header, options)
    if not chosen:
        names = ", ".join(sorted(state.value for state in states))
        words = f"nothing to retry: no row of {header.run_id} is in the states {names}"
        raise Mismatch("BP608", words, hint=f"See its outcomes: bulkpatch report {header.run_id}")
    found = replace(check_rows(opened), rows=len(chosen), duplicates=len(chosen & set(opened.rows.followers)))
    ask_leave(opened, options)
    return begin(opened, options, found, chosen=chosen, parent=header.run_id)


def resume(run_name: str, options: Options) -> RunResult:
    """Go on where a run stopped, for whatever reason. Raises ``Mismatch`` if job or input moved."""
    folder = resolve_run(options.report_dir, run_name)
    with held(folder):
        alone_s = options.clock.monotonic()
        ledger = open_ledger(folder)
        header, counts = ledger.header(), ledger.counts()
        left = sum(counts.get(state, 0) for state in OPEN)
        refuse_less_than_told(folder, sum(counts.values()) - left)
        if header.dry_run:
            raise Mismatch("BP610", f"{header.run_id} was a dry run: it sent nothing")
        if not left and was_finished(folder):
            raise Mismatch("BP608", f"every row of {header.run_id} has its outcome; there is nothing to resume")
        if later := [act for act in ledger.acts() if act.kind == SUPERSEDED]:
            other = json.loads(later[-1].detail)["run"]
            raise Mismatch(
                "BP608", f"{header.run_id} goes on as {other}, with an edited input", hint=f"Resume {other}."
            )
        options = replace(options, simulate=header.simulated)
        opened = reopen(folder, header, options)
        if opened.rows.input_sha256 != header.input_sha256:
            return _resume_edited(ledger, opened, options)
        found = check_rows(opened)
        ask_leave(opened, options)
        if options.confirm is not None:  # asked here: refused further on, the run's folder would go as a new one does
            options.confirm(make_plan(opened, replace(found, rows=left, duplicates=0), limits_of(opened.job, options)))
        return work(folder, ledger, opened, options, opened.rows, alone_s=alone_s)
