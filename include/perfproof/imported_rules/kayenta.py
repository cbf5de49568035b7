"""Judges two sides as Kayenta's NetflixACAJudge does, for people who come from there, but says what it cannot know.

A metric is High if the 98 % interval of the shift lies above a quarter of the shift, and the effect reaches what is allowed; Low the
other way round. A group's score is the share of its metrics that pass; the score is their weighted sum. Source:
github.com/spinnaker/kayenta, kayenta-judge. Where this differs, on purpose:

- A group without data counts 0; there it counts 100.
- A metric that the test cannot decide is undecided; there it passes: too few values for an alarm at 98 %, hardly any values
  that differ, or a spread that changed while the level did not. The answer is inconclusive unless it is the same either way.
- From a mean of zero every increase is beyond what is allowed; there the ratio is no number, and the metric passes.
- The interval is exact for up to 12 values a side, and nothing is drawn at random; there noise is added to ties.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean, median

from perfproof.imported_rules.kayenta_file import Canary, CanaryConfig, Measure, Metric, NanStrategy, Outliers, OutlierStrategy, Way
from perfproof.imported_rules.kayenta_file import read_canary_config as read_canary_config
from perfproof.imported_rules.scores import Answer, Range, by_thresholds, certain
from perfproof.statistics.effect_size import probability_larger
from perfproof.statistics.hodges_lehmann import Shift, shift
from perfproof.statistics.mann_whitney import smallest_side

CONFIDENCE, TOLERANCE = 0.98, 0.25
NODATA_PERCENT = 50
# So many of all values being one and the same leave a rank test nothing to tell apart.
SPARSE = 0.5
# The spread is compared by ranks of the distances to the median, at the confidence of the shift.
LEAST_FOR_SPREAD = 8


class Classification(StrEnum):
    """What became of one metric."""

    PASS = "Pass"  # noqa: S105  no secret
    HIGH = "High"
    LOW = "Low"
    NODATA = "Nodata"
    NODATA_FAIL = "NodataFailMetric"
    UNDECIDED = "Undecided"


@dataclass(frozen=True, slots=True)
class Classified:
    """One metric: the shift of after against before (None without data), the effect (infinite from zero), and why."""

    name: str
    classification: Classification
    groups: tuple[str, ...]
    critical: bool
    change: Shift | None
    effect: float | None
    reason: str


@dataclass(frozen=True, slots=True)
class CanaryResult:
    """The whole: `score` and each group's, 0 to 100."""

    answer: Answer
    score: Range
    groups: Mapping[str, Range]
    metrics: tuple[Classified, ...]
    reason: str


def judge_canary(config: CanaryConfig, before: Mapping[str, Sequence[float]], after: Mapping[str, Sequence[float]]) -> CanaryResult:
    """`before` (Kayenta: control) against `after` (experiment), values by metric; NaN is missing, an absent metric has no data."""
    metrics = tuple(_classified(metric, before.get(metric.name, ()), after.get(metric.name, ())) for metric in config.metrics)
    groups = {group: _group_score([m.classification for m in metrics if group in m.groups]) for group in config.weights}
    failed = [m.name for m in metrics if m.critical and m.classification not in (Classification.PASS, Classification.UNDECIDED)]
    missing = [m.name for m in metrics if m.classification is Classification.NODATA]
    if failed:
        return CanaryResult(Answer.FAIL, Range(0.0, 0.0), groups, metrics, f"Critical metric failed: {', '.join(failed)}.")
    if 100 * len(missing) >= NODATA_PERCENT * len(metrics):
        return CanaryResult(
            Answer.FAIL, Range(0.0, 0.0), groups, metrics, f"Half or more of the metrics have no data: {', '.join(missing)}."
        )
    in_doubt = [m.name for m in metrics if m.critical and m.classification is Classification.UNDECIDED]
    low = 0.0 if in_doubt else _weighted(config, {group: score.low for group, score in groups.items()})
    score = Range(low, _weighted(config, {group: score.high for group, score in groups.items()}))
    answer_of = by_thresholds(config.passing, config.marginal)
    answer = certain(answer_of(score.low), answer_of(score.high))
    shown = f"{score.low:.4g}" if score.known else f"{score.low:.4g} to {score.high:.4g}"
    open_ = [m.name for m in metrics if m.classification is Classification.UNDECIDED]
    why = f", because {', '.join(open_)} cannot be decided" if open_ else ""
    reason = f"The score is {shown}{why}: pass from {config.passing:g}, marginal from {config.marginal:g}."
    return CanaryResult(answer, score, groups, metrics, reason)


