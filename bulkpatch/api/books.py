"""What can be asked about runs: where they stand, the report once more, and how to steer them."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from bulkpatch.api.earlier import earlier_run
from bulkpatch.api.opened import open_job
from bulkpatch.api.options import Options
from bulkpatch.api.session import cells_of
from bulkpatch.engine.asking import ControlAct, ControlReply, ControlRequest, ask
from bulkpatch.errors import InvalidInput, Mismatch
from bulkpatch.ledger.aside import counts_aside
from bulkpatch.ledger.folder import resolve_run
from bulkpatch.ledger.lock import RunLock, read_holder
from bulkpatch.ledger.opening import open_ledger
from bulkpatch.model import RowState
from bulkpatch.reporting.credentials import Credentials, credential_table
from bulkpatch.reporting.others import write_others
from bulkpatch.reporting.write import ReportFiles, write_report
from bulkpatch.secrets.redaction import LiveRedactor

LIVE_S_MAX: Final = 1.0
"""Seconds that a live run has to say where it stands; its file tells nearly as much."""


def rebuild_report(run_name: str, options: Options) -> ReportFiles:
    """Write the report files again, from the ledger and the input; other packages' writers add theirs anew."""
    folder = resolve_run(options.report_dir, run_name)
    with RunLock(folder):
        ledger = open_ledger(folder)
        try:
            try:
                opened = open_job(Path(ledger.header().job_path), options, with_key=False, with_plugins=False)
                cells = cells_of(opened) if opened.rows.input_sha256 == ledger.header().input_sha256 else None
                id_column, previous = opened.job.input.id, opened.job.input.previous
                writers = opened.job.report.writers
            except InvalidInput:
                cells, id_column, previous, writers = None, "destination_id", {}, ()
            files = write_report(
                ledger,
                folder,
                redactor=LiveRedactor(),
                cells=cells,
                id_column=id_column,
                previous=previous,
                earlier=earlier_run(folder, ledger.header()),
            )
        finally:
            ledger.close()
        more = write_others(folder, writers, files.outcomes, files.overview)
        return replace(files, notes=(*files.notes, *more))


def credentials(run_name: str, options: Options) -> Credentials:
    """Which credential, and which version of it, each row with secrets uses; see ``report.credentials``."""
    folder = resolve_run(options.report_dir, run_name)
    with RunLock(folder):
        ledger = open_ledger(folder)
        try:
            return credential_table(ledger)
        finally:
            ledger.close()


def status(run_name: str, report_dir: Path) -> dict[str, Any]:
    """Where a run stands: its ``run.json``, and who works on it now; after a crash what its ledger holds, untouched."""
    folder = resolve_run(report_dir, run_name)
    holder = read_holder(folder)
    try:
        stands = dict(json.loads((folder / "run.json").read_text("utf-8")))
    except (OSError, ValueError):
        stands = {"run_id": folder.name, "state": "seeding" if holder else "never began", "counts": {}}
    if stands.get("state") == "running" and holder is None:
        stands["state"] = "ended without a word"
        stands["reason"] = f"its process is gone; resume it: bulkpatch resume {folder.name}"
        counts = counts_aside(folder)
        if counts is not None and read_holder(folder) is None:
            stands["counts"] = {state.value: n for state, n in counts.items() if n and state is not RowState.PENDING}
    stands["holder"] = f"process {holder.pid} on {holder.host}" if holder else None
    stands["live"] = _live(folder) if holder else None
    stands["folder"] = str(folder)
    return stands


def _live(folder: Path) -> dict[str, Any] | None:
    """What the process that works on the run says of it now; None if it does not answer."""
    try:
        request = ControlRequest(act="status", run_id=folder.resolve().name, actor=f"pid {os.getpid()}")
        return dict(ask(folder, request, timeout_s=LIVE_S_MAX).details)
    except Mismatch:
        return None


def control(act: ControlAct, run_name: str, report_dir: Path, *, actor: str, argument: str = "") -> ControlReply:
    """Ask the process that works on a run now to do something.

    Raises ``Mismatch`` (BP611) where nobody works on it.
    """
    folder = resolve_run(report_dir, run_name)
    request = ControlRequest(act=act, run_id=folder.resolve().name, actor=actor, argument=argument)
    return ask(folder, request)
