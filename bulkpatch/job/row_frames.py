"""What is wrong with a row, shown in the row itself, of which nothing is seen that may be a secret.

A cell is seen if its column is known and no secret's, and every secret of the row stands where it belongs, as a
reference: else a cell may stand in another's place, and only the id is seen. Rows of which it cannot be told which
cell is whose are not shown at all.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from typing import Final

from bulkpatch.errors import InvalidInput, Problem
from bulkpatch.errors.frames import HIDDEN, Quoted, draw
from bulkpatch.job.cells import FILLING
from bulkpatch.job.columns import IGNORED_PREFIX, Layout
from bulkpatch.job.frames import names_secret, shows_secret
from bulkpatch.job.naming import SHOWN_CHARS_MAX
from bulkpatch.job.parts import Part, Piece, Quote, Reader
from bulkpatch.job.secret_cells import SecretCells
from bulkpatch.prequel.catalogue import Field, FieldType, catalogue

FRAMES_MAX: Final = 20
"""Problems that are drawn: a few screens. Those after them have their places all the same."""
MASK: Final = "•••"
"""Stands for a cell, or a name, that is not shown, however long it is."""
SEARCHED_CHARS_MAX: Final = 4_096
"""Characters of a cell that is searched for what looks like a secret, and so may be seen: a hundred times what is."""

Place = tuple[int, int]
"""Index of a file, and number of a line in it, or of a row where it has no lines."""


class RowFrames:
    """Draws the problems of one input. ``asked`` are the columns that conditions and waves read."""

    def __init__(
        self, layout: Layout, readers: Sequence[Reader], *, asked: Collection[str], secret_cells: SecretCells
    ) -> None:
        self._layout = layout
        self._readers = readers
        self._secret_cells = secret_cells
        self._files = {reader.header.file: at for at, reader in enumerate(readers)}
        names = {name for reader in readers for name in reader.header.names}
        self._open = frozenset(name for name in names if _is_open(name, layout))
        ignored = {name for name in names if name.startswith(IGNORED_PREFIX)}
        self._guarded = names - self._open - ignored - {one for one in (*asked, *layout.fillings) if not _secret(one)}
        """Columns that hold secrets, or of which nobody knows what they hold."""
        self._named = (names - self._guarded) | {*layout.names, *filter(catalogue().field, names)}

    def drawn(self, problems: Sequence[Problem], ends: Sequence[int]) -> Sequence[Problem]:
        """``problems`` in their order, the first of those of rows with frames; ``ends``: the last row of each file.

        A file that changed, or cannot be read any more, has none.
        """
        placed = ((index, place) for index, one in enumerate(problems) if (place := self._place(one, ends)) is not None)
        places = dict(islice(placed, FRAMES_MAX))
        quotes = self._quotes(places.values())
        found = list(problems)
        for index, place in places.items():
            if (quote := quotes.get(place)) is not None:
                found[index] = replace(found[index], frame=self._frame(quote, found[index].column_name))
        return found

    def _place(self, problem: Problem, ends: Sequence[int]) -> Place | None:
        at = self._files.get(problem.file or "")
        if at is None or (problem.row is None and problem.column_name is None):
            return None
        if problem.line is not None:
            return at, problem.line
        return None if problem.row is None or at > len(ends) else (at, problem.row - (ends[at - 1] if at else 0))

    def _quotes(self, places: Iterable[Place]) -> dict[Place, Quote]:
        wanted: defaultdict[int, set[int]] = defaultdict(set)
        for at, number in places:
            wanted[at].add(number)
        found: dict[Place, Quote] = {}
        for at, numbers in wanted.items():
            with suppress(InvalidInput):
                found |= {(at, quote.number): quote for quote in self._readers[at].quotes(numbers)}
        return found

    # ── what is drawn ────────────────────────────────────────────────────────────────────────

    def _frame(self, quote: Quote, column: str | None) -> str:
        """The row, carets under the cell of ``column``, whose name stands above it; under the row where it has none."""
        cells = [index for index, one in enumerate(quote.pieces) if one.part is Part.CELL]
        if self._in_order(quote):
            trusted = cells
        else:
            trusted = [index for index in cells[:1] if quote.pieces[index].column == self._layout.id]
        texts = [self._text(one, trusted=index in trusted) for index, one in enumerate(quote.pieces)]
        line = Quoted(number=quote.number, text="".join(texts))
        at = next((index for index in cells if quote.pieces[index].column == column), None)
        if at is None:
            return draw([], line, len(line.text)) if line.text.strip() else ""
        return draw(self._above(quote, column), replace(line, at=len("".join(texts[:at]))), len(texts[at]))

    def _above(self, quote: Quote, column: str | None) -> list[Quoted]:
        """The header, the name of ``column`` at the carets."""
        texts = [self._text(piece, trusted=True) for piece in quote.head]
        names = [piece.column for piece in quote.head]
        if column not in names:
            return []
        return [Quoted(number=1, text="".join(texts), at=len("".join(texts[: names.index(column)])))]

    # ── what is seen ─────────────────────────────────────────────────────────────────────────

    def _in_order(self, quote: Quote) -> bool:
        """Whether each cell is what its column says, as far as can be told: no secret stands anywhere as such."""
        if any(_tells(one) for one in quote.pieces if one.part is Part.CELL and one.column not in self._guarded):
            return False
        guarded = [one.says for one in quote.pieces if one.part is Part.CELL and one.column in self._guarded]
        filled = list(filter(None, guarded))
        return bool(filled or not guarded) and all(map(self._secret_cells.holds_reference, filled))

    def _text(self, piece: Piece, *, trusted: bool) -> str:
        """What is seen of ``piece``; of a cell only if it is ``trusted`` to be what its column says."""
        match piece.part:
            case Part.SIGN:
                return piece.raw
            case Part.NAME:
                seen = piece.column in self._named
            case Part.CELL:
                seen = trusted and piece.column in self._open
                seen = seen and not (piece.column in self._layout.fillings and not re.search(FILLING, piece.says))
        if not seen or _is_hidden(piece):
            return MASK if piece.raw else ""
        return piece.raw[:SHOWN_CHARS_MAX] + HIDDEN * (len(piece.raw) > SHOWN_CHARS_MAX)


def _is_open(name: str, layout: Layout) -> bool:
    """Whether the cells of a column may be seen as such: of the id, a label, or a field that takes no secret."""
    fields = [one.field for one in (*layout.fields, *layout.previous) if one.column == name]
    if _secret(name) or any(map(_guards, fields)):
        return False
    if name == layout.id or catalogue().field(name) in fields:
        return True
    return (bool(fields) or name in layout.labels) and not names_secret(name)


def _secret(name: str) -> bool:
    """Whether the column is called like a field whose values are not shown, whatever the job takes it for."""
    field = catalogue().field(name)
    return field is not None and _guards(field)


def _guards(field: Field) -> bool:
    """An object may hold anything."""
    return field.secret or field.sensitive or field.type is FieldType.OBJECT


def _is_hidden(piece: Piece) -> bool:
    """Whether it is masked whatever its column: also what a quote made of several lines, or is too long to tell."""
    return "\n" in piece.raw + piece.says or len(piece.raw) > SEARCHED_CHARS_MAX or _tells(piece)


def _tells(piece: Piece) -> bool:
    """Whether it looks like a secret, or like a document with one."""
    texts = (piece.raw[:SEARCHED_CHARS_MAX], piece.says[:SEARCHED_CHARS_MAX])
    return any("{" in text or shows_secret(text) for text in texts)
