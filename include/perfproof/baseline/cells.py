"""A cell of the baseline: one metric of one service, measured over a window from the samples that were recorded."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from perfproof.config import Slo
from perfproof.telemetry import Direction, MetricKind, MetricSpec, Series, Unit, sha256_hex

SIGNIFICANT_DIGITS = 6
# rate() extrapolates to the edges of its range, so a saturated core may read some percent above 100.
MAX_UTILIZATION_PERCENT = 120.0
MAX_ERROR_RATE_PERCENT = 100.0


class Reason(StrEnum):
    """Why a cell has fewer valid samples than the window holds steps, or no value at all."""

    NODATA = "NODATA"
    STALE = "STALE"
    TOO_FEW = "TOO_FEW"
    NAN = "NAN"
    UNIT = "UNIT"
    UNTRACEABLE = "UNTRACEABLE"
    FETCH_ERROR = "FETCH_ERROR"
    DUPLICATE = "DUPLICATE"


# A cell with one of these is not measured, however many samples arrived.
DISQUALIFYING = frozenset({Reason.UNIT, Reason.UNTRACEABLE, Reason.FETCH_ERROR})


# A rate needs several scrapes in its span; five steps also smooth over one that is late.
RATE_WINDOW_STEPS = 5
MIN_RATE_WINDOW_SECONDS = 5.0


def rate_window(step: float) -> float:
    """Seconds over which a rate of the baseline is taken."""
    return max(MIN_RATE_WINDOW_SECONDS, RATE_WINDOW_STEPS * step)


@dataclass(frozen=True, slots=True)
class Window:
    """The measured span in seconds since the epoch: samples after `start` up to and including `end`, one every `step`.

    Half open, so that adjacent windows share no sample.
    """

    start: float
    end: float
    step: float

    @property
    def samples_expected(self) -> int:
        """How many steps the window holds."""
        return max(0, math.floor((self.end - self.start) / self.step + 1e-9))

    def step_of(self, moment: float) -> int | None:
        """The step (from 1) that a sample at `moment` fills, None outside the window."""
        if not math.isfinite(moment):
            return None
        number = math.ceil((moment - self.start) / self.step - 1e-9)
        return number if 1 <= number <= self.samples_expected else None


@dataclass(frozen=True, slots=True)
class Requirements:
    """When a cell counts: share of steps with a valid sample, valid steps, and age of the newest sample at the window's end."""

    min_coverage: float
    min_samples: int
    max_staleness_seconds: float


@dataclass(frozen=True, slots=True)
class Cell:
    """One metric of one service over the window. `value` is the median of the valid samples, None if the cell has none.

    `samples_valid` counts steps with a valid sample. `staleness_seconds` is the age of the newest one at the window's end.
    """

    metric: str
    service: str
    kind: MetricKind
    value: float | None
    unit: Unit
    direction: Direction
    collection_method: str
    source: str
    query: str
    window_end: float
    samples_expected: int
    samples_valid: int
    staleness_seconds: float | None
    reasons: tuple[Reason, ...]
    critical: bool
    raw_sha256: str
    requirements: Requirements

    @property
    def coverage(self) -> float:
        """Share of the expected steps with a valid sample, 0 to 1."""
        return min(1.0, self.samples_valid / self.samples_expected) if self.samples_expected else 0.0

    @property
    def score(self) -> float:
        """What the cell contributes to completeness, 0 to 1.

        `min(1, coverage / min_coverage)` if the cell is fresh, traceable and has enough samples; otherwise 0.
        """
        enough = self.value is not None and self.samples_valid >= max(1, self.requirements.min_samples)
        fresh = self.staleness_seconds is not None and self.staleness_seconds <= self.requirements.max_staleness_seconds
        if not enough or not fresh or DISQUALIFYING.intersection(self.reasons):
            return 0.0
        return min(1.0, self.coverage / self.requirements.min_coverage)


