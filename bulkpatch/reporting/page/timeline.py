"""The run over time: what rows came to, what left under which limit, how long answers took, wave by wave."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from bulkpatch.ports import ReadLedger
from bulkpatch.reporting.page.intervals import (
    DAY_US,
    SECOND_US,
    WIDTHS_S,
    Interval,
    Steps,
    Window,
    intervals_of,
    limits_in,
    microseconds,
    settled_in,
    when,
    window_of,
)
from bulkpatch.reporting.page.shapes import (
    RIGHT,
    WIDTH,
    Chart,
    Label,
    Path,
    Rect,
    Scale,
    Shape,
    Spot,
    Table,
    axis,
    label_below,
    nice,
    stack,
)

WAVES_MAX: Final = 12
"""Waves that are drawn as bands; with more there would be more edges than waves to see."""

_TOP: Final = 44.0
_GAP: Final = 44.0
_HEIGHTS: Final = (140.0, 110.0, 84.0)
_UNITS: Final = ((86_400, "day"), (3600, "hour"), (60, "minute"))
_TICKS: Final = 8
_BAND_TOP: Final = 14.0
_NAMED_WIDTH: Final = 48
"""Units that a wave must be wide for its number to stand there in words."""
_LEGEND: Final = (
    ("done", "done"),
    ("unknown", "unknown"),
    ("failed", "failed"),
    ("sent", "requests that left"),
    ("setback", "came to nothing"),
    ("throttled", "answered 429"),
)
_HEADROOM: Final = 3
"""A limit more than so many times above all traffic would press the bars flat: it is told, not drawn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """The chart, and the number of rows that were settled after the run had ended."""

    chart: Chart
    settled_later: int


def timeline(ledger: ReadLedger, table: pl.LazyFrame, waves: Sequence[Mapping[str, Any]]) -> Timeline | None:
    """What was sent and what came of it; None where nothing was sent. ``waves`` as ``waves_of`` found them."""
    acts = ledger.acts()
    window = window_of(table, acts)
    if window is None:
        return None
    late = table.filter(pl.col("finished_at") >= when(window.end_us)).select(pl.len()).collect().item()
    intervals = list(intervals_of(window, settled_in(table, window), ledger.beats(window.width_us)))
    return Timeline(chart=_draw(window, intervals, limits_in(acts, window), waves), settled_later=late)


def _draw(window: Window, intervals: Sequence[Interval], limits: Steps, waves: Sequence[Mapping[str, Any]]) -> Chart:
    seconds = window.width_us / SECOND_US
    per_s = max(one.sends for one in intervals) / seconds
    drawn = [step for step in limits if step[2] <= max(per_s, 1) * _HEADROOM]
    mosts = (
        max(one.done + one.failed + one.unknown for one in intervals),
        max([per_s, *(rate for *_, rate in drawn)]),
        max((one.p95_ms or 0.0) for one in intervals),
    )
    rows, traffic, latency = scales = _scales(mosts)
    titles = (f"Rows settled per {_words(seconds)}", "Requests per second", "Latency of the answers, ms")
    shapes: list[Shape] = [
        *_bands(window, waves, latency.bottom),
        *(shape for scale, title in zip(scales, titles, strict=True) for shape in axis(scale, title)),
        *(shape for one in intervals for shape in _bars(window, one, rows, traffic)),
        *_limit_lines(window, traffic, drawn),
        *_line(window, latency, [one.p95_ms for one in intervals], "p95"),
        *_line(window, latency, [one.p50_ms for one in intervals], "p50"),
        *_hours(window, latency.bottom + 18),
    ]
    return Chart(
        name="timeline",
        title="The run over time",
        about=_about(intervals, limits, seconds),
        height=latency.bottom + 30,
        shapes=tuple(shapes),
        spots=tuple(_spot(window, one) for one in intervals),
        legend=(*_LEGEND, ("limit", _limit_words(limits, drawn)), ("p50", "latency p50"), ("p95", "p95")),
        table=_table(window, intervals),
    )


def _scales(mosts: Sequence[float]) -> tuple[Scale, Scale, Scale]:
    """The three panels, one below the other."""
    tops = [_TOP + sum(_HEIGHTS[:n]) + n * _GAP for n in range(3)]
    one, two, three = (
        Scale(top=top, bottom=top + height, most=nice(most))
        for top, height, most in zip(tops, _HEIGHTS, mosts, strict=True)
    )
    return one, two, three


def _bars(window: Window, one: Interval, rows: Scale, traffic: Scale) -> Iterator[Rect]:
    """What rows came to; below, the requests that left, and in front of them what came to nothing."""
    seconds = window.width_us / SECOND_US
    x, width = window.column(one.at_us)
    yield from stack(x, width, rows, [("done", one.done), ("unknown", one.unknown), ("failed", one.failed)])
    yield from stack(x, width, traffic, [("sent", one.sends / seconds)])
    parts = [("throttled", one.throttled / seconds), ("setback", (one.setbacks - one.throttled) / seconds)]
    yield from stack(x + width / 4, width / 2, traffic, parts)


