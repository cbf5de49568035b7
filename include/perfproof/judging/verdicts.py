"""What the judge may answer about one metric, and the figures that go with the answer."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from perfproof.statistics.mann_whitney import smallest_side
from perfproof.telemetry import Direction, Unit

FEWEST_BLOCKS = 4
NO_NOISE = "No noise: every block of a side has the same value."


def blocks_at_least(confidence: float) -> int:
    """Blocks a side below which nothing is decided in mode `proved`: 4, or more if `confidence` asks for more."""
    return max(FEWEST_BLOCKS, smallest_side(confidence))


class TargetLabel(StrEnum):
    """Did the target metric improve by at least the threshold?"""

    PROVED = "proved"
    MET = "met"
    SHORT = "short"
    INCONCLUSIVE = "inconclusive"


class GuardLabel(StrEnum):
    """Did a guard metric get worse by more than its margin?"""

    NO_REGRESSION = "no regression"
    REGRESSION = "regression"
    INCONCLUSIVE = "inconclusive"


class Scale(StrEnum):
    """What a guard's worsening, interval and margin are expressed in."""

    PERCENT = "percent of the baseline"
    POINTS = "percentage points"
    UNIT = "the unit of the metric"


@dataclass(frozen=True, slots=True)
class TargetVerdict:
    """The answer for the target metric.

    `baseline` and `optimized` are medians of the blocks, `improvement_percent` is the plain change between them (the
    spec's figure) and `meets_threshold` compares it unrounded. `estimate_percent` and its interval come from all pairs
    of blocks. Positive is better. None stands where there is no figure. `blocks` counts (baseline, candidate), and
    `runs_needed` is how many more a side it takes to prove or refute the improvement. `cliffs_delta` is -1 to +1.
    `level` is the confidence that the interval really has, `autocorrelation` that of neighbouring blocks, `warning` a
    change of the noise, in words.
    """

    metric: str
    unit: Unit
    direction: Direction
    label: TargetLabel
    passes: bool
    baseline: float | None
    optimized: float | None
    absolute: float | None
    improvement_percent: float | None
    meets_threshold: bool
    threshold_percent: float
    estimate_percent: float | None
    ci_low: float | None
    ci_high: float | None
    confidence: float
    blocks: tuple[int, int]
    runs_needed: int
    reason: str
    cliffs_delta: float | None = None
    level: float | None = None
    autocorrelation: float | None = None
    warning: str | None = None


@dataclass(frozen=True, slots=True)
class GuardVerdict:
    """The answer for a guard metric.

    `worsening`, `ci_low`, `ci_high` and `margin` are in `scale`, positive is worse. `regression_percentage` is the plain
    change of the medians in percent (the spec's figure), None if the baseline is zero. `looks_worse` if the interval of
    independent blocks excludes "not worse" and the estimate exceeds the margin, which alone is no regression. `p` is the
    one-sided chance of so much worsening in an identical build, None where no noise was seen. The rest as in `TargetVerdict`.
    """

    metric: str
    unit: Unit
    direction: Direction
    label: GuardLabel
    scale: Scale
    baseline: float | None
    optimized: float | None
    worsening: float | None
    regression_percentage: float | None
    ci_low: float | None
    ci_high: float | None
    margin: float | None
    floor: float
    confidence: float
    blocks: tuple[int, int]
    runs_needed: int
    reason: str
    looks_worse: bool = False
    p: float | None = None
    level: float | None = None
    autocorrelation: float | None = None
    warning: str | None = None

    @property
    def worsening_percent(self) -> float | None:
        """The worsening in percent (points, for a rate); None if the baseline is zero and there is no such figure."""
        return None if self.scale is Scale.UNIT else self.worsening

    @property
    def margin_percent(self) -> float | None:
        """The margin in percent (points, for a rate); None if it is the floor in the unit of the metric."""
        return None if self.scale is Scale.UNIT else self.margin
