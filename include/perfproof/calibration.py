"""How often this very gate raises a false alarm: baseline blocks judged against other baseline blocks (A/A).

Every split of the baseline into halves is a comparison in which nothing changed, so each "improved" and each
"regression" is false. The rates hold for halves, which have fewer blocks than the real comparison.
"""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from perfproof.config import Mode
from perfproof.judging.block_values import trouble_with
from perfproof.judging.guard import judge_guard
from perfproof.judging.target import judge_target
from perfproof.judging.verdicts import GuardLabel, blocks_at_least
from perfproof.statistics.counts import wilson
from perfproof.statistics.percentiles import percentile
from perfproof.telemetry import Direction, Unit

TOLERATED = 0.05
DEFAULT_MARGIN = 0.05


@dataclass(frozen=True, slots=True)
class GuardBlocks:
    """A guard metric's values in the baseline blocks, in the order of the target's, with its margin and floor."""

    name: str
    unit: Unit
    direction: Direction
    values: tuple[float, ...]
    margin: float
    floor: float


@dataclass(frozen=True, slots=True)
class Rate:
    """`count` of all repetitions, as a share with Wilson's interval."""

    count: int
    share: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """The false-alarm rates, or None each with a note that says why there are none.

    `noise_percent` is the change that 95 % of the comparisons of identical code stay below.
    """

    blocks: int
    repetitions: int
    false_improved: Rate | None
    false_regression: Rate | None
    noise_percent: float | None
    note: str


def _splits(indices: int, half: int, repetitions: int, seed: bytes) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """All ways to take two halves if they are few, else `repetitions` random ones."""
    everything = range(indices)
    if math.comb(indices, half) * math.comb(indices - half, half) <= repetitions:
        for left in combinations(everything, half):
            for right in combinations([i for i in everything if i not in left], half):
                yield left, right
        return
    generator = random.Random(int.from_bytes(seed, "big"))
    for _ in range(repetitions):
        order = list(everything)
        generator.shuffle(order)
        yield tuple(sorted(order[:half])), tuple(sorted(order[half : 2 * half]))


def calibrate(
    before: Sequence[float],
    *,
    metric: str,
    unit: Unit,
    direction: Direction,
    threshold_percent: float = 15.0,
    mode: Mode,
    confidence: float = 0.95,
    guards: Sequence[GuardBlocks] = (),
    repetitions: int = 200,
) -> Calibration:
    """False-alarm rates of the gate on the baseline blocks `before` of the target metric and of its `guards`.

    A false regression is one of any guard; without guards the target itself is guarded with a margin of 5 %. Needs twice
    the blocks that a verdict needs (8 at 95 %). The draw is seeded with the SHA-256 of the inputs.
    """
    half, fewest = len(before) // 2, blocks_at_least(confidence)
    if half < fewest:
        note = f"Not enough blocks to calibrate: {len(before)} of the baseline, {2 * fewest} are needed."
        return Calibration(len(before), 0, None, None, None, note)
    guards = guards or (GuardBlocks(metric, unit, direction, tuple(before), DEFAULT_MARGIN, 0.0),)
    trouble = trouble_with(before, before) or next((t for g in guards if (t := trouble_with(g.values, g.values))), None)
    if trouble or any(len(g.values) != len(before) for g in guards):
        return Calibration(
            len(before),
            0,
            None,
            None,
            None,
            f"Not calibrated: {trouble or 'a guard has other blocks than the target.'}",
        )
    inputs = repr((list(map(float, before)), metric, threshold_percent, str(mode), confidence, guards, repetitions))
    improved, regressed, changes = 0, 0, []
    for left, right in _splits(len(before), half, repetitions, hashlib.sha256(inputs.encode()).digest()):
        x, y = [before[i] for i in left], [before[i] for i in right]
        target = judge_target(metric, unit, direction, x, y, threshold_percent=threshold_percent, mode=mode, confidence=confidence)
        improved += target.passes
        changes.append(abs(target.estimate_percent or 0.0))
        regressed += any(_regressed(g, left, right, mode, confidence) for g in guards)
    done = len(changes)
    false_improved, false_regression = _rate(improved, done, confidence), _rate(regressed, done, confidence)
    noise = percentile(sorted(changes), 0.95)
    note = _note(half, done, false_improved, false_regression, noise, threshold_percent)
    return Calibration(len(before), done, false_improved, false_regression, noise, note)


def _regressed(guard: GuardBlocks, left: Sequence[int], right: Sequence[int], mode: Mode, confidence: float) -> bool:
    verdict = judge_guard(
        guard.name,
        guard.unit,
        guard.direction,
        [guard.values[i] for i in left],
        [guard.values[i] for i in right],
        margin=guard.margin,
        floor=guard.floor,
        confidence=confidence,
        mode=mode,
    )
    return verdict.label is GuardLabel.REGRESSION


def _rate(count: int, total: int, confidence: float) -> Rate:
    found = wilson(count, total, confidence=confidence)
    return Rate(count, found.estimate, found.low, found.high)


def _note(half: int, done: int, improved: Rate, regressed: Rate, noise: float, threshold: float) -> str:
    text = (
        f"{done} comparisons of {half} baseline blocks with {half} others, where nothing changed: {improved.count} would have passed as"
        f" improved, {regressed.count} would have failed as a regression. 95 % of the changes of the target stay below {noise:.1f} %."
        " Splits of the same blocks resemble each other, so the intervals of these rates are too narrow."
    )
    worst = max(improved, regressed, key=lambda rate: rate.high)
    if max(improved.share, regressed.share) > TOLERATED:
        text += f" More than {100 * TOLERATED:g} % false alarms: measure more blocks before trusting this gate."
    elif worst.high > TOLERATED:
        text += f" So few splits cannot show that a rate is below {100 * TOLERATED:g} %: its upper end is {100 * worst.high:.1f} %."
    if noise >= threshold:
        text += f" The noise alone reaches the threshold of {threshold:g} %."
    return text
