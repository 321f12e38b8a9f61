"""CSV and TSV: text as it stands, every cell a string.

A stretch of lines without a quote is split at its separators, by Polars; one with quotes is first
held against the grammar, so that Python's csv module reads it in the only possible way.
"""

from __future__ import annotations

import csv
import io
import re
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import IO, Final, NamedTuple

import polars as pl

from bulkpatch.errors import CODES, InvalidInput, Problem
from bulkpatch.job.decoding import Decoder
from bulkpatch.job.findings import Report, refuse
from bulkpatch.job.headers import check_names
from bulkpatch.job.parts import LINE, RECORD_BYTES_MAX, ROW, Header, Kind, Part, Piece, Quote
from bulkpatch.job.seal import Source
from bulkpatch.job.sniff import HEAD_BYTES, check_text_head

CHUNK_BYTES: Final = 1 << 20
"""Bytes read at a time: some 20,000 rows, over which Polars' cost per call is lost."""

TAB: Final = "→"
"""How a tab between two cells is shown."""
_WIDTH: Final = "\0width"
_NAMES: Final = {",": "a comma", ";": ";", "\t": "a tab"}
_QUOTED: Final = re.compile(r'"(?:[^"]++|"")*+"')
_RECORD: Final = re.compile(r'(?:[^"\n]++|"(?:[^"]++|"")*+")*+(?:\n|\Z)')


class Stretch(NamedTuple):
    """Whole records as text, the first of them on ``line``; or the ``flaw`` for which one record is left out."""

    line: int
    text: str
    flaw: Problem | None = None


