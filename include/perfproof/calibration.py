"""How often this very gate raises a false alarm: baseline blocks judged against other baseline blocks (A/A).

Every split of the baseline into halves is a comparison in which nothing changed, so each "improved" and each
"regression" is false. The rates hold for halves, which have fewer blocks than the real comparison, and for the noise
between blocks only: a split shuffles them, so a dependence between neighbours does not show here.
"""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from statistics import NormalDist

from perfproof.config import Mode
from perfproof.judging.block_values import trouble_with
from perfproof.judging.guard import judge_guard
from perfproof.judging.guarded import named_together
from perfproof.judging.target import judge_target
from perfproof.judging.verdicts import GuardLabel, GuardVerdict, Scale, blocks_at_least
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
class WiderMargin:
    """A guard's `declared` margin, and the `widened` one that a worsening must exceed to be blamed; both in the guard's `scale`."""

    metric: str
    declared: float
    widened: float
    scale: Scale


@dataclass(frozen=True, slots=True)
class Calibration:
    """The false-alarm rates, or None each with a note that says why there are none.

    `noise_percent` is the change that 95 % of the comparisons of identical code stay below. Where the upper end of a rate
    is above `tolerated`, `margins` are widened to the noise of each guard, and `blocks_needed` is how many baseline blocks
    would show a lower rate (0: these do).
    """

    blocks: int
    repetitions: int
    false_improved: Rate | None
    false_regression: Rate | None
    noise_percent: float | None
    note: str
    tolerated: float = TOLERATED
    margins: tuple[WiderMargin, ...] = ()
    blocks_needed: int = 0


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
    tolerated: float = TOLERATED,
) -> Calibration:
    """False-alarm rates of the gate on the baseline blocks `before` of the target metric and of its `guards`.

    A false regression is one of any guard; without guards the target itself is guarded with a margin of 5 %. Needs twice
    the blocks that a verdict needs (8 at 95 %), and at least as many splits as can show a rate below `tolerated`. The
    draw is seeded with the SHA-256 of the inputs.
    """
    repetitions = max(repetitions, _splits_to_show(tolerated, confidence))
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
    worsenings: dict[str, list[GuardVerdict]] = {g.name: [] for g in guards}
    for left, right in _splits(len(before), half, repetitions, hashlib.sha256(inputs.encode()).digest()):
        x, y = [before[i] for i in left], [before[i] for i in right]
        # A split has no order of measuring, so nothing can be said of neighbours.
        target = judge_target(
            metric, unit, direction, x, y, threshold_percent=threshold_percent, mode=mode, confidence=confidence, ordered=False
        )
        improved += target.passes
        changes.append(abs(target.estimate_percent or 0.0))
        verdicts = named_together([_judged(g, left, right, mode, confidence) for g in guards], mode=mode)
        regressed += any(v.label is GuardLabel.REGRESSION for v in verdicts)
        for verdict in verdicts:
            worsenings[verdict.metric].append(verdict)
    done = len(changes)
    false_improved, false_regression = _rate(improved, done, confidence), _rate(regressed, done, confidence)
    noise = percentile(sorted(changes), 0.95)
    above = max(false_improved.high, false_regression.high) > tolerated
    widen = mode is Mode.PROVED and false_regression.high > tolerated
    margins = tuple(m for verdicts in worsenings.values() if (m := _wider(verdicts))) if widen else ()
    found = Calibration(
        len(before), done, false_improved, false_regression, noise, "", tolerated, margins,
        _blocks_needed(len(before), max(improved, regressed), tolerated, confidence) if above else 0,
    )  # fmt: skip
    return replace(found, note=calibration_note(found, threshold=threshold_percent))


def _judged(guard: GuardBlocks, left: Sequence[int], right: Sequence[int], mode: Mode, confidence: float) -> GuardVerdict:
    return judge_guard(
        guard.name,
        guard.unit,
        guard.direction,
        [guard.values[i] for i in left],
        [guard.values[i] for i in right],
        margin=guard.margin,
        floor=guard.floor,
        confidence=confidence,
        mode=mode,
        ordered=False,
    )


