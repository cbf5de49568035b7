"""Reads the part of Kayenta's canary configuration (JSON) that its judge NetflixACAJudge uses.

What only says where values come from (queries, templates, scopes) is left alone; every other unknown key is refused, because
a setting that is not applied would change the answer. Source: github.com/spinnaker/kayenta, docs/canary-config.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from perfproof.errors import ArtifactError
from perfproof.inputs.shapes import refusal
from perfproof.strict import build, read_json

IGNORED = (
    "name", "description", "applications", "configVersion", "id", "judge", "templates", "createdTimestamp", "createdTimestampIso",
    "updatedTimestamp", "updatedTimestampIso",
)  # fmt: skip
IGNORED_OF_METRIC = ("query", "scopeName", "id", "tags")
WHOLE = 100.0
SLACK = 1e-9


class Way(StrEnum):
    """Which direction of change fails a metric."""

    INCREASE = "increase"
    DECREASE = "decrease"
    EITHER = "either"


class NanStrategy(StrEnum):
    """What becomes of missing values: left out, or zero (for counters that say nothing when nothing happens)."""

    REMOVE = "remove"
    REPLACE = "replace"


class Measure(StrEnum):
    """Size of an effect: ratio of the means, or the chance that a value after is larger than one before."""

    MEAN_RATIO = "meanRatio"
    CLES = "cles"


class OutlierStrategy(StrEnum):
    """Whether values far outside of the quartiles are left out."""

    KEEP = "keep"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class EffectSize:
    """A change fails only if the effect reaches `allowedIncrease` or falls to `allowedDecrease`; no change is 1 (0.5 for cles)."""

    measure: Measure = Measure.MEAN_RATIO
    allowedIncrease: float | None = None
    allowedDecrease: float | None = None

    @property
    def increase(self) -> float:
        """The effect from which an increase counts."""
        return self._default if self.allowedIncrease is None else self.allowedIncrease

    @property
    def decrease(self) -> float:
        """The effect down to which a decrease counts."""
        return self._default if self.allowedDecrease is None else self.allowedDecrease

    @property
    def _default(self) -> float:
        return 1.0 if self.measure is Measure.MEAN_RATIO else 0.5


@dataclass(frozen=True, slots=True)
class Outliers:
    """Tukey's fences at `outlierFactor` quartile distances, and never narrower than the 1st and 99th percentile."""

    strategy: OutlierStrategy = OutlierStrategy.KEEP
    outlierFactor: float = 3.0


