"""Plots of a cycle as SVG: the measured blocks of both sides, and the latency of each load scenario.

matplotlib is imported inside, since it takes seconds. Same inputs give the same bytes.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

BEFORE, AFTER = "#8c6bb1", "#2b8a3e"
PERCENTILES = (("p50", "#4292c6", "o"), ("p95", "#2171b5", "s"), ("p99", "#08306b", "^"))
MAX_LABEL = 60
MAX_LINE = 30
NARROW = 300.0
# Inches around everything: the browser of a reader may lack the font that was measured, and a wider one must not be cut.
ROOM = 0.15


def blocks_plot(*, metric: str, unit: str, before: Sequence[float | None], after: Sequence[float | None]) -> bytes:
    """Each measured block as a dot, in the order of measuring, with the median of its side. A block without a value is left out."""
    figure, axis = _figure()
    sides = ((before, BEFORE, "baseline"), (after, AFTER, "candidate"))
    known = [[(place, v) for place, value in enumerate(values, start=1) if (v := _number(value)) is not None] for values, _, _ in sides]
    for points, (_, colour, label) in zip(known, sides, strict=True):
        if points:
            middle = median(v for _, v in points)
            axis.plot([place for place, _ in points], [v for _, v in points], "o", color=colour, label=f"{label}, median {middle:.4g}")
            axis.axhline(middle, color=colour, linewidth=1, linestyle="--")
    if any(known):
        axis.set_ylim(bottom=0)
        axis.set_xlim(0.5, max(len(before), len(after)) + 0.5)
        axis.set_xticks(range(1, max(len(before), len(after)) + 1, max(1, max(len(before), len(after)) // 20)))
        _legend(axis)
    else:
        _nothing(axis, "no block has a value")
    axis.set_xlabel("block of the side, in the order of measuring")
    _above(axis, metric)
    axis.set_ylabel(_label(unit))
    return _svg(figure)


def load_plot(scenarios: Sequence[Mapping[str, Any]], *, limit_p95: float | None) -> bytes:
    """p50, p95 and p99 of each load scenario, with the target of p95. A percentile without enough samples is left out."""
    figure, axis = _figure()
    heights: list[float] = []
    for name, colour, mark in PERCENTILES:
        points = [(i, _number((s.get("latency") or {}).get(name))) for i, s in enumerate(scenarios)]
        known = [(place, height) for place, height in points if height is not None]
        if known:
            heights += [height for _, height in known]
            axis.plot([place for place, _ in known], [height for _, height in known], mark, color=colour, markersize=9, label=name)
    if heights:
        if limit_p95 is not None:
            axis.axhline(limit_p95, color="#c92a2a", linewidth=1, linestyle="--", label=f"target of p95: {limit_p95:g} ms")
        if min(heights) > 0:
            # An overloaded scenario is slower by orders of magnitude; a linear axis would flatten the others.
            axis.set_yscale("log")
            _decades(axis.yaxis, heights)
        axis.margins(y=0.12)
        _legend(axis)
    else:
        _nothing(axis, "no scenario has a latency")
    axis.set_xlim(-0.5, max(len(scenarios), 1) - 0.5)
    # About seventy characters of the font fit below the axis, side by side.
    most = min(MAX_LINE, max(6, 70 // max(len(scenarios), 1) - 2))
    axis.set_xticks(range(len(scenarios)), [_lines(s.get("scenario"), most) for s in scenarios])
    axis.set_ylabel("latency from the intended start (ms)")
    return _svg(figure)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) else None


def _label(value: Any) -> str:
    """`value` as matplotlib shows it: a dollar sign would start a formula, and XML has no control characters."""
    shown = "".join(c if c.isprintable() and not 0xD800 <= ord(c) <= 0xDFFF and ord(c) not in (0xFFFE, 0xFFFF) else "�" for c in str(value))
    cut = shown if len(shown) <= MAX_LABEL else shown[: MAX_LABEL - 1] + "…"
    return cut.replace("$", r"\$")


def _lines(value: Any, most: int = MAX_LINE) -> str:
    """`value`, on two lines of at most `most` characters if it is longer, broken behind a separator where there is one."""
    shown = str(value)
    if len(shown) <= most:
        return _label(shown)
    near = [place + 1 for place, c in enumerate(shown[:most]) if c in " _-./:" and place > 0]
    at = near[-1] if near and near[-1] >= most // 3 else most
    rest = shown[at:].lstrip()
    return _label(shown[:at].rstrip()) + "\n" + _label(rest if len(rest) <= most else rest[: most - 1] + "…")


def _above(axis: Any, name: str) -> None:
    """A name of others above the plot: beside the axis, a long one would be cut."""
    axis.set_title(_label(name), loc="left", fontsize=10)


def _decades(axis: Any, values: Sequence[float]) -> None:
    """Figures for a logarithmic axis: within two decades also at 2 and 5, since decades alone would leave one or none."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    if max(values) / min(values) < NARROW:
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(StrMethodFormatter("{x:,g}"))
    axis.set_minor_formatter(NullFormatter())


def _legend(axis: Any) -> None:
    axis.legend(fontsize=9, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))


def _nothing(axis: Any, why: str) -> None:
    axis.text(0.5, 0.5, why, transform=axis.transAxes, ha="center", va="center")
    axis.set_yticks([])


def _figure() -> tuple[Any, Any]:
    # Figure without pyplot: no backend is chosen for the process and nothing is kept after the figure is gone.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    _roomy(figure)
    axis = figure.subplots()
    axis.spines[["top", "right"]].set_visible(False)
    return figure, axis


def _roomy(figure: Any) -> None:
    figure.get_layout_engine().set(w_pad=ROOM, h_pad=ROOM / 2)


def _svg(figure: Any) -> bytes:
    import matplotlib as mpl

    buffer = io.BytesIO()
    # A fixed salt and no date: element ids and metadata would otherwise differ from run to run.
    with mpl.rc_context({"svg.hashsalt": "perfproof", "svg.fonttype": "none", "text.usetex": False}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()
