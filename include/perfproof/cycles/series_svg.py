"""Small pictures of series for a page: no library, no style of their own, colours that follow the text around them.

Everything that is written is a number of ours or escaped text, so a page may put the picture into its HTML as it is. The classes
`pp-line`, `pp-dot`, `pp-change`, `pp-promised` and `pp-realized` are for the page's style sheet.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence

from perfproof.announcements import one_line

WIDTH, HEIGHT, MARGIN = 640, 160, 8
LABELS = 64
MAX_LABEL = 200


def series_svg(values: Sequence[float | None], *, changes: Iterable[int] = (), title: str, unit: str) -> str:
    """The values in order as a line with dots, broken where one is missing, with a dashed line before each index of `changes`."""
    known = [v for v in values if v is not None and math.isfinite(v)]
    if not known:
        return _svg("", title=f"{title}: no value")
    low, high = min(known), max(known)
    x, y = _scales(len(values), low, high)
    parts = [_change(x(at - 0.5)) for at in changes if 0 < at < len(values)]
    run: list[str] = []
    for at, value in [*enumerate(values), (len(values), None)]:
        if value is not None and math.isfinite(value):
            run.append(f"{x(at):.1f},{y(value):.1f}")
            parts.append(f'<circle class="pp-dot" cx="{x(at):.1f}" cy="{y(value):.1f}" r="2" fill="currentColor"/>')
        elif run:
            parts.append(f'<polyline class="pp-line" points="{" ".join(run)}" fill="none" stroke="currentColor" stroke-width="1.5"/>')
            run = []
    parts += [_label(MARGIN + 10, f"{high:.4g} {unit}"), _label(HEIGHT - MARGIN, f"{low:.4g} {unit}")]
    return _svg("".join(parts), title=f"{title}: {len(known)} values from {low:.4g} to {high:.4g} {unit}, last {known[-1]:.4g}")


def pairs_svg(pairs: Sequence[tuple[float | None, float | None]], *, title: str, unit: str) -> str:
    """Promised beside realized, a pair of bars for each; a missing one has no bar."""
    known = [v for pair in pairs for v in pair if v is not None and math.isfinite(v)]
    if not known:
        return _svg("", title=f"{title}: no value")
    low, high = min(0.0, *known), max(0.0, *known)
    x, y = _scales(len(pairs), low, high)
    width = min(14.0, (WIDTH - LABELS) / (3 * len(pairs)))
    parts = []
    for at, pair in enumerate(pairs):
        for side, (value, name) in enumerate(zip(pair, ("promised", "realized"), strict=True)):
            if value is not None and math.isfinite(value):
                top, bottom = sorted((y(value), y(0.0)))
                left = x(at) + (side - 1) * width
                opacity = "0.4" if side == 0 else "1"
                parts.append(
                    f'<rect class="pp-{name}" x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{max(bottom - top, 1):.1f}" '
                    f'fill="currentColor" fill-opacity="{opacity}"/>'
                )
    parts += [_label(MARGIN + 10, f"{high:.4g} {unit}"), _label(HEIGHT - MARGIN, f"{low:.4g} {unit}")]
    return _svg("".join(parts), title=f"{title}: {len(pairs)} pairs, promised pale and realized full, from {low:.4g} to {high:.4g} {unit}")


def _scales(count: int, low: float, high: float) -> tuple[Scale, Scale]:
    return Scale(-0.5, max(count, 1) - 0.5, LABELS, WIDTH - MARGIN), Scale(low, high, HEIGHT - MARGIN, MARGIN)


class Scale:
    """Where a value stands in a picture: `low` at `start` and `high` at `end`, everything in the middle where they are equal."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self.low, self.half, self.start, self.end = low, high / 2 - low / 2, start, end

    def __call__(self, value: float) -> float:
        """The place, in the picture's units."""
        # Half each, since the span of two very large values overflows.
        share = (value / 2 - self.low / 2) / self.half if self.half > 0 else 0.5
        return self.start + share * (self.end - self.start)


def _change(x: float) -> str:
    return (
        f'<line class="pp-change" x1="{x:.1f}" x2="{x:.1f}" y1="{MARGIN}" y2="{HEIGHT - MARGIN}" '
        'stroke="currentColor" stroke-dasharray="4 3"/>'
    )


def _label(y: float, text: str) -> str:
    return f'<text x="2" y="{y:.0f}" font-size="11" fill="currentColor">{_escaped(text)}</text>'


def _svg(inner: str, *, title: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" class="pp-plot">'
        f"<title>{_escaped(title)}</title>{inner}</svg>"
    )


def _escaped(text: str) -> str:
    return html.escape(one_line(text, limit=MAX_LABEL))
