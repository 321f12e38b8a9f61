"""The run that a report compares its own with: the last one of the same job before it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bulkpatch.api.runfile import FILE as RUN_FILE
from bulkpatch.errors import InvalidInput
from bulkpatch.ledger.folder import list_runs
from bulkpatch.model import RunHeader
from bulkpatch.reporting.write import OUTCOMES


def earlier_run(folder: Path, header: RunHeader) -> Path | None:
    """The newest run beside ``folder`` that began earlier, of the same job, as real as this one and reported.

    None where there is none, and for a dry run, which sends nothing that could be compared.
    """
    if header.dry_run:
        return None
    try:
        runs = list_runs(folder.resolve().parent)
    except InvalidInput:
        return None
    named = (run for run in reversed(runs) if run.name.startswith(f"{header.job_name}-"))
    return next((run for run in named if (run / OUTCOMES).is_file() and _precedes(_facts(run), header)), None)


def _precedes(facts: dict[str, Any], header: RunHeader) -> bool:
    same = facts.get("job") == header.job_name and facts.get("simulated") == header.simulated
    began = facts.get("created_at_us")
    return same and not facts.get("dry_run") and isinstance(began, int) and began < header.created_at_us


def _facts(run: Path) -> dict[str, Any]:
    """What ``run.json`` says; nothing where it cannot be read."""
    try:
        return dict(json.loads((run / RUN_FILE).read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return {}
