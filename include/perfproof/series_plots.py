"""Plots for files of other tools, as SVG: a history with its changes, and two sides of a comparison."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import median

from perfproof.plots import AFTER, BEFORE, _above, _figure, _label, _legend, _nothing, _svg

CHANGE, OUTLIER = "#c92a2a", "#e8590c"
LARGEST = 1e290


def history_plot(*, metric: str, values: Sequence[float], changes: Sequence[int], outliers: Sequence[int]) -> bytes:
    """Each value as a dot, each regime's median as a line, changes and outliers marked. Missing values are left out."""
    figure, axis = _figure()
    known = [(place, value) for place, value in enumerate(values) if math.isfinite(value)]
    if _too_large(values):
        _nothing(axis, "values too large to draw")
    elif known:
        axis.plot([place for place, _ in known], [v for _, v in known], ".", color=BEFORE, markersize=4)
        bounds = [0, *changes, len(values)]
        for begin, end in pairwise(bounds):
            inside = [value for place, value in known if begin <= place < end]
            if inside:
                axis.plot([begin, end - 1], [median(inside)] * 2, color=AFTER, linewidth=2)
        for at in changes:
            axis.axvline(at - 0.5, color=CHANGE, linewidth=1, linestyle="--")
        axis.plot(outliers, [values[at] for at in outliers], "x", color=OUTLIER, markersize=5)
    else:
        _nothing(axis, "no value")
    axis.set_xlabel("index")
    _above(axis, metric)
    return _svg(figure)


def distributions_plot(*, metric: str, before: Sequence[float], after: Sequence[float]) -> bytes:
    """The share of values that stay below each value, for both sides: what is further to the right is larger."""
    figure, axis = _figure()
    sides = ((before, BEFORE, "before"), (after, AFTER, "after"))
    for values, colour, label in () if _too_large([*before, *after]) else sides:
        ordered = sorted(value for value in values if math.isfinite(value))
        if ordered:
            shares = [(place + 1) / len(ordered) for place in range(len(ordered))]
            axis.step(ordered, shares, where="post", color=colour, label=f"{label}, median {median(ordered):.4g}")
            axis.plot(ordered, shares, ".", color=colour, markersize=4)
    if _too_large([*before, *after]):
        _nothing(axis, "values too large to draw")
    elif any(math.isfinite(value) for values, _, _ in sides for value in values):
        axis.set_ylim(0, 1.05)
        _legend(axis)
    else:
        _nothing(axis, "no value")
    axis.set_xlabel(_label(metric))
    axis.set_ylabel("share of values up to this one")
    return _svg(figure)


def _too_large(values: Sequence[float]) -> bool:
    """Whether the span of an axis over `values` would overflow."""
    return any(math.isfinite(value) and abs(value) > LARGEST for value in values)
