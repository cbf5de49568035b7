"""A history of good and bad events on a grid of steps, as a back-test replays it. What is missing stays missing and is counted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from perfproof.errors import ArtifactError
from perfproof.slos.indicator import SAMPLE_SECONDS
from perfproof.telemetry import Direction

MAX_STEPS = 5_000_000


@dataclass(frozen=True, slots=True)
class History:
    """(bad, total) of each step that was measured. `steps` are numbers from 0, ascending; a number that is missing is a gap.

    `start` is the begin of step 0 and `step` its length, both in seconds. `dropped` counts readings that are no measurement.
    """

    start: float
    step: float
    steps: tuple[int, ...]
    bad: tuple[float, ...]
    total: tuple[float, ...]
    dropped: int

    @property
    def length(self) -> int:
        """Steps from the first to the last measured one."""
        return self.steps[-1] + 1 if self.steps else 0

    @property
    def gaps(self) -> int:
        """Steps without a measurement."""
        return self.length - len(self.steps)

    @property
    def seconds(self) -> float:
        """From the begin of the first to the end of the last step."""
        return self.length * self.step


def events_history(
    times: Sequence[float], good: Sequence[float], total: Sequence[float], *, step: float | None = None, where: str = "history"
) -> History:
    """The history of counted events: of `total` in the step that ends at each time, so many were `good`.

    A reading with a NaN, a negative count, or more good than all is dropped and counted. `step` is told by the times if it is
    not given. Raises ArtifactError for times that are no moments or give no step.
    """
    readings = []
    for moment, g, t in zip(times, good, total, strict=True):
        known = all(math.isfinite(value) for value in (moment, g, t)) and 0 <= g <= t
        readings.append((moment, (t - g, t) if known else None))
    return _on_grid(readings, step, where)


def threshold_history(
    times: Sequence[float],
    values: Sequence[float],
    *,
    target: float,
    direction: Direction,
    step: float | None = None,
    where: str = "history",
) -> History:
    """The history of a metric against a target: a value stands for every minute of the step that ends at its time.

    NaN and infinities are dropped and counted.
    """
    readings: list[tuple[float, tuple[float, float] | None]] = []
    for moment, value in zip(times, values, strict=True):
        if not math.isfinite(value):
            readings.append((moment, None))
            continue
        readings.append((moment, (0.0 if (value - target) * direction.sign >= 0 else 1.0, 1.0)))
    found = _on_grid(readings, step, where)
    weight = found.step / SAMPLE_SECONDS
    return replace(found, bad=tuple(b * weight for b in found.bad), total=tuple(t * weight for t in found.total))


def _on_grid(readings: Sequence[tuple[float, tuple[float, float] | None]], step: float | None, where: str) -> History:
    moments = sorted({moment for moment, _ in readings if math.isfinite(moment)})
    dropped = sum(not math.isfinite(moment) for moment, _ in readings)
    length = step if step is not None else _step(moments, where)
    if not 0 < length < math.inf:
        raise ArtifactError(579, where=where, what="not the length of a step", got=length, expected="seconds above 0", fix="correct it")
    if not moments:
        return History(0.0, length, (), (), (), dropped)
    first = moments[0]
    if (moments[-1] - first) / length > MAX_STEPS:
        raise ArtifactError(579, where=where, what="too many steps", expected=f"at most {MAX_STEPS}", fix="take a shorter history")
    places: dict[int, set[tuple[float, float] | None]] = {}
    for moment, counts in readings:
        if math.isfinite(moment):
            places.setdefault(round((moment - first) / length), set()).add(counts)
    kept: dict[int, tuple[float, float]] = {}
    for place, found in sorted(places.items()):
        only = next(iter(found))
        # Two different readings of one step: nobody knows which of them is true.
        if len(found) == 1 and only is not None:
            kept[place] = only
        else:
            dropped += len(found)
    offset = min(kept, default=0)
    return History(
        start=first + (offset - 1) * length,
        step=length,
        steps=tuple(place - offset for place in kept),
        bad=tuple(bad for bad, _ in kept.values()),
        total=tuple(total for _, total in kept.values()),
        dropped=dropped,
    )


def _step(moments: Sequence[float], where: str) -> float:
    """The most frequent distance of two readings, the smallest of these if there are several."""
    distances = [round(b - a, 6) for a, b in pairwise(moments)]
    if not distances:
        raise ArtifactError(579, where=where, what="one reading tells no step", got=len(moments), fix="give a longer history")
    counts: dict[float, int] = {}
    for distance in distances:
        counts[distance] = counts.get(distance, 0) + 1
    most = max(counts.values())
    return min(distance for distance, count in counts.items() if count == most)
