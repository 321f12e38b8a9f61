"""Reports to stdout. Imported late, since it brings Polars."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from bulkpatch.cli.speaking import say
from bulkpatch.report.group import grouped
from bulkpatch.report.tables import Form, export
from bulkpatch.report.write import ReportFiles


def export_groups(outcomes: Path, by: Sequence[str], form: Form) -> int:
    """Group ``outcomes`` and write them in ``form``; without columns, one group of all."""
    made = export(grouped(outcomes, by), form)
    if isinstance(made, bytes):
        sys.stdout.buffer.write(made)
        sys.stdout.buffer.flush()
    else:
        say(made.rstrip("\n"))
    return 0


def overview_lines(files: ReportFiles) -> Sequence[str]:
    """The run at a glance, and where its files are."""
    view = files.overview
    counts = " · ".join(f"{state} {number}" for state, number in view["states"].items() if number)
    return [
        f"{view['run']['run_id']}: {view['verdict']}",
        f"  {counts}",
        *[f"  {failure['rows']} x {failure['error_code']} {failure['error']}" for failure in view["failures"]],
        f"  outcomes  {files.outcomes}",
        f"  failures  {files.failures}",
        f"  summary   {files.summary}",
        *[f"  note: {note}" for note in files.notes],
    ]
