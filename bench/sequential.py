"""What looking several times costs and saves: the whole rule, looks and confirmations, on synthetic blocks.

python bench/sequential.py [--pairs 2000] [--changes 200] [--seed 1]
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from perfproof.comparison import GuardLabel, GuardVerdict, TargetLabel, TargetVerdict, judge_guard, judge_target
from perfproof.config import Mode
from perfproof.judging.sequential import Confirm, Design, GuardState, Measure, Step, guard_state, next_step, repeated
from perfproof.statistics.counts import wilson
from perfproof.telemetry import Direction, Unit

MARGIN, THRESHOLD, CONFIDENCE, MOST = 0.05, 15.0, 0.95, 24
SIZES = (5, 10, 15, 20, 30)
NOISES = (0.05, 0.15)
Draw = Callable[[np.random.Generator, int], np.ndarray]
# With a mean of 0 and a standard deviation of about 1; the dependent ones keep a share of the value before.
SHAPES: dict[str, Draw] = {
    "normal": lambda g, n: g.normal(size=n),
    "log-normal": lambda g, n: g.normal(size=n),
    "two modes": lambda g, n: g.choice([-0.9, 0.9], n) + 0.4 * g.normal(size=n),
    "heavy tails": lambda g, n: g.standard_t(2.5, n) / 2,
    "autocorrelated 0.3": lambda g, n: dependent(g, n, 0.3),
    "autocorrelated 0.5": lambda g, n: dependent(g, n, 0.5),
}
LOGARITHMIC = ("log-normal", "heavy tails")


def dependent(generator: np.random.Generator, length: int, kept: float) -> np.ndarray:
    """Normal noise that keeps that share of the value before."""
    values = generator.normal(size=length)
    for i in range(1, length):
        values[i] = kept * values[i - 1] + np.sqrt(1 - kept**2) * values[i]
    return values


def blocks(generator: np.random.Generator, shape: str, noise: float, level: float, count: int) -> list[float]:
    """`count` blocks around `level`, each side by itself; the order is that of measuring."""
    drawn = noise * SHAPES[shape](generator, count)
    factors = np.exp(drawn) if shape in LOGARITHMIC else np.maximum(1 + drawn, 0.01)
    values: list[float] = (level * factors).tolist()
    return values


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric on both sides, with more blocks than any rule may use."""

    before: list[float]
    after: list[float]
    true_change: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """Where the measuring ended. `doubted`: a regression was seen at some look and not confirmed. `covered`: the last interval
    holds the true change, of target and of guard; None without an interval.
    """

    target: TargetLabel
    guard: GuardState
    used: int
    looks: int
    doubted: bool
    covered: tuple[bool | None, bool | None]


def measure(design: Design, target: Metric, guard: Metric, *, confirmed: bool = True) -> Outcome:
    """The rule as the measuring follows it. Not `confirmed`: a regression is reported where it is seen."""
    look, used, main = 1, design.first, list(range(design.first))
    known, doubted = GuardState.OPEN, False
    while True:
        level = design.confidence_at(look)
        found = judge_target("t", Unit.MILLISECONDS, Direction.LOWER, *_part(target, main), mode=Mode.PROVED, confidence=level)
        looked, claimed = _guard(guard, main, level), _guard(guard, main, design.confidence)
        seen = claimed if claimed.label is GuardLabel.REGRESSION and looked.label is GuardLabel.INCONCLUSIVE else looked
        again = None if confirmed else True
        while True:
            state = guard_state(seen, confirmed_before=known is GuardState.CONFIRMED, again=again)
            decided = found.label in (TargetLabel.PROVED, TargetLabel.SHORT)
            step: Step = next_step(design, look=look, used=used, target_decided=decided, guards={"g": state})
            if not isinstance(step, Confirm):
                break
            fresh = list(range(used, used + step.blocks))
            used += step.blocks
            again = repeated(_guard(guard, fresh, design.confidence))
        known = state
        doubted |= seen.label is GuardLabel.REGRESSION and known is not GuardState.CONFIRMED
        if not isinstance(step, Measure):
            covered = (_holds(found, -target.true_change), _holds(looked, guard.true_change))
            return Outcome(found.label, GuardState.OPEN if state is GuardState.SEEN else state, used, look, doubted, covered)
        main += range(used, used + step.blocks)
        used += step.blocks
        look += 1


def _holds(verdict: TargetVerdict | GuardVerdict, truth: float) -> bool | None:
    return None if verdict.ci_low is None or verdict.ci_high is None else verdict.ci_low <= 100 * truth <= verdict.ci_high


def _part(metric: Metric, chosen: list[int]) -> tuple[list[float], list[float]]:
    return [metric.before[i] for i in chosen], [metric.after[i] for i in chosen]


def _guard(metric: Metric, chosen: list[int], confidence: float) -> GuardVerdict:
    return judge_guard(
        "g", Unit.MILLISECONDS, Direction.LOWER, *_part(metric, chosen), margin=MARGIN, floor=0.0, confidence=confidence, mode=Mode.PROVED
    )


def main() -> None:
    """Prints the tables as Markdown."""
    parser = argparse.ArgumentParser(description="Simulation of the sequential rule.")
    parser.add_argument("--pairs", type=int, default=2000, help="A/A pairs for each shape")
    parser.add_argument("--changes", type=int, default=200, help="A/B pairs for each size and noise")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    began = time.process_time()
    print_unchanged(options.pairs, options.seed)
    print_changed(options.changes, options.seed)
    write(f"\n{time.process_time() - began:.0f} s of CPU")


