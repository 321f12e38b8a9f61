"""Any grouping of the outcomes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Final

import polars as pl

from bulkpatch.errors import InvalidInput, Problem
from bulkpatch.model import RowState
from bulkpatch.reporting.columns import FAILED, LABEL_PREFIX
from bulkpatch.reporting.inert import one_line

MOVED: Final = ("rows_transferred", "delta_rows_transferred", "volume_transferred_in_mb")
"""What a transfer moved."""


def scan(outcomes: Path | pl.LazyFrame) -> pl.LazyFrame:
    """The outcomes as a lazy frame; a path is read as one plain file, whatever characters it holds."""
    if isinstance(outcomes, pl.LazyFrame):
        return outcomes
    return pl.scan_parquet(outcomes, glob=False, hive_partitioning=False)


def total(name: str) -> pl.Expr:
    """The sum of a column; null where nothing is known, and where the sum is beyond the column's 64 bits."""
    values = pl.col(name)
    if name.startswith("volume"):
        return pl.when((values.count() > 0) & values.sum().is_finite()).then(values.sum())
    return pl.when(values.count() > 0).then(values.cast(pl.Int128).sum().cast(pl.Int64, strict=False))


def once(name: str, keys: Sequence[str] = ()) -> pl.Expr:
    """A column where a destination is first met (with these ``keys``), else null: its rows share request and reply."""
    return pl.when(pl.struct({*keys, "destination_id"}).is_first_distinct()).then(pl.col(name))


def grouped(outcomes: Path | pl.LazyFrame, by: Sequence[str]) -> pl.DataFrame:
    """One row per combination of ``by`` (columns, or labels with or without ``label_``), sorted by it, nulls last.

    After the columns of ``by``: ``count``, one count per row state, ``failed``, ``failed_share`` (0…1),
    ``latency_p50_ms``, ``latency_p95_ms``, ``attempts_sum``, and the transfer sums. A sum counts a destination once
    (see ``once``, ``total``). Without columns, one row of all. Raises ``InvalidInput`` for every name that is none.
    """
    table = scan(outcomes)
    with readable():
        schema = table.collect_schema()
        keys = _columns(schema.names(), by)
        ready = table.with_columns(
            *(pl.col(name).list.join(";") for name in keys if schema[name] == pl.List(pl.String)),
            *(once(name, keys).alias(name + "_sum") for name in ("attempts", *MOVED)),
        )
        made = ready.group_by(keys).agg(_measures()).sort(keys, nulls_last=True) if keys else ready.select(_measures())
        return made.collect()


def _measures() -> list[pl.Expr]:
    state = pl.col("state")
    failed = state.is_in([str(name) for name in FAILED])
    return [
        pl.len().cast(pl.Int64).alias("count"),
        *((state == str(name)).sum().cast(pl.Int64).alias(str(name)) for name in RowState),
        failed.sum().cast(pl.Int64).alias("failed"),
        failed.mean().alias("failed_share"),
        pl.col("latency_ms").quantile(0.50, "nearest").alias("latency_p50_ms"),
        pl.col("latency_ms").quantile(0.95, "nearest").alias("latency_p95_ms"),
        *(total(name + "_sum") for name in ("attempts", *MOVED)),
    ]


@contextmanager
def readable() -> Iterator[None]:
    """Turn what Polars raises over a missing or damaged file into ``InvalidInput``."""
    try:
        yield
    except (OSError, pl.exceptions.ComputeError):
        problem = Problem(
            code="BP220",
            message="the outcomes of this run cannot be read: the file is missing or damaged",
            hint="`bulkpatch report RUN` writes it again from the ledger.",
        )
        raise InvalidInput([problem]) from None


def _columns(names: Sequence[str], by: Sequence[str]) -> list[str]:
    """The true column of each of ``by``, once each, in their order."""
    known = {name.removeprefix(LABEL_PREFIX): name for name in names} | {name: name for name in names}
    problems = [_unknown(name, list(known)) for name in by if name not in known]
    if problems:
        raise InvalidInput(problems)
    return list(dict.fromkeys(known[name] for name in by))


def _unknown(name: str, known: Sequence[str]) -> Problem:
    close = get_close_matches(name, known, n=3)
    hint = f"Did you mean {' or '.join(close)}?" if close else "Columns: " + ", ".join(known) + "."
    return Problem(code="BP120", message=f"the outcomes have no column {one_line(name, limit=40)}", hint=hint)
