"""Synthetic pairs of before and after: how often is each answer given when nothing changed, and when something did?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median

import numpy as np

from perfproof.comparison import judge_guard, judge_target
from perfproof.config import Mode
from perfproof.telemetry import Direction, Unit

SHAPES = ("normal", "log-normal", "two modes", "heavy tails", "autocorrelated")
WORSE = (0.0, 0.05, 0.10, 0.15, 0.30)
MARGIN, THRESHOLD = 0.05, 15.0


@dataclass(slots=True)
class Tally:
    """Answers of the guard, of the target, and of the rule "the medians differ by more than the margin", for one worsening."""

    guard: Counter[str] = field(default_factory=Counter)
    target: Counter[str] = field(default_factory=Counter)
    plain: Counter[str] = field(default_factory=Counter)


def run_pairs(*, pairs: int, seed: int) -> dict[tuple[str, float], Tally]:
    """`pairs` for each shape and worsening, with 4 to 12 blocks and a noise of 2 to 30 %. The target is judged the other way
    round: what got worse by w is an improvement seen from the other side.
    """
    generator = np.random.default_rng(seed)
    tallies = {(shape, worse): Tally() for shape in SHAPES for worse in WORSE}
    for (shape, worse), tally in tallies.items():
        for _ in range(pairs):
            blocks, noise = int(generator.integers(4, 13)), float(generator.uniform(0.02, 0.30))
            draw = _shape(shape, generator, noise)
            before, after = draw(blocks).tolist(), (draw(blocks) * (1 + worse)).tolist()
            guard = judge_guard(
                "m", Unit.MILLISECONDS, Direction.LOWER, before, after, margin=MARGIN, floor=0.0, confidence=0.95, mode=Mode.PROVED
            )
            target = judge_target("m", Unit.MILLISECONDS, Direction.LOWER, after, before, threshold_percent=THRESHOLD, mode=Mode.PROVED)
            tally.guard[guard.label.value] += 1
            tally.target[target.label.value] += 1
            tally.plain["regression" if median(after) > (1 + MARGIN) * median(before) else "no regression"] += 1
    return tallies


def _shape(name: str, generator: np.random.Generator, noise: float) -> Callable[[int], np.ndarray]:
    """Draws blocks around 100 with a coefficient of variation of about `noise`, never zero or less."""
    shapes: dict[str, Callable[[int], np.ndarray]] = {
        "normal": lambda n: 100 * (1 + noise * generator.normal(size=n)),
        "log-normal": lambda n: 100 * generator.lognormal(0, noise, n),
        "two modes": lambda n: 100 * (1 + noise * (generator.choice([-0.9, 0.9], n) + 0.4 * generator.normal(size=n))),
        "heavy tails": lambda n: 100 * np.exp(noise * generator.standard_t(2.5, n) / 2),
        "autocorrelated": lambda n: 100 * (1 + noise * _dependent(generator, n)),
    }
    return lambda n: np.maximum(shapes[name](n), 1.0)


def _dependent(generator: np.random.Generator, length: int) -> np.ndarray:
    values = generator.normal(size=length)
    for i in range(1, length):
        values[i] = 0.5 * values[i - 1] + np.sqrt(0.75) * values[i]
    return values
