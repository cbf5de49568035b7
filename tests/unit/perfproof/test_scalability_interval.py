"""Intervals of the Universal Scalability Law, against a search of everything, and how often they hold the truth."""

from __future__ import annotations

import math

import numpy as np
import pytest

from perfproof.scalability_interval import Interval, ScalabilityInterval, scalability_interval

STEPS = [1.0, 2, 4, 8, 16, 24]


def law(n: float, *, rate: float, contention: float, coherency: float) -> float:
    """X(N), written out."""
    return rate * n / (1 + contention * (n - 1) + coherency * n * (n - 1))


def seen(seed: int, *, noise: float, steps: list[float] = STEPS, **parameters: float) -> list[float]:
    """Steps of a known law with relative noise."""
    source = np.random.default_rng(seed)
    return [law(n, **parameters) * math.exp(source.normal(0, noise)) for n in steps]


def known(throughput: list[float], steps: list[float] = STEPS) -> ScalabilityInterval:
    found = scalability_interval(steps, throughput=throughput)
    assert isinstance(found, ScalabilityInterval)
    return found


def holds(interval: Interval, truth: float) -> bool:
    low = math.inf if interval.low is None else interval.low
    high = math.inf if interval.high is None else interval.high
    return low <= truth <= high or (math.isinf(truth) and interval.high is None)


def test_the_ends_are_those_of_a_slow_search_over_all_parameters() -> None:
    """Every contention and coherency of a fine grid, with the rates that keep the sum of squares within the limit."""
    throughput = seen(3, noise=0.015, rate=100, contention=0.06, coherency=0.003)
    found = known(throughput)
    n, x = np.array(STEPS), np.array(throughput)
    beta, gamma = (v.ravel() for v in np.meshgrid(np.linspace(0.02, 0.14, 481), np.linspace(0.001, 0.005, 321)))
    # The relative error of a step is a m - 1 with a = 1 / lambda; the sum of its squares is a parabola in a.
    m = x / n * (1 + beta[:, None] * (n - 1) + gamma[:, None] * n * (n - 1))
    first, second = m.sum(axis=1), (m**2).sum(axis=1)
    squares = len(n) - first**2 / second
    # Student's t of 97.5 % with 3 degrees of freedom, from a table.
    limit = squares.min() * (1 + 3.1824**2 / 3)
    inside = squares <= limit
    beta, gamma, first, second = beta[inside], gamma[inside], first[inside], second[inside]
    assert inside.sum() > 1000 and beta.min() > 0.02 and beta.max() < 0.14 and gamma.min() > 0.001 and gamma.max() < 0.005
    root = np.sqrt(first**2 - second * (len(n) - limit))
    tried = np.arange(5, 50, 0.1)
    shape = tried / (1 + beta[:, None] * (tried - 1) + gamma[:, None] * tried * (tried - 1))
    highest, place = shape.max(axis=1), tried[shape.argmax(axis=1)]
    assert found.highest_throughput.low == pytest.approx((highest * second / (first + root)).min(), rel=0.005)
    assert found.highest_throughput.high == pytest.approx((highest * second / (first - root)).max(), rel=0.005)
    assert found.peak_concurrency.low == pytest.approx(place.min(), rel=0.01)
    assert found.peak_concurrency.high == pytest.approx(place.max(), rel=0.01)
    assert (found.contention.low, found.contention.high) == pytest.approx((beta.min(), beta.max()), abs=0.0005)
    assert (found.coherency.low, found.coherency.high) == pytest.approx((gamma.min(), gamma.max()), abs=0.00003)


@pytest.mark.parametrize(
    ("parameters", "noise"),
    [
        ({"rate": 100.0, "contention": 0.05, "coherency": 0.004}, 0.03),
        ({"rate": 50.0, "contention": 0.1, "coherency": 0.0}, 0.02),
        ({"rate": 20.0, "contention": 0.0, "coherency": 0.01}, 0.05),
    ],
)
def test_intervals_hold_the_truth_as_often_as_they_say(parameters: dict[str, float], noise: float) -> None:
    """95 % of 300 simulated tests, within three standard errors of the simulation, also where a parameter is 0."""
    rate, contention, coherency = parameters["rate"], parameters["contention"], parameters["coherency"]
    peak = math.sqrt((1 - contention) / coherency) if coherency else math.inf
    highest = law(peak, **parameters) if coherency else rate / contention
    found = [scalability_interval(STEPS, throughput=seen(seed, noise=noise, **parameters)) for seed in range(300)]
    fits = [f for f in found if isinstance(f, ScalabilityInterval)]
    assert len(fits) >= 290
    for told in ("highest_throughput", "peak_concurrency"):
        truth = highest if told == "highest_throughput" else peak
        share = sum(holds(getattr(f, told), truth) for f in fits) / len(fits)
        assert share >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / 300), told


@pytest.mark.parametrize("factor", [0.001, 1000.0])
def test_the_unit_of_throughput_changes_nothing_but_the_unit(factor: float) -> None:
    """Requests per second or per hour: rates scale, shares and concurrency stay."""
    throughput = seen(5, noise=0.03, rate=100, contention=0.05, coherency=0.004)
    one, other = known(throughput), known([factor * x for x in throughput])
    for name in ("value", "low", "high"):
        assert getattr(other.highest_throughput, name) == pytest.approx(factor * getattr(one.highest_throughput, name))
        assert getattr(other.peak_concurrency, name) == pytest.approx(getattr(one.peak_concurrency, name))
        assert getattr(other.contention, name) == pytest.approx(getattr(one.contention, name), abs=1e-12)


def test_the_order_of_the_steps_does_not_matter() -> None:
    """And the same steps give the same ends, bit by bit."""
    throughput = seen(6, noise=0.03, rate=100, contention=0.05, coherency=0.004)
    shuffled = [3, 1, 5, 0, 4, 2]
    assert known(throughput) == known([throughput[i] for i in shuffled], [STEPS[i] for i in shuffled]) == known(throughput)


def test_more_noise_gives_wider_intervals_and_none_gives_points() -> None:
    """Steps that lie on a law leave nothing open."""
    parameters = {"rate": 100.0, "contention": 0.05, "coherency": 0.004}
    exact = known(seen(0, noise=0.0, **parameters)).highest_throughput
    assert (exact.low, exact.high) == pytest.approx((exact.value, exact.value), rel=1e-5)
    widths = []
    for noise in (0.005, 0.02, 0.05):
        found = known(seen(8, noise=noise, **parameters)).highest_throughput
        assert found.low is not None and found.high is not None
        widths.append(found.high / found.low)
    assert widths == sorted(widths) and widths[0] < widths[-1]


def test_throughput_that_only_levels_off_has_no_concurrency_of_its_peak() -> None:
    """Without coherency cost the highest throughput is the limit lambda / sigma, and the peak's place is open."""
    found = known(seen(2, noise=0.0, rate=50, contention=0.1, coherency=0.0))
    assert found.highest_throughput.value == pytest.approx(500)
    assert found.peak_concurrency.value is None and found.peak_concurrency.high is None


@pytest.mark.parametrize(
    ("steps", "words"),
    [([1.0, 2, 4, 8], "5 needed for an interval"), ([1.0, 2, 4], "usable steps"), ([0.1, 0.2, 0.4, 0.6, 0.9], "in service")],
)
def test_few_or_light_steps_give_a_reason_and_no_number(steps: list[float], words: str) -> None:
    """Four steps leave one degree of freedom, which bounds nothing."""
    reason = scalability_interval(steps, throughput=[law(n, rate=100, contention=0.05, coherency=0.01) for n in steps])
    assert isinstance(reason, str) and words in reason
