"""Judges values by Keptn's `slo.yaml`, scored as Keptn's lighthouse-service does, but honest about what is not known.

Full weight for an objective that passes, half for one in warning, none else; the sum in percent of what can be reached. Source:
github.com/keptn/keptn, lighthouse-service, event_handler/evaluate_sli_handler.go. Where this differs, on purpose:

- A relative criterion without an earlier value is unknown; there it is met. The answer is inconclusive unless it is the same
  whatever the unknown ones would say.
- A percentage of a value below zero is unknown; there its direction turns round.
- A key SLI without a value fails the evaluation; there only its weight is lost.
- A file in which nothing can fail is inconclusive; there it passes with 100 %.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from perfproof.imported_rules.keptn_file import Aggregate, Comparison, Criterion, Included, Objective, Slo, read_slo
from perfproof.imported_rules.scores import Answer, Range, all_of, any_of, by_thresholds, certain

__all__ = ["Earlier", "Evaluated", "Judged", "Status", "aggregated", "evaluate", "read_slo"]

COMPARE = {"<": operator.lt, "<=": operator.le, "=": operator.eq, ">=": operator.ge, ">": operator.gt}
COUNTED = {
    Included.ALL: tuple(Answer),
    Included.PASS_OR_WARN: (Answer.PASS, Answer.WARNING),
    Included.PASS: (Answer.PASS,),
}
HALF = 0.5


class Status(StrEnum):
    """What became of one objective. `info` has no criteria to pass and does not count."""

    PASS = "pass"  # noqa: S105  no secret
    WARNING = "warning"
    FAIL = "fail"
    INFO = "info"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class Earlier:
    """An earlier evaluation: its values by SLI, and what it ended with (None: not recorded)."""

    values: Mapping[str, float]
    result: Answer | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """One objective: its value (None without one), what it was compared with (None: nothing), its points, and why."""

    sli: str
    status: Status
    value: float | None
    compared: float | None
    score: Range
    weight: int
    key_sli: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Evaluated:
    """The whole file: `score` in percent of what can be reached, and how many earlier evaluations counted."""

    answer: Answer
    score: Range
    objectives: tuple[Judged, ...]
    earlier: int
    reason: str


def evaluate(slo: Slo, values: Mapping[str, float], history: Sequence[Earlier]) -> Evaluated:
    """`values` by SLI (NaN or absent: none) judged by `slo`; `history` oldest first. Which of it counts, `slo` says."""
    counted = [e for e in history if _counts(e, slo.comparison)][-slo.comparison.results :]
    judged = tuple(_judged(objective, values, counted, slo.comparison) for objective in slo.objectives)
    reachable = sum(one.weight for one in judged if one.status is not Status.INFO)
    if not reachable:
        reason = "No objective has criteria to pass, so nothing was judged."
        return Evaluated(Answer.INCONCLUSIVE, Range(0.0, 0.0), judged, len(counted), reason)
    score = Range(100 * sum(one.score.low for one in judged) / reachable, 100 * sum(one.score.high for one in judged) / reachable)
    answer_of = by_thresholds(slo.pass_percent, slo.warning_percent)
    keys = [one for one in judged if one.key_sli and one.status is not Status.INFO]
    lost = [one.sli for one in keys if one.status is Status.FAIL]
    in_doubt = [one.sli for one in keys if one.status is Status.INCONCLUSIVE and not one.score.low]
    worst = Answer.FAIL if lost or in_doubt else answer_of(score.low)
    best = Answer.FAIL if lost else answer_of(score.high)
    answer = certain(worst, best)
    return Evaluated(answer, score, judged, len(counted), _reason(slo, answer, score, judged, lost))


def aggregated(values: Sequence[float], function: Aggregate) -> float | None:
    """Several earlier values as one; percentiles at place p(n + 1), interpolated. None without values."""
    known = sorted(value for value in values if math.isfinite(value))
    if not known:
        return None
    if function is Aggregate.AVG:
        return sum(known) / len(known)
    place = int(function.value[1:]) / 100 * (len(known) + 1)
    if place < 1:
        return known[0]
    if place >= len(known):
        return known[-1]
    below = math.floor(place)
    return known[below - 1] + (place - below) * (known[below] - known[below - 1])


def _counts(earlier: Earlier, comparison: Comparison) -> bool:
    included = comparison.include_result_with_score
    return included is Included.ALL or earlier.result in COUNTED[included]


def _judged(objective: Objective, values: Mapping[str, float], history: Sequence[Earlier], comparison: Comparison) -> Judged:
    given = values.get(objective.sli, math.nan)
    value = given if math.isfinite(given) else None
    earlier = aggregated([e.values.get(objective.sli, math.nan) for e in history], comparison.aggregate_function)

    def result(status: Status, low: float, high: float, reason: str) -> Judged:
        points = Range(low * objective.weight, high * objective.weight)
        return Judged(objective.sli, status, value, earlier, points, objective.weight, objective.key_sli, reason)

    if not objective.passing:
        return result(Status.INFO, 0, 0, "no criteria to pass")
    if value is None:
        return result(Status.FAIL, 0, 0, "no value")
    passes = any_of(all_of(_holds(c, value, earlier) for c in one) for one in objective.passing)
    warns = any_of(all_of(_holds(c, value, earlier) for c in one) for one in objective.warning)
    if passes:
        return result(Status.PASS, 1, 1, "meets its criteria")
    low = HALF if warns else 0.0
    if passes is None:
        return result(Status.INCONCLUSIVE, low, 1, _unknown(objective, value, earlier))
    if warns is None:
        return result(Status.INCONCLUSIVE, 0, HALF, _unknown(objective, value, earlier))
    violated = "; ".join(_words(c, earlier) for one in objective.passing for c in one if _holds(c, value, earlier) is False)
    return result(Status.WARNING if warns else Status.FAIL, low, low, f"{value:g} violates {violated}")


def _holds(criterion: Criterion, value: float, earlier: float | None) -> bool | None:
    """Whether `criterion` is met, None where nothing can be said."""
    limit = _limit(criterion, earlier)
    return None if limit is None else bool(COMPARE[criterion.operator](value, limit))


def _limit(criterion: Criterion, earlier: float | None) -> float | None:
    if not criterion.relative:
        return criterion.value
    if earlier is None or (criterion.percent and earlier < 0):
        return None
    return earlier * (100 + criterion.value) / 100 if criterion.percent else earlier + criterion.value


def _words(criterion: Criterion, earlier: float | None) -> str:
    limit = _limit(criterion, earlier)
    return criterion.text if not criterion.relative or limit is None else f"{criterion.text} (of {earlier:g}: {limit:g})"


def _unknown(objective: Objective, value: float, earlier: float | None) -> str:
    texts = [c.text for one in (*objective.passing, *objective.warning) for c in one if _holds(c, value, earlier) is None]
    why = "there is no earlier value" if earlier is None else f"a share of {earlier:g} has no direction"
    return f"{', '.join(dict.fromkeys(texts))}: {why}"


def _reason(slo: Slo, answer: Answer, score: Range, judged: Sequence[Judged], lost: Sequence[str]) -> str:
    if lost:
        return f"Key SLI failed: {', '.join(lost)}."
    shown = f"{score.low:.4g} %" if score.known else f"{score.low:.4g} to {score.high:.4g} %"
    if answer is Answer.INCONCLUSIVE:
        open_ = [one.sli for one in judged if one.status is Status.INCONCLUSIVE]
        return f"The score is {shown}, because nothing can be said about {', '.join(open_)}."
    wanted = f"pass from {slo.pass_percent:g} %" + ("" if slo.warning_percent is None else f", warning from {slo.warning_percent:g} %")
    return f"The score is {shown}: {wanted}."
