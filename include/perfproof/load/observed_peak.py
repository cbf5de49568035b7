"""The highest rate that the telemetry saw, against the rate that is tested: a peak below it proves nothing about real traffic."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from perfproof.config import Service
from perfproof.statistics.percentiles import percentile
from perfproof.telemetry import MetricKind, Unit

# Below the maximum: one sample of a burst between two scrapes is no level that lasts.
QUANTILE = 0.99


@dataclass(frozen=True, slots=True)
class ObservedPeak:
    """The rate in requests/s that a share `quantile` of the samples of `metric` does not exceed."""

    metric: str
    rate: float
    quantile: float
    samples: int


def observed_peak(metric: str, samples: Iterable[float], *, quantile: float = QUANTILE) -> ObservedPeak | None:
    """The observed peak by nearest rank; None without a sample. NaN, infinities and negative rates are no samples."""
    valid = sorted(value for value in samples if math.isfinite(value) and value >= 0)
    return ObservedPeak(metric, percentile(valid, quantile), quantile, len(valid)) if valid else None


def peak_of_baseline(service: Service, document: Mapping[str, Any] | None) -> ObservedPeak | None:
    """The highest observed peak of the service's throughput metrics in `evidence/baseline-<service>.json`; None if nobody knows."""
    answers = (document or {}).get("answers", {})
    wanted = [m.name for m in service.metrics if m.kind is MetricKind.THROUGHPUT and m.unit is Unit.PER_SECOND]
    found = [observed_peak(name, samples_in(str(answers[name]))) for name in wanted if name in answers]
    return max((peak for peak in found if peak is not None), key=lambda peak: peak.rate, default=None)


def samples_in(answers: str) -> list[float]:
    """The values in a Prometheus answer to a range query, one JSON document a line; what is none has no samples."""
    values: list[float] = []
    for line in answers.splitlines():
        try:
            for series in json.loads(line)["data"]["result"]:
                values += [float(value) for _, value in series["values"]]
        except (ValueError, KeyError, TypeError):
            continue
    return values


def comparison(service: str, tested: float, observed: ObservedPeak | None) -> dict[str, Any]:
    """One entry of `observed_peak` in `load-test-results.json`. `covered` is None where the telemetry says nothing."""
    entry: dict[str, Any] = {"service": service, "tested_rate": tested}
    if observed is None:
        return {**entry, "observed_rate": None, "covered": None, "finding": "the telemetry holds no request rate to compare the peak with"}
    covered = tested >= observed.rate
    samples = f"{100 * observed.quantile:g} % of {observed.samples} samples of {observed.metric} are not above it"
    what = f"{observed.rate:.4g} requests/s ({samples})"
    finding = None if covered else f"The tested peak of {tested:g} requests/s is below what the telemetry saw: {what}"
    return {
        **entry,
        "observed_rate": float(f"{observed.rate:.6g}"),
        "metric": observed.metric,
        "quantile": observed.quantile,
        "samples": observed.samples,
        "covered": covered,
        "finding": finding,
    }


def uncovered(comparisons: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The findings among `comparisons`, in the shape of the results' bottlenecks."""
    return [
        {"service": c["service"], "issue": c["finding"], "severity": "high", "scenario": "peak", "transaction": None}
        for c in comparisons
        if c["covered"] is False
    ]
