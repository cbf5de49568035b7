"""Charts of an artifact's figures: load curves, blocks of both sides, intervals beside what they must reach.

Written from numbers and escaped text only, with no style of their own, so a page may hold them as they are. Each side and each line has
a shape besides its colour. Classes for the style sheet: pp-a, pp-b, pp-c, pp-good, pp-bad, pp-open, pp-limit, pp-grid.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from perfproof.announcements import one_line
from perfproof.cycles.series_svg import Scale

WIDTH, HEIGHT = 720, 260
LEFT, RIGHT, TOP, BOTTOM = 70, 120, 24, 40
ROW = 34
# Characters on a line of a name on the left, of one on the right, and of an axis' name.
LABEL, BESIDE, AXIS = 28, 16, 100
LARGEST = 1e290
DASHES = {"pp-a": "", "pp-b": ' stroke-dasharray="7 3"', "pp-c": ' stroke-dasharray="2 3"'}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a chart: its name, its class and its points; a point without a value is left out."""

    name: str
    kind: str
    points: tuple[tuple[float | None, float | None], ...]


@dataclass(frozen=True, slots=True)
class Interval:
    """One row of a chart of intervals. `limit` is what the whole interval must stay above or below; ends may be open."""

    name: str
    low: float | None
    high: float | None
    middle: float | None
    limit: float | None
    tone: str


