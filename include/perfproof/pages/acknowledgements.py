"""Which changes of a history people have accepted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from perfproof.change_points.acknowledged import Acknowledged


def acknowledged_in(history: Mapping[str, Any], acknowledged: Acknowledged) -> dict[tuple[str, str], str]:
    """For (series, moment) of a change in `history` (of `perfproof.cycles.baselines`) the words of the entry that accepts it."""
    found: dict[tuple[str, str], str] = {}
    for series in history["series"]:
        starts = [point["at"] for point in series["points"]]
        own = [(change["at"], starts.index(change["at"])) for change in series["changes"] if change["at"] in starts]
        entries = acknowledged.of(series["series"], [place for _, place in own], times=starts)
        for (moment, _), entry in zip(own, entries, strict=True):
            if entry is not None:
                found[(series["series"], moment)] = entry.words
    return found