def print_unchanged(pairs: int, seed: int) -> None:
    """A/A: nothing changed, neither in the target nor in the guard."""
    write(f"\nNothing changed, {len(SHAPES) * pairs} pairs, noise 2 to 30 %.")
    write(f"First look at 4 to 8 blocks a side, as many more at a time, {MOST} at most.\n")
    columns = (
        "false regression",
        "its upper 95 % end",
        "seen, not confirmed",
        "false proved",
        "target decided",
        "guard cleared",
        "interval holds the truth",
    )
    write("| noise | " + " | ".join(columns) + ", target / guard | looks | blocks a side |")
    write("|---" * (len(columns) + 3) + "|")
    generator = np.random.default_rng(seed)
    every: list[Outcome] = []
    for shape in SHAPES:
        outcomes = []
        for _ in range(pairs):
            first, noise = int(generator.integers(4, 9)), float(generator.uniform(0.02, 0.30))
            target, guard = (unchanged(generator, shape, noise) for _ in range(2))
            outcomes.append(measure(Design(first, first, MOST, CONFIDENCE), target, guard))
        every += outcomes
        print_outcomes(shape, outcomes)
    print_outcomes("all", every)


def unchanged(generator: np.random.Generator, shape: str, noise: float, change: float = 0.0) -> Metric:
    """Both sides with the same noise; the candidate's level is `change` higher."""
    before, after = (blocks(generator, shape, noise, 100 * level, MOST) for level in (1, 1 + change))
    return Metric(before, after, change)


def print_outcomes(name: str, outcomes: list[Outcome]) -> None:
    """One row."""
    total = len(outcomes)
    targets, guards = Counter(o.target for o in outcomes), Counter(o.guard for o in outcomes)
    regressed = guards[GuardState.CONFIRMED]
    upper = wilson(regressed, total, confidence=CONFIDENCE).high
    doubted = sum(o.doubted for o in outcomes)
    held = " / ".join(
        percent(sum(known), len(known)) for i in (0, 1) if (known := [c for o in outcomes if (c := o.covered[i]) is not None])
    )
    cells = (
        percent(regressed, total, 2), f"{100 * upper:.2f} %", percent(doubted, total, 2), percent(targets[TargetLabel.PROVED], total, 2),
        percent(targets[TargetLabel.SHORT], total), percent(guards[GuardState.CLEAR], total), held,
        f"{np.mean([o.looks for o in outcomes]):.1f}", f"{np.mean([o.used for o in outcomes]):.1f}",
    )  # fmt: skip
    write(f"| {name} | " + " | ".join(cells) + " |")


def print_changed(pairs: int, seed: int) -> None:
    """A/B: how often a real change is found, and with how many blocks, against one look at the most blocks."""
    write(f"\nReally changed, {pairs} pairs each.")
    write(f"First look at 8 blocks a side, 8 more at a time, {MOST} at most, against one look at {MOST}.\n")
    write("| noise of a block | really changed by | question | right | blocks a side | one look: right | blocks a side |")
    write("|---|---|---|---|---|---|---|")
    generator = np.random.default_rng(seed)
    designs: dict[Literal["looks", "fixed"], Design] = {"looks": Design(8, 8, MOST, CONFIDENCE), "fixed": Design(MOST, 0, MOST, CONFIDENCE)}
    for noise in NOISES:
        for size in SIZES:
            for question in ("regression", "improvement"):
                outcomes: dict[str, list[Outcome]] = {name: [] for name in designs}
                for _ in range(pairs):
                    quiet = unchanged(generator, "log-normal", 0.02, -0.5 if question == "regression" else 0.0)
                    asked = unchanged(generator, "log-normal", noise, size / 100 if question == "regression" else -size / 100)
                    target, guard = (quiet, asked) if question == "regression" else (asked, quiet)
                    for name, design in designs.items():
                        outcomes[name].append(measure(design, target, guard, confirmed=name == "looks"))
                cells = []
                for found in outcomes.values():
                    right = sum(correct(o, question, size) for o in found)
                    cells += [percent(right, pairs), f"{np.mean([o.used for o in found]):.1f}"]
                changed = f"{size} % {'worse' if question == 'regression' else 'better'}"
                write("| " + " | ".join((f"{100 * noise:g} %", changed, asked_in_words(question, size), *cells)) + " |")


def correct(outcome: Outcome, question: str, size: int) -> bool:
    """Whether it ended with the one answer that is right. A change of just the margin or threshold has none."""
    if question == "regression":
        return outcome.guard is GuardState.CONFIRMED
    return outcome.target is (TargetLabel.PROVED if size >= THRESHOLD else TargetLabel.SHORT)


def asked_in_words(question: str, size: int) -> str:
    """What counts as right in this row."""
    if question == "regression":
        return "a regression is confirmed" if size > 100 * MARGIN else "at the margin: blamed"
    return "15 % are proved" if size > THRESHOLD else "at the threshold: proved" if size == THRESHOLD else "short of 15 %"


def percent(count: int, total: int, decimals: int = 1) -> str:
    """A share for people."""
    return f"{100 * count / total:.{decimals}f} %" if total else "–"


def write(line: str) -> None:
    """One line on standard output."""
    sys.stdout.write(line + "\n")


if __name__ == "__main__":
    main()
