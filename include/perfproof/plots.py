"""Plots of a cycle as SVG: the measured blocks of both sides, and the latency of each load scenario.

matplotlib is imported inside, since it takes seconds. Same inputs give the same bytes.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

BEFORE, AFTER = "#8c6bb1", "#2b8a3e"


def blocks_plot(*, metric: str, unit: str, before: Sequence[float], after: Sequence[float]) -> bytes:
    """Each measured block as a dot, in the order of measuring, with the median of its side."""
    figure, axis = _figure()
    for values, color, label in ((before, BEFORE, "baseline"), (after, AFTER, "candidate")):
        axis.plot(range(1, len(values) + 1), list(values), "o", color=color, label=label)
        if values:
            middle = sorted(values)[len(values) // 2]
            axis.axhline(middle, color=color, linewidth=1, linestyle="--")
    axis.set_ylim(bottom=0)
    axis.set_xlabel("block")
    axis.set_ylabel(f"{metric} ({unit})")
    axis.legend()
    return _svg(figure)


def load_plot(scenarios: Sequence[Mapping[str, Any]], *, limit_p95: float | None) -> bytes:
    """p50, p95 and p99 of each load scenario, with the target of p95."""
    figure, axis = _figure()
    names = [str(s["scenario"]) for s in scenarios]
    for offset, percentile, color in ((-0.25, "p50", "#9ecae1"), (0.0, "p95", "#4292c6"), (0.25, "p99", "#084594")):
        heights = [s["latency"][percentile] or 0.0 for s in scenarios]
        axis.bar([i + offset for i in range(len(names))], heights, width=0.24, color=color, label=percentile)
    if limit_p95 is not None:
        axis.axhline(limit_p95, color="#c92a2a", linewidth=1, linestyle="--", label="target of p95")
    axis.set_xticks(range(len(names)), names)
    axis.set_ylabel("latency from the intended start (ms)")
    axis.legend()
    return _svg(figure)


def _figure() -> tuple[Any, Any]:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.6), layout="constrained")
    return figure, figure.subplots()


def _svg(figure: Any) -> bytes:
    import matplotlib

    buffer = io.BytesIO()
    # A fixed salt and no date: element ids and metadata would otherwise differ from run to run.
    with matplotlib.rc_context({"svg.hashsalt": "perfproof", "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()
