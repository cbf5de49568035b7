"""Whether the percentiles of one latency stand in their order: 95 % of the requests cannot be slower than 99 % of them."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Sequence
from itertools import pairwise

from perfproof.errors import TelemetryError
from perfproof.telemetry import MetricKind, MetricSpec, Series

PERCENTILE = re.compile(r"(?P<stem>.*?)[._-]?p(?P<digits>[0-9]{2,4})")
# What two questions about one moment may differ by in floating point.
TOLERANCE = 1e-9


def require_percentile_order(service: str, measured: Sequence[tuple[MetricSpec, Series]]) -> None:
    """Raises TelemetryError 258 if a lower percentile lies above a higher one of the same name (`…_p95` and `…_p99`).

    Compared are the medians over the moments that both have: then a gap of one of them, or a scrape that only the second question
    saw, accuses nobody. Such a pair is no measurement: a query is wrong, or the two are swapped.
    """
    found: dict[tuple[str, str], list[tuple[float, MetricSpec, Series]]] = {}
    for spec, series in measured:
        match = PERCENTILE.fullmatch(spec.name)
        if match and spec.kind is MetricKind.LATENCY:
            found.setdefault((match["stem"], spec.unit.value), []).append((float(f"0.{match['digits']}"), spec, series))
    for group in found.values():
        for (_, low, below), (_, high, above) in pairwise(sorted(group, key=lambda one: one[0])):
            pair = _medians(below, above)
            if pair is not None and pair[0] > pair[1] * (1 + TOLERANCE):
                raise TelemetryError(
                    258, where=f"baseline of {service}", what="percentiles out of order",
                    got=f"{low.name} {pair[0]:g}, {high.name} {pair[1]:g} {low.unit.value}", expected=f"{low.name} at most {high.name}",
                    fix="correct the queries of these metrics in the protocol file",
                )  # fmt: skip


def _medians(below: Series, above: Series) -> tuple[float, float] | None:
    """The medians of the two over the moments at which both have a finite value."""
    first, second = ({t: v for t, v in zip(s.times, s.values, strict=True) if math.isfinite(v)} for s in (below, above))
    common = first.keys() & second.keys()
    if not common:
        return None
    return statistics.median(first[t] for t in common), statistics.median(second[t] for t in common)
