"""Dependence of neighbouring blocks: the textbook coefficient, its correction, and what it may not claim to know."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from perfproof.statistics.autocorrelation import CAUTION, MOST, dependence
from perfproof.statistics.hodges_lehmann import shift

values = st.lists(st.integers(0, 1000).map(float), min_size=3, max_size=12)


def ar(generator: np.random.Generator, n: int, r: float) -> list[float]:
    """A stationary AR(1) series."""
    series = [float(generator.normal())]
    while len(series) < n:
        series.append(r * series[-1] + math.sqrt(1 - r * r) * float(generator.normal()))
    return series


@given(values, values)
def test_coefficient_is_the_textbook_one_with_its_bias_taken_back(before: list[float], after: list[float]) -> None:
    """Lag-1 products over squares, about each side's own mean, plus (1 + 3 r) / n; the bound lies 1.28 standard errors above."""
    sides = [np.array(s) - np.mean(s) for s in (before, after) if len(set(s)) > 1]
    assume(sides)
    raw = float(sum((s[1:] * s[:-1]).sum() for s in sides) / sum((s**2).sum() for s in sides))
    count = sum(s.size for s in sides)
    expected = min(MOST, raw + (1 + 3 * max(0.0, raw)) / (count / len(sides)))
    found = dependence(before, after)
    assert found.r1 == pytest.approx(expected)
    assert found.bound == pytest.approx(max(0.0, min(MOST, expected + CAUTION / math.sqrt(count))))


@given(values, st.floats(-500, 500), st.sampled_from([0.25, 2.0, 1024.0, -1.0]))
def test_shift_scale_and_mirror_change_nothing(series: list[float], move: float, factor: float) -> None:
    """Milliseconds or seconds, more or less of everything, or upside down."""
    assert dependence([factor * v for v in series]).r1 == pytest.approx(dependence(series).r1)
    assert dependence([v + round(move) for v in series]).r1 == pytest.approx(dependence(series).r1)


@given(values)
def test_backwards_in_time_is_the_same(series: list[float]) -> None:
    """Neighbours stay neighbours."""
    assert dependence(series[::-1]).r1 == pytest.approx(dependence(series).r1)


@pytest.mark.parametrize("series", [[], [1.0], [1.0, 2.0], [5.0] * 12])
def test_what_does_not_vary_or_is_too_short_shows_no_dependence(series: list[float]) -> None:
    """Constants and pairs are not widened for."""
    found = dependence(series)
    assert (found.r1, found.stretch, found.cautious_stretch, found.visible) == (0.0, 1.0, 1.0, False)


def test_rounding_is_no_pattern() -> None:
    """Values that are equal on paper but not in their last bit show nothing, if the resolution is given."""
    series = [1 + i * 1e-16 for i in range(8)]
    assert dependence(series, resolution=1e-12).r1 == 0.0


@pytest.mark.parametrize("r", [0.0, 0.5, 0.8])
def test_estimates_are_right_on_average_for_long_series(r: float) -> None:
    """200 series of 100 values: the mean estimate is within 0.04, and effective blocks follow n (1 - r) / (1 + r)."""
    generator = np.random.default_rng(5)
    found = [dependence(ar(generator, 100, r)) for _ in range(200)]
    assert np.mean([f.r1 for f in found]) == pytest.approx(r, abs=0.04)
    assert np.median([f.effective for f in found]) == pytest.approx(100 * (1 - r) / (1 + r), rel=0.15)


def test_the_bound_covers_the_truth_as_often_as_it_says() -> None:
    """Of 12 + 12 independent blocks at most about 10 % have a bound below 0: the true dependence is ruled out no oftener."""
    generator = np.random.default_rng(6)
    found = [dependence(ar(generator, 12, 0.0), ar(generator, 12, 0.0)) for _ in range(500)]
    assert sum(f.bound <= 0 for f in found) / 500 <= 0.13
    assert sum(f.visible for f in found) / 500 <= 0.03


def test_strong_dependence_is_too_strong_to_decide_on() -> None:
    """A slow wave over 12 blocks leaves fewer than four effective ones; a zigzag leaves all."""
    wave, zigzag = [math.sin(i / 3) for i in range(12)], [float(i % 2) for i in range(12)]
    assert dependence(wave).too_strong(4)
    assert not dependence(zigzag).too_strong(4)
    assert dependence(zigzag).effective == 12


@pytest.mark.parametrize(("r", "least"), [(0.0, 0.95), (0.3, 0.92), (0.5, 0.91)])
def test_intervals_of_sides_apart_hold_dependent_truths_too(r: float, least: float) -> None:
    """600 pairs of 10 + 10 blocks: the interval of the shift, grown by what it reckons with, holds 0 nearly as often as it says."""
    generator, held = np.random.default_rng(7), 0
    for _ in range(600):
        before, after = ar(generator, 10, r), ar(generator, 10, r)
        found, grown = shift(before, after, confidence=0.95), dependence(before, after).stretch_apart
        low, high = (found.estimate + grown * (end - found.estimate) for end in (found.low, found.high))
        held += low <= 0 <= high
    assert held / 600 >= least


@given(values, values)
def test_what_is_reckoned_with_is_never_less_than_the_estimate(before: list[float], after: list[float]) -> None:
    """And nothing where the estimate lies below zero."""
    found = dependence(before, after)
    assert found.stretch <= found.stretch_apart
    assert found.reckoned == 0.0 if found.r1 <= 0 else found.r1 <= found.reckoned <= MOST
