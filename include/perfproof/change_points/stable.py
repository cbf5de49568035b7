"""The part of a history that today can be compared with."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from perfproof.change_points.changes import Change, Kind, Rules, find_changes
from perfproof.telemetry import Direction

# A level that came back to within this share of the one before an incident has recovered.
RECOVERED = 0.05


@dataclass(frozen=True, slots=True)
class Reference:
    """Where the last stable level is. `since` is the change that it began with, None if there was none.

    `pending` is a regression after it that nobody has accepted: `segment` then ends before it, since what came after must not
    become the measure of itself.
    """

    segment: range
    since: Change | None
    pending: Change | None


def last_stable_segment(values: Sequence[float], *, rules: Rules | None = None) -> range:
    """Indices of `values` from the last change of level to the end, all of them if there is none.

    Missing values (NaN) in it keep their place; whether enough are measured is for the caller to ask.
    """
    # Which way is better plays no part in where the level changes.
    changes = find_changes(values, direction=Direction.LOWER, rules=rules).changes
    return range(changes[-1].index if changes else 0, len(values))


def stable_reference(
    values: Sequence[float],
    *,
    direction: Direction,
    accepted: Callable[[Sequence[int]], Sequence[bool]] = lambda changes: [False] * len(changes),
    rules: Rules | None = None,
) -> Reference:
    """The last stable segment of `values`, with the changes that are `accepted` (asked with the indices of all of them).

    An improvement needs no acceptance: it only raises the bar. A regression does, unless the level recovered later.
    """
    changes = find_changes(values, direction=direction, rules=rules).changes
    welcome = accepted([change.index for change in changes])
    begin, since, pending = 0, None, None
    for change, agreed in zip(changes, welcome, strict=True):
        if pending is not None and not agreed and not _recovered(pending, change, direction):
            continue
        if change.kind is Kind.REGRESSION and not agreed:
            pending = change
        else:
            begin, since, pending = change.index, change, None
    return Reference(range(begin, len(values) if pending is None else pending.index), since, pending)


def level(values: Sequence[float], segment: range) -> tuple[float | None, int]:
    """The median of what is measured in `segment`, None without any, and how many that are."""
    known = [values[place] for place in segment if math.isfinite(values[place])]
    return (median(known) if known else None), len(known)


def _recovered(pending: Change, change: Change, direction: Direction) -> bool:
    worse = -direction.sign * (change.after - pending.before)
    return worse <= RECOVERED * abs(pending.before)
