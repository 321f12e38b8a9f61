"""An input that was edited while its run stood still: what of it is done, what is new, and what may go on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from bulkpatch.core.lifecycle import OPEN
from bulkpatch.job.rows import Rows
from bulkpatch.model import RowState
from bulkpatch.ports import Ledger

NAMED_MAX: Final = 5
"""Destinations named of each kind; enough to see what was edited."""
KINDS: Final = ("done", "changed since done", "pending", "changed", "new", "removed", "in doubt")


@dataclass(slots=True)
class Edit:
    """The rows of the edited input by what they are against the ledger; ``rows`` are those that are still to be sent.

    A row is known again by its destination and its body, never by its position.
    """

    counts: Counter[str] = field(default_factory=Counter)
    named: dict[str, list[str]] = field(default_factory=dict)
    rows: set[int] = field(default_factory=set)

    def add(self, kind: str, destination_id: str, row: int | None = None) -> None:
        """Count one row; with ``row`` it is still to be sent."""
        self.counts[kind] += 1
        names = self.named.setdefault(kind, [])
        if len(names) < NAMED_MAX:
            names.append(destination_id if row is None else f"{destination_id} (row {row})")
        if row is not None:
            self.rows.add(row)

    def lines(self) -> Sequence[str]:
        """Counts by kind, and the first destinations of those that were edited."""
        told = [", ".join(f"{self.counts[kind]} {kind}" for kind in KINDS)]
        for kind in ("changed since done", "changed", "new", "removed", "in doubt"):
            if names := self.named.get(kind):
                more = ", …" if self.counts[kind] > NAMED_MAX else ""
                told.append(f"{kind}: {', '.join(names)}{more}")
        return told


def compare_input(ledger: Ledger, rows: Rows) -> Edit:
    """The rows of the input as it is now against what ``ledger`` planned and settled."""
    known: dict[str, tuple[bytes, RowState]] = {}
    for batch in ledger.identities():
        known.update((one.destination_id, (one.digest, RowState(one.state))) for one in batch)
    edit, seen = Edit(), set[str]()
    for operations in rows.operations(lambda first, last: range(first, last + 1)):
        for operation in operations:
            name, row = operation.destination_id, operation.row
            digest, state = known.get(name, (b"", RowState.PENDING))
            same = digest == operation.digest
            if name in known and same and state not in OPEN:
                edit.add("done", name)
            elif name not in known:
                edit.add("new", name, row)
            elif state is RowState.IN_FLIGHT:
                edit.add("in doubt", name, row)
            elif state is RowState.PENDING:
                edit.add("pending" if same else "changed", name, row)
            else:
                edit.add("changed since done", name, row)
            seen.add(name)
    for name in known.keys() - seen:
        edit.add("removed", name)
    return edit
