"""The run beside an earlier one of the same job: the same measures of both, and how destinations fared in each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import polars as pl

from bulkpatch.errors import InvalidInput
from bulkpatch.reporting.columns import DONE, FAILED
from bulkpatch.reporting.group import once, readable, scan
from bulkpatch.reporting.inert import NOTHING
from bulkpatch.reporting.page.shapes import Table

_OUTCOMES: Final = "outcomes.parquet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """``run`` is the earlier run's id."""

    run: str
    measures: Table
    fates: Table


def comparison(table: pl.LazyFrame, earlier: Path | None) -> Comparison | None:
    """``table`` beside the outcomes in the folder ``earlier``; None where there are none that can be read."""
    if earlier is None:
        return None
    before = scan(earlier / _OUTCOMES)
    try:
        with readable():
            then, now, shared = pl.collect_all([_measures(before), _measures(table), _fates(before, table)])
    except (InvalidInput, pl.exceptions.PolarsError):
        return None
    return Comparison(
        run=earlier.name,
        measures=Table(
            caption="The same measures of both runs",
            heads=(("measure", "text"), ("then", "figure"), ("now", "figure"), ("difference", "figure")),
            rows=tuple(_beside(then.row(0, named=True), now.row(0, named=True))),
        ),
        fates=Table(
            caption="Destinations by how they ended then and now",
            heads=(("then", "text"), ("now", "text"), ("destinations", "count")),
            rows=tuple(shared.iter_rows()),
        ),
    )


def _measures(table: pl.LazyFrame) -> pl.LazyFrame:
    latency, state = pl.col("latency_ms"), pl.col("state")
    return table.select(
        pl.len().alias("rows"),
        state.is_in([str(one) for one in FAILED]).sum().alias("failed"),
        (state == "unknown").sum().alias("unknown"),
        once("attempts").cast(pl.Int64).sum().alias("requests"),
        latency.quantile(0.50, "nearest").alias("p50"),
        latency.quantile(0.95, "nearest").alias("p95"),
    )


_NAMES: Final = {
    "rows": "rows",
    "failed": "failed rows",
    "share": "failed share",
    "unknown": "of them unknown",
    "requests": "requests",
    "per_row": "requests per row",
    "p50": "latency p50, ms",
    "p95": "latency p95, ms",
}


def _beside(then: dict[str, Any], now: dict[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    for one in (then, now):
        one["share"] = 100 * one["failed"] / one["rows"] if one["rows"] else None
        one["per_row"] = one["requests"] / one["rows"] if one["rows"] else None
    for name, words in _NAMES.items():
        before, after = then[name], now[name]
        known = before is not None and after is not None
        yield words, _text(name, before), _text(name, after), _text(name, after - before, "+") if known else NOTHING


def _text(name: str, value: float | None, sign: str = "") -> str:
    if value is None:
        return NOTHING
    sign = sign if value else ""
    if name == "share":
        return f"{value:{sign}.1f}" + ("" if sign else " %")
    return f"{value:{sign},}" if isinstance(value, int) else f"{value:{sign},.2f}"


def _fates(before: pl.LazyFrame, now: pl.LazyFrame) -> pl.LazyFrame:
    """How many destinations went from which end to which; a destination counts once in each run."""
    joined = _ends(before, "then").join(_ends(now, "now"), on="destination_id", how="full", coalesce=True)
    ends = [pl.col(name).fill_null("not in the run") for name in ("then", "now")]
    return (
        joined.with_columns(ends)
        .group_by("then", "now")
        .len()
        .sort("len", "then", "now", descending=[True, False, False])
    )


def _ends(table: pl.LazyFrame, name: str) -> pl.LazyFrame:
    state = pl.col("state")
    end = (
        pl.when(state.is_in([str(one) for one in DONE]))
        .then(pl.lit("done"))
        .when(state == "unknown")
        .then(pl.lit("unknown"))
        .when(state == "not_attempted")
        .then(pl.lit("not attempted"))
        .otherwise(pl.lit("failed"))
    )
    return table.filter(pl.col("destination_id").is_first_distinct()).select("destination_id", end.alias(name))