def number(value: Any) -> float | None:
    """`value` if it is a finite number that can be drawn."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or abs(value) > LARGEST:
        return None
    return float(value)


def lines_chart(lines: Sequence[Line], *, title: str, x_label: str, y_label: str) -> str | None:
    """Lines over one axis; the height is logarithmic where the values span more than a factor of 20. None without two points."""
    known = [[(x, y) for x, y in line.points if x is not None and y is not None] for line in lines]
    every = [point for points in known for point in points]
    if len(every) < 2:
        return None
    heights = [y for _, y in every]
    logarithmic = min(heights) > 0 and max(heights) / min(heights) > 20
    x = Scale(min(p[0] for p in every), max(p[0] for p in every), LEFT, WIDTH - RIGHT)
    low, high = (math.log10(min(heights)), math.log10(max(heights))) if logarithmic else (min(0.0, *heights), max(0.0, *heights))
    raw = Scale(low, high, HEIGHT - BOTTOM, TOP)
    parts = [_frame(x_label, y_label + (" (logarithmic)" if logarithmic else ""))]
    parts += _marks({p[0] for p in every}, x, HEIGHT - BOTTOM + 16)
    for value in sorted({min(heights), max(heights), *(() if logarithmic else (0.0,))}):
        at = raw(math.log10(value) if logarithmic else value)
        parts += [_grid(LEFT, WIDTH - RIGHT, at), _text(LEFT - 6, at + 4, f"{value:.4g}", "end")]
    shown = [
        (line, [(x(px), raw(math.log10(py) if logarithmic else py)) for px, py in sorted(points)])
        for line, points in zip(lines, known, strict=True)
        if points
    ]
    labels = _apart([drawn[-1][1] + 4 for _, drawn in shown], 26 if any(len(line.name) > BESIDE for line, _ in shown) else 14)
    for (line, drawn), label in zip(shown, labels, strict=True):
        path = " ".join(f"{px:.1f},{py:.1f}" for px, py in drawn)
        dashes = DASHES.get(line.kind, "")
        parts.append(
            f'<g class="{line.kind}"><polyline points="{path}" fill="none" stroke="currentColor" stroke-width="2"{dashes}/>'
            + "".join(_dot(px, py) for px, py in drawn)
            + _name(WIDTH - RIGHT + 8, label, line.name, BESIDE)
            + "</g>"
        )
    return _svg("".join(parts), HEIGHT, title)


def sides_chart(before: Sequence[Any], after: Sequence[Any], *, title: str, unit: str) -> str | None:
    """The value of each block of both sides as dots (before) and squares (after) over one axis, with the median of each side."""
    sides = [(name, kind, [v for v in map(number, values) if v is not None]) for name, kind, values in _sides(before, after)]
    every = [value for _, _, values in sides for value in values]
    if not every:
        return None
    height = TOP + 2 * 70 + BOTTOM
    x = Scale(min(0.0, *every), max(every), LEFT, WIDTH - RIGHT)
    bottom = height - BOTTOM
    parts = [f'<line class="pp-grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{bottom}" y2="{bottom}" stroke="currentColor"/>']
    parts += _marks({min(0.0, *every), min(every), max(every)}, x, height - BOTTOM + 16)
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, height - 6, unit, "middle", AXIS))
    for row, (name, kind, values) in enumerate(sides):
        y = TOP + 35 + 70 * row
        parts.append(f'<g class="{kind}">' + _text(LEFT - 6, y + 4, name, "end"))
        for place, value in enumerate(values):
            # Blocks with the same value stand beside each other, not on each other.
            at = y + (place % 5 - 2) * 7
            parts.append(_dot(x(value), at, 4) if row == 0 else _square(x(value), at))
        if values:
            middle = median(values)
            parts.append(
                f'<line x1="{x(middle):.1f}" x2="{x(middle):.1f}" y1="{y - 26}" y2="{y + 26}" stroke="currentColor" stroke-width="2"/>'
                + _text(WIDTH - RIGHT + 8, y + 4, f"median {middle:.4g}")
            )
        parts.append("</g>")
    return _svg("".join(parts), height, title)


def intervals_chart(rows: Sequence[Interval], *, title: str, unit: str) -> str | None:
    """Each interval as a bar with its middle, and the limit that it must keep as a dashed line. None without a number."""
    ends = [v for row in rows for v in (row.low, row.high, row.middle, row.limit) if v is not None]
    if not ends:
        return None
    height = TOP + ROW * len(rows) + BOTTOM
    left = 200
    low, high = min(0.0, *ends), max(0.0, *ends)
    x = Scale(low, high, left, WIDTH - 90)
    parts = [f'<line class="pp-grid" x1="{x(0.0):.1f}" x2="{x(0.0):.1f}" y1="{TOP}" y2="{height - BOTTOM}" stroke="currentColor"/>']
    parts += _marks({low, 0.0, high}, x, height - BOTTOM + 16, first=0.0)
    parts.append(_text((left + WIDTH - 90) / 2, height - 6, unit, "middle", AXIS))
    for place, row in enumerate(rows):
        y = TOP + ROW * place + ROW / 2
        begin, end = x(low if row.low is None else row.low), x(high if row.high is None else row.high)
        bar = ""
        if row.low is not None or row.high is not None:
            bar = f'<line x1="{begin:.1f}" x2="{end:.1f}" y1="{y:.1f}" y2="{y:.1f}" stroke="currentColor" stroke-width="3"/>'
            bar += "".join(_tick(at, y) for at, known in ((begin, row.low), (end, row.high)) if known is not None)
        middle = "" if row.middle is None else _dot(x(row.middle), y, 5)
        parts.append(f'<g class="{row.tone}">{bar}{middle}</g>' + _name(left - 10, y + 4, row.name, LABEL, "end"))
        if row.limit is not None:
            at = x(row.limit)
            parts.append(
                f'<line class="pp-limit" x1="{at:.1f}" x2="{at:.1f}" y1="{y - 14:.1f}" y2="{y + 14:.1f}" stroke="currentColor" '
                'stroke-width="2" stroke-dasharray="3 2"/>'
            )
    return _svg("".join(parts), height, title)


def _sides(before: Sequence[Any], after: Sequence[Any]) -> tuple[tuple[str, str, Sequence[Any]], ...]:
    return ("before", "pp-a", before), ("after", "pp-b", after)


def _apart(heights: Sequence[float], distance: float = 14) -> list[float]:
    """The heights of labels, moved as little as keeps each `distance` from the next and all of them inside the chart."""
    order = sorted(range(len(heights)), key=lambda place: heights[place])
    found = list(heights)
    lowest = TOP + 4.0
    for place in order:
        found[place] = lowest = max(found[place], lowest)
        lowest += distance
    highest = HEIGHT - BOTTOM + 4.0
    for place in reversed(order):
        found[place] = highest = min(found[place], highest)
        highest -= distance
    return found


def _marks(values: set[float], x: Scale, y: float, *, first: float | None = None) -> list[str]:
    """The values of an axis, without those that would cover one that is there; `first` before both ends."""
    found: list[tuple[float, str]] = []
    ordered = sorted(values)
    for value in dict.fromkeys([*(() if first is None else (first,)), ordered[0], ordered[-1], *ordered]):
        at = x(value)
        if all(abs(at - other) > 44 for other, _ in found):
            found.append((at, _text(at, y, f"{value:.4g}", "middle")))
    return [text for _, text in found]


def _frame(x_label: str, y_label: str) -> str:
    bottom = HEIGHT - BOTTOM
    return (
        f'<path class="pp-grid" d="M{LEFT} {TOP}V{bottom}H{WIDTH - RIGHT}" fill="none" stroke="currentColor"/>'
        + _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, x_label, "middle", AXIS)
        + _text(LEFT - 6, TOP - 10, y_label, "start", AXIS)
    )


def _grid(x1: float, x2: float, y: float) -> str:
    return f'<line class="pp-grid" x1="{x1:.1f}" x2="{x2:.1f}" y1="{y:.1f}" y2="{y:.1f}" stroke="currentColor" stroke-opacity="0.3"/>'


def _dot(x: float, y: float, radius: float = 3) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}" fill="currentColor"/>'


def _square(x: float, y: float) -> str:
    return f'<rect x="{x - 3.5:.1f}" y="{y - 3.5:.1f}" width="7" height="7" fill="currentColor"/>'


def _tick(x: float, y: float) -> str:
    return f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{y - 6:.1f}" y2="{y + 6:.1f}" stroke="currentColor" stroke-width="2"/>'


def _text(x: float, y: float, text: str, anchor: str = "start", limit: int = LABEL) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="12" fill="currentColor" text-anchor="{anchor}">{_escaped(text, limit)}</text>'


def _name(x: float, y: float, name: str, most: int, anchor: str = "start") -> str:
    """A name at the height of `y`: on two lines if it has more than `most` characters, broken behind a separator if there is one."""
    shown = one_line(name, limit=AXIS)
    if len(shown) <= most:
        return _text(x, y, shown, anchor, most)
    near = [place + 1 for place, c in enumerate(shown[:most]) if c in " _-./:" and place > 0]
    at = near[-1] if near and near[-1] >= most // 3 else most
    return _text(x, y - 6, shown[:at].rstrip(), anchor, most) + _text(x, y + 7, shown[at:].lstrip(), anchor, most)


def _svg(inner: str, height: float, title: str) -> str:
    label = html.escape(one_line(title, limit=300))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:g}" role="img" class="pp-plot">'
        f"<title>{label}</title>{inner}</svg>"
    )  # fmt: skip


def _escaped(text: str, limit: int) -> str:
    return html.escape(one_line(text, limit=limit))
