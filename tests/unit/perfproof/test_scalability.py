"""The Universal Scalability Law on steps whose law is known."""

from __future__ import annotations

import random

import pytest

from perfproof.scalability import ScalabilityFit, fit_scalability


def law(n: float, *, rate: float, contention: float, coherency: float) -> float:
    """X(N), written out."""
    return rate * n / (1 + contention * (n - 1) + coherency * n * (n - 1))


@pytest.mark.parametrize(
    ("rate", "contention", "coherency"), [(100.0, 0.05, 0.002), (20.0, 0.3, 0.0), (50.0, 0.0, 0.01), (8.0, 0.1, 0.0005)]
)
def test_a_known_law_is_found_again(rate: float, contention: float, coherency: float) -> None:
    """Exact steps give exact parameters."""
    steps = [1.0, 2, 4, 8, 16, 24]
    fit = fit_scalability(steps, throughput=[law(n, rate=rate, contention=contention, coherency=coherency) for n in steps])
    assert isinstance(fit, ScalabilityFit)
    assert (fit.rate_of_one, fit.contention, fit.coherency) == pytest.approx((rate, contention, coherency), rel=1e-6, abs=1e-9)
    assert fit.r_squared == pytest.approx(1)


def test_the_peak_is_where_a_search_finds_it() -> None:
    """Against trying every N in small steps."""
    steps = [1.0, 3, 6, 12, 20, 30]
    fit = fit_scalability(steps, throughput=[law(n, rate=40, contention=0.08, coherency=0.004) for n in steps])
    assert isinstance(fit, ScalabilityFit)
    tried = max((law(k / 100, rate=40, contention=0.08, coherency=0.004), k / 100) for k in range(100, 4000))
    assert fit.peak_throughput == pytest.approx(tried[0], rel=1e-4)
    assert fit.peak_concurrency == pytest.approx(tried[1], rel=0.01)


def test_noisy_steps_give_the_best_of_a_grid_of_laws() -> None:
    """No law of a fine grid has smaller relative residuals, and no parameter is negative."""
    source = random.Random(5)
    steps = [1.0, 2, 4, 7, 11, 16]
    seen = [law(n, rate=30, contention=0.1, coherency=0.003) * source.uniform(0.97, 1.03) for n in steps]
    fit = fit_scalability(steps, throughput=seen)
    assert isinstance(fit, ScalabilityFit)

    def loss(rate: float, contention: float, coherency: float) -> float:
        return sum((x / law(n, rate=rate, contention=contention, coherency=coherency) - 1) ** 2 for n, x in zip(steps, seen, strict=True))

    best = loss(fit.rate_of_one, fit.contention, fit.coherency)
    grid = [(25 + 0.5 * i, 0.01 * j, 0.0005 * k) for i in range(21) for j in range(31) for k in range(21)]
    assert all(best <= loss(*point) + 1e-12 for point in grid)
    assert min(fit.contention, fit.coherency) >= 0


@pytest.mark.parametrize(
    ("concurrency", "throughput", "words"),
    [
        ([1, 2, 4], [10, 18, 30], "usable steps"),
        ([0.1, 0.3, 0.6, 1.2], [10, 29, 55, 100], "in service at once"),
        ([4, 4.5, 5, 6], [10, 11, 12, 12.5], "span a factor"),
        ([1, 2, 4, 8], [10, 20, 40, 80], "limit was not approached"),
        ([1, 2, 4, 8], [20, 5, 60, 7], "scatter"),
        ([0, 0, 0, 0], [0, 0, 0, 0], "usable steps"),
    ],
)
def test_steps_that_identify_no_law_say_why(concurrency: list[float], throughput: list[float], words: str) -> None:
    """Too few, too light, too close, straight, or scattered steps."""
    reason = fit_scalability(concurrency, throughput=throughput)
    assert isinstance(reason, str)
    assert words in reason
