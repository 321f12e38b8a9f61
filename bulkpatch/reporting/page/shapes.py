"""What the page is made of: tables, and charts as shapes with their places worked out. Values only, no markup."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

Kind: TypeAlias = Literal["text", "code", "id", "state", "count", "figure", "ms", "share", "mb", "when", "span", "bar"]
"""What a column holds: how its cells are shown, aligned and sorted. An ``id`` is
code on one line, a ``figure`` a number in words already, a ``bar`` a share, drawn."""

WIDTH: Final = 960.0
"""Units across a chart; the page scales it, and lets it be scrolled where it would become too small to read."""
LEFT: Final = 56.0
RIGHT: Final = 12.0
SLIVER: Final = 1.5
"""Units that a bar is high at least: one failure among thousands must be seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """``heads`` are names with what their column holds; ``note`` says what was left out, or how to read it."""

    caption: str
    heads: tuple[tuple[str, Kind], ...]
    rows: tuple[tuple[Any, ...], ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Rect:
    """A bar or a band; ``kind`` is its class."""

    x: float
    y: float
    width: float
    height: float
    kind: str


@dataclass(frozen=True, slots=True)
class Path:
    """A line, in SVG's path language."""

    d: str
    kind: str


@dataclass(frozen=True, slots=True)
class Label:
    """A text in a chart, its baseline at ``y``."""

    x: float
    y: float
    text: str
    anchor: Literal["start", "middle", "end"] = "start"
    kind: str = "label"


def label_below(x: float, y: float, text: str) -> Label:
    """``text`` in the middle below ``x``; near the right edge it ends there, so that it is not cut off."""
    return Label(x, y, text, "end" if x > WIDTH - LEFT else "middle")


Shape: TypeAlias = Rect | Path | Label


@dataclass(frozen=True, slots=True)
class Spot:
    """A column of the chart that tells ``text`` to whoever points at it."""

    x: float
    width: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A drawing that says in ``title`` and ``about`` what it shows, and in ``table`` all of it once more.

    Later ``shapes`` lie over earlier ones.
    """

    name: str
    title: str
    about: str
    height: float
    shapes: tuple[Shape, ...]
    spots: tuple[Spot, ...] = ()
    legend: tuple[tuple[str, str], ...] = ()
    table: Table


def nice(value: float) -> float:
    """The least round number that is at least ``value``: 1, 2, 3, 4, 5, 6, 8, 10, 20, …, or a tenth of one."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 3, 4, 5, 6, 8, 10) if step * power >= value * (1 - 1e-9))


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """A vertical axis from 0 at ``bottom`` to ``most`` at ``top``."""

    top: float
    bottom: float
    most: float

    def y(self, value: float) -> float:
        """Where ``value`` stands; what is beyond the axis stands at its end."""
        return self.bottom - min(1.0, value / self.most) * (self.bottom - self.top)

    def ticks(self) -> Sequence[tuple[float, str]]:
        """The ends and, where it is as round, the middle; each with its words."""
        middle = [self.most / 2] if self.most < 1 or self.most % 2 == 0 else []
        return [(value, short(value)) for value in (0, *middle, self.most)]


def short(value: float) -> str:
    """A number in few characters: ``0.5``, ``120``, ``4k``, ``1.5M``."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"


def axis(scale: Scale, title: str) -> Sequence[Shape]:
    """The lines across a panel, their values, and the panel's title above."""
    lines = [Path(f"M{LEFT:g} {scale.y(value):.1f}H{WIDTH - RIGHT:g}", "grid") for value, _ in scale.ticks()]
    labels = [Label(LEFT - 6, round(scale.y(value) + 4, 1), text, "end") for value, text in scale.ticks()]
    return [*lines, Label(LEFT, scale.top - 10, title, kind="panel"), *labels]


def stack(x: float, width: float, scale: Scale, parts: Sequence[tuple[str, float]]) -> list[Rect]:
    """Bars on top of each other from the axis up, each seen if it is not zero."""
    found: list[Rect] = []
    base = scale.bottom
    for kind, value in parts:
        if value > 0:
            height = max(SLIVER, scale.bottom - scale.y(value))
            base -= height
            found.append(Rect(round(x, 1), round(base, 1), round(width, 1), round(height, 1), kind))
    return found
