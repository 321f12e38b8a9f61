"""Charts as SVG that needs nothing: horizontal bars on a logarithmic scale, readable on light and dark."""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape

WIDTH, NAMES, BAR, GAP = 860, 290, 13, 10
COLOURS = ("#3b82c4", "#d08a2e")
STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#1f2430}.n{text-anchor:end}.g{stroke:#8884}svg{background:#fff}"
    "@media(prefers-color-scheme:dark){text{fill:#e6e8ee}svg{background:#15181e}}"
)


def bars(title: str, values: Mapping[str, Mapping[str, float]]) -> str:
    """One group of bars a name, one bar a series; all values are above nought."""
    series = list(dict.fromkeys(one for each in values.values() for one in each))
    every = [value for each in values.values() for value in each.values()]
    low, high = math.floor(math.log10(min(every))), math.ceil(math.log10(max(every)))
    scale = (WIDTH - NAMES - 90) / (high - low)

    def across(value: float) -> float:
        return NAMES + (math.log10(value) - low) * scale

    drawn, y = [], 58.0
    for name, each in values.items():
        drawn.append(f'<text class="n" x="{NAMES - 10}" y="{y + BAR * len(each) / 2 + 4:.0f}">{escape(name)}</text>')
        for one, value in each.items():
            colour = COLOURS[series.index(one) % len(COLOURS)]
            width = across(value) - NAMES
            drawn.append(f'<rect x="{NAMES}" y="{y:.0f}" width="{width:.1f}" height="{BAR - 2}" fill="{colour}"/>')
            drawn.append(f'<text x="{across(value) + 6:.1f}" y="{y + BAR - 3:.0f}">{value:.3g}</text>')
            y += BAR
        y += GAP
    grid = []
    for power in range(low, high + 1):
        x = across(10.0**power)
        grid.append(f'<line class="g" x1="{x:.1f}" x2="{x:.1f}" y1="50" y2="{y:.0f}"/>')
        grid.append(f'<text x="{x - 8:.1f}" y="{y + 16:.0f}">{10.0**power:g}</text>')
    keys = [
        f'<rect x="{NAMES + 90 * at}" y="32" width="11" height="11" fill="{COLOURS[at % len(COLOURS)]}"/>'
        f'<text x="{NAMES + 90 * at + 16}" y="42">{escape(one)}</text>'
        for at, one in enumerate(series)
    ]
    inside = "\n".join([f'<text x="10" y="20">{escape(title)}</text>', *keys, *grid, *drawn])
    size = f'viewBox="0 0 {WIDTH} {y + 26:.0f}" width="{WIDTH}" role="img"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>\n<style>{STYLE}</style>\n{inside}\n</svg>\n'
