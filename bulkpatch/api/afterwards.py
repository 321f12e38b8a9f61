"""What is done once the report is written and the ledger closed: other packages' writers, then the user's command."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from bulkpatch.api.hooks import on_stop
from bulkpatch.job.spec import Job
from bulkpatch.model import RunResult
from bulkpatch.reporting.others import write_others
from bulkpatch.reporting.write import ReportFiles


def afterwards(
    job: Job, result: RunResult, files: ReportFiles | None, environ: Mapping[str, str], *, dry_run: bool
) -> Iterator[tuple[str, str]]:
    """Do it; code and words of what came to nothing. It never changes how the run ended."""
    folder = Path(result.folder)
    if files is not None:
        facts = {**files.overview, "status": result.status, "exit_code": int(result.exit_code)}
        for words in write_others(folder, job.report.writers, files.outcomes, facts):
            yield "BP905", words
    if failed := on_stop(None if dry_run else job.hooks.on_stop, job.folder, result, environ):
        yield "BP904", failed
