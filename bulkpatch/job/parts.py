"""What a reader of any format hands on: the header with the kind of each column, then frames of cells."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple, Protocol

import polars as pl

from bulkpatch.job.findings import Report
from bulkpatch.prequel.catalogue import Field, FieldType

ROW: Final = "\0row"
"""Column with the number of the row, from 1. No input column is called so: a NUL is refused."""
LINE: Final = "\0line"
"""Column with the line of the file, or null where the format has no lines."""

CELL_BYTES_MAX: Final = 64 * 1024
"""Of one cell: no field of the API takes more, and key files have 2 to 16 KiB."""
RECORD_BYTES_MAX: Final = 1024 * 1024
"""Of one row as text: 16 of the largest cells, and what is read before an unclosed quote is noticed."""
COLUMNS_MAX: Final = 512
"""Columns: the API has some 270 fields."""


class Kind(StrEnum):
    """What the cells of a column are, before they become text; the words stand in messages."""

    TEXT = "text"
    INTEGER = "whole numbers"
    BOOLEAN = "Booleans"
    LIST = "lists of text"
    JSON = "objects or other lists"
    SCALAR = "fractions, times or categories"
    OTHER = "binary or nested data"


_FITS: Final = {
    Kind.INTEGER: (FieldType.INTEGER, FieldType.NUMBER, FieldType.OBJECT),
    Kind.BOOLEAN: (FieldType.BOOLEAN, FieldType.OBJECT),
    Kind.LIST: (FieldType.STRING_LIST, FieldType.OBJECT),
    Kind.JSON: (FieldType.OBJECT,),
}


def fits(kind: Kind, field: Field) -> bool:
    """Whether cells of ``kind`` may be read for ``field``; text always, its content is checked cell by cell."""
    return kind is Kind.TEXT or (not field.secret and field.type in _FITS.get(kind, ()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The columns of one file, in order.

    ``kinds`` are those of the cells of each column, with the first line that has one (None: the whole
    column is of that kind); ``dtypes`` the types that frames give them.
    """

    file: str
    names: tuple[str, ...]
    kinds: Mapping[str, Mapping[Kind, int | None]]
    dtypes: Mapping[str, pl.DataType]


class Part(StrEnum):
    """What a piece of a row is."""

    SIGN = "sign"
    NAME = "name"
    CELL = "cell"


class Piece(NamedTuple):
    """A piece of a row as it stands in the file, and what it says. A sign has no column."""

    raw: str
    part: Part = Part.SIGN
    column: str | None = None
    says: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """A row, piece by piece: together they are the row as it stands, but for its line end.

    ``number`` is that of its line, or of the row itself where the format has no lines. ``head`` are the
    names, if they stand elsewhere.
    """

    number: int
    pieces: Sequence[Piece]
    head: Sequence[Piece] = ()


class Reader(Protocol):
    """One file, opened as what it is."""

    header: Header

    def frames(self, columns: Sequence[str], report: Report) -> Iterator[pl.DataFrame]:
        """The cells of ``columns``, with ``ROW`` (from 1 in this file) and ``LINE``; bounded, in order.

        Rows that cannot be read are reported and left out; raises ``InvalidInput`` where reading ends.
        """
        ...

    def quotes(self, numbers: Collection[int]) -> Sequence[Quote]:
        """The rows that begin on the lines ``numbers`` (or have these, from 1, where there are no lines), to be shown.

        What cannot be taken apart with certainty is left out. Raises ``InvalidInput`` if the file is not what it was.
        """
        ...
