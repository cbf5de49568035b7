"""Error counts: intervals against their definitions and against simulation, the exact test against a sum of binomials."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfproof.statistics.counts import (
    burstiness,
    chance_of_more,
    chance_of_more_effective,
    difference,
    ratio,
    wilson,
    with_estimated_variance,
)


def test_wilson_ends_solve_the_score_equation() -> None:
    """At each end the observed share is z standard errors (of that end) away: the definition of a score interval."""
    found = wilson(7, 50, confidence=0.95)
    for end in (found.low, found.high):
        assert abs(found.estimate - end) / math.sqrt(end * (1 - end) / 50) == pytest.approx(1.959964, rel=1e-5)


def test_no_errors_still_leave_an_upper_end() -> None:
    """0 of 900 is not "no risk": at most 0.425 % at 95 %; near the rule of three (0.33 % one-sided)."""
    found = wilson(0, 900, confidence=0.95)
    assert (found.estimate, found.low) == (0.0, 0.0)
    assert found.high == pytest.approx(0.00425, abs=1e-5)
    assert wilson(900, 900, confidence=0.95).high == 1.0


def test_newcombe_gives_the_published_example() -> None:
    """56/70 against 48/80: 0.0524 to 0.3339 (Newcombe 1998, example (a), method 10)."""
    found = difference((48, 80), (56, 70), confidence=0.95)
    assert found.estimate == pytest.approx(0.2)
    assert found.low == pytest.approx(0.0524, abs=1e-4)
    assert found.high == pytest.approx(0.3339, abs=1e-4)


def test_coverage_of_the_difference() -> None:
    """1 % against 2 % errors over 900 requests: the interval holds the true difference in about 95 % of 2,000 rounds."""
    generator, hits = np.random.default_rng(5), 0
    for k1, k2 in zip(generator.binomial(900, 0.01, 2000), generator.binomial(900, 0.02, 2000), strict=True):
        found = difference((int(k1), 900), (int(k2), 900), confidence=0.95)
        hits += found.low <= 0.01 <= found.high
    assert hits / 2000 >= 0.94


@given(st.integers(0, 12), st.integers(13, 40), st.integers(0, 12), st.integers(13, 40))
def test_conditional_test_is_the_binomial_tail(k1: int, n1: int, k2: int, n2: int) -> None:
    """Summed term by term."""
    total, share = k1 + k2, n2 / (n1 + n2)
    tail = sum(math.comb(total, k) * share**k * (1 - share) ** (total - k) for k in range(k2, total + 1))
    assert chance_of_more((k1, n1), (k2, n2)) == pytest.approx(tail, abs=1e-9)


@given(st.integers(1, 30), st.integers(0, 30))
def test_ratio_interval_holds_the_ratio_and_mirrors(k1: int, k2: int) -> None:
    """The estimate lies inside; swapping the sides gives the reciprocal ends."""
    found = ratio((k1, 100), (k2, 150), confidence=0.95)
    assert found is not None
    assert found.low <= found.estimate <= found.high
    back = ratio((k2, 150), (k1, 100), confidence=0.95)
    if back is None:
        assert k2 == 0
    else:
        assert back.low == pytest.approx(1 / found.high)


def test_ratio_needs_errors_before() -> None:
    """No share of nothing can be saved."""
    assert ratio((0, 100), (1, 100), confidence=0.95) is None


def test_burstiness_sees_one_burst_and_not_independent_errors() -> None:
    """40 errors in one of six blocks are one event; evenly spread ones count as they are."""
    assert burstiness([[(40, 150)] + [(0, 150)] * 5]) > 30
    assert burstiness([[(4, 150)] * 6]) == 1.0
    assert burstiness([[(0, 150)] * 6, [(0, 150)] * 6]) == 1.0
    assert burstiness([[(3, 150)]]) == 1.0


def test_burstiness_of_independent_errors_is_about_one() -> None:
    """Its mean over simulated independent blocks stays near 1 (it cannot be below)."""
    generator = np.random.default_rng(2)
    found = [burstiness([[(int(k), 150) for k in generator.binomial(150, 0.05, 6)] for _ in range(2)]) for _ in range(300)]
    assert 1.0 <= float(np.mean(found)) < 1.4


@pytest.mark.parametrize(("events", "total"), [(-1, 10), (11, 10), (0, 0), (math.nan, 10)])
def test_impossible_counts_are_refused(events: float, total: float) -> None:
    """More errors than requests is no share."""
    with pytest.raises(ValueError, match="between"):
        wilson(events, total, confidence=0.95)


@given(st.integers(0, 40), st.integers(0, 40), st.integers(50, 500), st.integers(50, 500))
def test_effective_counts_continue_the_exact_test(k1: int, k2: int, n1: int, n2: int) -> None:
    """Whole counts give the exact p; a tenth of all counts never gives a smaller one for a rise."""
    assert chance_of_more_effective((k1, n1), (k2, n2)) == pytest.approx(chance_of_more((k1, n1), (k2, n2)))
    if k2 * n1 > k1 * n2:
        assert chance_of_more_effective((k1 / 10, n1 / 10), (k2 / 10, n2 / 10)) >= chance_of_more((k1, n1), (k2, n2)) - 1e-12


@pytest.mark.parametrize(("freedom", "quantile"), [(6, 2.446912), (22, 2.073873), (100_000, 1.959988)])
def test_estimated_variance_has_students_width(freedom: int, quantile: float) -> None:
    """Quantiles of Student's t as tables have them, reached through a normal confidence; none is lost to rounding."""
    from statistics import NormalDist

    asked = with_estimated_variance(0.95, freedom=freedom)
    assert NormalDist().inv_cdf(1 - (1 - asked) / 2) == pytest.approx(quantile, rel=1e-4)
    assert with_estimated_variance(0.95, freedom=0) == 0.95
    assert 0.99 < with_estimated_variance(0.999, freedom=1) < 1


def test_bursty_errors_of_identical_code_are_hardly_ever_blamed() -> None:
    """Error rates that vary fivefold between blocks, 600 pairs: at most 1 % regressions and 1.5 % improvements."""
    from perfproof.comparison import GuardLabel, judge_error_rate, judge_error_rate_target
    from perfproof.config import Mode

    generator, blamed, praised = np.random.default_rng(4), 0, 0
    for _ in range(600):
        before, after = ([(int(generator.binomial(150, p)), 150) for p in generator.beta(0.72, 35.3, 6)] for _ in range(2))
        verdict = judge_error_rate("e", before=before, after=after, floor_points=0.5, confidence=0.95)
        blamed += verdict.label is GuardLabel.REGRESSION
        praised += judge_error_rate_target("e", before=before, after=after, mode=Mode.PROVED).passes
    assert blamed / 600 <= 0.01
    assert praised / 600 <= 0.015