def measure_cell(
    spec: MetricSpec,
    service: str,
    series: Series,
    *,
    window_start: float,
    window_end: float,
    step: float,
    min_coverage: float,
    min_samples: int,
    max_staleness_seconds: float,
    collection_method: str,
) -> Cell:
    """The cell of `spec` for `service`, measured from `series`.

    The value is the median of the valid samples in the window, to six significant digits: for a series of quantiles it is
    the typical quantile of the short spans that the query names, not the quantile of all requests of the window. Invalid
    samples are NaN and infinities, all samples of a moment that has two different values, and every sample of a
    series in which one is impossible in the metric's unit (the unit is a property of the query, so one is enough).
    """
    window = Window(window_start, window_end, step)
    valid, reasons = valid_samples(spec, service, series, window=window)
    covered = {window.step_of(moment) for moment, _ in valid}
    staleness = round(max(0.0, window_end - max(moment for moment, _ in valid)), 3) if valid else None
    requirements = Requirements(min_coverage, min_samples, max_staleness_seconds)
    if staleness is not None and staleness > max_staleness_seconds:
        reasons.append(Reason.STALE)
    if not valid or len(covered) < min_samples or len(covered) < min_coverage * window.samples_expected:
        reasons.append(Reason.TOO_FEW)
    return Cell(
        metric=spec.name,
        service=service,
        kind=spec.kind,
        value=_rounded(statistics.median(value for _, value in valid)) if valid else None,
        unit=spec.unit,
        direction=spec.direction,
        collection_method=collection_method,
        source=series.source,
        query=series.query,
        window_end=window_end,
        samples_expected=window.samples_expected,
        samples_valid=len(covered),
        staleness_seconds=staleness,
        reasons=tuple(sorted(set(reasons), key=list(Reason).index)),
        critical=spec.critical,
        raw_sha256=series.raw_sha256,
        requirements=requirements,
    )


def valid_samples(spec: MetricSpec, service: str, series: Series, *, window: Window) -> tuple[list[tuple[float, float]], list[Reason]]:
    """The samples (moment, value) that count, in the order of time, and why others do not."""
    if series.error is not None:
        return [], [Reason.FETCH_ERROR]
    if not _traceable(spec, service, series):
        return [], [Reason.UNTRACEABLE]
    if series.unit is not spec.unit:
        return [], [Reason.UNIT]
    inside = [(moment, value) for moment, value in zip(series.times, series.values, strict=True) if window.step_of(moment) is not None]
    if not inside:
        return [], [Reason.NODATA]
    if any(impossible(value, kind=spec.kind, unit=spec.unit) for _, value in inside):
        return [], [Reason.UNIT]
    reasons: list[Reason] = []
    if any(not math.isfinite(value) for _, value in inside):
        reasons.append(Reason.NAN)
    values: dict[float, set[float]] = {}
    for moment, value in inside:
        values.setdefault(moment, set()).add(value if math.isfinite(value) else math.inf)
    if len(values) < len(inside):
        reasons.append(Reason.DUPLICATE)
    kept = [(moment, next(iter(found))) for moment, found in sorted(values.items()) if len(found) == 1]
    return [(moment, value) for moment, value in kept if math.isfinite(value)], reasons


def adherence_percent(slo: Slo, spec: MetricSpec, series: Series, *, window: Window) -> float | None:
    """Share of the valid samples at or below the target (at or above, if higher is better), in percent; None without samples."""
    valid, _ = valid_samples(spec, series.service, series, window=window)
    if not valid or slo.unit is not spec.unit:
        return None
    kept = sum(1 for _, value in valid if (value - slo.target) * spec.direction.sign >= 0)
    return 100.0 * kept / len(valid)


def failed_series(spec: MetricSpec, service: str, *, start: float, end: float, step: float, fetched_at: datetime, error: str) -> Series:
    """A series without samples for a query that its source refused; its cell says FETCH_ERROR."""
    return Series(
        metric=spec.name, service=service, unit=spec.unit, source=spec.source, query=spec.query, start=start, end=end,
        step=step, times=(), values=(), fetched_at=fetched_at, raw_sha256=sha256_hex(b""), error=error,
    )  # fmt: skip


def _traceable(spec: MetricSpec, service: str, series: Series) -> bool:
    digest = series.raw_sha256
    hashed = len(digest) == 64 and all(c in "0123456789abcdef" for c in digest)
    named = (series.metric, series.service, series.source) == (spec.name, service, spec.source)
    return hashed and named and bool(series.query.strip())


def impossible(value: float, *, kind: MetricKind, unit: Unit) -> bool:
    """Whether no metric of this kind can have the finite `value` in this unit: below zero, or more than all of it."""
    if not math.isfinite(value):
        return False
    if value < 0:
        return True
    if unit is not Unit.PERCENT:
        return False
    limit = MAX_ERROR_RATE_PERCENT if kind is MetricKind.ERROR_RATE else MAX_UTILIZATION_PERCENT
    return value > limit * (1 + 1e-9)


def _rounded(value: float) -> float:
    return float(f"{value:.{SIGNIFICANT_DIGITS}g}")
