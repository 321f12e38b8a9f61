"""What other runs of the same report folder did to destinations: known without asking the API."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bulkpatch.api.starting import was_finished
from bulkpatch.errors import BulkpatchError
from bulkpatch.ledger.folder import list_runs
from bulkpatch.ledger.lock import RunLock
from bulkpatch.ledger.opening import Unbegun, open_ledger
from bulkpatch.reporting.touched import Touch, touched
from bulkpatch.reporting.write import OUTCOMES


@dataclass(frozen=True, slots=True)
class Change:
    """The newest change that other runs made to one destination, and every field that they set."""

    run: str
    at_us: int
    fields: frozenset[str]


@dataclass(slots=True)
class OtherRuns:
    """Changes by destination id; ``unread`` are runs that could not be looked at, each with why."""

    changes: dict[str, Change] = field(default_factory=dict)
    unread: list[tuple[str, str]] = field(default_factory=list)
    _fieldsets: dict[frozenset[str], frozenset[str]] = field(default_factory=dict)

    def look_at(self, folder: Path, *, since_us: int) -> None:
        """Take note of what the run in ``folder`` did after ``since_us``. The ledger of one that runs is left alone."""
        try:
            if was_finished(folder) and (folder / OUTCOMES).exists():
                self._add(folder.name, touched(folder, since_us=since_us))
                return
            with RunLock(folder):
                ledger = open_ledger(folder)
                try:
                    self._add(folder.name, touched(ledger, since_us=since_us))
                finally:
                    ledger.close()
        except Unbegun:
            return
        except BulkpatchError as error:
            self.unread.append((folder.name, error.message))

    def _add(self, run: str, touches: Iterable[Touch]) -> None:
        for destination_id, fields, at_us in touches:
            known = self.changes.get(destination_id)
            union = frozenset(fields) | (known.fields if known is not None else frozenset())
            shared = self._fieldsets.setdefault(union, union)
            newest = known if known is not None and known.at_us >= at_us else Change(run, at_us, shared)
            self.changes[destination_id] = Change(newest.run, newest.at_us, shared)

    def since(self, destination_id: str, at_us: int) -> Change | None:
        """The newest change of this destination, if it came after ``at_us``."""
        found = self.changes.get(destination_id)
        return found if found is not None and found.at_us > at_us else None


def other_runs(report_dir: Path, folder: Path, *, since_us: int) -> OtherRuns:
    """All runs beside ``folder``, the newest first."""
    found = OtherRuns()
    others: Sequence[Path] = [run for run in list_runs(report_dir) if not run.samefile(folder)]
    for run in reversed(others):
        found.look_at(run, since_us=since_us)
    return found
