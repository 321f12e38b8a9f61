"""NDJSON: one object a line. What its values are is known before the first row is taken: the file is read twice."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import IO, Any, Final, NoReturn

import polars as pl

from bulkpatch.errors import CODES, InvalidInput, Problem
from bulkpatch.job.decoding import Decoder
from bulkpatch.job.findings import Report, refuse
from bulkpatch.job.headers import check_names
from bulkpatch.job.parts import COLUMNS_MAX, LINE, RECORD_BYTES_MAX, ROW, Header, Kind, Part, Piece, Quote
from bulkpatch.job.seal import Source
from bulkpatch.job.sniff import HEAD_BYTES, check_text_head

CHUNK_BYTES: Final = 1 << 20
"""Bytes read at a time: a few thousand rows."""
_INTEGER_MAX: Final = 2**63 - 1
_OBJECT_A_LINE: Final = 'Each line is one JSON object: {"column": value, …}'
_COLON: Final = re.compile(r"\s*:\s*")
_NATIVE: Final[dict[Kind, pl.DataType]] = {
    Kind.INTEGER: pl.Int64(),
    Kind.BOOLEAN: pl.Boolean(),
    Kind.LIST: pl.List(pl.String),
    Kind.SCALAR: pl.Float64(),
}
"""Kinds that a column keeps, so that ``where`` can compute with them; where kinds are mixed, cells are JSON text."""


class _Flaw(ValueError):
    """Why a line is no row; never what stands in it."""


class Ndjson:
    """The reader of one NDJSON file (see ``parts.Reader``)."""

    def __init__(self, source: Source, *, skip_blank_lines: bool, chunk_bytes: int = CHUNK_BYTES) -> None:
        self._source = source
        self._skip_blank_lines = skip_blank_lines
        self._chunk_bytes = chunk_bytes
        with source.open() as file:
            check_text_head(file.read(HEAD_BYTES), source.shown)
        self._long: set[str] = set()
        kinds = self._kinds()
        if not kinds:
            self._refuse_first_line()
        check_names(tuple(kinds), source.shown)
        self.header = Header(
            file=source.shown,
            names=tuple(kinds),
            kinds={name: found or {Kind.TEXT: None} for name, found in kinds.items()},
            dtypes={name: self._dtype(name, found) for name, found in kinds.items()},
        )

    def frames(self, columns: Sequence[str], report: Report) -> Iterator[pl.DataFrame]:
        """See ``parts.Reader``."""
        row = 0
        with self._source.open() as file:
            for first, lines in self._chunks(file):
                rows: list[tuple[int, int, Mapping[str, Any]]] = []
                for line, text in enumerate(lines, first):
                    if self._skip_blank_lines and not text.strip():
                        continue
                    row += 1
                    try:
                        rows.append((row, line, _parsed(text)))
                    except _Flaw as flaw:
                        report(self._problem(line, row, str(flaw)))
                yield self._frame(rows, columns)

    def quotes(self, numbers: Collection[int]) -> Sequence[Quote]:
        """See ``parts.Reader``. A line that is no row cannot be taken apart."""
        found: list[Quote] = []
        with self._source.open() as file, suppress(InvalidInput):
            for first, lines in self._chunks(file):
                if first > max(numbers):
                    break
                for line, text in enumerate(lines, first):
                    if line in numbers:
                        with suppress(_Flaw):
                            _parsed(text)
                            found.append(Quote(number=line, pieces=_pieces(text.rstrip())))
        return found

    def _frame(self, rows: Sequence[tuple[int, int, Mapping[str, Any]]], columns: Sequence[str]) -> pl.DataFrame:
        cells = [self._series(name, [values.get(name) for _, _, values in rows]) for name in columns]
        numbers = [pl.Series(ROW, [row for row, _, _ in rows], dtype=pl.Int64)]
        lines = [pl.Series(LINE, [line for _, line, _ in rows], dtype=pl.Int64)]
        return pl.DataFrame([*numbers, *lines, *cells])

    def _series(self, name: str, values: Sequence[Any]) -> pl.Series:
        dtype = self.header.dtypes[name]
        if dtype == pl.String:
            values = [value if value is None or isinstance(value, str) else json.dumps(value) for value in values]
        return pl.Series(name, values, dtype=dtype)

    def _dtype(self, name: str, kinds: Mapping[Kind, int]) -> pl.DataType:
        if len(kinds) != 1 or name in self._long:
            return pl.String()
        return _NATIVE.get(next(iter(kinds)), pl.String())

    def _kinds(self) -> dict[str, dict[Kind, int]]:
        """The kinds of each column with the first line that has one, and which columns have integers beyond 64 bits."""
        found: dict[str, dict[Kind, int]] = {}
        with self._source.open() as file:
            try:
                for first, lines in self._chunks(file):
                    for line, text in enumerate(lines, first):
                        self._learn(found, line, text)
                    if len(found) > COLUMNS_MAX:
                        break
            except InvalidInput:
                if not found:
                    raise
        return found

    def _learn(self, found: dict[str, dict[Kind, int]], line: int, text: str) -> None:
        """Add what ``text`` shows of the columns. What is wrong with it is told when the rows are read."""
        try:
            values = _LOOSE.decode(text)
        except (ValueError, RecursionError):
            return
        for name, value in values.items() if isinstance(values, dict) else ():
            kinds = found.setdefault(name, {})
            if value is not None:
                kinds.setdefault(_kind(value), line)
            if isinstance(value, int) and abs(value) > _INTEGER_MAX:
                self._long.add(name)

    def _chunks(self, file: IO[bytes]) -> Iterator[tuple[int, list[str]]]:
        """Whole lines, and the number of the first of them."""
        decoder, rest, line, data = Decoder(self._source.shown), "", 1, b"more"
        while data:
            data = file.read(self._chunk_bytes)
            *lines, rest = (rest + decoder.feed(data, final=not data)).split("\n")
            if not data and rest:
                lines, rest = [*lines, rest], ""
            if len(rest) > RECORD_BYTES_MAX:
                refuse("BP211", "a row is larger than 1 MiB", file=self._source.shown, line=line + len(lines))
            yield line, lines
            line += len(lines)

    def _refuse_first_line(self) -> NoReturn:
        """Why a file in which no line is a row is none of ours."""
        words = "no line names a column"
        with self._source.open() as file:
            first = next((text for _, lines in self._chunks(file) for text in lines), "")
        try:
            _parsed(first)
        except _Flaw as flaw:
            words = str(flaw)
        refuse("BP220", words, hint=_OBJECT_A_LINE, file=self._source.shown, line=1)

    def _problem(self, line: int, row: int, flaw: str) -> Problem:
        code = "BP209" if flaw == "blank line" else "BP220"
        hint = CODES[code].fix if code == "BP209" else _OBJECT_A_LINE
        return Problem(code=code, message=flaw, hint=hint, file=self._source.shown, line=line, row=row)


def _parsed(text: str) -> Mapping[str, Any]:
    """One line's object. Raises ``_Flaw``."""
    if not text.strip():
        raise _Flaw("blank line")
    try:
        values = _STRICT.decode(text)
    except RecursionError:
        raise _Flaw("the line is nested too deep") from None
    except _Flaw:
        raise
    except ValueError:
        raise _Flaw("the line is not valid JSON") from None
    if not isinstance(values, dict):
        raise _Flaw("the line is no JSON object")
    if "\\u" in text:
        try:
            json.dumps(values, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise _Flaw("half a surrogate pair stands in the line") from None
    return values


def _pieces(text: str) -> list[Piece]:
    """The names and values of a line's object, as they stand; ``text`` is one that was parsed."""
    pieces: list[Piece] = []
    after = 0
    while (begin := text.find('"', after)) >= 0:
        name, end = _LOOSE.raw_decode(text, begin)
        colon = _COLON.match(text, end)
        assert colon is not None  # noqa: S101  (it was parsed)
        value_at = colon.end()
        value, value_end = _LOOSE.raw_decode(text, value_at)
        says = value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)
        pieces += [
            Piece(text[after:begin]),
            Piece(text[begin:end], Part.NAME, name),
            Piece(text[end:value_at]),
            Piece(text[value_at:value_end], Part.CELL, name, says),
        ]
        after = value_end
    return [*pieces, Piece(text[after:])]


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _Flaw("a key stands twice in one object")
    return found


def _no_number(_: str) -> NoReturn:
    raise _Flaw("NaN or Infinity, which JSON does not have")


_LOOSE: Final = json.JSONDecoder(parse_constant=_no_number)
_STRICT: Final = json.JSONDecoder(object_pairs_hook=_once_each, parse_constant=_no_number)


def _kind(value: Any) -> Kind:
    match value:
        case str():
            return Kind.TEXT
        case bool():
            return Kind.BOOLEAN
        case int():
            return Kind.INTEGER
        case float():
            return Kind.SCALAR
        case list() if all(isinstance(item, str) for item in value):
            return Kind.LIST
        case _:
            return Kind.JSON
