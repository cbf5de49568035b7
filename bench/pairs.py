"""Synthetic pairs of before and after, and the rules that judge the same pairs: which is right how often?"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

import numpy as np
from detectors import Series, otava, pelt

from perfproof.comparison import GuardLabel, judge_guard, judge_target
from perfproof.config import Mode
from perfproof.imported_rules.kayenta import judge_canary, read_canary_config
from perfproof.imported_rules.keptn import Earlier, evaluate, read_slo
from perfproof.imported_rules.scores import Answer
from perfproof.telemetry import Direction, Unit

MARGIN, THRESHOLD, CONFIDENCE = 0.05, 15.0, 0.95
FEWEST, MOST = 4, 12
LEAST_NOISE, MOST_NOISE = 0.02, 0.30
WORSE = (0.05, 0.10, 0.15, 0.30)
SLO = b"""
comparison: {compare_with: several_results, include_result_with_score: all, number_of_comparison_results: 12, aggregate_function: avg}
objectives:
  - sli: m
    pass:
      - criteria: ["<=+5%"]
total_score: {pass: "100%"}
"""
CANARY = json.dumps({
    "metrics": [{
        "name": "m", "groups": ["g"],
        "analysisConfigurations": {"canary": {"direction": "increase", "effectSize": {"allowedIncrease": 1 + MARGIN}}},
    }],
    "classifier": {"groupWeights": {"g": 100}, "scoreThresholds": {"pass": 100, "marginal": 100}},
}).encode()  # fmt: skip

Draw = Callable[[np.random.Generator, int, float], np.ndarray]


def _dependent(kept: float) -> Draw:
    """Each block keeps `kept` of the deviation of the one before."""

    def draw(generator: np.random.Generator, length: int, noise: float) -> np.ndarray:
        values = generator.normal(size=length)
        for i in range(1, length):
            values[i] = kept * values[i - 1] + np.sqrt(1 - kept**2) * values[i]
        return np.asarray(1 + noise * values)

    return draw


SHAPES: dict[str, Draw] = {
    "normal": lambda g, n, cv: 1 + cv * g.normal(size=n),
    "log-normal": lambda g, n, cv: g.lognormal(0, cv, n),
    "two modes": lambda g, n, cv: 1 + cv * (g.choice([-0.9, 0.9], n) + 0.4 * g.normal(size=n)),
    "heavy tails": lambda g, n, cv: np.exp(cv * g.standard_t(2.5, n) / 2),
    "AR 0.3": _dependent(0.3),
    "AR 0.5": _dependent(0.5),
}


@dataclass(frozen=True, slots=True)
class Pair:
    """Two sides of 4 to 12 blocks each; after is really worse (slower) by the share `worse`."""

    shape: str
    worse: float
    before: list[float]
    after: list[float]


@dataclass(slots=True)
class Said:
    """What one rule said of each pair: worse (True), not worse (False), not decided (None); and the seconds it took."""

    answers: list[bool | None] = field(default_factory=list)
    seconds: float = 0.0


@dataclass(slots=True)
class Own:
    """What else perfproof says: improvements proved, and for each finite interval the pair's shape, its level, and whether it held."""

    proved: int = 0
    intervals: list[tuple[str, float, bool]] = field(default_factory=list)


def draw_pairs(*, count: int, worse: float, seed: int) -> list[Pair]:
    """`count` pairs, evenly over the shapes, with a noise of 2 to 30 %. The same seed gives the same pairs."""
    generator = np.random.default_rng([seed, round(1000 * worse)])
    pairs = []
    for number in range(count):
        shape = list(SHAPES)[number % len(SHAPES)]
        blocks, noise = int(generator.integers(FEWEST, MOST + 1)), float(generator.uniform(LEAST_NOISE, MOST_NOISE))
        sides = [100 * np.maximum(SHAPES[shape](generator, blocks, noise), 0.01) for _ in range(2)]
        pairs.append(Pair(shape, worse, sides[0].tolist(), (sides[1] * (1 + worse)).tolist()))
    return pairs


def judged(pairs: Sequence[Pair], *, other_python: Path | None) -> tuple[dict[str, Said], Own]:
    """Every rule on the same pairs, and what else perfproof says of them."""
    said = {"perfproof": Said(), "Kayenta's rule": Said(), "Keptn's rule": Said(), "means differ by 5 %": Said()}
    own = Own()
    config, slo = read_canary_config(CANARY, where="canary"), read_slo(SLO, where="slo")
    for pair in pairs:
        _timed(said["perfproof"], lambda pair=pair: _perfproof(pair, own))
        _timed(said["Kayenta's rule"], lambda pair=pair: _worse(judge_canary(config, {"m": pair.before}, {"m": pair.after}).answer))
        # As Keptn does it: one new run against the average of the earlier ones.
        history = [Earlier({"m": value}) for value in pair.before]
        _timed(said["Keptn's rule"], lambda pair=pair, h=history: _worse(evaluate(slo, {"m": pair.after[-1]}, h).answer))
        _timed(said["means differ by 5 %"], lambda pair=pair: fmean(pair.after) > (1 + MARGIN) * fmean(pair.before))
    for pair in pairs:
        target = judge_target(
            "m", Unit.MILLISECONDS, Direction.LOWER, pair.before, pair.after, threshold_percent=THRESHOLD, mode=Mode.PROVED
        )
        own.proved += target.label.value == "proved"
    if other_python:
        series = {str(number): [*pair.before, *pair.after] for number, pair in enumerate(pairs)}
        for name, detect in (("Otava", otava), ("PELT (ruptures)", pelt)):
            said[name] = _detected(pairs, series, detect, other_python)
    return said, own


def _timed(said: Said, rule: Callable[[], bool | None]) -> None:
    begin = time.perf_counter()
    said.answers.append(rule())
    said.seconds += time.perf_counter() - begin


def _perfproof(pair: Pair, own: Own) -> bool | None:
    verdict = judge_guard(
        "m", Unit.MILLISECONDS, Direction.LOWER, pair.before, pair.after, margin=MARGIN, floor=0.0, confidence=CONFIDENCE, mode=Mode.PROVED
    )
    if verdict.ci_low is not None and verdict.ci_high is not None and np.isfinite([verdict.ci_low, verdict.ci_high]).all():
        held = verdict.ci_low - 1e-9 <= 100 * pair.worse <= verdict.ci_high + 1e-9
        own.intervals.append((pair.shape, verdict.level or CONFIDENCE, held))
    return {GuardLabel.REGRESSION: True, GuardLabel.NO_REGRESSION: False, GuardLabel.INCONCLUSIVE: None}[verdict.label]


def _worse(answer: Answer) -> bool | None:
    return {Answer.PASS: False, Answer.FAIL: True}.get(answer)


def _detected(pairs: Sequence[Pair], series: Series, detect: Callable[..., dict[str, list[int]]], python: Path) -> Said:
    """A detector on before and after in one series: worse if it finds a change after which the values are larger."""
    begin = time.perf_counter()
    found = detect(series, python=python)
    seconds = time.perf_counter() - begin
    answers: list[bool | None] = []
    for number, _ in enumerate(pairs):
        values = series[str(number)]
        answers.append(any(0 < at < len(values) and fmean(values[at:]) > fmean(values[:at]) for at in found[str(number)]))
    return Said(answers, seconds)
