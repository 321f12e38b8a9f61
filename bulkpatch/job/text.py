"""Cells of any type → cells as text, the one form in which rows are checked, compiled and reported."""

from __future__ import annotations

import json
from collections.abc import Sequence

import polars as pl

from bulkpatch.job.parts import LINE, ROW


def as_text(frame: pl.DataFrame) -> pl.DataFrame:
    """``frame`` with every cell as text: numbers and Booleans as JSON writes them, lists and objects as JSON.

    Null stays null. The columns of row and line stay numbers.
    """
    return frame.with_columns(_text(column) for column in frame.iter_columns() if column.name not in {ROW, LINE})


def filled(name: str) -> pl.Expr:
    """Whether the cell says anything: it is there, and it is not empty."""
    return pl.col(name).is_not_null() & (pl.col(name) != "")


def texts(frame: pl.DataFrame, name: str) -> Sequence[str]:
    """The cells of one column, those that are not there as ``""``."""
    return frame[name].fill_null("").to_list()


def _text(column: pl.Series) -> pl.Series:
    if column.dtype == pl.String:
        return column
    if column.dtype.is_nested():
        return pl.Series(
            column.name,
            [
                None if value is None else json.dumps(value, ensure_ascii=False, default=str)
                for value in column.to_list()
            ],
            dtype=pl.String,
        )
    if column.dtype == pl.Duration:
        return column.dt.to_string("iso")
    return column.cast(pl.String, strict=False)
