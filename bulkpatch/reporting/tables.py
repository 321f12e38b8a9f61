"""A table as text, JSON, CSV, HTML, Parquet or Markdown."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias, assert_never

import polars as pl

from bulkpatch.model import RowState
from bulkpatch.reporting.inert import code_span, csv_line, no_formula, one_line
from bulkpatch.reporting.page.shapes import Kind, Table

SCHEMA_ID: Final = "bulkpatch.reporting/1"
Form: TypeAlias = Literal["text", "json", "csv", "html", "parquet", "md"]

GROUPS_MAX: Final = 5_000
"""Groups in a page, which a browser lays out whole."""
TEXT_CELL_CHARS_MAX: Final = 60
"""Characters of a cell in the text table, so that a row stays readable in a terminal."""

_KINDS: Final[Mapping[str, Kind]] = {
    "failed_share": "share",
    "latency_p50_ms": "ms",
    "latency_p95_ms": "ms",
    "volume_transferred_in_mb_sum": "mb",
}


def export(frame: pl.DataFrame, form: Form) -> str | bytes:
    """``frame`` in one of the forms; bytes for Parquet, else text that ends with a line end.

    JSON is one object, ``{"schema": "bulkpatch.reporting/1", "groups": [{column: value}, …]}``, times as RFC 3339.
    CSV cells that a spreadsheet would run are neutralised. HTML is a whole document, of at most ``GROUPS_MAX`` groups.
    It, text and Markdown leave out states that no row has, and round to four decimals.
    """
    match form:
        case "parquet":
            buffer = io.BytesIO()
            frame.write_parquet(buffer)
            return buffer.getvalue()
        case "json":
            groups = [{name: _jsonable(value) for name, value in row.items()} for row in frame.iter_rows(named=True)]
            return json.dumps({"schema": SCHEMA_ID, "groups": groups}, ensure_ascii=False, allow_nan=False) + "\n"
        case "csv":
            return "".join(map(csv_line, [[no_formula(name) for name in frame.columns], *_csv_rows(frame)]))
        case "html":
            from bulkpatch.reporting.page.render import render_table  # noqa: PLC0415  (Jinja, for those who want HTML)

            return render_table(_page_table(_shown(frame)), title="Outcomes by group")
        case "md":
            shown = _shown(frame)
            return markdown_table(
                [code_span(name) for name in shown.columns],
                (list(map(markdown_cell, row)) for row in shown.iter_rows()),
            )
        case "text":
            shown = _shown(frame)
            return text_table([one_line(name, limit=TEXT_CELL_CHARS_MAX) for name in shown.columns], shown.iter_rows())
        case _:
            assert_never(form)


def _page_table(shown: pl.DataFrame) -> Table:
    more = shown.height - GROUPS_MAX
    return Table(
        caption="One line a group",
        heads=tuple(
            (name, _KINDS.get(name, "count" if shown[name].dtype.is_integer() else "text")) for name in shown.columns
        ),
        rows=tuple(shown.head(GROUPS_MAX).iter_rows()),
        note=f"And {more:,} more: the other forms have them all." if more > 0 else "",
    )


def text_table(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """An aligned table: numbers to the right, text to the left and on one line."""
    values = [list(row) for row in rows]
    lines = [list(names), *([one_line(_plain(cell), limit=TEXT_CELL_CHARS_MAX) for cell in row] for row in values)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    right = [all(_is_number(cell) for cell in column) for column in zip(*values, strict=True)] or [False] * len(names)
    lines.insert(1, ["-" * width for width in widths])
    return "".join(
        "  ".join(
            cell.rjust(width) if is_right else cell.ljust(width)
            for cell, width, is_right in zip(line, widths, right, strict=True)
        ).rstrip()
        + "\n"
        for line in lines
    )


def markdown_table(names: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table of cells that are safe already: our own words, or what ``markdown_cell`` made."""
    lines = [names, ["---"] * len(names), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def markdown_cell(value: Any) -> str:
    """A value for a Markdown table: numbers plain, all text as code, so that nothing of it is markup."""
    text = _plain(value)
    return f"{value:,}" if type(value) is int else text if text and _is_number(value) else code_span(text)


def _csv_rows(frame: pl.DataFrame) -> Iterable[list[str]]:
    for row in frame.iter_rows():
        yield [_plain(cell) if _is_number(cell) else no_formula(_plain(cell)) for cell in row]


def _is_number(value: Any) -> bool:
    return value is None or isinstance(value, (int, float))


def _jsonable(value: Any) -> Any:
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value


def _plain(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case list():
            return ";".join(map(str, value))
        case _:
            return str(_jsonable(value))


def _shown(frame: pl.DataFrame) -> pl.DataFrame:
    empty = [str(name) for name in RowState if str(name) in frame.columns and not frame[str(name)].sum()]
    return frame.drop(empty).with_columns(pl.col(pl.Float64).round(4))
