"""Plots that the report adds to those of the measurements, as SVG: distributions, intervals, load curves, kept promises.

matplotlib is imported inside, since it takes seconds. Same inputs give the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perfproof.plots import AFTER, BEFORE, PERCENTILES, _decades, _figure, _label, _legend, _lines, _nothing, _number, _roomy, _svg

LIMIT = "#c92a2a"
# From the 1st to the 99th percentile: beyond them single requests decide.
SHARES = tuple(range(1, 100))
MIN_REQUESTS = 20
# Further apart, a linear axis would flatten the lower part.
LOG_FROM = 8.0
MAX_ROWS = 24


def latency_plot(*, transaction: str, judged: str, before: Sequence[NDArray[np.float64]], after: Sequence[NDArray[np.float64]]) -> bytes:
    """Latencies of all requests of both sides: the middle block of each side as a line, from the lowest to the highest as a band.

    Each array holds the latencies of one block in ms; blocks below 20 requests are left out. `judged` is p50, p95 or p99, the
    percentile that the verdict is about.
    """
    figure, axis = _figure()
    drawn: list[float] = []
    for blocks, colour, label in ((before, BEFORE, "before"), (after, AFTER, "after")):
        valid = [block[np.isfinite(block)] for block in blocks]
        found = [np.percentile(block, SHARES, method="inverted_cdf") for block in valid if len(block) >= MIN_REQUESTS]
        if not found:
            continue
        low, middle, high = np.min(found, axis=0), np.median(found, axis=0), np.max(found, axis=0)
        axis.fill_betweenx(SHARES, low, high, color=colour, alpha=0.2, linewidth=0)
        axis.plot(middle, SHARES, color=colour, linewidth=2, label=f"{label} ({len(found)} block{'' if len(found) == 1 else 's'})")
        drawn += [float(low[0]), float(high[-1])]
    if drawn:
        share = int(judged[1:]) if judged in ("p50", "p95", "p99") else None
        if share is not None:
            axis.axhline(share, color=LIMIT, linewidth=1, linestyle="--", label=f"judged: {judged}")
        _wide(axis, drawn)
        axis.set_ylim(0, 100)
        _legend(axis)
    else:
        _nothing(axis, "no block has enough requests")
    axis.set_xlabel(f"latency of {_label(transaction)} (ms)")
    axis.set_ylabel("requests up to it (%)")
    return _svg(figure)


def _wide(axis: Any, values: Sequence[float]) -> None:
    if min(values) > 0 and max(values) / min(values) > LOG_FROM:
        axis.set_xscale("log")
        _decades(axis.xaxis, values)


def intervals_plot(changes: Sequence[Mapping[str, Any]]) -> bytes:
    """Each change as a dot on its interval, to the right is better, with the limit that decides as a tick.

    `changes` are {name, value, low, high, limit} in percent (points for shares), None for what is not known; an end that is None is
    open and drawn as an arrow.
    """
    figure, axis = _figure()
    shown = [c for c in changes if _number(c.get("value")) is not None][:MAX_ROWS]
    if not shown:
        _nothing(axis, "no change has a value")
        return _svg(figure)
    figure.set_size_inches(9, 1.4 + 0.45 * len(shown))
    ends = [v for c in shown for key in ("value", "low", "high", "limit") if (v := _number(c.get(key))) is not None]
    least, most = min([*ends, 0.0]), max([*ends, 0.0])
    room = 0.06 * ((most - least) or 1.0)
    for place, change in enumerate(shown):
        value, low, high, limit = (_number(change.get(key)) for key in ("value", "low", "high", "limit"))
        colour = AFTER if place == 0 else BEFORE
        axis.plot([least - room if low is None else low, most + room if high is None else high], [place] * 2, color=colour, linewidth=2)
        for end, edge, mark in ((low, least - room, "<"), (high, most + room, ">")):
            axis.plot([edge if end is None else end], [place], mark if end is None else "|", color=colour, markersize=9)
        axis.plot([value], [place], "o", color=colour, markersize=7)
        if limit is not None:
            axis.plot([limit] * 2, [place - 0.35, place + 0.35], color=LIMIT, linewidth=2, label=None if place else "limit that decides")
    axis.axvline(0, color="#555555", linewidth=1)
    axis.set_xlim(least - 2 * room, most + 2 * room)
    axis.set_ylim(len(shown) - 0.4, -0.6)
    axis.set_yticks(range(len(shown)), [_lines(c.get("name")) for c in shown])
    axis.set_xlabel("better by percent (points for shares); left of the line is worse")
    if any(_number(c.get("limit")) is not None for c in shown[:1]):
        _legend(axis)
    return _svg(figure)


def load_curve_plot(steps: Sequence[Mapping[str, Any]], *, target_rate: float | None, highest_good: float | None) -> bytes:
    """Latency and answered rate at each offered rate of the stress test, with the rate to be carried and the highest that was good."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4.2), layout="constrained")
    _roomy(figure)
    left, right = figure.subplots(1, 2)
    known = sorted(((rate, s) for s in steps if (rate := _number(s.get("rate"))) is not None), key=lambda pair: pair[0])
    heights: list[float] = []
    for name, colour, mark in PERCENTILES:
        points = [(rate, height) for rate, step in known if (height := _number(step.get(name))) is not None]
        if points:
            heights += [height for _, height in points]
            left.plot([rate for rate, _ in points], [height for _, height in points], f"{mark}-", color=colour, markersize=6, label=name)
    answered = [(rate, given) for rate, step in known if (given := _number(step.get("throughput"))) is not None]
    if heights and min(heights) > 0:
        left.set_yscale("log")
        _decades(left.yaxis, heights)
    if answered:
        rates = [rate for rate, _ in answered]
        right.plot([0, max(rates)], [0, max(rates)], color="#767676", linewidth=1, linestyle=":", label="all answered")
        right.plot(rates, [given for _, given in answered], "o-", color=AFTER, markersize=6, label="answered")
    for axis, there in ((left, heights), (right, answered)):
        axis.spines[["top", "right"]].set_visible(False)
        axis.set_xlabel("offered (requests/s)")
        if there:
            for rate, colour, label in ((target_rate, LIMIT, "to be carried"), (highest_good, AFTER, "highest within targets")):
                if rate is not None:
                    axis.axvline(rate, color=colour, linewidth=1, linestyle="--", label=label)
            # Below: inside, it would cover lines that nobody can foresee.
            axis.legend(fontsize=8, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3)
        else:
            _nothing(axis, "no step has a value")
    left.set_ylabel("latency (ms)")
    right.set_ylabel("answered (requests/s)")
    return _svg(figure)


