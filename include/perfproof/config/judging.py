"""How baseline and candidate are judged, and from which thresholds on a gate passes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Mode(StrEnum):
    """`point`: the estimate must reach the target (the spec's letter). `proved`: the interval's lower end must."""

    POINT = "point"
    PROVED = "proved"


@dataclass(frozen=True, slots=True)
class Judge:
    """How baseline and candidate are compared."""

    mode: Mode = Mode.PROVED
    confidence: float = 0.95


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Pass thresholds of the four gates, in percent. They may be raised; lowering one below the protocol's needs a waiver."""

    baseline_completeness: float = 95.0
    diagnostic_coverage: float = 90.0
    improvement: float = 15.0
    documentation_completeness: float = 95.0


@dataclass(frozen=True, slots=True)
class Baseline:
    """How phase 1 measures: the last `window_seconds` at a sample every `step_seconds`, at least `min_coverage` of them valid."""

    window_seconds: float
    step_seconds: float
    min_coverage: float
    min_samples: int
    max_staleness_seconds: float
    regression_limit_percent: float
