"""``where``: an SQL expression over the input's own columns and types, run by Polars."""

from __future__ import annotations

from typing import Final, NoReturn

import polars as pl

from bulkpatch.job.findings import refuse
from bulkpatch.job.parts import Header, Kind

_DTYPES: Final[dict[Kind, pl.DataType]] = {
    Kind.INTEGER: pl.Int64(),
    Kind.BOOLEAN: pl.Boolean(),
    Kind.LIST: pl.List(pl.String),
    Kind.SCALAR: pl.Float64(),
}


class Condition:
    """Which rows are taken. Raises ``InvalidInput`` (BP222) for what is no condition over these columns.

    A cell that is empty is ``''`` in text files, and null in those with types. Of what Polars says
    nothing is shown: it may quote a cell.
    """

    def __init__(self, where: str | None, header: Header) -> None:
        self._file = header.file
        self._expression: pl.Expr | None = None
        self.columns: tuple[str, ...] = ()
        if where is None:
            return
        try:
            self._expression = pl.sql_expr(where)
            self.columns = tuple(dict.fromkeys(self._expression.meta.root_names()))
        except pl.exceptions.PolarsError:
            self._refuse("[input] where is no SQL expression")
        if not set(self.columns) <= set(header.names):
            return  # told with the other columns that are missing
        kinds = {name: header.kinds[name] for name in self.columns}
        dtypes = {
            name: _DTYPES.get(next(iter(kind)), pl.String()) if len(kind) == 1 else pl.String()
            for name, kind in kinds.items()
        }
        self.applied(pl.DataFrame(schema=dtypes))

    def applied(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The rows of ``frame`` for which the condition holds."""
        if self._expression is None:
            return frame
        try:
            return frame.filter(self._expression)
        except pl.exceptions.PolarsError:
            self._refuse("[input] where does not hold over the columns of the input")

    def _refuse(self, words: str) -> NoReturn:
        refuse("BP222", words, file=self._file)
