"""In a step of GitHub Actions, a run's summary stands on the step's own page as well."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from bulkpatch.cli.speaking import tell

VARIABLE: Final = "GITHUB_STEP_SUMMARY"
"""Names the file to which a step may append Markdown."""
SUMMARY: Final = "summary.md"


def append_step_summary(summary: Path, environ: Mapping[str, str]) -> None:
    """Append ``summary`` to the file that ``environ`` names, if it does. The run has ended: what fails is told only."""
    target = environ.get(VARIABLE)
    if not target:
        return
    try:
        text = summary.read_text("utf-8")
        with Path(target).open("a", encoding="utf-8") as page:
            page.write(text + "\n")
    except OSError as fault:
        tell(f"  note: the summary could not be appended to {VARIABLE}: {os.strerror(fault.errno or 0)}")