def without_outliers(values: Sequence[float], rule: Outliers) -> list[float]:
    """`values` without those beyond Tukey's fences, which are widened to the 1st and 99th percentile; all of them if kept."""
    if rule.strategy is OutlierStrategy.KEEP or not values:
        return list(values)
    first, low, high, last = (_percentile(values, share) for share in (0.01, 0.25, 0.75, 0.99))
    reach = rule.outlierFactor * (high - low)
    return [value for value in values if min(first, low - reach) <= value <= max(last, high + reach)]


def _classified(metric: Metric, before: Sequence[float], after: Sequence[float]) -> Classified:
    canary = metric.canary
    x, y = (without_outliers(_cleaned(values, canary.nanStrategy), canary.outliers) for values in (before, after))

    def result(kind: Classification, reason: str, change: Shift | None = None, effect: float | None = None) -> Classified:
        return Classified(metric.name, kind, metric.groups, canary.critical, change, effect, reason)

    if not x or not y:
        side = "both sides" if not x and not y else "before" if not x else "after"
        kind = Classification.NODATA_FAIL if canary.mustHaveData else Classification.NODATA
        return result(kind, f"no data: {side}")
    if sorted(x) == sorted(y) and min(len(x), len(y)) >= smallest_side(CONFIDENCE):
        return result(Classification.PASS, "both sides are equal", effect=_effect(canary, x, y))
    change, effect = shift(x, y, confidence=CONFIDENCE), _effect(canary, x, y)
    bound = TOLERANCE * abs(change.estimate)
    size = canary.effectSize
    if canary.direction is not Way.DECREASE and change.low > bound and effect >= size.increase:
        return result(Classification.HIGH, f"effect {_told(effect)}, allowed {size.increase:g}", change, effect)
    if canary.direction is not Way.INCREASE and change.high < -bound and effect <= size.decrease:
        return result(Classification.LOW, f"effect {_told(effect)}, allowed {size.decrease:g}", change, effect)
    undecided = _undecided(x, y, change)
    return result(
        Classification.UNDECIDED if undecided else Classification.PASS, undecided or "no change beyond what is allowed", change, effect
    )


def _undecided(x: Sequence[float], y: Sequence[float], change: Shift) -> str | None:
    """Why "no significant change" says nothing here, None where it says what Kayenta takes it for."""
    if math.isinf(change.low):
        return f"{len(x)} and {len(y)} values can never alarm: at least {smallest_side(CONFIDENCE)} a side"
    value, count = Counter([*x, *y]).most_common(1)[0]
    if count > SPARSE * (len(x) + len(y)) and len({*x, *y}) > 1:
        return f"{count} of {len(x) + len(y)} values are {value:g}, which leaves nothing to compare"
    if change.low <= 0 <= change.high and min(len(x), len(y)) >= LEAST_FOR_SPREAD:
        distances = [[abs(v - median(side)) for v in side] for side in (x, y)]
        spread = shift(distances[0], distances[1], confidence=CONFIDENCE)
        if spread.low > 0 or spread.high < 0:
            return f"the spread {'grew' if spread.low > 0 else 'shrank'} while the level stayed"
    return None


def _cleaned(values: Sequence[float], strategy: NanStrategy) -> list[float]:
    if strategy is NanStrategy.REPLACE:
        return [value if math.isfinite(value) else 0.0 for value in values]
    return [value for value in values if math.isfinite(value)]


def _effect(canary: Canary, x: Sequence[float], y: Sequence[float]) -> float:
    if canary.effectSize.measure is Measure.CLES:
        return probability_larger(x, y)
    before, after = fmean(x), fmean(y)
    if before:
        # The ratio, for a mean above zero; below zero it would turn the direction round.
        return 1 + (after - before) / abs(before)
    return 1.0 if not after else math.copysign(math.inf, after)


def _told(effect: float) -> str:
    return f"{effect:.4g}" if math.isfinite(effect) else "without a bound (the mean before is zero)"


def _group_score(kinds: Sequence[Classification]) -> Range:
    """In percent, of the metrics that have data; 0 if none has."""
    counted = [kind for kind in kinds if kind is not Classification.NODATA]
    if not counted:
        return Range(0.0, 0.0)
    passed, open_ = counted.count(Classification.PASS), counted.count(Classification.UNDECIDED)
    return Range(100 * passed / len(counted), 100 * (passed + open_) / len(counted))


def _weighted(config: CanaryConfig, scores: Mapping[str, float]) -> float:
    return round(math.fsum(scores[group] * weight / 100 for group, weight in config.weights.items()), 2)


def _percentile(values: Sequence[float], share: float) -> float:
    """At place p(n + 1), interpolated, as Commons Math has it."""
    ordered = sorted(values)
    place = share * (len(ordered) + 1)
    if place < 1:
        return ordered[0]
    if place >= len(ordered):
        return ordered[-1]
    below = math.floor(place)
    return ordered[below - 1] + (place - below) * (ordered[below] - ordered[below - 1])
