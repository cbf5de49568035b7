"""The figures of a set of rows: counts, rates, percentiles and their upper bounds. All of them, good or bad, from the rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from perfproof.load.plan import LoadPlan
from perfproof.load.rows import NoAnswer, Rows, percentile
from perfproof.statistics.counts import wilson
from perfproof.statistics.percentiles import percentile_interval, smallest_sample

# A request of the last moment may start a little later than the stage ends.
START_SLACK_SECONDS = 0.1
SHARES = {"p50": 0.50, "p95": 0.95, "p99": 0.99}
# Fewer samples give the percentile's 95 % interval no upper end: 6, 72 and 368.
SAMPLES_NEEDED = {name: smallest_sample(share) for name, share in SHARES.items()}


def errors(rows: Rows) -> int:
    """Failed requests among those sent."""
    return int((rows.sent & ~rows.ok).sum())


def error_rate(rows: Rows) -> float | None:
    """Failed requests among those sent, in percent; None when none were sent."""
    sent = int(rows.sent.sum())
    return rounded(100.0 * errors(rows) / sent) if sent else None


def percentiles(values: NDArray[np.float64]) -> dict[str, float | None]:
    """p50, p95 and p99 of `values` by nearest rank, None without values."""
    return {name: _optional(percentile(values, 100.0 * share)) for name, share in SHARES.items()}


def latencies(rows: Rows) -> dict[str, Any]:
    """p50, p95 and p99 in ms from the intended start, and which of them too few samples carry."""
    sent = int(rows.sent.sum())
    few = [name for name, needed in SAMPLES_NEEDED.items() if sent < needed]
    return {**percentiles(rows.latency_ms[rows.sent]), "too_few_samples_for": few}


def upper_bounds(rows: Rows) -> dict[str, float | None]:
    """Upper ends of the two-sided 95 % intervals: p50, p95, p99 in ms (order statistics), error rate in percent (Wilson).

    None where the samples are too few for a finite end.
    """
    sent = int(rows.sent.sum())
    if not sent:
        return dict.fromkeys((*SHARES, "error_rate"))
    values = rows.latency_ms[rows.sent].tolist()
    ends = {name: _optional(percentile_interval(values, share).high) for name, share in SHARES.items()}
    return {**ends, "error_rate": rounded(100.0 * wilson(errors(rows), sent, confidence=0.95).high)}


def by_transaction(rows: Rows, *, plan: LoadPlan) -> dict[str, dict[str, Any]]:
    """Requests, errors and latency percentiles (ms, None without samples) of each transaction of the plan."""
    result = {}
    for transaction in plan.transactions:
        own = rows.where(rows.transaction == transaction.name)
        result[transaction.name] = {"requests": int(own.sent.sum()), "errors": errors(own), **latencies(own)}
    return result


def throughput(rows: Rows, *, begin: float, end: float) -> float:
    """Good answers per second: counted when they end, whenever they were due."""
    return float((rows.ok & (rows.end >= begin) & (rows.end < end)).sum()) / (end - begin)


def started(rows: Rows, *, end: float) -> int:
    """Requests that were sent in time for a stage that ends at `end`."""
    return int((rows.sent & (rows.start < end + START_SLACK_SECONDS)).sum())


def start_error_p95(rows: Rows) -> float | None:
    """p95 of how late the generator itself was, in ms from the intended to the real start; None when nothing was sent."""
    return _optional(percentile((rows.start - rows.intended_start)[rows.sent] * 1000.0, 95.0))


def statuses(rows: Rows) -> dict[str, int]:
    """How many rows there are of each HTTP status and each kind of no answer."""
    codes, counts = np.unique(rows.status, return_counts=True)
    names = {int(member): member.name.lower() for member in NoAnswer}
    return {names.get(int(code), str(code)): int(count) for code, count in zip(codes, counts, strict=True)}


def _optional(value: float | None) -> float | None:
    return None if value is None else rounded(value)


def rounded(value: float) -> float:
    """Three decimals: microseconds of latency, and no digits that a clock does not carry."""
    return round(float(value), 3)