class Delimited:
    """The reader of one CSV or TSV file (see ``parts.Reader``)."""

    def __init__(
        self, source: Source, *, separator: str, skip_blank_lines: bool, chunk_bytes: int = CHUNK_BYTES
    ) -> None:
        self._source = source
        self._separator = separator
        self._skip_blank_lines = skip_blank_lines
        self._chunk_bytes = chunk_bytes
        self._grammar = re.compile(rf'(?:[^"\r]++|\r\n|(?<![^{separator}\n])"(?:[^"]++|"")*+"(?![^{separator}\r\n]))*+')
        self._cell = re.compile(rf'"(?:[^"]++|"")*+"|[^{separator}\r\n]*+')
        self.header = Header(file=source.shown, names=(), kinds={}, dtypes={})
        with source.open() as file:
            self._check_head(file.read(HEAD_BYTES))
        with source.open() as file:
            names = self._names(_first_record(next(self._stretches(file)).text))
        self.header = Header(
            file=source.shown,
            names=names,
            kinds={name: {Kind.TEXT: None} for name in names},
            dtypes=dict.fromkeys(names, pl.String()),
        )
        self._head = self._joined(Piece(name, Part.NAME, name) for name in names)

    def frames(self, columns: Sequence[str], report: Report) -> Iterator[pl.DataFrame]:
        """See ``parts.Reader``."""
        row = 1
        with self._source.open() as file:
            for line, text, flaw in self._sound(file):
                if flaw is not None:
                    report(replace(flaw, row=row))
                    row += 1
                    continue
                frame = self._quoted(line, text) if '"' in text else self._plain(line, text)
                if self._skip_blank_lines:
                    frame = frame.filter(pl.col(_WIDTH) > 0)
                frame = frame.with_columns(pl.int_range(row, row + frame.height, dtype=pl.Int64).alias(ROW))
                row += frame.height
                yield self._even(frame, report).select(ROW, LINE, *columns)

    def quotes(self, numbers: Collection[int]) -> Sequence[Quote]:
        """See ``parts.Reader``. After a quote that is out of place nothing is certain, so that nothing is shown."""
        found: list[Quote] = []
        with self._source.open() as file, suppress(InvalidInput):
            for line, text, flaw in self._sound(file):
                if flaw is not None or line > max(numbers):
                    break
                if any(line <= number < line + text.count("\n") + 1 for number in numbers):
                    found += self._quoted_of(line, text, numbers)
        return found

    def _quoted_of(self, line: int, text: str, numbers: Collection[int]) -> Iterator[Quote]:
        """Those of a stretch; rows whose cells are not as many as the columns are left out."""
        for record in _RECORD.finditer(text):
            if line in numbers:
                cells = self._raw_cells(record[0])
                if len(cells) == len(self.header.names):
                    pieces = zip(cells, self.header.names, strict=True)
                    shown = self._joined(Piece(raw, Part.CELL, name, _unquoted(raw)) for raw, name in pieces)
                    yield Quote(number=line, pieces=shown, head=self._head)
            line += record[0].count("\n")

    def _raw_cells(self, record: str) -> list[str]:
        """The cells of a sound record as they stand."""
        cells, at = [], -1
        while at < len(record) and (at < 0 or record[at] == self._separator):
            cell = self._cell.match(record, at + 1)
            assert cell is not None  # noqa: S101  (it may be empty)
            cells.append(cell[0])
            at = cell.end()
        return cells

    def _joined(self, cells: Iterable[Piece]) -> list[Piece]:
        """``cells`` with signs between them; a tab is one that is seen."""
        sign = Piece(self._separator.replace("\t", TAB))
        return [piece for cell in cells for piece in (sign, cell)][1:]

    # ── records ──────────────────────────────────────────────────────────────────────────────

    def _stretches(self, file: IO[bytes]) -> Iterator[Stretch]:
        """The whole file in stretches of whole records."""
        decoder, rest, line, data = Decoder(self._source.shown), "", 1, b"more"
        while data:
            data = file.read(self._chunk_bytes)
            rest += decoder.feed(data, final=not data)
            while cut := self._whole_records(line, rest) if data else len(rest):
                yield Stretch(line, rest[:cut])
                line += rest.count("\n", 0, cut)
                rest = rest[cut:]

    def _whole_records(self, line: int, text: str) -> int:
        """How much of ``text`` is whole records. One whose quotes do not hold is taken to end with the line."""
        cut = _whole(text)
        if cut or len(text) <= RECORD_BYTES_MAX:
            return cut
        torn = text.find("\n", self._fault(text)) + 1
        if not torn:
            refuse("BP211", "the row is larger than 1 MiB", file=self._source.shown, line=line)
        return torn

    def _sound(self, file: IO[bytes]) -> Iterator[Stretch]:
        """The rows below the header: stretches in which every quote is in place, and each flawed record by itself."""
        for index, (line, text, _) in enumerate(self._stretches(file)):
            begin = len(_first_record(text)) if index == 0 else 0
            line += text.count("\n", 0, begin)  # noqa: PLW2901  (it goes on through the stretch)
            while begin < len(text):
                at = self._fault(text, begin)
                end = at if at == len(text) else begin + _whole(text[begin:at])
                if end > begin:
                    yield Stretch(line, text[begin:end])
                if at < len(text):
                    flaw = self._explained(line + text.count("\n", begin, at), text, at)
                    if text[at] == "\r":
                        raise InvalidInput([flaw])
                    end = text.find("\n", at) + 1 or len(text)
                    yield Stretch(line, "", flaw)
                line += text.count("\n", begin, end)  # noqa: PLW2901
                begin = end

    def _plain(self, line: int, text: str) -> pl.DataFrame:
        """The rows of a stretch without quotes; the width counts cells, 0 for a blank line."""
        rows = text.replace("\r\n", "\n").removesuffix("\n").split("\n")
        lines = pl.Series(rows, dtype=pl.String)
        cells = lines.str.split_exact(self._separator, len(self.header.names) - 1).struct.unnest()
        cells.columns = list(self.header.names)
        width = lines.str.count_matches(self._separator, literal=True) + (lines != "")
        numbers = pl.int_range(line, line + len(lines), dtype=pl.Int64, eager=True)
        return cells.with_columns(numbers.alias(LINE), width.alias(_WIDTH))

    def _quoted(self, line: int, text: str) -> pl.DataFrame:
        """The same for a stretch with quotes, in which a row may have several lines."""
        names = self.header.names
        rows, numbers = [], []
        with _cells_of_any_size():
            reader = csv.reader(io.StringIO(text), delimiter=self._separator, strict=True)
            before = 0
            for row in reader:
                rows.append(row)
                numbers.append(line + before)
                before = reader.line_num
        blank = [""] * len(names)
        columns = zip(*(row if len(row) == len(names) else blank for row in rows), strict=True)
        cells = [pl.Series(name, column, dtype=pl.String) for name, column in zip(names, columns, strict=True)]
        widths = pl.Series(_WIDTH, [len(row) for row in rows], dtype=pl.UInt32)
        return pl.DataFrame([*cells, pl.Series(LINE, numbers, dtype=pl.Int64), widths])

    def _even(self, frame: pl.DataFrame, report: Report) -> pl.DataFrame:
        """``frame`` without the rows that have another number of cells than the header; these are reported."""
        count = len(self.header.names)
        uneven = frame.filter(pl.col(_WIDTH) != count)
        for row, line, width in uneven.select(ROW, LINE, _WIDTH).iter_rows():
            code, words = "BP207", f"the row has {width} cell{'s' * (width != 1)}, and the header {count}"
            if not width:
                code, words = "BP209", "blank line"
            hint = CODES[code].fix
            report(Problem(code=code, message=words, hint=hint, file=self._source.shown, line=line, row=row))
        return frame.filter(pl.col(_WIDTH) == count) if uneven.height else frame

    # ── what is refused ──────────────────────────────────────────────────────────────────────

    def _check_head(self, head: bytes) -> None:
        check_text_head(head, self._source.shown)
        if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"{", b"[")):
            hint = "Write one object a line, and name the file .ndjson."
            refuse("BP204", "this is JSON", hint=hint, file=self._source.shown)

    def _names(self, record: str) -> tuple[str, ...]:
        shown_file = self._source.shown
        if record.lower().startswith("sep="):
            refuse("BP206", "the first line is Excel's sep=", hint="Remove line 1 (Excel).", file=shown_file, line=1)
        if (at := self._fault(record)) < len(record):
            raise InvalidInput([self._explained(1 + record.count("\n", 0, at), record, at)])
        with _cells_of_any_size():
            names = next(csv.reader(io.StringIO(record), delimiter=self._separator, strict=True), [])
        if not names:
            refuse("BP206", "the first line is blank; the names of the columns belong there", file=shown_file, line=1)
        other = next((sign for sign in _NAMES if sign in names[0] and sign != self._separator), None)
        if len(names) == 1 and other:
            refuse("BP205", f"only one column found; the separator looks like {_NAMES[other]}", file=shown_file, line=1)
        check_names(names, shown_file, line=1)
        return tuple(names)

    def _fault(self, text: str, begin: int = 0) -> int:
        """Where a quote or a CR is first out of place; the end if none is. Costs nothing without quotes and CRs."""
        if text.find('"', begin) < 0 and text.find("\r", begin) < 0:
            return len(text)
        match = self._grammar.match(text, begin)
        return match.end() if match else begin

    def _explained(self, line: int, text: str, at: int) -> Problem:
        """Why what stands at ``at``, on ``line``, is out of place."""
        before, closed, hint = text[at - 1 : at], _QUOTED.match(text, at), ""
        if text[at] == "\r":
            code, words = "BP212", "a line ends with CR alone"
        elif before == "=":
            code, words, hint = "BP208", 'Excel text marker (="…") in a cell', "Export the column as plain text."
        elif before not in {"", self._separator, "\n"}:
            code, words = "BP208", "a quote stands inside a cell that is not quoted"
        elif closed is None:
            code, words = "BP208", "the quote that opens here is not closed, or not within 1 MiB"
        elif "\n" in closed[0]:
            there = line + text.count("\n", at, closed.end())
            code, words = (
                "BP208",
                f"the quote that opens here is closed on line {there} only, where something follows it",
            )
        else:
            code, words, at = "BP208", "something follows the closing quote of a cell", closed.end()
        return Problem(
            code=code,
            message=words,
            hint=hint or CODES[code].fix,
            file=self._source.shown,
            line=line,
            column=at - text.rfind("\n", 0, at),
            column_name=self._column_at(text, at),
        )

    def _column_at(self, text: str, at: int) -> str | None:
        """The name of the column that the place lies in, if the record's own quotes let it be told."""
        record = _QUOTED.sub("", text[text.rfind("\n", 0, at) + 1 : at])
        index = record.count(self._separator)
        return self.header.names[index] if index < len(self.header.names) else None


@contextmanager
def _cells_of_any_size() -> Iterator[None]:
    """Takes away the csv module's own limit: what is too large is told with its row and column, by the cell checks."""
    limit = csv.field_size_limit(sys.maxsize)
    try:
        yield
    finally:
        csv.field_size_limit(limit)


def _whole(text: str) -> int:
    """The length of the whole records at the beginning of ``text``: up to the last line end outside quotes."""
    cut = text.rfind("\n") + 1
    odd = text.count('"', 0, cut) % 2
    while odd:
        earlier = text.rfind("\n", 0, text.rfind('"', 0, cut)) + 1
        odd = (odd + text.count('"', earlier, cut)) % 2
        cut = earlier
    return cut


def _unquoted(raw: str) -> str:
    return raw[1:-1].replace('""', '"') if raw.startswith('"') else raw


def _first_record(text: str) -> str:
    end = text.find("\n") + 1
    while end and text.count('"', 0, end) % 2:
        end = text.find("\n", end) + 1
    return text[: end or len(text)]
