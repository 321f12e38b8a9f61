"""The failed rows: by cause, and as many of them one by one as a page can hold."""

from __future__ import annotations

from typing import Any, Final

import polars as pl

from bulkpatch.errors import CODES
from bulkpatch.model import RowState
from bulkpatch.reporting.columns import FAILED, LABEL_PREFIX
from bulkpatch.reporting.glance import failure_kinds
from bulkpatch.reporting.page.shapes import Kind, Table

KINDS_MAX: Final = 40
"""Causes that are listed, the most frequent first; `report --by error_code` counts all."""
ROWS_MAX: Final = 2_000
"""Rows that are listed: more cannot be scrolled through, and `failures.csv` has them all."""
CHARS_MAX: Final = 400_000
"""Characters of them together, so that a page of long messages, each escaped, stays below three megabytes."""
UNKNOWN_MAX: Final = 12
"""Rows in doubt that are named in their box: it is there to say what to do; the failed rows below have more."""
LABELS_MAX: Final = 3
MESSAGE_CHARS_MAX: Final = 200
CELL_CHARS_MAX: Final = 60
"""Characters of a message and of any other text of a listed row."""

_CAUSE: Final = ("state", "error_code", "error")


def causes(table: pl.LazyFrame) -> Table:
    """Failed rows by state, code and message, with what the code means and what to do."""
    found = failure_kinds(table).collect()
    most = found["rows"].max() if found.height else 1
    more = found.height - KINDS_MAX
    return Table(
        caption="Failed rows by cause",
        heads=(
            ("rows", "count"),
            ("share of the most frequent", "bar"),
            ("state", "state"),
            ("code", "id"),
            ("message", "text"),
            ("what to do", "text"),
            ("for instance", "id"),
        ),
        rows=tuple(_cause(row, most) for row in found.head(KINDS_MAX).iter_rows(named=True)),
        note=f"And {more:,} more kinds of failure." if more > 0 else "",
    )


def _cause(row: dict[str, Any], most: Any) -> tuple[Any, ...]:
    known = CODES.get(row["error_code"] or "")
    message = row["error"] or (known.title if known else None)
    advice = known.fix if known else None
    return row["rows"], row["rows"] / most, row["state"], row["error_code"], message, advice, row["samples"][0]


def failed_rows(table: pl.LazyFrame) -> Table:
    """Failed rows in input order; where there are too many, the first ones of every cause."""
    labels = _labels(table)
    columns = ["row", "destination_id", *labels, "state", "stage", "wave", "attempts", "http_status", *_CAUSE[1:]]
    failed = table.filter(pl.col("state").is_in([str(state) for state in FAILED]))
    place = pl.int_range(pl.len()).over(_CAUSE)
    chosen = failed.select("row", *_CAUSE).select("row", place=place).sort("place", "row").head(ROWS_MAX)
    total, numbers = pl.collect_all([failed.select(pl.len()), chosen])
    cut = [
        pl.col(name).str.slice(0, (MESSAGE_CHARS_MAX if name == "error" else CELL_CHARS_MAX) + 1)
        for name in columns
        if name not in {"row", "wave", "attempts", "http_status"}
    ]
    found = failed.filter(pl.col("row").is_in(numbers["row"].implode())).select(columns).with_columns(cut).collect()
    shown = _within(numbers, found)
    return Table(caption="Failed rows", heads=_heads(labels), rows=shown, note=_note(len(shown), total.item()))


def _heads(labels: list[str]) -> tuple[tuple[str, Kind], ...]:
    return (
        ("row", "count"), ("destination", "id"), *_named(labels),
        ("state", "state"), ("stage", "text"), ("wave", "count"), ("attempts", "count"), ("HTTP", "count"),
        ("code", "id"), ("message", "text"),
    )  # fmt: skip


def _within(numbers: pl.DataFrame, found: pl.DataFrame) -> tuple[tuple[Any, ...], ...]:
    """As many rows as ``CHARS_MAX`` allows, the first of every cause before the second of any, in input order."""
    rows = {row[0]: row for row in found.iter_rows()}
    kept, chars = set(), 0
    for number in numbers["row"]:
        chars += sum(len(cell) for cell in rows[number] if isinstance(cell, str))
        if chars > CHARS_MAX:
            break
        kept.add(number)
    return tuple(row for number, row in sorted(rows.items()) if number in kept)


def _note(shown: int, total: int) -> str:
    if shown == total:
        return ""
    return f"{shown:,} of {total:,} are listed here, the first ones of every cause; failures.csv has them all."


def unknown_rows(table: pl.LazyFrame) -> Table:
    """The first rows that may or may not have been changed."""
    doubted = table.filter(pl.col("state") == str(RowState.UNKNOWN))
    labels = _labels(table)
    columns = ["row", "destination_id", *labels, "attempts", "sent_at", "error_code", "error"]
    total, found = pl.collect_all([doubted.select(pl.len()), doubted.select(columns).head(UNKNOWN_MAX)])
    more = total.item() - found.height
    return Table(
        caption="Rows that may or may not have been changed",
        heads=(
            ("row", "count"),
            ("destination", "id"),
            *_named(labels),
            ("attempts", "count"),
            ("first sent", "when"),
            ("code", "id"),
            ("last word", "text"),
        ),
        rows=tuple(found.iter_rows()),
        note=f"And {more:,} more: see the failed rows, or failures.csv." if more else "",
    )


def _labels(table: pl.LazyFrame) -> list[str]:
    return [name for name in table.collect_schema().names() if name.startswith(LABEL_PREFIX)][:LABELS_MAX]


def _named(labels: list[str]) -> tuple[tuple[str, Kind], ...]:
    return tuple((name.removeprefix(LABEL_PREFIX), "text") for name in labels)