def _wider(verdicts: Sequence[GuardVerdict]) -> WiderMargin | None:
    """The 95th percentile of the changes of one guard in identical code, if it is beyond the margin."""
    known = [(abs(v.worsening), v.margin) for v in verdicts if v.worsening is not None and v.margin is not None]
    if not known:
        return None
    noise, declared = percentile(sorted(change for change, _ in known), 0.95), max(margin for _, margin in known)
    return WiderMargin(verdicts[0].metric, declared, noise, verdicts[0].scale) if noise > declared else None


def _splits_to_show(tolerated: float, confidence: float) -> int:
    """Comparisons without an alarm after which Wilson's upper end is at most `tolerated`: z^2 (1 - t) / t."""
    if not 0 < tolerated < 1:
        raise ValueError("the tolerated rate is a share: 0.05 for 5 %")
    return math.ceil(NormalDist().inv_cdf(1 - (1 - confidence) / 2) ** 2 * (1 - tolerated) / tolerated)


def _blocks_needed(have: int, alarms: int, tolerated: float, confidence: float) -> int:
    """Baseline blocks of which there are enough different halves; twice as many as there are if alarms were seen."""
    if alarms:
        return 2 * have
    half = have // 2
    while math.comb(2 * half, half) < _splits_to_show(tolerated, confidence):
        half += 1
    return 2 * half


def with_wider_margins(guards: Sequence[GuardVerdict], calibration: Calibration, *, mode: Mode) -> tuple[GuardVerdict, ...]:
    """`guards`, but a regression that is inside the noise of identical code is inconclusive. Nothing that did not pass passes.

    A pass keeps the declared margin: noise is no reason to tolerate more. In mode `point` the letter decides.
    """
    wider = {m.metric: m for m in calibration.margins if mode is Mode.PROVED}
    return tuple(_within_noise(v, wider.get(v.metric)) for v in guards)


def _within_noise(verdict: GuardVerdict, wider: WiderMargin | None) -> GuardVerdict:
    inside = wider is not None and verdict.scale is wider.scale and (verdict.worsening or 0.0) <= wider.widened
    if wider is None or verdict.label is not GuardLabel.REGRESSION or not inside:
        return verdict
    unit = "points" if wider.scale is Scale.POINTS else "%" if wider.scale is Scale.PERCENT else verdict.unit.value
    reason = (
        f"{verdict.reason} But blocks of identical code differ by up to {wider.widened:.1f} {unit} in 95 % of the calibration's"
        " comparisons: not blamed before more blocks show it."
    )
    return replace(verdict, label=GuardLabel.INCONCLUSIVE, runs_needed=max(1, *verdict.blocks), reason=reason)


def _rate(count: int, total: int, confidence: float) -> Rate:
    found = wilson(count, total, confidence=confidence)
    return Rate(count, found.estimate, found.low, found.high)


def calibration_note(found: Calibration, *, threshold: float) -> str:
    """What the rates mean, in words."""
    improved, regressed, noise = found.false_improved, found.false_regression, found.noise_percent
    if improved is None or regressed is None or noise is None:
        return found.note
    half, limit = found.blocks // 2, f"{100 * found.tolerated:g} %"
    text = (
        f"{found.repetitions} comparisons of {half} baseline blocks with {half} others, where nothing changed: {improved.count} would have"
        f" passed as improved, {regressed.count} would have failed as a regression. 95 % of the changes of the target stay below"
        f" {noise:.1f} %. Splits of the same blocks resemble each other, so the intervals of these rates are too narrow; and they do not"
        " show what neighbouring blocks share."
    )
    worst = max(improved, regressed, key=lambda rate: rate.high)
    if max(improved.share, regressed.share) > found.tolerated:
        text += (
            f" More than the tolerated {limit} false alarms: measure more blocks, {found.blocks_needed} a side, before trusting this gate."
        )
    elif worst.high > found.tolerated:
        text += (
            f" So few splits cannot show that a rate is below the tolerated {limit}: its upper end is {100 * worst.high:.1f} %;"
            f" measure {found.blocks_needed} blocks a side."
        )
    for margin in found.margins:
        text += f" {margin.metric} is blamed beyond {margin.widened:.1f} only, its noise, instead of {margin.declared:.1f}."
    if noise >= threshold:
        text += f" The noise alone reaches the threshold of {threshold:g} %."
    return text
