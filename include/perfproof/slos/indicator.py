"""What counts as good: requests in a histogram or a ratio of counters where the metric's query allows that, else samples of its series.

The query of the protocol file is never rewritten. Where it has one of two well-known shapes, the counters in it are counted;
everything else is wrapped as a whole and compared with the target once a minute.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from perfproof.slos.promql import one_expression
from perfproof.telemetry import Direction, MetricKind, Unit

SERIES_WINDOW = "5m"
SAMPLE_SECONDS = 60
NUMBER = r"[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?"
MATCHER = r'\s*[a-zA-Z_][a-zA-Z0-9_]*\s*(?:=~|!~|!=|=)\s*"(?:[^"\\\n]|\\.)*"\s*'
SELECTOR = r"(?P<{0}>[a-zA-Z_:][a-zA-Z0-9_:]*)\s*(?:\{{(?P<{0}_labels>{1}(?:,{1})*)?\}})?"
RATE = r"(?:rate|increase)\s*\(\s*{0}\s*\[\s*\$window\s*\]\s*\)"
BUCKETS = RATE.format(SELECTOR.format("bucket", MATCHER))
HISTOGRAM = re.compile(
    rf"(?:(?P<scale>{NUMBER})\s*\*\s*)?histogram_quantile\s*\(\s*(?P<quantile>{NUMBER})\s*,\s*"
    rf"(?:sum\s*by\s*\(\s*le\s*\)\s*\(\s*{BUCKETS}\s*\))\s*\)"
)
ERRORS, ALL = (RATE.format(SELECTOR.format(name, MATCHER)) for name in ("errors", "all"))
RATIO = re.compile(rf"100\s*\*\s*sum\s*\(\s*{ERRORS}\s*\)\s*/\s*sum\s*\(\s*{ALL}\s*\)")
LE = re.compile(r"(?:^|,)\s*le\s*[=!]")


class SliKind(StrEnum):
    """What an event is: a request, or one sample a minute of the metric's series."""

    REQUESTS = "requests"
    SAMPLES = "samples"


@dataclass(frozen=True, slots=True)
class Selector:
    """A counter by name and by its label matchers, as the query writes them."""

    name: str
    labels: str

    def with_(self, matcher: str = "") -> str:
        """The selector with one more matcher."""
        return f"{self.name}{{{','.join(part for part in (self.labels, matcher) if part)}}}"


@dataclass(frozen=True, slots=True)
class Indicator:
    """The service level indicator of a metric. `query` is the metric's, checked to be one closed expression.

    REQUESTS count `good` (or `bad`, for a ratio of errors) of `total`; `percent` is the objective that the metric itself states.
    SAMPLES have none of these. `reason` says in words why it is this kind.
    """

    kind: SliKind
    query: str
    reason: str
    good: Selector | None = None
    good_matcher: str = ""
    bad: Selector | None = None
    total: Selector | None = None
    percent: float | None = None

    @property
    def bad_count(self) -> str:
        """PromQL for the bad requests in `$window`; never below zero, and zero where no bad request was ever counted."""
        total = self.total_count
        if self.bad is not None:
            return f"(sum(increase({self.bad.with_()}[$window])) or (0 * {total}))"
        good = self.good.with_(self.good_matcher) if self.good else ""
        return f"clamp_min({total} - sum(increase({good}[$window])), 0)"

    @property
    def total_count(self) -> str:
        """PromQL for all requests in `$window`."""
        return f"sum(increase({self.total.with_() if self.total else ''}[$window]))"


def indicator(
    query: str, *, where: str, kind: MetricKind, unit: Unit, direction: Direction, target: float, buckets: Sequence[float] = ()
) -> Indicator:
    """The indicator of a metric with that target. `buckets` are the upper ends that its histogram is known to have.

    Raises ArtifactError for a query that is not one closed expression.
    """
    text = one_expression(query, where=where)
    found = HISTOGRAM.fullmatch(text)
    if found and kind is MetricKind.LATENCY and direction is Direction.LOWER:
        return _latency(text, found, target, buckets)
    found = RATIO.fullmatch(text)
    if found and unit is Unit.PERCENT and direction is Direction.LOWER and 0 < target < 100:
        errors, every = (Selector(found[name], (found[f"{name}_labels"] or "").strip().rstrip(",")) for name in ("errors", "all"))
        reason = f"the query is a share of counters: at most {target:g} % of the requests may fail"
        return Indicator(SliKind.REQUESTS, text, reason, bad=errors, total=every, percent=100 - target)
    return _samples(text, "the query is neither a quantile of a histogram nor a share of counters")


def _latency(text: str, found: re.Match[str], target: float, buckets: Sequence[float]) -> Indicator:
    name, labels = found["bucket"], (found["bucket_labels"] or "").strip()
    quantile = float(found["quantile"])
    if not name.endswith("_bucket") or LE.search(labels) or not 0 < quantile < 1:
        return _samples(text, "the histogram's buckets are not selected as usual")
    end = target / float(found["scale"] or 1)
    if not buckets:
        return _samples(text, "it is not known which buckets the histogram has")
    if not any(math.isclose(bucket, end, rel_tol=1e-9) for bucket in buckets):
        return _samples(text, f"no bucket of the histogram ends at the target, {end:g}")
    percent = float(f"{100 * quantile:.9g}")
    reason = f"the histogram has a bucket that ends at the target: {percent:g} % of the requests must be in it or below"
    return Indicator(
        SliKind.REQUESTS,
        text,
        reason,
        good=Selector(name, labels),
        good_matcher=_le(end),
        total=Selector(f"{name.removesuffix('_bucket')}_count", labels),
        percent=percent,
    )


def _le(end: float) -> str:
    """A matcher for the bucket, however it is written: whole numbers are `1` in Prometheus 2 and `1.0` in OpenMetrics."""
    text = f"{end:.12g}"
    if end != int(end) or "e" in text:
        return f'le="{text}"'
    return f'le=~"{text}([.]0)?"'


def _samples(text: str, reason: str) -> Indicator:
    return Indicator(SliKind.SAMPLES, text, f"one sample a minute is compared with the target, since {reason}")
