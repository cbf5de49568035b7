"""The value of a query at one scrape: levels from it, rates and quantiles from what grew since the scrape before."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from perfproof.errors import PerfproofError
from perfproof.scrapes.openmetrics_text import Labels, Sample
from perfproof.scrapes.query import ScrapeQuery, Take, Term


@dataclass(frozen=True, slots=True)
class Scrape:
    """What an endpoint showed at `at` (seconds since the epoch) of the series that a query reads."""

    at: float
    samples: tuple[Sample, ...]


class Ambiguous(Exception):
    """A term names several series and does not sum them; the text is the name."""


def value_at(query: ScrapeQuery, now: Scrape, *, before: Scrape | None, where: str, error: type[PerfproofError]) -> float | None:
    """The value at `now`; `before` is the scrape one step earlier, None where there is none.

    None where one of the series is missing. Infinite or NaN where the numbers make it so (0/0: no request, so no share of errors;
    a quantile beyond the last bound: nobody knows how far), which is no valid sample of a cell. Raises `error` 761 for a term that
    names several series.
    """
    result = query.scale
    for terms, inverse in ((query.times, False), (query.over, True)):
        for term in terms:
            try:
                value = _term(term, now, before)
            except Ambiguous as problem:
                raise error(
                    761, where=where, what=f"{problem} names several series", fix="name more labels, or take the sum(…) of them"
                ) from None
            if value is None:
                return None
            result = _divided(result, value) if inverse else result * value
    return result


def quantile_of(buckets: Mapping[float, float], quantile: float) -> float:
    """The quantile of a classic histogram, `buckets` holding how many observations were at or below each bound.

    Linear inside the bucket, the first one beginning at 0, as Prometheus' histogram_quantile; but infinite where it lies beyond the
    last finite bound, since the bound would understate it. NaN without observations or without the bucket of all.
    """
    bounds = sorted(buckets)
    total = buckets[bounds[-1]] if bounds and bounds[-1] == math.inf else 0.0
    if not total > 0:
        return math.nan
    rank, lower, below = quantile * total, 0.0, 0.0
    for bound in bounds:
        # Buckets are not read at one moment, so a lower one may be ahead by some observations.
        count = max(below, buckets[bound])
        if count >= rank and count > 0:
            if bound == math.inf or (bound <= 0 and lower == 0.0 and below == 0):
                return bound
            return bound if count == below else lower + (bound - lower) * (rank - below) / (count - below)
        lower, below = bound, count
    return math.nan


def _term(term: Term, now: Scrape, before: Scrape | None) -> float | None:
    current = _matching(term, now)
    if term.take is Take.VALUE:
        values: Sequence[float] = [sample.value for sample in current.values()]
    elif before is None:
        return None
    elif term.take is Take.QUANTILE:
        return _quantile(term, current, _matching(term, before))
    else:
        earlier = _matching(term, before)
        # A series that was not there before has grown by nobody knows how much.
        values = [
            _grown(earlier[labels].value, sample.value) / (now.at - before.at) for labels, sample in current.items() if labels in earlier
        ]
        if current and not values and not term.summed:
            return None
    if len(current) > 1 and not term.summed:
        raise Ambiguous(term.name)
    return math.fsum(values) if values and all(map(math.isfinite, values)) else (math.nan if values else None)


def _quantile(term: Term, current: Mapping[Labels, Sample], earlier: Mapping[Labels, Sample]) -> float | None:
    histograms: dict[Labels, dict[float, tuple[float, float]]] = {}
    for labels, sample in current.items():
        if labels in earlier and (bound := _bound(labels)) is not None:
            others = tuple(label for label in labels if label[0] != "le")
            histograms.setdefault(others, {})[bound] = (earlier[labels].value, sample.value)
    if len(histograms) > 1 and not term.summed:
        raise Ambiguous(term.name)
    total: dict[float, float] = {}
    for pairs in histograms.values():
        # All buckets of a histogram restart together, also those that have already passed their old count.
        restarted = any(now < then for then, now in pairs.values())
        for bound, (then, now) in pairs.items():
            total[bound] = total.get(bound, 0.0) + (now if restarted else now - then)
    if any(not math.isfinite(count) for count in total.values()) or len({frozenset(pairs) for pairs in histograms.values()}) > 1:
        return math.nan
    return quantile_of(total, term.quantile) if total else None


def _grown(then: float, now: float) -> float:
    """How much a counter grew; one that fell has restarted from 0."""
    return now - then if now >= then else now


def _matching(term: Term, scrape: Scrape) -> dict[Labels, Sample]:
    return {sample.labels: sample for sample in scrape.samples if sample.name == term.name and set(term.labels) <= set(sample.labels)}


def _bound(labels: Labels) -> float | None:
    try:
        bound = float(dict(labels).get("le", ""))
    except ValueError:
        return None
    return None if math.isnan(bound) else bound


def _divided(value: float, by: float) -> float:
    return value / by if by else math.nan
