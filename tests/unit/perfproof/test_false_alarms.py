"""Identical code, six blocks a side: how often would the judge praise or blame it? Bounded to about five seconds."""

from __future__ import annotations

import numpy as np
import pytest

from perfproof.comparison import GuardLabel, TargetLabel, judge_guard, judge_target
from perfproof.config import Mode
from perfproof.telemetry import Direction, Unit

ROUNDS = 400
BLOCKS = 6


def rates(share: float, *, true_change: float = 0.0, rounds: int = ROUNDS) -> dict[str, float]:
    """Shares of the answers over `rounds` comparisons of lognormal blocks."""
    generator = np.random.default_rng(int(share * 1000) + int(true_change * 100))
    sigma = float(np.sqrt(np.log(1 + share**2)))
    found = dict.fromkeys(("improved", "regression", "no regression", "point improved"), 0)
    for _ in range(rounds):
        before = (100 * generator.lognormal(0, sigma, BLOCKS)).tolist()
        after = (100 * (1 + true_change) * generator.lognormal(0, sigma, BLOCKS)).tolist()
        proved = judge_target("m", Unit.MILLISECONDS, Direction.LOWER, before, after, mode=Mode.PROVED)
        guard = judge_guard("m", Unit.MILLISECONDS, Direction.LOWER, before, after, margin=0.05, floor=0.0, mode=Mode.PROVED)
        found["improved"] += proved.label is TargetLabel.PROVED
        found["point improved"] += proved.meets_threshold
        found["regression"] += guard.label is GuardLabel.REGRESSION
        found["no regression"] += guard.label is GuardLabel.NO_REGRESSION
    return {name: count / rounds for name, count in found.items()}


@pytest.mark.parametrize("share", [0.05, 0.1, 0.2, 0.3])
def test_identical_code_is_neither_praised_nor_blamed(share: float) -> None:
    """False "improved by 15 %" and false "regression" stay at or below 5 % from 5 to 30 % noise."""
    found = rates(share)
    assert found["improved"] <= 0.05
    assert found["regression"] <= 0.05


def test_a_regression_of_the_margin_is_hardly_ever_passed() -> None:
    """Code that really is 5 % worse, at the edge of the margin: "no regression" at most 5 % of the time."""
    assert rates(0.03, true_change=0.05)["no regression"] <= 0.05


def test_a_clear_regression_and_a_clear_improvement_are_found() -> None:
    """At 5 % noise 20 % worse is blamed and 40 % better praised almost always: the judge is not merely silent."""
    assert rates(0.05, true_change=0.2)["regression"] >= 0.95
    assert rates(0.05, true_change=-0.4)["improved"] >= 0.95


def test_a_single_comparison_of_estimates_is_no_judge() -> None:
    """Why mode proved is the default: at 30 % noise the plain estimate calls identical code 15 % better in more than 5 %."""
    assert rates(0.3)["point improved"] > 0.05
