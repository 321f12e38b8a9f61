"""CSV and TSV: text as it stands, every cell a string.

A stretch of lines without a quote is split at its separators, by Polars; one with quotes is first
held against the grammar, so that Python's csv module reads it in the only possible way.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from typing import IO, Final, NamedTuple, NoReturn

import polars as pl

from bulkpatch.errors import CODES, InvalidInput, Problem
from bulkpatch.job.decoding import Decoder
from bulkpatch.job.findings import Report, refuse
from bulkpatch.job.headers import check_names
from bulkpatch.job.parts import LINE, RECORD_BYTES_MAX, ROW, Header, Kind
from bulkpatch.job.seal import Source
from bulkpatch.job.sniff import HEAD_BYTES, check_text_head

CHUNK_BYTES: Final = 1 << 20
"""Bytes read at a time: some 20,000 rows, over which Polars' cost per call is lost."""

_WIDTH: Final = "\0width"
_TEXT: Final = frozenset({Kind.TEXT})
_NAMES: Final = {",": "a comma", ";": ";", "\t": "a tab"}
_QUOTED: Final = re.compile(r'"(?:[^"]++|"")*+"')


class Stretch(NamedTuple):
    """Whole records as text, the first of them on ``line``."""

    line: int
    text: str


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
        with source.open() as file:
            check_text_head(file.read(HEAD_BYTES), source.shown)
        with source.open() as file:
            names = self._names(_first_record(next(self._stretches(file)).text))
        self.header = Header(file=source.shown, names=names, kinds=dict.fromkeys(names, _TEXT))

    def frames(self, columns: Sequence[str], report: Report) -> Iterator[pl.DataFrame]:
        """See ``parts.Reader``."""
        row = 1
        with self._source.open() as file:
            for line, text in self._rows_only(file):
                frame = self._quoted(line, text) if '"' in text else self._plain(line, text)
                if self._skip_blank_lines:
                    frame = frame.filter(pl.col(_WIDTH) > 0)
                frame = frame.with_columns(pl.int_range(row, row + frame.height, dtype=pl.Int64).alias(ROW))
                row += frame.height
                yield self._even(frame, report).select(ROW, LINE, *columns)

    # ── records ──────────────────────────────────────────────────────────────────────────────

    def _stretches(self, file: IO[bytes]) -> Iterator[Stretch]:
        """The whole file in stretches of whole records, each held against the grammar if it has quotes."""
        decoder, rest, line, data = Decoder(self._source.shown), "", 1, b"more"
        while data:
            data = file.read(self._chunk_bytes)
            rest += decoder.feed(data, final=not data)
            cut = _whole(rest) if data else len(rest)
            if len(rest) - cut > RECORD_BYTES_MAX:
                self._check_grammar(line, rest)
                line += rest.count("\n", 0, cut)
                refuse("BP211", "a row is larger than 1 MiB", file=self._source.shown, line=line)
            if text := rest[:cut]:
                self._check_grammar(line, text)
                yield Stretch(line, text)
                line += text.count("\n")
                rest = rest[cut:]

    def _rows_only(self, file: IO[bytes]) -> Iterator[Stretch]:
        """The stretches without the header's record."""
        for index, stretch in enumerate(self._stretches(file)):
            header = _first_record(stretch.text) if index == 0 else ""
            yield Stretch(stretch.line + header.count("\n"), stretch.text[len(header) :])

    def _plain(self, line: int, text: str) -> pl.DataFrame:
        """The rows of a stretch without quotes; the width counts cells, 0 for a blank line."""
        rows = text.replace("\r\n", "\n").removesuffix("\n").split("\n") if text else []
        lines = pl.Series(rows, dtype=pl.String)
        cells = lines.str.split_exact(self._separator, len(self.header.names) - 1).struct.unnest()
        cells.columns = list(self.header.names)
        width = lines.str.count_matches(self._separator, literal=True) + (lines != "")
        numbers = pl.int_range(line, line + len(lines), dtype=pl.Int64, eager=True)
        return cells.with_columns(numbers.alias(LINE), width.alias(_WIDTH))

    def _quoted(self, line: int, text: str) -> pl.DataFrame:
        """The same for a stretch with quotes, in which a row may have several lines."""
        rows, numbers, before = [], [], 0
        reader = csv.reader(io.StringIO(text), delimiter=self._separator, strict=True)
        try:
            for row in reader:
                rows.append(row)
                numbers.append(line + before)
                before = reader.line_num
        except csv.Error:
            too_large = True  # the grammar holds, so it is the module's own limit, which is above ours
        else:
            too_large = False
        if too_large:
            refuse("BP211", "a cell is larger than 64 KiB", file=self._source.shown, line=line + before)
        names = self.header.names
        blank = [""] * len(names)
        columns = zip(*(row if len(row) == len(names) else blank for row in rows), strict=True)
        cells = [pl.Series(name, column, dtype=pl.String) for name, column in zip(names, columns, strict=bool(rows))]
        widths = pl.Series(_WIDTH, [len(row) for row in rows], dtype=pl.UInt32)
        return pl.DataFrame([*cells, pl.Series(LINE, numbers, dtype=pl.Int64), widths])

    def _even(self, frame: pl.DataFrame, report: Report) -> pl.DataFrame:
        """``frame`` without the rows that have another number of cells than the header; these are reported."""
        count = len(self.header.names)
        uneven = frame.filter(pl.col(_WIDTH) != count)
        for line, width in uneven.select(LINE, _WIDTH).iter_rows():
            code, message = "BP207", f"the row has {width} cell{'s' * (width != 1)}, and the header {count}"
            if not width:
                code, message = "BP209", "blank line"
            report(Problem(code=code, message=message, hint=CODES[code].fix, file=self._source.shown, line=line))
        return frame.filter(pl.col(_WIDTH) == count) if uneven.height else frame

    # ── what is refused ──────────────────────────────────────────────────────────────────────

    def _names(self, record: str) -> tuple[str, ...]:
        shown_file = self._source.shown
        if record.lower().startswith("sep="):
            refuse("BP206", "the first line is Excel's sep=", hint="Remove line 1 (Excel).", file=shown_file, line=1)
        names = next(csv.reader(io.StringIO(record), delimiter=self._separator, strict=True), [])
        if not names:
            refuse("BP206", "the first line is blank; the names of the columns belong there", file=shown_file, line=1)
        other = next((sign for sign in _NAMES if sign in names[0] and sign != self._separator), None)
        if len(names) == 1 and other:
            refuse("BP205", f"only one column found; the separator looks like {_NAMES[other]}", file=shown_file, line=1)
        check_names(names, shown_file, line=1)
        return tuple(names)

    def _check_grammar(self, line: int, text: str) -> None:
        """Raise ``InvalidInput`` where a quote or a CR is out of place. Costs nothing without quotes and CRs."""
        if '"' not in text and "\r" not in text:
            return
        match = self._grammar.match(text)
        at = match.end() if match else 0
        if at < len(text):
            self._refuse_at(line, text, at)

    def _refuse_at(self, line: int, text: str, at: int) -> NoReturn:
        before = text[at - 1] if at else "\n"
        closed = _QUOTED.match(text, at)
        if text[at] == "\r":
            code, message, hint = "BP212", "a line ends with CR alone", ""
        elif before == "=":
            code, message, hint = "BP208", 'Excel text marker (="…") in a cell', "Export the column as plain text."
        elif before not in {self._separator, "\n"}:
            code, message, hint = "BP208", "a quote stands inside a cell that is not quoted", ""
        elif closed:
            code, message, hint, at = "BP208", "something follows the closing quote of a cell", "", closed.end()
        else:
            code, message, hint = "BP208", "the quote that opens here is never closed", ""
        raise InvalidInput(
            [
                Problem(
                    code=code,
                    message=message,
                    hint=hint or CODES[code].fix,
                    file=self._source.shown,
                    line=line + text.count("\n", 0, at),
                    column=at - text.rfind("\n", 0, at),
                    column_name=self._column_at(text, at),
                )
            ]
        )

    def _column_at(self, text: str, at: int) -> str | None:
        """The name of the column that the place lies in, if the record's own quotes let it be told."""
        if not hasattr(self, "header"):
            return None
        record = _QUOTED.sub("", text[text.rfind("\n", 0, at) + 1 : at])
        index = record.count(self._separator)
        return self.header.names[index] if index < len(self.header.names) else None


def _whole(text: str) -> int:
    """The length of the whole records at the beginning of ``text``: up to the last line end outside quotes."""
    cut = text.rfind("\n") + 1
    odd = text.count('"', 0, cut) % 2
    while odd:
        earlier = text.rfind("\n", 0, text.rfind('"', 0, cut)) + 1
        odd = (odd + text.count('"', earlier, cut)) % 2
        cut = earlier
    return cut


def _first_record(text: str) -> str:
    end = text.find("\n") + 1
    while end and text.count('"', 0, end) % 2:
        end = text.find("\n", end) + 1
    return text[: end or len(text)]
