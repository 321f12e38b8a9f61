"""What was seen of the fleet, in a temporary database without a name: SQLite keeps it in its cache, then on disk."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from bulkpatch.ledger.faults import disk_faults

PAGE_IDS: Final = 1_000
"""Ids taken at once while those that are missing are gone through."""


class TemporarySightings:
    """ports.Sightings. ``complete``: what is missing is known not to be there."""

    def __init__(self) -> None:
        # An empty name is SQLite's for a private file that is deleted at once, and goes when it is closed.
        self._db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._db.execute("CREATE TABLE wanted (id TEXT PRIMARY KEY, document BLOB) WITHOUT ROWID")
        self.missing = 0
        self.found = 0

    def want(self, ids: Iterable[str]) -> None:
        """Ask for ``ids``, too; a repeated one counts once."""
        with disk_faults():
            before = self._db.total_changes
            self._db.execute("BEGIN")
            self._db.executemany("INSERT OR IGNORE INTO wanted (id) VALUES (?)", ((one,) for one in ids))
            self._db.execute("COMMIT")
            self.missing += self._db.total_changes - before

    def put(self, seen: Iterable[tuple[str, bytes]]) -> None:
        """See ports.Sightings."""
        with disk_faults():
            before = self._db.total_changes
            self._db.execute("BEGIN")
            self._db.executemany(
                "UPDATE wanted SET document = ? WHERE id = ? AND document IS NULL", ((doc, one) for one, doc in seen)
            )
            self._db.execute("COMMIT")
            new = self._db.total_changes - before
        self.found += new
        self.missing -= new

    def absentees(self) -> Iterator[str]:
        """See ports.Sightings."""
        last = ""
        while page := self._absent_after(last):
            yield from page
            last = page[-1]

    def _absent_after(self, last: str) -> list[str]:
        statement = "SELECT id FROM wanted WHERE id > ? AND document IS NULL ORDER BY id LIMIT ?"
        with disk_faults():
            return [one for (one,) in self._db.execute(statement, (last, PAGE_IDS))]

    def get(self, ids: Sequence[str]) -> Mapping[str, bytes]:
        """See ports.Sightings."""
        statement = (
            "SELECT id, document FROM wanted WHERE document IS NOT NULL AND id IN (SELECT value FROM json_each(?))"
        )
        with disk_faults():
            return dict(self._db.execute(statement, (json.dumps(list(ids)),)))

    def close(self) -> None:
        """Let it go."""
        self._db.close()
