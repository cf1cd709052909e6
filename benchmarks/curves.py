"""
Draws curves as SVG: one panel for each, sizes on a logarithmic axis, all on one
scale of values that begins at zero.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

#: Of a panel's plot, pixels.
WIDTH: Final = 340
HEIGHT: Final = 190
#: Around each plot: room for the values, and for names and sizes.
LEFT: Final = 72
RIGHT: Final = 24
ABOVE: Final = 34
BELOW: Final = 52
#: Above everything, for title and note.
TOP: Final = 66
COLUMNS: Final = 2
INK: Final = "#222222"
FAINT: Final = "#d8d8d8"
LINE: Final = "#1f5fa8"
DOT: Final = "#7aa6d8"


@dataclass(frozen=True)
class Curve:
    """
    :ivar name: what grows.
    :ivar points: its sizes, at least 1, in order, each with the values that were measured.
    """

    name: str
    points: Sequence[tuple[int, Sequence[float]]]


def round_up(value: float) -> tuple[float, float]:
    """
    Where an axis that has to show *value* ends, and the distance of its marks.
    """
    power = 10.0 ** math.floor(math.log10(value)) if value > 0 else 1.0
    for step in (0.1, 0.2, 0.5, 1.0, 2.0):
        if value <= 6 * step * power:
            distance = step * power
            break
    return distance * math.ceil(value / distance), distance


def text(x: float, y: float, words: str, anchor: str = "middle", size: int = 12, more: str = "") -> str:
    """
    A line of text.
    """
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}"{more}>{escape(words)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    """
    A thin line.
    """
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>'


def panel(curve: Curve, left: float, top: float, unit: str, highest: float, distance: float) -> list[str]:
    """
    One curve.

    :param left: where its plot begins, as *top*.
    :param highest: upper end of the axis of values.
    """
    decades = max(1, math.ceil(math.log10(max(size for size, _ in curve.points))))
    bottom = top + HEIGHT

    def x_of(size: float) -> float:
        return left + WIDTH * math.log10(size) / decades

    def y_of(value: float) -> float:
        return bottom - HEIGHT * value / highest

    parts = [text(left, top - 12, curve.name, "start", 14, ' font-weight="bold"')]
    for number in range(round(highest / distance) + 1):
        value = number * distance
        parts.append(line(left, y_of(value), left + WIDTH, y_of(value), FAINT))
        parts.append(text(left - 8, y_of(value) + 4, f"{value:,.0f}" if distance >= 1 else f"{value:g}", "end"))
    for decade in range(decades + 1):
        x = x_of(10**decade)
        parts.append(line(x, bottom, x, bottom + 5, INK))
        parts.append(text(x, bottom + 19, f"{10**decade:,}"))
    parts.append(line(left, bottom, left + WIDTH, bottom, INK))
    parts.append(line(left, top, left, bottom, INK))
    parts.append(text(left + WIDTH / 2, bottom + 38, f"number of {curve.name} (logarithmic)"))
    middle = top + HEIGHT / 2
    turned = f' transform="rotate(-90 {left - 54:.1f} {middle:.1f})"'
    parts.append(text(left - 54, middle, unit, more=turned))
    for size, values in curve.points:
        parts += [f'<circle cx="{x_of(size):.1f}" cy="{y_of(each):.1f}" r="2.5" fill="{DOT}"/>' for each in values]
    path = " ".join(f"{x_of(size):.1f},{y_of(statistics.median(values)):.1f}" for size, values in curve.points)
    parts.append(f'<polyline points="{path}" fill="none" stroke="{LINE}" stroke-width="2"/>')
    for size, values in curve.points:
        found = statistics.median(values)
        parts.append(f'<circle cx="{x_of(size):.1f}" cy="{y_of(found):.1f}" r="3.5" fill="{LINE}"/>')
        # Beside the axis and its marks, not on them.
        anchor, aside = ("start", 6) if size == 1 else ("middle", 0)
        parts.append(text(x_of(size) + aside, y_of(max(values)) - 9, f"{found:,.0f}", anchor, 11))
    return parts


def draw(title: str, note: str, unit: str, curves: Sequence[Curve]) -> str:
    """
    The picture, on a white ground of its own.

    :param note: below the title.
    :param unit: of the values.
    """
    # The figures above the dots need some room.
    highest, distance = round_up(1.15 * max(max(values) for curve in curves for _, values in curve.points))
    wide, high = LEFT + WIDTH + RIGHT, ABOVE + HEIGHT + BELOW
    columns = min(COLUMNS, len(curves))
    width, height = columns * wide, TOP + math.ceil(len(curves) / columns) * high
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
        f' font-family="sans-serif" fill="{INK}">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        text(16, 26, title, "start", 16, ' font-weight="bold"'),
        text(16, 46, note, "start", 11),
    ]
    for number, curve in enumerate(curves):
        row, column = divmod(number, columns)
        parts += panel(curve, column * wide + LEFT, TOP + row * high + ABOVE, unit, highest, distance)
    return "\n".join((*parts, "</svg>")) + "\n"
