"""Verdicts as parts of `optimization-validation-report.json`. Figures are rounded here and nowhere else."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from perfproof.calibration import Calibration, Rate
from perfproof.judging.verdicts import GuardVerdict, TargetVerdict
from perfproof.statistics.percent_change import as_number, exact, one_decimal


def number(value: float | None) -> int | float | None:
    """A measured value in full, whole numbers without a decimal point; None if it is not finite."""
    return None if value is None or not math.isfinite(value) else as_number(exact(value))


def rounded(value: float | None, decimals: int = 2) -> float | None:
    """A percentage for people; infinities (a ratio without an upper end) are None."""
    return None if value is None or not math.isfinite(value) else round(value, decimals) + 0.0


def interval(low: float | None, high: float | None, decimals: int = 2) -> dict[str, float | None]:
    """`ci_low` and `ci_high`, rounded outwards: an end just short of a threshold must not round onto it."""
    return {"ci_low": _outwards(low, math.floor, decimals), "ci_high": _outwards(high, math.ceil, decimals)}


def _outwards(value: float | None, towards: Callable[[float], int], decimals: int) -> float | None:
    if value is None or not math.isfinite(value):
        return None
    # Nine decimals first, so that 12.34 held as 12.340000000000002 stays 12.34.
    scale = 10.0**decimals
    return towards(round(value * scale, 9 - decimals)) / scale + 0.0


def verdict_document(verdict: TargetVerdict) -> dict[str, Any]:
    """The field `verdict`. `improvement_percent` belongs to the interval: the median over all pairs of blocks."""
    return {
        "label": verdict.label.value,
        "passes": verdict.passes,
        "reason": verdict.reason,
        "improvement_percent": rounded(verdict.estimate_percent),
        **interval(verdict.ci_low, verdict.ci_high),
        "confidence": verdict.confidence,
        "threshold_percent": number(verdict.threshold_percent),
        "blocks": list(verdict.blocks),
        "runs_needed": verdict.runs_needed,
        "cliffs_delta": rounded(verdict.cliffs_delta),
        "interval_confidence": rounded(verdict.level, 6),
        "autocorrelation": rounded(verdict.autocorrelation),
        "warning": verdict.warning,
    }


def guard_document(verdict: GuardVerdict) -> dict[str, Any]:
    """One entry of `guards`. `scale` says what worsening, interval and margin are in; positive is worse."""
    return {
        "metric": verdict.metric,
        "label": verdict.label.value,
        "unit": verdict.unit.value,
        "baseline": number(verdict.baseline),
        "optimized": number(verdict.optimized),
        "worsening_percent": rounded(verdict.worsening_percent),
        "worsening": rounded(verdict.worsening, 4),
        **interval(verdict.ci_low, verdict.ci_high, 4),
        "margin_percent": rounded(verdict.margin_percent),
        "floor": number(verdict.floor),
        "scale": verdict.scale.value,
        "confidence": verdict.confidence,
        "blocks": list(verdict.blocks),
        "runs_needed": verdict.runs_needed,
        "reason": verdict.reason,
        "looks_worse": verdict.looks_worse,
        "p": verdict.p,
        "interval_confidence": rounded(verdict.level, 6),
        "autocorrelation": rounded(verdict.autocorrelation),
        "warning": verdict.warning,
    }


def regression_document(verdict: GuardVerdict) -> dict[str, Any]:
    """One entry of `regressions`, in the spec's four fields. The percentage is None if the baseline is zero."""
    percentage = verdict.regression_percentage
    return {
        "metric": verdict.metric,
        "baseline": number(verdict.baseline),
        "optimized": number(verdict.optimized),
        "regression_percentage": None if percentage is None else one_decimal(exact(percentage)),
    }


def calibration_document(calibration: Calibration) -> dict[str, Any]:
    """The field `calibration`."""
    return {
        "blocks": calibration.blocks,
        "repetitions": calibration.repetitions,
        "false_improved": _rate(calibration.false_improved),
        "false_regression": _rate(calibration.false_regression),
        "noise_percent": rounded(calibration.noise_percent),
        "note": calibration.note,
        "tolerated": calibration.tolerated,
        "blocks_needed": calibration.blocks_needed,
        "margins": [
            {"metric": m.metric, "declared": rounded(m.declared, 4), "widened": rounded(m.widened, 4), "scale": m.scale.value}
            for m in calibration.margins
        ],
    }


def _rate(rate: Rate | None) -> dict[str, Any] | None:
    if rate is None:
        return None
    return {
        "count": rate.count,
        "share": rounded(rate.share, 4),
        "low": rounded(rate.low, 4),
        "high": rounded(rate.high, 4),
    }
