"""Parquet and Arrow: columns with types, streamed by Polars in bounded batches, in the file's order."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

import polars as pl

from bulkpatch.job.findings import Report, refuse
from bulkpatch.job.headers import check_names
from bulkpatch.job.naming import shown
from bulkpatch.job.parts import LINE, ROW, Header, Kind, Part, Piece, Quote
from bulkpatch.job.seal import Source
from bulkpatch.job.sniff import PARQUET_BYTES_MIN, check_arrow, check_parquet
from bulkpatch.job.text import as_text, texts

_DUPLICATE: Final = re.compile(r"""['"`]([^'"`]+)['"`]""")
_DAMAGE: Final = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError)
"""What Polars raises for files whose bytes are not what they should be; it panics where it takes them for sound."""
BATCH_ROWS: Final = 20_000
"""Rows taken from a file at a time: a few MiB, over which Polars' cost per call is lost."""


class Typed:
    """The reader of one Parquet or Arrow file (see ``parts.Reader``). What Polars says of a file is never shown."""

    def __init__(self, source: Source, *, batch_rows: int = BATCH_ROWS) -> None:
        self._source = source
        self._batch_rows = batch_rows
        ends = source.ends(PARQUET_BYTES_MIN)
        if source.size == 0:
            refuse("BP220", "the file is empty: truncated, or never written", file=source.shown)
        check_ends = check_parquet if source.suffix == ".parquet" else check_arrow
        check_ends(*ends, source.shown)
        schema = self._schema()
        names = tuple(schema)
        check_names(names, source.shown)
        kinds = {name: {_kind(dtype): None} for name, dtype in schema.items()}
        self.header = Header(file=source.shown, names=names, kinds=kinds, dtypes=schema)

    def frames(self, columns: Sequence[str], report: Report) -> Iterator[pl.DataFrame]:
        """See ``parts.Reader``. Nothing is reported: a file is readable as a whole or not at all."""
        del report
        row = 1
        wanted = self._scan().select(columns)
        with self._source.open():
            batches = wanted.collect_batches(chunk_size=self._batch_rows, maintain_order=True)
            while (frame := self._next(batches)) is not None:
                numbers = pl.int_range(row, row + frame.height, dtype=pl.Int64, eager=True)
                row += frame.height
                yield frame.select(numbers.alias(ROW), pl.lit(None, dtype=pl.Int64).alias(LINE), *columns)

    def quotes(self, numbers: Collection[int]) -> Sequence[Quote]:
        """See ``parts.Reader``. The row is written out as ``name = cell, …``."""
        try:
            with self._source.open():
                rows = {number: self._scan().slice(number - 1, 1).collect() for number in sorted(numbers)}
                return [self._quote(number, as_text(row)) for number, row in rows.items()]
        except _DAMAGE:
            return []

    def _quote(self, number: int, row: pl.DataFrame) -> Quote:
        pieces: list[Piece] = []
        for name in self.header.names:
            (cell,) = texts(row, name)
            pieces += [Piece(", "), Piece(name, Part.NAME, name), Piece(" = "), Piece(cell, Part.CELL, name, cell)]
        return Quote(number=number, pieces=pieces[1:])

    def _next(self, batches: Iterator[pl.DataFrame]) -> pl.DataFrame | None:
        try:
            return next(batches, None)
        except _DAMAGE:
            pass
        self._source.check_unchanged()
        refuse("BP220", "the records of the file are damaged", file=self._source.shown)

    def _scan(self) -> pl.LazyFrame:
        if self._source.suffix == ".parquet":
            return pl.scan_parquet(self._source.path, glob=False)
        return pl.scan_ipc(self._source.path, glob=False)

    def _schema(self) -> Mapping[str, pl.DataType]:
        try:
            return self._scan().collect_schema()
        except pl.exceptions.DuplicateError as error:
            flaw = _twice(str(error))
        except _DAMAGE:
            flaw = None
        if flaw is not None:
            refuse("BP206", f"the column {flaw} stands twice", file=self._source.shown)
        refuse("BP220", "the footer of the file is damaged", file=self._source.shown)


def _kind(dtype: pl.DataType) -> Kind:
    match dtype:
        case pl.String() | pl.Null():
            return Kind.TEXT
        case pl.Boolean():
            return Kind.BOOLEAN
        case pl.List(inner=pl.String()) | pl.Array(inner=pl.String()):
            return Kind.LIST
        case pl.List(inner=inner) | pl.Array(inner=inner) if inner == pl.Boolean or inner.is_integer():
            return Kind.JSON
        case pl.List() | pl.Array() | pl.Struct() | pl.Binary() | pl.Object():
            return Kind.OTHER
        case _:
            return Kind.INTEGER if dtype.is_integer() else Kind.SCALAR


def _twice(message: str) -> str | None:
    """The column that Polars says stands twice, in quotes, or None; its message names nothing else of the file."""
    named = _DUPLICATE.search(message)
    return shown(named[1]) if named else None
