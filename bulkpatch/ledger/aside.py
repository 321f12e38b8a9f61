"""What a ledger says whose process is gone, read from a copy: its lock is left to whoever goes on with the run."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from bulkpatch.ledger.opening import FILE
from bulkpatch.ledger.states import counted, lead_states
from bulkpatch.model import RowState


def counts_aside(folder: Path) -> Mapping[RowState, int] | None:
    """Rows by state; None where it cannot be told, for instance while somebody begins to work on the run."""
    with TemporaryDirectory(prefix="bulkpatch-") as aside:
        try:
            for source in (folder / FILE, folder / f"{FILE}-wal"):
                if source.exists():
                    shutil.copyfile(source, Path(aside, source.name))
            with closing(sqlite3.connect(f"file:{aside}/{FILE}?mode=rw", uri=True)) as copy:
                return counted(lead_states(copy), copy)
        except (OSError, sqlite3.Error, ValueError):
            return None
