"""How figures of the scale benchmarks are summed up: percentiles, ratios to a floor, and how a curve grows."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Timing:
    """What `size` of something took, in seconds, and what its floor took in the same run."""

    size: int
    seconds: float
    floor: float

    @property
    def ratio(self) -> float:
        """How many times its floor it is."""
        return self.seconds / self.floor if self.floor > 0 else math.inf


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest of `values` that at least `share` of them do not exceed; NaN without values."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


def exponent(timings: Sequence[Timing]) -> float:
    """The power of the size that the seconds grow by, least squares on logarithms: 0 is flat, 1 linear, 2 quadratic. NaN for one size."""
    points = [(math.log(timing.size), math.log(timing.seconds)) for timing in timings if timing.seconds > 0]
    if len({x for x, _ in points}) < 2:
        return math.nan
    middle_x, middle_y = (sum(column) / len(points) for column in zip(*points, strict=True))
    spread = sum((x - middle_x) ** 2 for x, _ in points)
    return float(sum((x - middle_x) * (y - middle_y) for x, y in points) / spread)


def took(work: Callable[[], object], *, times: int = 1, clock: Callable[[], float] = time.process_time) -> float:
    """Median seconds of `times` calls: of this process's CPU, so that what else the machine does plays no part, or of another clock."""
    found = []
    for _ in range(times):
        begun = clock()
        work()
        found.append(clock() - begun)
    return median(found)


def growth_table(rows: Sequence[tuple[str, str, Sequence[Timing]]]) -> str:
    """Markdown: for each (what, floor, timings) the milliseconds at each size, the ratio to the floor at the largest, and the exponent."""
    sizes = sorted({timing.size for _, _, timings in rows for timing in timings})
    heads = ["what", *(f"{size:,} (ms)" for size in sizes), "growth", "floor", "floor at most (ms)", "ratio at most"]
    lines = [_line(heads), "|---|" + "---:|" * (len(sizes) + 1) + "---|---:|---:|"]
    for what, floor, timings in rows:
        by_size = {timing.size: timing for timing in timings}
        last = max(timings, key=lambda timing: timing.size)
        measured = [f"{1000 * by_size[size].seconds:,.1f}" if size in by_size else "" for size in sizes]
        lines.append(_line([what, *measured, f"n^{exponent(timings):.2f}", floor, f"{1000 * last.floor:,.1f}", f"{last.ratio:.1f}"]))
    return "\n".join(lines)


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Markdown with the first column to the left and all others to the right."""
    return "\n".join([_line(heads), "|---|" + "---:|" * (len(heads) - 1), *(_line(row) for row in rows)])


def _line(cells: Sequence[object]) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"
