"""Reports to stdout. Imported late, since it brings Polars."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bulkpatch.cli.speaking import say, say_bytes, say_json
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
    else:
        say(made.rstrip("\n"))


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
