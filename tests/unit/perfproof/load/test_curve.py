"""Rates that change: what is a curve, how many requests it asks for, and when each is due."""

from __future__ import annotations

import random

import numpy as np
import pytest

from perfproof.load.curve import MAX_POINTS, Point, expected_requests, moments, problem_of, scaled


@pytest.mark.parametrize(
    "curve",
    [
        (), ((0.0, 5.0),), ((0.0, 5.0), (1.0,)), ((0.0, 5.0), (1.0, 5.0, 3.0)), ((1.0, 5.0), (2.0, 5.0)), ((0.0, 5.0), (0.0, 6.0)),
        ((0.0, 5.0), (3.0, 5.0), (2.0, 5.0)), ((0.0, -1.0), (2.0, 5.0)), ((0.0, float("nan")), (2.0, 5.0)),
        ((0.0, 5.0), (float("inf"), 5.0)), ((0.0, 0.0), (9.0, 0.0)), ((0.0, 0.0), (1.0, 1.0)),
        tuple((float(i), 1.0) for i in range(MAX_POINTS + 1)),
    ],
)  # fmt: skip
def test_what_is_no_curve_has_a_reason(curve: tuple[Point, ...]) -> None:
    """Too few or too many points, other shapes, seconds that do not rise from 0, no numbers, and no request at all."""
    assert problem_of(curve)


def test_a_curve_may_pause_and_jump_almost_at_once() -> None:
    """A rate of 0 in between is a pause."""
    curve = ((0.0, 10.0), (5.0, 10.0), (5.001, 0.0), (8.0, 0.0), (8.001, 20.0), (10.0, 20.0))
    assert problem_of(curve) is None
    assert expected_requests(curve) == pytest.approx(50 + 0.005 + 0.01 + 2 * 19.99, abs=0.1)
    assert expected_requests(scaled(curve, 3)) == pytest.approx(3 * expected_requests(curve))


def slow_moment(curve: tuple[Point, ...], share: float) -> float:
    """The first of many small steps by which the share of the area is reached."""
    end, steps = curve[-1][0], 20_000
    seconds = np.linspace(0, end, steps + 1)
    rates = np.interp((seconds[:-1] + seconds[1:]) / 2, [p[0] for p in curve], [p[1] for p in curve])
    areas = np.cumsum(rates) * end / steps
    return float(seconds[1:][np.searchsorted(areas, share * areas[-1] - 1e-12)])


def test_moments_are_the_oracle_s() -> None:
    """Rising, falling, level and pausing pieces, compared with the sum of small steps."""
    source = random.Random(5)
    for _ in range(20):
        seconds = np.cumsum([0.0, *(source.uniform(0.5, 4) for _ in range(5))])
        rates = [source.choice((0.0, 0.0, source.uniform(1, 50))) for _ in seconds[:-1]]
        curve = tuple(zip(seconds.tolist(), [*rates, 30.0], strict=True))
        shares = np.sort([source.random() for _ in range(50)])
        due = moments(curve, shares)
        assert np.all(np.diff(due) >= 0)
        for share, moment in zip(shares, due, strict=True):
            assert moment == pytest.approx(slow_moment(curve, float(share)), abs=2 * curve[-1][0] / 20_000 + 1e-3)


def test_nothing_is_due_in_a_pause() -> None:
    """Whatever the share, also the one that ends exactly where the pause begins."""
    curve = ((0.0, 10.0), (2.0, 10.0), (2.5, 0.0), (6.0, 0.0), (7.0, 10.0))
    due = moments(curve, np.linspace(0, 0.999999, 5000))
    assert not ((due > 2.5) & (due < 6.0)).any()
    assert due[0] == 0
    assert due[-1] < 7
