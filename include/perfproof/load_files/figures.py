"""The figures of requests: counts, rates, percentiles with the order statistics that bound them, all together and by name."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perfproof.load_files.form import Requests
from perfproof.statistics.counts import Interval, wilson
from perfproof.statistics.percentiles import interval_ranks, smallest_sample

SHARES = {"p50": 0.50, "p95": 0.95, "p99": 0.99}
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Percentile:
    """A percentile in ms with its 95 % interval; `value` and the ends are None where there is none.

    `reason` says why, for the reader: too few requests, or that the percentile is a failed request.
    """

    value: float | None
    low: float | None
    high: float | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Figures:
    """What a set of requests shows. `error_rate` is a share with its Wilson interval; `throughput` good answers per second."""

    name: str
    requests: int
    errors: int
    error_rate: Interval
    seconds: float
    rate: float
    throughput: float
    latency: dict[str, Percentile]


def after_warmup(requests: Requests, *, skip_seconds: float) -> Requests:
    """The requests that started `skip_seconds` or more after the first one."""
    return requests if skip_seconds <= 0 else requests.where(requests.start >= requests.start.min() + skip_seconds)


def figures_of(requests: Requests, *, seconds: float, name: str = "all") -> Figures:
    """The figures of at least one request, over a test of `seconds`.

    A failed request counts as slower than all others: a service that refuses quickly is not fast.
    """
    total, good = len(requests), int(requests.ok.sum())
    ordered = np.sort(np.where(requests.ok, requests.latency_ms, np.inf))
    return Figures(
        name=name,
        requests=total,
        errors=total - good,
        error_rate=wilson(total - good, total, confidence=CONFIDENCE),
        seconds=seconds,
        rate=total / seconds if seconds > 0 else 0.0,
        throughput=good / seconds if seconds > 0 else 0.0,
        latency={label: _percentile(ordered, share) for label, share in SHARES.items()},
    )


def span_of(requests: Requests) -> float:
    """Seconds from the first start to the last end."""
    return float((requests.start + requests.latency_ms / 1000.0).max() - requests.start.min())


def figures_by_name(requests: Requests, *, seconds: float) -> list[Figures]:
    """The figures of each name, that with the most requests first."""
    counts = np.bincount(requests.name, minlength=len(requests.names))
    order = sorted((i for i in range(len(requests.names)) if counts[i]), key=lambda i: (-int(counts[i]), requests.names[i]))
    by_name = np.argsort(requests.name, kind="stable")
    ends = np.cumsum(counts)
    found = []
    for i in order:
        own = by_name[ends[i] - counts[i] : ends[i]]
        part = Requests(requests.start[own], requests.latency_ms[own], requests.ok[own], requests.name[own], requests.names)
        found.append(figures_of(part, seconds=seconds, name=requests.names[i]))
    return found


def _percentile(ordered: NDArray[np.float64], share: float) -> Percentile:
    total = len(ordered)
    needed = smallest_sample(share)
    if total < needed:
        return Percentile(None, None, None, f"not estimable: needs {needed} rows, there are {total}")
    value = float(ordered[max(1, math.ceil(round(share * total, 9))) - 1])
    if math.isinf(value):
        return Percentile(None, None, None, "a failed request, which counts as slower than all others")
    low, high = interval_ranks(total, share, confidence=CONFIDENCE)
    ends = [None if rank is None or math.isinf(ordered[rank - 1]) else float(ordered[rank - 1]) for rank in (low, high)]
    return Percentile(value, ends[0], ends[1], "the upper end is a failed request" if ends[1] is None else None)
