"""Reports to stdout. Imported late, since it brings Polars."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from bulkpatch.cli.speaking import columns, say, say_bytes, say_json
from bulkpatch.model import FailureKind, RowState
from bulkpatch.observe.endings import failure_lines
from bulkpatch.reporting.credentials import Credentials, verified, with_credentials
from bulkpatch.reporting.glance import rfc3339
from bulkpatch.reporting.group import grouped, scan
from bulkpatch.reporting.tables import Form, export
from bulkpatch.reporting.write import ReportFiles


def export_groups(outcomes: Path, by: Sequence[str], form: Form, *, credentials: Credentials | None = None) -> int:
    """Group ``outcomes`` and write them in ``form``; without columns, one group of all.

    With ``credentials`` the column ``credential`` is there to group by.
    """
    table = scan(outcomes) if credentials is None else with_credentials(outcomes, credentials)
    _say_table(export(grouped(table, by), form), form)
    return 0


def export_verified(files: ReportFiles, credentials: Credentials, form: Form) -> int:
    """The verified rows and no others, in ``form``."""
    table = verified(files.outcomes, credentials)
    if form == "json":
        rows = [{name: rfc3339(value) for name, value in row.items()} for row in table.iter_rows(named=True)]
        say_json("bulkpatch.verified/1", {"run": files.overview["run"]["run_id"], "rows": rows})
    else:
        _say_table(export(table, form), form)
    return 0


def _say_table(made: str | bytes, form: Form) -> None:
    if isinstance(made, bytes):
        say_bytes(made)
    elif form == "csv":
        say_bytes(made.encode())
    elif form == "text":
        say(*fitting(made.splitlines(), columns(sys.stdout)))
    else:
        say(made.rstrip("\n"))


def fitting(lines: Sequence[str], width: int | None) -> Sequence[str]:
    """A text table without the columns that a terminal of ``width`` has no room for, and a word on how many those are.

    Its second line rules off each column.
    """
    if width is None or all(len(line) <= width for line in lines):
        return lines
    ends = [rule.end() for rule in re.finditer("-+", lines[1])]
    kept = max([end for end in ends if end <= width], default=ends[0])
    more = sum(end > kept for end in ends)
    return [*(line[:kept].rstrip() for line in lines), f"and {more} more columns: -o csv, or a wider terminal"]


def overview_lines(files: ReportFiles) -> Sequence[str]:
    """The run at a glance, and where its files are."""
    view = files.overview
    counts = " · ".join(f"{state} {number:,}" for state, number in view["states"].items() if number)
    kinds = [
        FailureKind(rows=one["rows"], state=RowState(one["state"]), code=one["error_code"], error=one["error"])
        for one in view["failures"]
    ]
    return [
        f"{view['run']['run_id']}: {view['verdict']}",
        f"  {counts}",
        *[f"  ✗ {line}" for line in failure_lines(kinds, view["failure_kinds"])],
        f"  outcomes  {files.outcomes}",
        f"  failures  {files.failures}",
        f"  summary   {files.summary}",
        f"  page      {files.page}",
        *[f"  note: {note}" for note in files.notes],
    ]
