"""How much of its limits a service uses: the baseline's value and the percentiles of its samples, and what the peak would take."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from perfproof.config import Service
from perfproof.statistics.percentiles import percentile_interval, samples_beyond_maximum
from perfproof.telemetry import Unit

HIGH_PERCENT = 80.0
SHARES = {"p50": 0.50, "p95": 0.95, "p99": 0.99}
# Of two samples the median is nothing but one of them.
MIN_SAMPLES = {"p50": 5, "p95": samples_beyond_maximum(0.95), "p99": samples_beyond_maximum(0.99)}


def utilization(
    service: Service, cells: Sequence[Mapping[str, Any]], *, peak_rate: float, samples: Mapping[str, Sequence[float]]
) -> list[dict[str, Any]]:
    """One entry per utilization cell of the baseline, against the declared limit of the resource it names.

    `samples` are the values of each metric in the window, in the cell's unit: percent of the limit, cores or MiB. A percentile
    that too few samples carry is None with a reason; the assessment is made on the p95 where there is one.
    """
    throughput = next((c["value"] for c in cells if c["kind"] == "throughput" and c["value"]), None)
    return [_entry(cell, service, throughput, peak_rate, samples.get(str(cell["metric_name"]), ())) for cell in cells if _is_one(cell)]


def _is_one(cell: Mapping[str, Any]) -> bool:
    return bool(cell["kind"] == "utilization")


def _entry(
    cell: Mapping[str, Any], service: Service, throughput: float | None, peak_rate: float, samples: Sequence[float]
) -> dict[str, Any]:
    resource, limit, unit = _resource(str(cell["metric_name"]), service)
    scale, problem = _to_percent(cell.get("unit"), limit, unit)
    value = cell["value"]
    known = value is not None and math.isfinite(value) and scale is not None
    percent = value * scale if known and scale is not None else None
    # CPU grows with the requests; memory does not, so it is not carried over to the peak.
    at_peak = percent * peak_rate / throughput if percent is not None and throughput and resource == "cpu" else None
    spread = _percentiles([v * scale for v in samples] if scale is not None else [])
    highest = max((v for v in (percent, at_peak, spread["p95"]["value"]) if v is not None), default=None)
    return {
        "metric": cell["metric_name"],
        "resource": resource,
        "percent": percent,
        "limit": limit,
        "limit_unit": unit,
        "used": round(percent / 100 * limit, 3) if percent is not None and limit is not None else None,
        "at_request_rate": throughput,
        "projected_percent_at_peak": None if at_peak is None else round(at_peak, 1),
        "percentiles": spread,
        "samples": len([v for v in samples if math.isfinite(v)]),
        "assessment": "unknown" if percent is None or highest is None else "high" if highest > HIGH_PERCENT else "within limits",
        "reasons": [*cell["reasons"], *([problem] if problem else [])],
    }


def _resource(metric: str, service: Service) -> tuple[str, float | None, str | None]:
    if "cpu" in metric.lower():
        return "cpu", service.limits.cpu_cores, "cores"
    if "mem" in metric.lower():
        return "memory", service.limits.memory_mib, "MiB"
    return "other", None, None


def _to_percent(unit: Any, limit: float | None, limit_unit: str | None) -> tuple[float | None, str | None]:
    """The factor that makes percent of the limit of a value in `unit`, or None and why there is none."""
    if unit in (None, Unit.PERCENT):
        return 1.0, None
    if limit is not None and unit == limit_unit:
        return 100 / limit, None
    return None, f"a value in {unit} cannot be set against a limit in {limit_unit or 'nothing'}"


def _percentiles(values: Sequence[float]) -> dict[str, dict[str, Any]]:
    """Each percentile with the order statistics that enclose it at 95 %. Values that are no numbers are no samples."""
    valid = [v for v in values if math.isfinite(v)]
    found: dict[str, dict[str, Any]] = {}
    for name, share in SHARES.items():
        if len(valid) < MIN_SAMPLES[name]:
            reason = f"{len(valid)} samples, {MIN_SAMPLES[name]} needed"
            found[name] = {"value": None, "low": None, "high": None, "reason": reason}
            continue
        figures = percentile_interval(valid, share)
        rounded = {
            key: None if v is None else round(v, 3) for key, v in (("value", figures.value), ("low", figures.low), ("high", figures.high))
        }
        found[name] = {**rounded, "reason": None}
    return found
