"""The ways to find changes that are compared: perfproof, a rule with a fixed threshold, optimal partitioning, and Otava if it is there."""

from __future__ import annotations

import json
import math
import subprocess
from pathlib import Path
from statistics import median

import numpy as np

from perfproof.change_points import find_changes
from perfproof.telemetry import Direction

Series = dict[str, list[float]]
Answers = dict[str, list[int]]

THRESHOLD, LOOK_BACK, SHORTEST = 0.15, 10, 4
# Read from standard input, so that nothing of this environment is imported there.
OTAVA = """
import json, sys
from otava.analysis import compute_change_points
def found(values):
    points = compute_change_points(values, window_len=50, max_pvalue=0.001, min_magnitude=0.0)
    return [int(p.index) for p in (points[0] if isinstance(points, tuple) else points)]
print(json.dumps({k: found([v for v in s if v is not None]) for k, s in json.load(sys.stdin).items()}))
"""


def perfproof(series: Series) -> Answers:
    """With its defaults."""
    return {name: [c.index for c in find_changes(values, direction=Direction.LOWER).changes] for name, values in series.items()}


def threshold(series: Series) -> Answers:
    """What many pipelines do: an alarm where a value is 15 % away from the median of the ten before it."""
    found: Answers = {}
    for name, values in series.items():
        alarms: list[int] = []
        for at in range(LOOK_BACK, len(values)):
            base = median(values[max(alarms[-1] if alarms else 0, at - LOOK_BACK) : at])
            if abs(values[at] - base) > THRESHOLD * abs(base) and (not alarms or at - alarms[-1] >= SHORTEST):
                alarms.append(at)
        found[name] = alarms
    return found


def partitioning(series: Series) -> Answers:
    """The exact answer that PELT computes: least squares with a penalty of 3 log n variances per change (of the noise of the steps)."""
    return {name: _partitioned(np.asarray(values, dtype=np.float64)) for name, values in series.items()}


def _partitioned(values: np.ndarray) -> list[int]:
    n = len(values)
    if n < 2 * SHORTEST:
        return []
    steps = np.diff(values)
    deviation = 1.4826 * float(np.median(np.abs(steps - np.median(steps)))) / math.sqrt(2) or float(np.std(steps)) or 1.0
    scaled = (values - values.mean()) / deviation
    sums, squares = (np.concatenate(([0.0], np.cumsum(x))) for x in (scaled, scaled**2))
    best, last = np.full(n + 1, np.inf), np.zeros(n + 1, dtype=np.int64)
    best[0], penalty = -3 * math.log(n), 3 * math.log(n)
    for end in range(SHORTEST, n + 1):
        begin = np.arange(0, end - SHORTEST + 1)
        costs = best[begin] + squares[end] - squares[begin] - (sums[end] - sums[begin]) ** 2 / (end - begin) + penalty
        last[end] = int(np.argmin(costs))
        best[end] = costs[last[end]]
    found, at = [], int(last[n])
    while at > 0:
        found.append(at)
        at = int(last[at])
    return sorted(found)


def otava(series: Series, *, python: Path) -> Answers:
    """Otava's defaults, in the environment of another Python."""
    # JSON has no NaN; Otava has no way to leave a value out either.
    given = json.dumps({name: [None if math.isnan(v) else v for v in values] for name, values in series.items()})
    done = subprocess.run([str(python), "-c", OTAVA], input=given, capture_output=True, text=True, check=True)
    answers: Answers = json.loads(done.stdout)
    return answers
