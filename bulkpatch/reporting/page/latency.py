"""How long answers took: their spread, and by vendor."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import polars as pl

from bulkpatch.reporting.page.shapes import (
    LEFT,
    RIGHT,
    WIDTH,
    Chart,
    Path,
    Rect,
    Scale,
    Spot,
    Table,
    axis,
    label_below,
    nice,
    stack,
)

STEPS: Final = 10
"""Columns to a factor of ten: 1.0, 1.26, 1.58, 2.0, … as preferred numbers go."""
FASTEST_MS: Final = 0.1
"""Everything below counts as this: no answer over a network is faster."""
VENDORS_MAX: Final = 12
COLUMNS_MIN: Final = 12
"""Columns drawn at least, so that answers that all took the same do not make one bar across the page."""

_TOP: Final = 44.0
_BOTTOM: Final = 184.0
_SHARES: Final = (("p50", 0.50), ("p95", 0.95), ("p99", 0.99))


def latency(table: pl.LazyFrame) -> Chart | None:
    """How many rows had an answer within which time; None where there was none."""
    step = (pl.col("latency_ms").clip(FASTEST_MS).log10() * STEPS).floor().cast(pl.Int64).alias("step")
    known = table.filter(pl.col("latency_ms").is_not_null())
    counted, marked = pl.collect_all([known.group_by(step).len(), known.select(*_measures())])
    if counted.is_empty():
        return None
    return _draw(dict(counted.iter_rows()), marked.row(0, named=True))


def by_vendor(table: pl.LazyFrame) -> Table | None:
    """The measures of each vendor, those with most answers first."""
    known = table.filter(pl.col("latency_ms").is_not_null())
    groups = known.group_by("vendor").agg(pl.len().alias("rows"), *_measures())
    found = groups.sort("rows", "vendor", descending=[True, False], nulls_last=True).collect()
    if found.is_empty():
        return None
    more = found.height - VENDORS_MAX
    return Table(
        caption="Latency of the last answer by vendor",
        heads=(("vendor", "text"), ("rows", "count"), *((f"{name} ms", "ms") for name, _ in _SHARES), ("max ms", "ms")),
        rows=tuple(found.head(VENDORS_MAX).iter_rows()),
        note=f"And {more:,} more vendors." if more > 0 else "",
    )


def _measures() -> Sequence[pl.Expr]:
    value = pl.col("latency_ms")
    shares = [value.quantile(share, "nearest").alias(name) for name, share in _SHARES]
    return [*shares, value.max().alias("most")]


def _draw(counts: dict[int, int], marks: dict[str, Any]) -> Chart:
    first, last = min(counts), max(counts)
    spare = max(0, COLUMNS_MIN - (last - first + 1))
    first, last = first - spare // 2, last + spare - spare // 2
    wide = (WIDTH - LEFT - RIGHT) / (last - first + 1)
    scale = Scale(top=_TOP, bottom=_BOTTOM, most=nice(max(counts.values())))

    def x(ms: float) -> float:
        return LEFT + (math.log10(max(FASTEST_MS, ms)) * STEPS - first) * wide

    rects: list[Rect] = []
    spots = []
    for step, rows in sorted(counts.items()):
        left = LEFT + (step - first) * wide
        rects += stack(left, wide - 1, scale, [("sent", rows)])
        spots.append(Spot(round(left, 1), round(wide, 1), f"{_span(step)}: {rows:,} rows"))
    names = [label_below(round(x(ms), 1), _BOTTOM + 18, _ms(ms)) for ms in _round_ms(first, last)]
    return Chart(
        name="latency",
        title="Latency",
        about=", ".join(f"{name} {_ms(marks[name])}" for name, _ in _SHARES) + f", slowest {_ms(marks['most'])}.",
        height=_BOTTOM + 30,
        shapes=(
            *axis(scale, "Rows by latency of the last answer"),
            *rects,
            *(Path(f"M{x(marks[name]):.1f} {_TOP:g}V{_BOTTOM:g}", name) for name in ("p50", "p95")),
            *names,
        ),
        spots=tuple(spots),
        legend=(("p50", f"p50 {_ms(marks['p50'])}"), ("p95", f"p95 {_ms(marks['p95'])}")),
        table=Table(
            caption="Rows by latency of the last answer",
            heads=(("latency", "text"), ("rows", "count")),
            rows=tuple((_span(step), rows) for step, rows in sorted(counts.items())),
        ),
    )


def _round_ms(first: int, last: int) -> Sequence[float]:
    """1, 2, 5, 10, … within the columns ``first`` to ``last``."""
    decades = range(first // STEPS - 1, last // STEPS + 2)
    values = [digit * 10.0**decade for decade in decades for digit in (1, 2, 5)]
    return [
        value for value in values if first <= math.log10(value) * STEPS + 1e-9 and math.log10(value) * STEPS <= last + 1
    ]


def _span(step: int) -> str:
    return f"{_ms(10 ** (step / STEPS))} to {_ms(10 ** ((step + 1) / STEPS))}"


def _ms(value: float) -> str:
    return f"{value:.3g} ms" if value < 1000 else f"{value / 1000:.3g} s"  # noqa: PLR2004  (milliseconds in a second)
