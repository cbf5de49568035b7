"""Values between two scrapes: rates, resets, ratios and quantiles, against slow and obvious computations."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfproof.errors import TelemetryError
from perfproof.scrapes.openmetrics_text import read_exposition
from perfproof.scrapes.query import read_query
from perfproof.scrapes.values import Scrape, quantile_of, value_at


def value(query: str, now: str, before: str | None = None, *, seconds: float = 10) -> float | None:
    """The query at an exposition, `seconds` after another one."""
    parsed = read_query(query, where="q", error=TelemetryError, number=760)

    def scrape(text: str, at: float) -> Scrape:
        found = read_exposition(text.encode() + b"\nother 1\n", names=parsed.names, where="e", error=TelemetryError, number=759)
        return Scrape(at, found.samples)

    earlier = None if before is None else scrape(before, 100)
    return value_at(parsed, scrape(now, 100 + seconds), before=earlier, where="q", error=TelemetryError)


def test_a_level_is_read_from_one_scrape_and_a_rate_needs_two() -> None:
    """Missing is None and no zero."""
    assert value("a * 2", "a 3") == 6
    assert value("rate(a)", "a 30", "a 10") == 2
    assert value("rate(a)", "a 30") is None
    assert value("rate(a)", "a 30", "b 1") is None
    assert value("a", "b 1") is None


def test_a_counter_that_fell_has_restarted_from_zero() -> None:
    """As Prometheus takes it: what it shows is what it counted since."""
    assert value("rate(a)", "a 30", "a 100") == 3
    assert value("sum(rate(a))", 'a{x="1"} 5\na{x="2"} 12', 'a{x="1"} 100\na{x="2"} 2') == 1.5


def test_several_series_are_summed_or_refused() -> None:
    """A series that was not there a scrape ago has grown by nobody knows how much, and is left out of the sum."""
    two, before = 'a{x="1"} 11\na{x="2"} 22', 'a{x="1"} 1\na{x="2"} 2'
    assert value("sum(a)", two) == 33
    assert value("sum(rate(a))", two, before) == 3
    assert value('rate(a{x="2"})', two, before) == 2
    assert value("sum(rate(a))", two, 'a{x="1"} 1') == 1
    for query in ("a", "rate(a)"):
        with pytest.raises(TelemetryError, match=r"TEL-761 q: a names several series.*sum"):
            value(query, two, before)


def test_a_share_of_nothing_is_no_number() -> None:
    """0 errors of 0 requests is no error rate of 0."""
    errors = "100 * rate(e) / rate(n)"
    assert value(errors, "e 1\nn 20", "e 0\nn 10") == 10
    assert math.isnan(value(errors, "e 0\nn 10", "e 0\nn 10") or 0)
    assert value(errors, "n 20", "n 10") is None
    assert value("a / a", "a 3") == 1


@pytest.mark.parametrize("text", ["NaN", "+Inf", "-Inf"])
def test_what_is_no_finite_number_gives_none(text: str) -> None:
    """NaN, which is no valid sample of a cell."""
    assert math.isnan(value("a", f"a {text}") or 0)
    assert math.isnan(value("sum(rate(a))", f'a{{x="1"}} {text}\na{{x="2"}} 3', 'a{x="1"} 1\na{x="2"} 2') or 0)


def buckets(counts: dict[float, float], more: str = "") -> str:
    return "\n".join(f'h_bucket{{le="{"+Inf" if bound == math.inf else bound}"{more}}} {count}' for bound, count in counts.items())


def test_a_quantile_comes_from_what_each_bucket_grew() -> None:
    """The observations before the first scrape do not count."""
    before = buckets({0.1: 100, 0.5: 100, math.inf: 100})
    now = buckets({0.1: 150, 0.5: 200, math.inf: 200})
    assert value("histogram_quantile(0.5, h_bucket)", now, before) == pytest.approx(0.1)
    assert value("histogram_quantile(0.75, h_bucket)", now, before) == pytest.approx(0.3)
    assert math.isnan(value("histogram_quantile(0.5, h_bucket)", now, now) or 0)
    assert value("histogram_quantile(0.5, h_bucket)", now) is None


def test_a_histogram_restarts_as_a_whole() -> None:
    """A bucket that has already passed its old count has restarted too, though it did not fall."""
    before, now = buckets({0.1: 1, 0.5: 100, math.inf: 100}), buckets({0.1: 10, 0.5: 20, math.inf: 20})
    assert value("histogram_quantile(0.5, h_bucket)", now, before) == pytest.approx(0.1)


def test_histograms_of_several_series_are_summed_or_refused() -> None:
    """With the same bounds; others cannot be summed."""
    before = buckets({1: 0, 2: 0, math.inf: 0}, ',x="1"') + "\n" + buckets({1: 0, 2: 0, math.inf: 0}, ',x="2"')
    now = buckets({1: 4, 2: 4, math.inf: 4}, ',x="1"') + "\n" + buckets({1: 0, 2: 4, math.inf: 4}, ',x="2"')
    assert value("histogram_quantile(0.75, sum(h_bucket))", now, before) == pytest.approx(1.5)
    assert value('histogram_quantile(0.5, h_bucket{x="1"})', now, before) == pytest.approx(0.5)
    with pytest.raises(TelemetryError, match="TEL-761"):
        value("histogram_quantile(0.75, h_bucket)", now, before)
    others = (text.replace('le="1",x="2"', 'le="1.5",x="2"') for text in (now, before))
    assert math.isnan(value("histogram_quantile(0.75, sum(h_bucket))", *others) or 0)


def test_a_quantile_beyond_the_last_bound_is_infinite() -> None:
    """Prometheus answers the last bound, which would make a slow service look faster than it is."""
    assert quantile_of({0.1: 1, 1: 2, math.inf: 10}, 0.95) == math.inf


def test_without_the_bucket_of_all_there_is_no_quantile() -> None:
    """The number of observations is not known."""
    assert math.isnan(quantile_of({0.1: 1, 1: 2}, 0.5)) and math.isnan(quantile_of({}, 0.5))


@given(st.lists(st.integers(0, 50), min_size=1, max_size=8), st.floats(0.01, 1))
def test_a_quantile_lies_in_the_bucket_of_the_sorted_observation(counts: list[int], quantile: float) -> None:
    """Against the observations themselves, laid out one by one inside their buckets."""
    bounds = [float(n + 1) for n in range(len(counts))]
    laid_out = [bound - 1 + (n + 1) / count for bound, count in zip(bounds, counts, strict=True) for n in range(count)]
    total, cumulative = 0.0, {}
    for bound, count in zip(bounds, counts, strict=True):
        total += count
        cumulative[bound] = total
    found = quantile_of(cumulative | {math.inf: total}, quantile)
    if not laid_out:
        assert math.isnan(found)
    else:
        rank = quantile * len(laid_out)
        above = laid_out[min(len(laid_out), math.ceil(rank)) - 1]
        assert above - 1 - 1e-9 <= found <= above + 1e-9
        assert math.ceil(found - 1e-9) <= math.ceil(above - 1e-9) <= math.ceil(found + 1e-9) + (found == int(found))


def test_a_quantile_of_a_finely_divided_histogram_is_close_to_that_of_the_observations() -> None:
    """Thousand observations, buckets of 10 ms: at most one bucket's width apart."""
    rng = random.Random(7)  # seeded: the same observations each time
    seen = sorted(rng.lognormvariate(-2, 0.6) for _ in range(1000))
    bounds = [n / 100 for n in range(1, 301)]
    cumulative = {bound: float(sum(one <= bound for one in seen)) for bound in bounds} | {math.inf: 1000.0}
    for quantile in (0.5, 0.9, 0.95, 0.99):
        assert quantile_of(cumulative, quantile) == pytest.approx(seen[math.ceil(quantile * 1000) - 1], abs=0.01)
