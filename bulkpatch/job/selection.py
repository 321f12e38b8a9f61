"""``where``: an SQL expression over the input's own columns and types, run by Polars."""

from __future__ import annotations

import re
from typing import Final, NoReturn

import polars as pl

from bulkpatch.job.findings import refuse
from bulkpatch.job.parts import Header

_QUOTED: Final = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"")
_BEYOND_A_ROW: Final = re.compile(
    r"\b(?:(?:array_agg|string_agg|avg|mean|corr|count|covar\w*|first|last|max|median|min|quantile\w*|std\w*|sum|var\w*"
    r"|unnest|columns|over|now|localtime\w*)\s*\(|select\b|current_(?:date|time|timestamp)\b)",
    re.IGNORECASE,
)
"""What looks at other rows, not all of which are in memory, or at the clock, which moves before a run goes on."""


class Condition:
    """Which rows are taken. Raises ``InvalidInput`` (BP222) for what is no condition over these columns.

    A cell that is empty is ``''`` in text files, and null in those with types. Of what Polars says
    nothing is shown: it may quote a cell.
    """

    def __init__(self, where: str | None, header: Header, *, key: str = "[input] where") -> None:
        self._key = key
        self._file = header.file
        self._expression: pl.Expr | None = None
        self.columns: tuple[str, ...] = ()
        if where is None:
            return
        if _BEYOND_A_ROW.search(_QUOTED.sub("", where)):
            hint = "Leave out aggregates, windows, subqueries and the time of day."
            self._refuse("may look at one row only", hint)
        try:
            self._expression = pl.sql_expr(where)
            self.columns = tuple(dict.fromkeys(self._expression.meta.root_names()))
        except pl.exceptions.PolarsError:
            self._refuse("is no SQL expression")
        if set(self.columns) <= set(header.names):  # else told with the other columns that are missing
            self.applied(pl.DataFrame(schema={name: header.dtypes[name] for name in self.columns}))

    def applied(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The rows of ``frame`` for which the condition holds."""
        if self._expression is None:
            return frame
        try:
            return frame.filter(self._expression)
        except pl.exceptions.PolarsError:
            hint = "Compare text with 'text'; every cell of a text file is text, and TRY_CAST(port AS INT) a number."
            self._refuse("does not hold over the columns of the input", hint)

    def _refuse(self, words: str, hint: str = "") -> NoReturn:
        refuse("BP222", f"{self._key} {words}", hint=hint, file=self._file)
