"""Identical code, 4 to 12 blocks a side, 2 to 30 % noise: how often would the judge praise or blame it? About ten seconds in all.

`bench/error_rates.py` prints the same over more pairs.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from perfproof.comparison import GuardLabel, TargetLabel, judge_guard, judge_target
from perfproof.config import Mode
from perfproof.telemetry import Direction, Unit

NOISE = (0.02, 0.05, 0.10, 0.20, 0.30)
SHAPES = ("normal", "log-normal", "two modes", "heavy tails", "AR(1) of 0.5")


def draw(shape: str, generator: np.random.Generator, n: int, noise: float) -> list[float]:
    """Blocks around 100."""
    if shape == "log-normal":
        values = generator.lognormal(0, noise, n)
    elif shape == "two modes":
        values = 1 + noise * (generator.choice([-0.9, 0.9], n) + 0.4 * generator.normal(size=n))
    elif shape == "heavy tails":
        values = np.exp(noise * generator.standard_t(2.5, n) / math.sqrt(5))
    else:
        values = generator.normal(size=n)
        for i in range(1, n if shape.startswith("AR") else 0):
            values[i] = 0.5 * values[i - 1] + math.sqrt(0.75) * values[i]
        values = 1 + noise * values
    return (100 * np.maximum(values, 0.01)).tolist()  # type: ignore[no-any-return]


@pytest.mark.parametrize("shape", SHAPES)
def test_identical_code_is_neither_praised_nor_blamed(shape: str) -> None:
    """2,250 pairs of a shape: at most 0.5 % for independent blocks, and 1 % for dependent ones with the allowance of such a count."""
    generator, alarms, praise, pairs = np.random.default_rng(SHAPES.index(shape) + 1), 0, 0, 0
    for blocks in range(4, 13):
        for noise in NOISE:
            for _ in range(50):
                before, after = draw(shape, generator, blocks, noise), draw(shape, generator, blocks, noise)
                guard = judge_guard("m", Unit.MILLISECONDS, Direction.LOWER, before, after, margin=0.05, floor=0.0, mode=Mode.PROVED)
                target = judge_target("m", Unit.MILLISECONDS, Direction.LOWER, before, after, mode=Mode.PROVED)
                alarms += guard.label is GuardLabel.REGRESSION
                praise += target.label is TargetLabel.PROVED
                pairs += 1
    limit = 0.005 if shape != "AR(1) of 0.5" else 0.015
    assert alarms / pairs <= limit
    assert praise / pairs <= 0.010


def rates(share: float, *, true_change: float = 0.0, blocks: int = 8, rounds: int = 400) -> dict[str, float]:
    """Shares of the answers over `rounds` comparisons of lognormal blocks."""
    generator = np.random.default_rng(int(share * 1000) + int(true_change * 100))
    found = dict.fromkeys(("improved", "regression", "no regression", "point improved", "covered"), 0)
    for _ in range(rounds):
        before = (100 * generator.lognormal(0, share, blocks)).tolist()
        after = (100 * (1 + true_change) * generator.lognormal(0, share, blocks)).tolist()
        proved = judge_target("m", Unit.MILLISECONDS, Direction.LOWER, before, after, mode=Mode.PROVED)
        guard = judge_guard("m", Unit.MILLISECONDS, Direction.LOWER, before, after, margin=0.05, floor=0.0, mode=Mode.PROVED)
        found["improved"] += proved.label is TargetLabel.PROVED
        found["point improved"] += proved.meets_threshold
        found["regression"] += guard.label is GuardLabel.REGRESSION
        found["no regression"] += guard.label is GuardLabel.NO_REGRESSION
        found["covered"] += guard.ci_low is not None and guard.ci_high is not None and guard.ci_low <= 100 * true_change <= guard.ci_high
    return {name: count / rounds for name, count in found.items()}


def test_a_regression_of_the_margin_is_hardly_ever_passed() -> None:
    """Code that really is 5 % worse, at the edge of the margin: "no regression" at most 5 % of the time."""
    assert rates(0.03, true_change=0.05)["no regression"] <= 0.05


def test_a_clear_regression_and_a_clear_improvement_are_found() -> None:
    """At 5 % noise 30 % worse is blamed and 40 % better praised almost always: the judge is not merely silent."""
    assert rates(0.05, true_change=0.3, blocks=11)["regression"] >= 0.94
    assert rates(0.05, true_change=-0.4)["improved"] >= 0.94


@pytest.mark.parametrize(("blocks", "level"), [(4, 0.971), (8, 0.950)])
def test_intervals_cover_as_often_as_they_say(blocks: int, level: float) -> None:
    """1,000 pairs that are 10 % apart: the level that is printed, less two points at most, plus two and a half."""
    assert level - 0.02 <= rates(0.1, true_change=0.1, blocks=blocks, rounds=1000)["covered"] <= min(1, level + 0.025)


def test_a_single_comparison_of_estimates_is_no_judge() -> None:
    """Why mode proved is the default: at 30 % noise the plain estimate calls identical code 15 % better in more than 5 %."""
    assert rates(0.3)["point improved"] > 0.05
