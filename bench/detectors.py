"""The ways to find changes that are compared: perfproof, a fixed threshold, and Otava and PELT where another Python has them."""

from __future__ import annotations

import json
import math
import subprocess
from pathlib import Path
from statistics import median

from perfproof.change_points import Rules, find_changes
from perfproof.telemetry import Direction

Series = dict[str, list[float]]
Answers = dict[str, list[int]]

THRESHOLD, LOOK_BACK, SHORTEST = 0.15, 10, 4
# Read from standard input, so that nothing of this environment is imported there. What is missing is left out before, for both.
OTAVA = """
import json, sys
from otava.analysis import compute_change_points
def found(values):
    points = compute_change_points(values, window_len=50, max_pvalue=0.001, min_magnitude=0.0) if len(values) > 1 else []
    return [int(p.index) for p in (points[0] if isinstance(points, tuple) else points)]
print(json.dumps({k: found(s) for k, s in json.load(sys.stdin).items()}))
"""
# Least squares with a penalty of 3 log n per change, in variances of the noise, which the steps between neighbours tell.
PELT = """
import json, math, sys
import numpy as np
from ruptures import KernelCPD
def found(values):
    n = len(values)
    if n < 8:
        return []
    steps = np.diff(values)
    deviation = 1.4826 * np.median(np.abs(steps - np.median(steps))) / math.sqrt(2) or np.std(steps) or 1.0
    scaled = ((np.asarray(values) - np.mean(values)) / deviation).reshape(-1, 1)
    return [int(at) for at in KernelCPD(kernel="linear", min_size=4, jump=1).fit(scaled).predict(pen=3 * math.log(n))[:-1]]
print(json.dumps({k: found(s) for k, s in json.load(sys.stdin).items()}))
"""


def perfproof(series: Series) -> Answers:
    """With its defaults."""
    return {name: [c.index for c in find_changes(values, direction=Direction.LOWER).changes] for name, values in series.items()}


def significant(series: Series) -> Answers:
    """Everything that is significant at 1 %, however small: what the stated p is worth."""
    rules = Rules(min_change=0.0, min_effect=0.0)
    return {name: [c.index for c in find_changes(v, direction=Direction.LOWER, rules=rules).changes] for name, v in series.items()}


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


def otava(series: Series, *, python: Path) -> Answers:
    """Otava's defaults, in the environment of another Python."""
    return _elsewhere(OTAVA, series, python)


def pelt(series: Series, *, python: Path) -> Answers:
    """PELT as ruptures has it, in C, in the environment of another Python."""
    return _elsewhere(PELT, series, python)


def _elsewhere(program: str, series: Series, python: Path) -> Answers:
    places = {name: [i for i, v in enumerate(values) if not math.isnan(v)] for name, values in series.items()}
    given = json.dumps({name: [values[i] for i in places[name]] for name, values in series.items()})
    done = subprocess.run([str(python), "-c", program], input=given, capture_output=True, text=True, check=True)
    answers: Answers = json.loads(done.stdout)
    return {name: [places[name][at] for at in found] for name, found in answers.items()}