@dataclass(frozen=True, slots=True)
class Canary:
    """How one metric is judged."""

    direction: Way = Way.EITHER
    nanStrategy: NanStrategy = NanStrategy.REMOVE
    critical: bool = False
    mustHaveData: bool = False
    effectSize: EffectSize = field(default_factory=EffectSize)
    outliers: Outliers = field(default_factory=Outliers)


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric, its groups, and how it is judged."""

    name: str
    groups: tuple[str, ...]
    canary: Canary


@dataclass(frozen=True, slots=True)
class CanaryConfig:
    """A whole configuration. `weights` of all groups, in percent of the score; pass from `passing`, marginal from `marginal`."""

    metrics: tuple[Metric, ...]
    weights: dict[str, float]
    passing: float
    marginal: float


@dataclass(frozen=True, slots=True)
class _Configurations:
    canary: Canary = field(default_factory=Canary)


@dataclass(frozen=True, slots=True)
class _Metric:
    name: str
    groups: tuple[str, ...]
    analysisConfigurations: _Configurations = field(default_factory=_Configurations)


@dataclass(frozen=True, slots=True)
class _Thresholds:
    passing: float
    marginal: float


@dataclass(frozen=True, slots=True)
class _Classifier:
    groupWeights: dict[str, float] = field(default_factory=dict)
    scoreThresholds: _Thresholds | None = None


@dataclass(frozen=True, slots=True)
class _File:
    metrics: tuple[_Metric, ...]
    classifier: _Classifier
    thresholds: _Thresholds | None = None


def read_canary_config(data: bytes, *, where: str) -> CanaryConfig:
    """The configuration in `data`. Raises ArtifactError for another shape, or for weights that are no share of 100."""
    document = read_json(data, where=where)
    file = build(_File, _reduced(document), where=where, error=ArtifactError)
    if not file.metrics:
        raise _refused(f"{where}.metrics", "no metric", "name at least one")
    names = [metric.name for metric in file.metrics]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise _refused(f"{where}.metrics", "two metrics of one name", "rename one", got=twice)
    for metric in file.metrics:
        _check(metric, where=f"{where}.metrics {metric.name}")
    thresholds = file.classifier.scoreThresholds or file.thresholds
    if thresholds is None:
        raise _refused(f"{where}.classifier", "no scoreThresholds", "add pass and marginal")
    if not 0 <= thresholds.marginal <= thresholds.passing <= WHOLE:
        raise _refused(f"{where}.classifier.scoreThresholds", "not 0 <= marginal <= pass <= 100", "correct them")
    groups = list(dict.fromkeys(group for metric in file.metrics for group in metric.groups))
    weights = _weights(file.classifier.groupWeights, groups, where=f"{where}.classifier.groupWeights")
    metrics = tuple(Metric(m.name, m.groups, m.analysisConfigurations.canary) for m in file.metrics)
    return CanaryConfig(metrics, weights, thresholds.passing, thresholds.marginal)


def _check(metric: _Metric, *, where: str) -> None:
    canary = metric.analysisConfigurations.canary
    if not metric.groups:
        raise _refused(where, "no group, so the metric would count for nothing", "add groups")
    if not canary.outliers.outlierFactor > 0:
        raise _refused(f"{where}.outliers.outlierFactor", "not above zero", "use 3", got=canary.outliers.outlierFactor)
    size = canary.effectSize
    none = 1.0 if size.measure is Measure.MEAN_RATIO else 0.5
    if size.increase < none or not 0 <= size.decrease <= none:
        raise _refused(f"{where}.effectSize", f"an allowed increase below {none:g}, or an allowed decrease above it", "correct it")


def _weights(given: dict[str, float], groups: list[str], *, where: str) -> dict[str, float]:
    """Percent of the score of each group. What is not given shares what is left."""
    unknown = next((name for name in given if name not in groups), None)
    if unknown is not None:
        raise _refused(where, "a group without a metric", "remove it, or add a metric to it", got=unknown)
    total = math.fsum(given.values())
    rest = [group for group in groups if group not in given]
    if any(weight < 0 for weight in given.values()) or total > WHOLE + SLACK or (not rest and abs(total - WHOLE) > SLACK):
        raise _refused(where, "not shares of 100", "let the weights sum up to 100", got=total)
    return {group: given.get(group, (WHOLE - total) / len(rest) if rest else 0.0) for group in groups}


def _reduced(document: Any) -> Any:
    """`document` without what says where values come from, and with `pass` called `passing`."""
    if not isinstance(document, dict):
        return document
    result = {key: value for key, value in document.items() if key not in IGNORED}
    if isinstance(result.get("metrics"), list):
        result["metrics"] = [_without(metric, IGNORED_OF_METRIC) for metric in result["metrics"]]
    classifier = result.get("classifier")
    if isinstance(classifier, dict) and "scoreThresholds" in classifier:
        result["classifier"] = {**classifier, "scoreThresholds": _named(classifier["scoreThresholds"])}
    if "thresholds" in result:
        result["thresholds"] = _named(result["thresholds"])
    return result


def _without(value: Any, keys: tuple[str, ...]) -> Any:
    return {key: inner for key, inner in value.items() if key not in keys} if isinstance(value, dict) else value


def _named(value: Any) -> Any:
    return {"passing" if key == "pass" else key: inner for key, inner in value.items()} if isinstance(value, dict) else value


def _refused(where: str, what: str, fix: str, *, got: Any = None) -> ArtifactError:
    return refusal(473, where, what, fix, got=got)
