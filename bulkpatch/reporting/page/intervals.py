"""A run cut into intervals of time: what rows came to in each, what left, and which limits held."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeAlias

import polars as pl

from bulkpatch.core.quantities import parse_rate
from bulkpatch.model import Act, Beat, RowState
from bulkpatch.reporting.columns import DONE, FAILED
from bulkpatch.reporting.page.shapes import LEFT, RIGHT, WIDTH

BINS_MAX: Final = 96
"""Intervals of a timeline: a bar is then some ten units wide, and its table can still be read."""
WIDTHS_S: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400)
"""Intervals of round length. None is below the second, within which a rate is promised."""
SECOND_US: Final = 1_000_000
DAY_US: Final = 86_400 * SECOND_US

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_BEGINNINGS: Final = frozenset({"started", "resumed"})
_ENDINGS: Final = frozenset({"finished", "stopped", "interrupted"})
_GROUPS: Final[Mapping[str, Sequence[RowState]]] = {
    "done": DONE,
    "unknown": (RowState.UNKNOWN,),
    "failed": tuple(state for state in FAILED if state is not RowState.UNKNOWN),
}

Steps: TypeAlias = list[tuple[int, int, float]]
"""From when until when which limit held, in requests a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The time that is drawn: ``count`` intervals of ``width_us``, the first at ``begin_us``."""

    begin_us: int
    width_us: int
    count: int

    @property
    def end_us(self) -> int:
        """Where the last interval ends."""
        return self.begin_us + self.count * self.width_us

    def x(self, at_us: float) -> float:
        """Where a moment stands; one outside stands at the edge."""
        share = (at_us - self.begin_us) / (self.end_us - self.begin_us)
        return LEFT + min(1.0, max(0.0, share)) * (WIDTH - LEFT - RIGHT)

    def column(self, at_us: int) -> tuple[float, float]:
        """Where the bar of the interval at ``at_us`` begins, and how wide it is."""
        left, right = self.x(at_us), self.x(at_us + self.width_us)
        return left, max(0.5, right - left - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """What happened in one interval."""

    at_us: int
    done: int = 0
    failed: int = 0
    unknown: int = 0
    p50_ms: float | None = None
    p95_ms: float | None = None
    sends: int = 0
    setbacks: int = 0
    throttled: int = 0


def waves_of(table: pl.LazyFrame) -> list[dict[str, Any]]:
    """Of each wave, in order: when its first request left, when its last row was settled, and its rows by end."""
    ends = [_is(states).sum().cast(pl.Int64).alias(name) for name, states in _GROUPS.items()]
    times = [pl.col("sent_at").min(), pl.col("finished_at").filter(pl.col("attempts") > 0).max()]
    return table.group_by("wave").agg(pl.len().alias("rows"), *ends, *times).sort("wave").collect().to_dicts()


def _is(states: Sequence[RowState]) -> pl.Expr:
    return pl.col("state").is_in([str(state) for state in states])


def _at_us(name: str) -> pl.Expr:
    return pl.col(name).dt.epoch("us")


def window_of(table: pl.LazyFrame, acts: Sequence[Act]) -> Window | None:
    """From the first request to the run's end; what was settled after that is told apart."""
    sent = table.filter(pl.col("attempts") > 0)
    first, last = (
        sent.select(
            _at_us("sent_at").min(),
            pl.max_horizontal(_at_us("finished_at").max(), _at_us("sent_at").max()).alias("last"),
        )
        .collect()
        .row(0)
    )
    if first is None:
        return None
    turns = [act for act in acts if act.kind in _BEGINNINGS | _ENDINGS]
    if turns and turns[-1].kind in _ENDINGS:  # else its process was killed, and the last answer was the end
        last = turns[-1].at_us
    span_us = max(SECOND_US, last - first)
    fitting = (width for width in WIDTHS_S if span_us <= width * SECOND_US * (BINS_MAX - 1))
    width_us = next(fitting, -(-span_us // ((BINS_MAX - 1) * DAY_US)) * 86_400) * SECOND_US
    begin_us = first // width_us * width_us
    return Window(begin_us=begin_us, width_us=width_us, count=max(1, -(-(last + 1 - begin_us) // width_us)))


def settled_in(table: pl.LazyFrame, window: Window) -> Mapping[int, Mapping[str, Any]]:
    """What the rows came to that were sent, and how long their last answers took, by the beginning of the interval."""
    at = _at_us("finished_at")
    inside = table.filter((pl.col("attempts") > 0) & (at >= window.begin_us) & (at < window.end_us))
    latency = pl.col("latency_ms")
    found = inside.group_by((at // window.width_us * window.width_us).alias("at_us")).agg(
        *(_is(states).sum().alias(name) for name, states in _GROUPS.items()),
        latency.quantile(0.50, "nearest").alias("p50_ms"),
        latency.quantile(0.95, "nearest").alias("p95_ms"),
    )
    return {row["at_us"]: row for row in found.collect().to_dicts()}


def intervals_of(window: Window, settled: Mapping[int, Mapping[str, Any]], beats: Sequence[Beat]) -> Iterator[Interval]:
    """Every interval, empty ones too. A request that left before the window, by a clock set back, is let go."""
    traffic = {beat.at_us: beat for beat in beats}
    for number in range(window.count):
        at_us = window.begin_us + number * window.width_us
        beat = traffic.get(at_us, Beat(at_us, 0, 0, 0))
        yield Interval(
            **{"at_us": at_us, **settled.get(at_us, {})},
            sends=beat.sends,
            setbacks=beat.setbacks,
            throttled=beat.throttled,
        )


def limits_in(acts: Sequence[Act], window: Window) -> Steps:
    """The limits that the acts tell of, as far as they held within ``window``."""
    steps: Steps = []
    since: tuple[int, float] | None = None
    for act in acts:
        detail = json.loads(act.detail)
        said = detail.get("rate" if act.kind == "throttled" else "limits")
        if since is not None and (said or act.kind in _ENDINGS):
            steps.append((since[0], act.at_us, since[1]))
            since = None
        if isinstance(said, str):
            try:
                since = (act.at_us, parse_rate(said).per_s)
            except ValueError:
                continue
    if since is not None:
        steps.append((since[0], window.end_us, since[1]))
    return [(begin, end, rate) for begin, end, rate in steps if end > window.begin_us and begin < window.end_us]


def when(at_us: int) -> datetime:
    """The moment that lies so many microseconds after 1970."""
    return _EPOCH + timedelta(microseconds=at_us)


def microseconds(at: datetime) -> int:
    """The reverse of ``when``."""
    return (at - _EPOCH) // timedelta(microseconds=1)
