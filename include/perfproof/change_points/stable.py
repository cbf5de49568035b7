"""The part of a history that today can be compared with."""

from __future__ import annotations

from collections.abc import Sequence

from perfproof.change_points.changes import Rules, find_changes
from perfproof.telemetry import Direction


def last_stable_segment(values: Sequence[float], *, rules: Rules | None = None) -> range:
    """Indices of `values` from the last change of level to the end, all of them if there is none.

    Missing values (NaN) in it keep their place; whether enough are measured is for the caller to ask.
    """
    # Which way is better plays no part in where the level changes.
    changes = find_changes(values, direction=Direction.LOWER, rules=rules).changes
    return range(changes[-1].index if changes else 0, len(values))