def _limit_lines(window: Window, traffic: Scale, drawn: Steps) -> Iterator[Path]:
    for begin, end, rate in drawn:
        yield Path(f"M{window.x(begin):.1f} {traffic.y(rate):.1f}H{window.x(end):.1f}", "limit")


def _bands(window: Window, waves: Sequence[Mapping[str, Any]], bottom: float) -> Iterator[Shape]:
    """Each wave from its first request to its last row, and its number above."""
    sent = [wave for wave in waves if wave["sent_at"] is not None and wave["finished_at"] is not None]
    if len(waves) < 2 or len(sent) > WAVES_MAX:  # noqa: PLR2004  (one wave is no band)
        return
    for wave in sent:
        right = window.x(microseconds(wave["finished_at"]))
        left = min(window.x(microseconds(wave["sent_at"])), WIDTH - RIGHT - 1)
        yield Rect(round(left, 1), _BAND_TOP, round(max(1.0, right - left), 1), round(bottom - _BAND_TOP, 1), "band")
        text = f"wave {wave['wave']}" if right - left > _NAMED_WIDTH else str(wave["wave"])
        yield Label(round(left + 3, 1), _BAND_TOP - 3, text)


def _line(window: Window, scale: Scale, values: Sequence[float | None], kind: str) -> Iterator[Path]:
    """One line over the intervals, broken where one has no value; a lone value is a point."""
    parts, after = [], False
    for number, value in enumerate(values):
        if value is not None:
            x = window.x(window.begin_us + (number + 0.5) * window.width_us)
            parts.append(f"{'L' if after else 'M'}{x:.1f} {scale.y(value):.1f}{'' if after else 'h.1'}")
        after = value is not None
    if parts:
        yield Path("".join(parts), kind)


def _hours(window: Window, y: float) -> Iterator[Label]:
    """Times below the chart, at round ones, with the day where the run lasted longer than one."""
    span_us = window.end_us - window.begin_us
    step_us = next((w * SECOND_US for w in WIDTHS_S if span_us <= w * SECOND_US * _TICKS), -(-span_us // _TICKS))
    for at_us in range(-(-window.begin_us // step_us) * step_us, window.end_us + 1, step_us):
        form = "%d %b %H:%M" if span_us > DAY_US else "%H:%M" if step_us >= 60 * SECOND_US else "%H:%M:%S"
        x = round(window.x(at_us), 1)
        yield label_below(x, y, when(at_us).strftime(form))


def _spot(window: Window, one: Interval) -> Spot:
    x, width = window.column(one.at_us)
    told = [f"{one.done:,} done", f"{one.unknown:,} unknown", f"{one.failed:,} failed", f"{one.sends:,} requests"]
    told += [f"{one.setbacks:,} came to nothing, {one.throttled:,} of them 429"] if one.setbacks else []
    told += [] if one.p95_ms is None else [f"p50 {one.p50_ms:.4g} ms, p95 {one.p95_ms:.4g} ms"]
    return Spot(round(x, 1), round(width + 1, 1), f"{when(one.at_us):%H:%M:%S} UTC: " + ", ".join(told))


def _table(window: Window, intervals: Sequence[Interval]) -> Table:
    names = ("done", "unknown", "failed", "sends", "setbacks", "throttled")
    return Table(
        caption=f"All of it in numbers, by intervals of {_words(window.width_us / SECOND_US, 1)}",
        heads=(
            ("begins", "when"),
            ("done", "count"),
            ("unknown", "count"),
            ("failed", "count"),
            ("requests", "count"),
            ("came to nothing", "count"),
            ("answered 429", "count"),
            ("p50 ms", "ms"),
            ("p95 ms", "ms"),
        ),
        rows=tuple(
            (when(one.at_us), *(getattr(one, name) for name in names), one.p50_ms, one.p95_ms)
            for one in intervals
            if any(getattr(one, name) for name in names)
        ),
    )


def _about(intervals: Sequence[Interval], limits: Steps, seconds: float) -> str:
    sends, busiest = sum(one.sends for one in intervals), max(one.sends for one in intervals)
    throttled = sum(one.throttled for one in intervals)
    return (
        f"{sends:,} requests left, {busiest:,} in the busiest {_words(seconds)}, {throttled:,} were answered 429; "
        f"{_limit_words(limits, limits)}. The table below has every interval."
    )


def _limit_words(limits: Steps, drawn: Steps) -> str:
    rates = sorted({rate for *_, rate in limits})
    if not rates:
        return "no limit on record"
    words = "limit " + " to ".join(dict.fromkeys(f"{rate:.4g}/s" for rate in (rates[0], rates[-1])))
    return words if drawn else words + ", far above"


def _words(seconds: float, least: int = 2) -> str:
    """``second``, ``5 seconds``, ``minute``, …; with ``least`` 1, ``1 second``."""
    size, name = next((unit for unit in _UNITS if seconds >= unit[0]), (1, "second"))
    number = seconds / size
    return f"{number:g} {name}{'' if number == 1 else 's'}" if number >= least else name
