"""Blocks to plan: with as many as the formula says the right answer comes as often as it says."""

from __future__ import annotations

import numpy as np
import pytest

from perfproof.comparison import GuardLabel, judge_guard, judge_target
from perfproof.config import Mode
from perfproof.judging.planning import blocks_for_improvement, blocks_for_no_regression, blocks_for_regression
from perfproof.statistics.sample_size import MOST_BLOCKS
from perfproof.telemetry import Direction, Unit

PAIRS = 300


def blocks(generator: np.random.Generator, level: float, noise: float, count: int) -> list[float]:
    """Lognormal blocks."""
    return (level * generator.lognormal(0, noise, count)).tolist()  # type: ignore[no-any-return]


@pytest.mark.parametrize(("noise", "worse"), [(0.05, 0.15), (0.10, 0.30), (0.05, 0.0), (0.02, 0.0)])
def test_guards_are_right_at_the_planned_number(noise: float, worse: float) -> None:
    """300 pairs each, power 0.95: at least 92 % right (the simulation's own error)."""
    regressed, generator = worse > 0.05, np.random.default_rng(int(1000 * noise + 100 * worse))
    count = blocks_for_regression(noise, worse, margin=0.05) if regressed else blocks_for_no_regression(noise, margin=0.05)
    right = GuardLabel.REGRESSION if regressed else GuardLabel.NO_REGRESSION
    hits = 0
    for _ in range(PAIRS):
        before, after = blocks(generator, 100, noise, count), blocks(generator, 100 * (1 + worse), noise, count)
        hits += judge_guard("m", Unit.COUNT, Direction.LOWER, before, after, margin=0.05, floor=0.0, mode=Mode.PROVED).label is right
    assert hits / PAIRS >= 0.92


def test_improvements_are_proved_at_the_planned_number() -> None:
    """30 % better at 10 % noise, threshold 15 %."""
    generator, hits, count = np.random.default_rng(1), 0, blocks_for_improvement(0.1, 0.3, threshold=0.15)
    for _ in range(PAIRS):
        before, after = blocks(generator, 100, 0.1, count), blocks(generator, 70, 0.1, count)
        hits += judge_target("m", Unit.COUNT, Direction.LOWER, before, after, mode=Mode.PROVED).passes
    assert hits / PAIRS >= 0.92


def test_more_noise_or_a_smaller_change_needs_more_blocks() -> None:
    """Monotone, and never below what can decide at all."""
    assert blocks_for_regression(0.1, 0.3, margin=0.05) > blocks_for_regression(0.05, 0.3, margin=0.05) >= 5
    assert blocks_for_regression(0.1, 0.1, margin=0.05) > blocks_for_regression(0.1, 0.3, margin=0.05)
    assert blocks_for_no_regression(1e-6, margin=0.05) >= 4
    assert blocks_for_improvement(1e-6, 0.9, threshold=0.15) >= 4


def test_what_cannot_be_shown_takes_more_than_anyone_measures() -> None:
    """A worsening at the margin, an improvement at the threshold."""
    assert blocks_for_regression(0.1, 0.05, margin=0.05) == MOST_BLOCKS
    assert blocks_for_no_regression(0.1, margin=0.05, worsening=0.05) == MOST_BLOCKS
    assert blocks_for_improvement(0.1, 0.15, threshold=0.15) == MOST_BLOCKS
