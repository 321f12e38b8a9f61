"""What is wrong with a row, shown in the row itself, of which nothing is seen that may be a secret.

A cell is shown if its column is known and no secret's, and every cell of the row that is not shown is a
reference as it should be: then no cell stands in the place of another. Of other rows only what is too short
for a secret is. A row that has not as many cells as the header is shown only where nothing has to be hidden.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final

from bulkpatch.errors import InvalidInput, Problem
from bulkpatch.errors.frames import HIDDEN, Quoted, draw
from bulkpatch.job.cells import FILLING
from bulkpatch.job.columns import IGNORED_PREFIX, Layout
from bulkpatch.job.frames import names_secret, shows_secret
from bulkpatch.job.naming import SHOWN_CHARS_MAX
from bulkpatch.job.parts import CELL_BYTES_MAX, Part, Piece, Quote, Reader
from bulkpatch.job.secret_cells import SecretCells
from bulkpatch.prequel.catalogue import catalogue

FRAMES_MAX: Final = 20
"""Problems that are drawn: a few screens. Those after them have their places all the same."""
MASK: Final = "•••"
"""Stands for a cell, or a name, that is not shown, however long it is."""


class RowFrames:
    """Draws the problems of one input. ``asked`` are the columns that conditions and waves read."""

    def __init__(
        self, layout: Layout, readers: Sequence[Reader], *, asked: Collection[str], secret_cells: SecretCells
    ) -> None:
        self._layout = layout
        self._readers = readers
        self._secret_cells = secret_cells
        names = {name for reader in readers for name in reader.header.names}
        self._shown = frozenset(filter(self._is_shown, names))
        ignored = {name for name in names if name.startswith(IGNORED_PREFIX)}
        secret = layout.secret.union(
            name for name in names if (own := catalogue().field(name)) is not None and own.secret
        )
        self._harmless = self._shown.union(ignored, asked, layout.fillings) - secret
        self._named = self._harmless.union(layout.names, filter(catalogue().field, names))
        self._all_shown = names == self._shown

    def drawn(self, problems: Sequence[Problem], ends: Sequence[int]) -> list[Problem]:
        """``problems`` in their order, the first of those of rows with frames; ``ends``: the last row of each file.

        A file that changed, or cannot be read any more, has none.
        """
        places = {index: place for index, one in enumerate(problems) if (place := self._place(one, ends)) is not None}
        wanted: defaultdict[int, set[int]] = defaultdict(set)
        for at, number in list(places.values())[:FRAMES_MAX]:
            wanted[at].add(number)
        quotes: dict[tuple[int, int], Quote] = {}
        for at, numbers in wanted.items():
            with suppress(InvalidInput):
                quotes |= {(at, quote.number): quote for quote in self._readers[at].quotes(numbers)}
        drawn = list(problems)
        for index, place in list(places.items())[:FRAMES_MAX]:
            if place in quotes:
                drawn[index] = replace(drawn[index], frame=self._frame(quotes[place], drawn[index].column_name))
        return drawn

    def _place(self, problem: Problem, ends: Sequence[int]) -> tuple[int, int] | None:
        """Index of the file, and number of the line or, where it has no lines, of the row within it."""
        found = [at for at, reader in enumerate(self._readers) if reader.header.file == problem.file]
        if len(found) != 1 or (problem.row is None and problem.column_name is None):
            return None
        at = found[0]
        if problem.line is not None:
            return at, problem.line
        if problem.row is None or at > len(ends):
            return None
        return at, problem.row - (ends[at - 1] if at else 0)

    # ── what is drawn ────────────────────────────────────────────────────────────────────────

    def _frame(self, quote: Quote, column: str | None) -> str:
        texts = self._texts(quote)
        line = "".join(texts)
        if not line.strip():
            return ""
        at = quote.at
        if at is None and column is not None:
            cells = (index for index, one in enumerate(quote.pieces) if one.part is Part.CELL and one.column == column)
            at = next(cells, None)
        if at is None:
            return draw([], Quoted(number=quote.number, text=line), len(line))
        width = len(texts[at]) if at < len(texts) else 0
        return draw(
            self._above(quote, column), Quoted(number=quote.number, text=line, at=len("".join(texts[:at]))), width
        )

    def _above(self, quote: Quote, column: str | None) -> list[Quoted]:
        """The header, with the name of the column at the carets."""
        names = [piece.column for piece in quote.head]
        if column is None or column not in names:
            return []
        texts = [self._text(piece, trusted=False) for piece in quote.head]
        return [Quoted(number=1, text="".join(texts), at=len("".join(texts[: names.index(column)])))]

    # ── what is shown ────────────────────────────────────────────────────────────────────────

    def _texts(self, quote: Quote) -> list[str]:
        if not quote.certain and not self._all_shown:
            return [MASK if one.raw and one.part is not Part.SIGN else one.raw for one in quote.pieces]
        doubtful = [
            one.says
            for one in quote.pieces
            if one.column is not None and one.column not in self._harmless and one.part is Part.CELL
        ]
        trusted = all(map(self._secret_cells.holds_reference, doubtful))
        return [self._text(one, trusted=trusted) for one in quote.pieces]

    def _text(self, piece: Piece, *, trusted: bool) -> str:
        if piece.part is Part.SIGN:
            return piece.raw
        if piece.part is Part.NAME:
            seen = piece.column in self._named
        else:
            seen = piece.column in self._shown and (trusted or not self._secret_cells.may_be_secret(piece.says))
            seen = seen and not (piece.column in self._layout.fillings and not re.search(FILLING, piece.says))
            seen = seen and len(piece.says.encode()) <= CELL_BYTES_MAX
        hidden = not seen or any(shows_secret(text) or "\n" in text for text in (piece.raw, piece.says))
        if hidden:
            return MASK if piece.raw else ""
        return piece.raw[:SHOWN_CHARS_MAX] + HIDDEN * (len(piece.raw) > SHOWN_CHARS_MAX)

    def _is_shown(self, name: str) -> bool:
        """Whether cells of the column may be seen as such: it is the id, a label or of a field, and of no secret."""
        layout, own = self._layout, catalogue().field(name)
        fields = [one.field for one in (*layout.fields, *layout.previous) if one.column == name]
        if any(one.secret or one.sensitive for one in (*fields, *([own] if own is not None else []))):
            return False
        if name == layout.id or own in fields:
            return True
        return (bool(fields) or name in layout.labels) and not names_secret(name)