def gains_plot(records: Sequence[Mapping[str, Any]]) -> bytes:
    """What each validated change promised and what came of it with its interval, oldest first."""
    figure, axis = _figure()
    shown = list(records)[-MAX_ROWS:]
    promised = [(place, v) for place, r in enumerate(shown) if (v := _number(r.get("promised_percent"))) is not None]
    realized = [(place, v, r) for place, r in enumerate(shown) if (v := _number(r.get("realized_percent"))) is not None]
    for place, value, record in realized:
        low, high = _number(record.get("realized_low")), _number(record.get("realized_high"))
        axis.plot([place] * 2, [value if low is None else low, value if high is None else high], color=AFTER, linewidth=2)
    if promised:
        axis.plot([p for p, _ in promised], [v for _, v in promised], "D", color=BEFORE, markersize=7, fillstyle="none", label="promised")
    if realized:
        axis.plot([p for p, _, _ in realized], [v for _, v, _ in realized], "o", color=AFTER, markersize=7, label="realized, interval")
    if promised or realized:
        axis.axhline(0, color="#555555", linewidth=1)
        _legend(axis)
    else:
        _nothing(axis, "no change has a gain")
    axis.set_xlim(-0.5, max(len(shown), 1) - 0.5)
    axis.set_xticks(range(len(shown)), [_label(str(r.get("validated_at"))[:10]) for r in shown], rotation=30, ha="right")
    axis.set_ylabel("better by percent")
    return _svg(figure)
