"""Row by row, what would undo a run: which rows were changed, what they were before, and who changed them since."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import repeat
from typing import Final, NamedTuple

from bulkpatch.api.diffing import pre_image_of
from bulkpatch.api.later import Change, OtherRuns
from bulkpatch.api.opened import Opened
from bulkpatch.core.lifecycle import OPEN
from bulkpatch.job.reversal import rebased, sayable
from bulkpatch.model import OutcomeRow, PendingRow, Stage
from bulkpatch.ports import Ledger
from bulkpatch.prequel.catalogue import catalogue
from bulkpatch.prequel.undoing import NO_CELL, FieldUndo, Way, undo
from bulkpatch.reporting.touched import CHANGED

EMPTY: Final = "empty text, which no cell can say, and not every row puts this field back"

Wanted = Callable[[int, int], Sequence[int]]


class Touched:
    """The rows whose destination was changed or may have been, each once, with the time of its first send."""

    def __init__(self, ledger: Ledger, followers: Collection[int]) -> None:
        self._rows, self._sent_us = array("q"), array("q")
        for batch in ledger.outcome_rows():
            doubtful = {row.row for row in _open_rows(ledger, batch) if _may_have_changed(row)}
            for one in batch:
                if one.row not in followers and (one.state in CHANGED or one.row in doubtful):
                    self._rows.append(one.row)
                    self._sent_us.append(one.sent_at_us or 0)

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def since_us(self) -> int:
        """When the first of them was sent."""
        return min(self._sent_us, default=0)

    def between(self, first: int, last: int) -> Sequence[int]:
        """Those of rows ``first``…``last``."""
        return self._rows[bisect_left(self._rows, first) : bisect_left(self._rows, last + 1)].tolist()

    def sent_us(self, row: int) -> int:
        """When a row of them was first sent."""
        return self._sent_us[bisect_left(self._rows, row)]


def _open_rows(ledger: Ledger, batch: Sequence[OutcomeRow]) -> Sequence[PendingRow]:
    if not any(one.state in OPEN and one.attempts for one in batch):
        return ()
    return ledger.pending_between(batch[0].row, batch[-1].row)


def _may_have_changed(row: PendingRow) -> bool:
    return row.doubted or row.passed is Stage.PATCH or (row.open and row.open_stage is Stage.PATCH)


class Undone(NamedTuple):
    """One destination and each field that its row set; ``change`` is what another run did to it since."""

    row: int
    destination_id: str
    fields: Sequence[FieldUndo]
    change: Change | None

    @property
    def cells(self) -> Mapping[str, str | None]:
        """What puts its fields back, by path; None is null."""
        return {one.path: one.cell for one in self.fields if one.way is Way.REVERSIBLE}


@dataclass(slots=True)
class Tally:
    """Destinations by field: what can be put back, what cannot and why, what others changed since.

    ``rows`` have something to put back. ``empty`` counts fields that were empty text, among the reversible ones;
    ``commands`` those that an ``exec:`` reference puts back.
    """

    rows: int = 0
    changed_since: int = 0
    ways: dict[str, Counter[Way]] = field(default_factory=dict)
    since: Counter[str] = field(default_factory=Counter)
    empty: Counter[str] = field(default_factory=Counter)
    why_not: dict[str, Counter[str]] = field(default_factory=dict)
    commands: int = 0

    def add(self, one: Undone) -> None:
        """Count one destination."""
        self.rows += bool(one.cells)
        self.changed_since += one.change is not None
        for undone in one.fields:
            self.ways.setdefault(undone.path, Counter())[undone.way] += 1
            if undone.way is Way.IRREVERSIBLE:
                self.why_not.setdefault(undone.path, Counter())[undone.why] += 1
            elif undone.way is Way.REVERSIBLE:
                self.since[undone.path] += one.change is not None and undone.path in one.change.fields
                self.commands += _is_secret(undone.path) and (undone.cell or "").startswith("exec:")
                self.empty[undone.path] += undone.cell is not None and not undone.cell

    def blanks(self) -> Sequence[str]:
        """The fields that every row puts back, and some to empty text; of the others, that is given up for."""
        found = []
        for path, number in sorted(self.empty.items()):
            if number and self.ways[path][Way.REVERSIBLE] == self.rows:
                found.append(path)
            elif number:
                self.ways[path][Way.REVERSIBLE] -= number
                self.ways[path][Way.IRREVERSIBLE] += number
                self.why_not.setdefault(path, Counter())[EMPTY] += number
        return found


@dataclass(frozen=True, slots=True)
class Undoing:
    """The touched rows of one run, undone as often as they are gone through."""

    ledger: Ledger
    opened: Opened
    touched: Touched
    others: OtherRuns

    def rows(self) -> Iterator[Undone]:
        """Each destination, in input order."""
        previous = self._previous()
        for batch in filter(None, self.opened.rows.operations(self.touched.between)):
            sights = self.ledger.sights_between(batch[0].row, batch[-1].row)
            for one in batch:
                fields = undo(one, pre_image_of(sights.get(one.row)), next(previous))
                change = self.others.since(one.destination_id, self.touched.sent_us(one.row))
                ours = change is not None and not change.fields.isdisjoint(one.fields)
                yield Undone(one.row, one.destination_id, [*map(_said, fields)], change if ours else None)

    def _previous(self) -> Iterator[Mapping[str, str | None]]:
        """Of each touched row, what its ``previous`` columns say, by field path."""
        given = self.opened.job.input
        if not given.previous:
            yield from repeat({})
        names, rows = self.opened.rows.cells(self.touched.between)
        places = {path: names.index(column) for column, path in given.previous.items()}
        for _, texts in rows:
            yield {
                path: None if texts[at] == given.null else self._moved(path, texts[at])
                for path, at in places.items()
                if texts[at]
            }

    def _moved(self, path: str, text: str) -> str:
        return rebased(text, self.opened.job.folder) if _is_secret(path) else text


def _is_secret(path: str) -> bool:
    known = catalogue().field(path)
    return known is not None and known.secret


def _said(one: FieldUndo) -> FieldUndo:
    """``one``, irreversible if no cell can hold what it was; empty text may stand in the job itself."""
    if one.way is not Way.REVERSIBLE or not one.cell or sayable(one.cell):
        return one
    return replace(one, way=Way.IRREVERSIBLE, cell=None, why=NO_CELL)
