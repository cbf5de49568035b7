"""Change points of a series: honest after searching, indifferent to the shape of the noise, the same on every run."""

from __future__ import annotations

from perfproof.change_points.changes import Change, Found, Kind, Rules, fewest_values, find_changes
from perfproof.change_points.stable import Reference, last_stable_segment, level, stable_reference

__all__ = [
    "Change",
    "Found",
    "Kind",
    "Reference",
    "Rules",
    "fewest_values",
    "find_changes",
    "last_stable_segment",
    "level",
    "stable_reference",
]
