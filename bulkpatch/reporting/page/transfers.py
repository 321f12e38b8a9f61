"""What the destinations' last transfers were, as of the reply. They are no effect of the run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import polars as pl

from bulkpatch.reporting.columns import LABEL_PREFIX
from bulkpatch.reporting.group import MOVED, total
from bulkpatch.reporting.page.shapes import Kind, Table

LABELS_MAX: Final = 4
"""Labels by which transfers are grouped."""
GROUPS_MAX: Final = 25
"""Groups of one table, those with the most errors first; `report --by` has them all."""
STALEST_MAX: Final = 10
"""Destinations that are named for having gone the longest without a transfer."""
KINDS_MAX: Final = 6
"""Statuses or blames told of one group; the API knows fewer."""

_SUCCESS: Final = "SUCCESS"


def transfers(table: pl.LazyFrame) -> list[Table]:
    """By vendor, by each label, and the stalest; nothing where no reply told of a destination."""
    known = table.filter(pl.col("vendor").is_not_null() & pl.col("destination_id").is_first_distinct())
    labels = [name for name in table.collect_schema().names() if name.startswith(LABEL_PREFIX)][:LABELS_MAX]
    grouped = [_by(known, key) for key in ("vendor", *labels)]
    return [*grouped, _stalest(known, labels)] if grouped[0].rows else []


def _by(known: pl.LazyFrame, key: str) -> Table:
    groups, statuses, blames = pl.collect_all(
        [_groups(known, key), _counts(known, key, "transfer_status"), _counts(known, key, "transfer_error_blame")]
    )
    groups = groups.sort("troubled", "destinations", key, descending=[True, True, False], nulls_last=True)
    name = key.removeprefix(LABEL_PREFIX)
    heads: tuple[tuple[str, Kind], ...] = (
        (name, "text"),
        ("destinations", "count"),
        ("last transfers", "text"),
        ("errors, by blame", "text"),
        ("rows", "count"),
        ("delta rows", "count"),
        ("delta share", "share"),
        ("MB", "mb"),
        ("oldest ended", "when"),
    )
    return Table(
        caption=f"Last transfers by {name}",
        heads=heads,
        rows=tuple(_lines(groups.head(GROUPS_MAX), key, statuses, blames)),
        note=_left_out(groups.height - GROUPS_MAX, name),
    )


def _groups(known: pl.LazyFrame, key: str) -> pl.LazyFrame:
    status = pl.col("transfer_status")
    moved, delta = pl.col("rows_transferred"), pl.col("delta_rows_transferred")
    return (
        known.group_by(key)
        .agg(
            pl.len().alias("destinations"),
            (status.is_not_null() & (status != _SUCCESS)).sum().alias("troubled"),
            *(total(name) for name in MOVED),
            pl.col("transfer_ended_at").min().alias("oldest"),
        )
        .with_columns(pl.when(moved > 0).then(delta / moved).alias("delta_share"))
    )


def _counts(known: pl.LazyFrame, key: str, what: str) -> pl.LazyFrame:
    return (
        known.filter(pl.col(what).is_not_null()).group_by(key, what).len().sort("len", what, descending=[True, False])
    )


def _lines(groups: pl.DataFrame, key: str, statuses: pl.DataFrame, blames: pl.DataFrame) -> Iterator[tuple[Any, ...]]:
    for row in groups.iter_rows(named=True):
        told = [_told(counted, key, row[key]) for counted in (statuses, blames)]
        moved = [row[name] for name in MOVED]
        yield row[key], row["destinations"], *told, *moved[:2], row["delta_share"], moved[2], row["oldest"]


def _told(counted: pl.DataFrame, key: str, group: str | None) -> str | None:
    """``3 ERROR, 12 SUCCESS`` of one group; None where nothing was told."""
    rows = counted.filter(pl.col(key).eq_missing(pl.lit(group, pl.String)))
    words = [f"{number:,} {name}" for _, name, number in rows.head(KINDS_MAX).iter_rows()]
    return ", ".join([*words, *(["…"] if rows.height > KINDS_MAX else [])]) or None


def _stalest(known: pl.LazyFrame, labels: Sequence[str]) -> Table:
    ended = pl.col("transfer_ended_at")
    age = (pl.coalesce("finished_at", "sent_at") - ended).dt.total_seconds().alias("age")
    columns = ["destination_id", "vendor", *labels, "transfer_status"]
    found, never = pl.collect_all(
        [
            known.filter(ended.is_not_null()).sort(ended, "row").head(STALEST_MAX).select(*columns, ended, age),
            known.filter(ended.is_null()).select(pl.len()),
        ]
    )
    missing = never.item()
    return Table(
        caption="The stalest destinations: those whose last transfer ended first",
        heads=(
            ("destination", "id"),
            ("vendor", "text"),
            *((name.removeprefix(LABEL_PREFIX), "text") for name in labels),
            ("last transfer", "text"),
            ("ended", "when"),
            ("before the reply", "span"),
        ),
        rows=tuple(found.iter_rows()),
        note=f"Of {missing:,} more, no ended transfer was told." if missing else "",
    )


def _left_out(more: int, name: str) -> str:
    return f"And {more:,} more: `bulkpatch report RUN --by {name}` has them all." if more > 0 else ""
