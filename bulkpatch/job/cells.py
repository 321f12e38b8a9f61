"""Every cell that is wrong, column by column: patterns settle whole columns, and only the rest is looked at."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

import polars as pl

from bulkpatch.errors import CODES, Problem
from bulkpatch.job.columns import ORIGIN, FieldColumn, Layout
from bulkpatch.job.findings import Report
from bulkpatch.job.naming import foreign_letters, shown
from bulkpatch.job.parts import CELL_BYTES_MAX, LINE, ROW
from bulkpatch.job.references import is_mask, template_columns
from bulkpatch.job.secret_cells import SecretCells
from bulkpatch.job.text import filled, texts
from bulkpatch.prequel.catalogue import FieldType, catalogue
from bulkpatch.prequel.coercion import CoercionError, cell_pattern, coerce_text
from bulkpatch.prequel.requests import ID_PATTERN

FILLING: Final = r"^[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,127}$"
"""What may be filled into a reference: nothing that starts an option, ends a word or leaves a folder."""
_NOTHING: Final = ("NA", "N/A", "null", "NULL", "None", "NaN", "nan")
_ROUNDED: Final = r"^[0-9]{10,}000000$"
_ROUNDED_DIGITS: Final = 16
_SCIENTIFIC: Final = re.compile(r"[0-9]+([.,][0-9]+)?[eE]\+?[0-9]+")
_MARKED: Final = re.compile(r"=?\"|'|=")

Flaw = tuple[str, str, str]
"""Code, words and fix; the words never show a cell of a field."""


class CellChecks:
    """What is wrong with the cells of one input, told row by row; ``counts`` rows by the field that they set."""

    def __init__(
        self, layout: Layout, *, null: str | None, secret_cells: SecretCells, report: Report, whole: bool = True
    ) -> None:
        self._layout = layout
        self._whole = whole
        self._null = null
        self._secret_cells = secret_cells
        self._report = report
        self._warned: set[str] = set()
        self._vendors = _vendors(layout)
        self.counts: Counter[str] = Counter()
        self.references = 0

    def check(self, frame: pl.DataFrame, file: str) -> None:
        """Check the rows of ``frame``, all text, which come from ``file``."""
        layout = self._layout
        for name in layout.names:
            self._each(frame, file, name, filled(name) & pl.col(name).str.contains("\0", literal=True), _nul)
            too_large = pl.col(name).str.len_bytes() > CELL_BYTES_MAX
            self._each(frame, file, name, filled(name) & too_large, _too_large)
        self._ids(frame, file)
        for one in layout.fields:
            self.counts[one.field.path] += frame.select(filled(one.column).sum()).item()
            self._field(frame, file, one)
        for one in layout.previous:
            self._field(frame, file, one, previous=True)
        for template in layout.templates:
            self._template(frame, file, template.path, template_columns(template.template))
        self._rows(frame, file)

    # ── one column ───────────────────────────────────────────────────────────────────────────

    def _ids(self, frame: pl.DataFrame, file: str) -> None:
        name = self._layout.id
        self._each(frame, file, name, ~pl.col(name).fill_null("").str.contains(ID_PATTERN), _id_flaw)
        rounded = (pl.col(name).str.len_bytes() >= _ROUNDED_DIGITS) & pl.col(name).str.contains(_ROUNDED)
        self._warn(frame, file, name, "BP227", rounded.fill_null(value=False), "the id may have been rounded")

    def _field(self, frame: pl.DataFrame, file: str, one: FieldColumn, *, previous: bool = False) -> None:
        name, field = one.column, one.field
        says = self._says(name)
        if field.secret:
            self._secret(frame, file, one, says, previous=previous)
            return
        if field.type is FieldType.STRING and not field.enum:
            plain = says & pl.col(name).is_in(_NOTHING)
            self._warn(frame, file, name, "BP226", plain, f"{_quoted(_NOTHING[:4])} and the like are sent as text")
            return
        if (pattern := cell_pattern(field)) is not None:
            says &= ~pl.col(name).str.contains(pattern)
        suspects = frame.select(pl.col(name).filter(says).unique(maintain_order=True)).to_series()
        flaws: dict[str, Flaw] = {}
        for text in suspects:
            try:
                coerce_text(field, text)
            except CoercionError as error:
                flaws[text] = ("BP216", error.reason, error.hint)
        if flaws:
            self._each(frame, file, name, pl.col(name).is_in(list(flaws)), flaws.__getitem__)

    def _secret(self, frame: pl.DataFrame, file: str, one: FieldColumn, says: pl.Expr, *, previous: bool) -> None:
        name = one.column
        cells = frame.select(pl.col(name).filter(says).unique(maintain_order=True)).to_series()
        found = {text: self._secret_cells.flaw(one.field, text, previous=previous) for text in cells}
        flaws = {text: flaw for text, flaw in found.items() if flaw is not None}
        if not previous:
            references = [text for text in cells if self._secret_cells.is_reference(text)]
            self.references += frame.select((says & pl.col(name).is_in(references)).sum()).item()
        if flaws:
            self._each(frame, file, name, pl.col(name).is_in(list(flaws)), flaws.__getitem__)

    def _template(self, frame: pl.DataFrame, file: str, path: str, columns: tuple[str, ...]) -> None:
        wins = [filled(one.column) for one in self._layout.fields if one.field.path == path]
        used = ~pl.any_horizontal(wins) if wins else pl.lit(value=True)
        self.counts[path] += frame.select(used.sum() if wins else pl.len()).item()
        self.references += frame.select(used.sum() if wins else pl.len()).item()
        for name in columns:
            self._each(frame, file, name, used & ~filled(name).fill_null(value=False), _empty_filling)
            self._each(frame, file, name, used & filled(name) & ~pl.col(name).str.contains(FILLING), _odd_filling)

    # ── one row ──────────────────────────────────────────────────────────────────────────────

    def _rows(self, frame: pl.DataFrame, file: str) -> None:
        layout = self._layout
        if self._whole and not layout.constants and not layout.templates:
            sets = [filled(one.column) for one in layout.fields]
            nothing = ~pl.any_horizontal(sets) if sets else pl.lit(value=True)
            self._each(frame, file, layout.id, nothing, lambda _: ("BP218", "the row changes nothing", ""), named=False)
        if len(self._vendors) > 1:
            count = pl.sum_horizontal(marks.cast(pl.Int32) for marks in self._vendors.values())
            found = frame.filter(count > 1)
            touched = found.select(marks.alias(vendor) for vendor, marks in self._vendors.items())
            for place, row in zip(self._places(found, file), touched.iter_rows(named=True), strict=True):
                names = [vendor for vendor, touches in row.items() if touches]
                words = f"the row sets fields of {' and '.join(names)}; a body has one vendor object at most"
                self._report(_filled_in(place, "BP109", words, ""))

    # ── telling ──────────────────────────────────────────────────────────────────────────────

    def _says(self, name: str) -> pl.Expr:
        """Whether the cell has a value of the field: filled, and not the token for JSON null."""
        says = filled(name)
        return says if self._null is None else says & (pl.col(name) != self._null)

    def _each(  # noqa: PLR0913  (where, what, and what it means)
        self,
        frame: pl.DataFrame,
        file: str,
        name: str,
        wrong: pl.Expr,
        explain: Callable[[str], Flaw],
        *,
        named: bool = True,
    ) -> None:
        """Report each row in which ``wrong`` holds."""
        found = frame.filter(wrong.fill_null(value=False))
        origins = texts(found, ORIGIN) if self._layout.origin else [""] * found.height
        for place, text, origin in zip(self._places(found, file), texts(found, name), origins, strict=True):
            code, words, fix = explain(text)
            if origin and is_mask(text):
                words += f"; the row came from {shown(origin)}"
            self._report(_filled_in(place, code, words, fix, column_name=name if named else None))

    def _warn(  # noqa: PLR0913, PLR0917  (as _each)
        self, frame: pl.DataFrame, file: str, name: str, code: str, odd: pl.Expr, words: str
    ) -> None:
        """Report the first row of a column in which ``odd`` holds, once an input."""
        if code + name in self._warned:
            return
        found = frame.filter(odd.fill_null(value=False)).head(1)
        for place in self._places(found, file):
            self._warned.add(code + name)
            self._report(_filled_in(place, code, words, "", column_name=name, warning=True))

    @staticmethod
    def _places(found: pl.DataFrame, file: str) -> Iterator[Problem]:
        for row, line in found.select(ROW, LINE).iter_rows():
            yield Problem(code="", message="", file=file, row=row, line=line)


def _filled_in(  # noqa: PLR0913  (a problem is what it is made of)
    place: Problem, code: str, words: str, fix: str, *, column_name: str | None = None, warning: bool = False
) -> Problem:
    return Problem(
        code=code,
        message=words,
        hint=fix or CODES[code].fix,
        file=place.file,
        line=place.line,
        row=place.row,
        column_name=column_name,
        warning=warning,
    )


def _vendors(layout: Layout) -> dict[str, pl.Expr]:
    """For each vendor that a row may touch, whether it does."""
    always = [*layout.constants, *(template.path for template in layout.templates)]
    marks: dict[str, pl.Expr] = {}
    for path in always:
        vendor = path.partition(".")[0]
        if vendor in catalogue().vendors:
            marks[vendor] = pl.lit(value=True)
    for one in layout.fields:
        if one.field.vendor is not None:
            says = filled(one.column).fill_null(value=False)
            marks[one.field.vendor] = marks.get(one.field.vendor, pl.lit(value=False)) | says
    return marks


def _id_flaw(text: str) -> Flaw:  # noqa: PLR0911  (one return a cause)
    as_text = "Export the column as text."
    if not text.strip():
        return "BP214", "blank id", "Give each row its destination id."
    if "\n" in text or "\r" in text:
        return "BP214", f"the id {shown(text)} has a line break", "Mend the quotes around it."
    if _SCIENTIFIC.fullmatch(text):
        return (
            "BP214",
            f"the id {shown(text)} looks like Excel scientific notation",
            f"{as_text} The id itself is lost.",
        )
    if _MARKED.match(text):
        return "BP214", f"an Excel text marker stands in the id {shown(text)}", as_text
    if len(text) > 128:  # noqa: PLR2004  (the pattern's own)
        return "BP214", f"the id {shown(text)} has {len(text):,} characters, and at most 128 are allowed", ""
    if text != text.strip():
        return "BP214", f"the id {shown(text)} has blanks around it", "Take them off."
    foreign = foreign_letters(text)
    return "BP214", f"not a destination id: {shown(text)}" + (f"; it contains {foreign}" if foreign else ""), ""


def _nul(_: str) -> Flaw:
    return "BP210", "a NUL stands in the cell", ""


def _too_large(_: str) -> Flaw:
    return "BP211", "the cell is larger than 64 KiB", ""


def _empty_filling(_: str) -> Flaw:
    return "BP224", "the cell is empty, and a secret reference is filled from it", ""


def _odd_filling(_: str) -> Flaw:
    return "BP229", "the cell may not stand in a secret reference", ""


def _quoted(words: tuple[str, ...]) -> str:
    return ", ".join(words)
