"""Small pictures of series for a page: no library, no style of their own, colours that follow the text around them.

Everything that is written is a number of ours or escaped text, so a page may put the picture into its HTML as it is. The classes
`pp-line`, `pp-dot`, `pp-change`, `pp-promised`, `pp-realized` and `pp-grid` are for the page's style sheet.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence

from perfproof.announcements import one_line

WIDTH, HEIGHT = 640, 180
LEFT, RIGHT, TOP, BOTTOM = 84, 10, 24, 24
# Lower than this apart, one figure of the axis would cover the other.
LINE = 13
MAX_LABEL = 200
MAX_MARK = 40
Ends = tuple[str, str]


def series_svg(
    values: Sequence[float | None], *, changes: Iterable[int] = (), title: str, unit: str, ends: Ends | None = None
) -> str:  # fmt: skip
    """The values in order as a line with dots, broken where one is missing, with a dashed line before each index of `changes`.

    `ends` stand below the first and the last value; where there is one value only, the first of them stands below it.
    """
    known = [v for v in values if v is not None and math.isfinite(v)]
    if not known:
        return _svg("", title=f"{title}: no value")
    low, high = min(known), max(known)
    x, y = _scales(len(values), low, high)
    parts = [_axes(low, high, y, unit), _names(len(values), x, ends), *(_change(x(at - 0.5)) for at in changes if 0 < at < len(values))]
    run: list[str] = []
    for at, value in [*enumerate(values), (len(values), None)]:
        if value is not None and math.isfinite(value):
            run.append(f"{x(at):.1f},{y(value):.1f}")
            radius = 2 if len(values) > 1 else 4
            parts.append(f'<circle class="pp-dot" cx="{x(at):.1f}" cy="{y(value):.1f}" r="{radius}" fill="currentColor"/>')
        elif run:
            parts.append(f'<polyline class="pp-line" points="{" ".join(run)}" fill="none" stroke="currentColor" stroke-width="1.5"/>')
            run = []
    count = "1 value," if len(known) == 1 else f"{len(known)} values from {low:.4g} to {high:.4g} {unit}, last"
    return _svg("".join(parts), title=f"{title}: {count} {known[-1]:.4g}{f' {unit}' if len(known) == 1 else ''}")


def pairs_svg(pairs: Sequence[tuple[float | None, float | None]], *, title: str, unit: str, ends: Ends | None = None) -> str:
    """Promised beside realized, a pair of bars for each: an outline and a full one; a missing one has no bar."""
    known = [v for pair in pairs for v in pair if v is not None and math.isfinite(v)]
    if not known:
        return _svg("", title=f"{title}: no value")
    low, high = min(0.0, *known), max(0.0, *known)
    x, y = _scales(len(pairs), low, high)
    width = min(14.0, (WIDTH - LEFT - RIGHT) / (3 * len(pairs)))
    parts = [_axes(low, high, y, unit), _names(len(pairs), x, ends)]
    for at, pair in enumerate(pairs):
        for side, (value, name) in enumerate(zip(pair, ("promised", "realized"), strict=True)):
            if value is not None and math.isfinite(value):
                top, bottom = sorted((y(value), y(0.0)))
                left = x(at) + (side - 1) * width
                opacity = "0.15" if side == 0 else "1"
                parts.append(
                    f'<rect class="pp-{name}" x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{max(bottom - top, 1):.1f}" '
                    f'fill="currentColor" fill-opacity="{opacity}" stroke="currentColor"/>'
                )
    count = "1 pair" if len(pairs) == 1 else f"{len(pairs)} pairs"
    return _svg("".join(parts), title=f"{title}: {count}, promised as outlines and realized full, from {low:.4g} to {high:.4g} {unit}")


def _scales(count: int, low: float, high: float) -> tuple[Scale, Scale]:
    return Scale(-0.5, max(count, 1) - 0.5, LEFT, WIDTH - RIGHT), Scale(low, high, HEIGHT - BOTTOM - 4, TOP + 4)


class Scale:
    """Where a value stands in a picture: `low` at `start` and `high` at `end`, everything in the middle where they are equal."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self.low, self.half, self.start, self.end = low, high / 2 - low / 2, start, end

    def __call__(self, value: float) -> float:
        """The place, in the picture's units."""
        # Half each, since the span of two very large values overflows.
        share = (value / 2 - self.low / 2) / self.half if self.half > 0 else 0.5
        return self.start + share * (self.end - self.start)


def _axes(low: float, high: float, y: Scale, unit: str) -> str:
    """Both axes, the unit above, and a figure with a fine line at both ends and at zero; one figure where all values are equal."""
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    parts = [f'<path class="pp-grid" d="M{LEFT} {TOP}V{bottom}H{right}" fill="none" stroke="currentColor"/>', _label(4, 12, unit)]
    written: list[float] = []
    for value in dict.fromkeys((high, low, *((0.0,) if low < 0 < high else ()))):
        at = y(value)
        fine = "" if value == 0 else ' stroke-opacity="0.35"'
        parts.append(f'<path class="pp-grid" d="M{LEFT} {at:.1f}H{right}" fill="none" stroke="currentColor"{fine}/>')
        if all(abs(at - other) >= LINE for other in written):
            parts.append(_label(LEFT - 6, at + 4, _told(value, low, high), "end"))
            written.append(at)
    return "".join(parts)


def _told(value: float, low: float, high: float) -> str:
    """`value` with as many digits as tell both ends apart."""
    digits = next((n for n in range(4, 9) if low == high or f"{low:.{n}g}" != f"{high:.{n}g}"), 9)
    return f"{value:.{digits}g}"


def _names(count: int, x: Scale, ends: Ends | None) -> str:
    if ends is None:
        return ""
    if count == 1:
        return _label(x(0), HEIGHT - 8, ends[0], "middle")
    room = 3.3 * max(map(len, ends))
    first, last = x(0), x(count - 1)
    written = _label(LEFT, HEIGHT - 8, ends[0]) if first - room < LEFT else _label(first, HEIGHT - 8, ends[0], "middle")
    right = WIDTH - RIGHT
    return written + (_label(right, HEIGHT - 8, ends[1], "end") if last + room > right else _label(last, HEIGHT - 8, ends[1], "middle"))


def _change(x: float) -> str:
    return (
        f'<line class="pp-change" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}" '
        'stroke="currentColor" stroke-dasharray="4 3"/>'
    )  # fmt: skip


def _label(x: float, y: float, text: str, anchor: str = "start") -> str:
    shown = html.escape(one_line(text, limit=MAX_MARK))
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="11" fill="currentColor" text-anchor="{anchor}">{shown}</text>'


def _svg(inner: str, *, title: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" class="pp-plot">'
        f"<title>{html.escape(one_line(title, limit=MAX_LABEL))}</title>{inner}</svg>"
    )
