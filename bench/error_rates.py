"""The judge's own error rates on synthetic pairs, as Markdown: false alarms, undecided shares, coverage, and power.

python bench/error_rates.py [--pairs 10000] [--planned-pairs 5000] [--ab-pairs 1000] [--seed 1] [--cells]
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from perfproof.comparison import GuardLabel, judge_guard, judge_target
from perfproof.config import Mode
from perfproof.judging.planning import blocks_for_improvement, blocks_for_no_regression, blocks_for_regression
from perfproof.telemetry import Direction, Unit

BLOCKS, NOISE = tuple(range(4, 13)), (0.02, 0.05, 0.10, 0.20, 0.30)
MARGIN, THRESHOLD = 0.05, 15.0
Draw = Callable[[np.random.Generator, int, float], np.ndarray]


def _dependent(generator: np.random.Generator, blocks: int, r: float) -> np.ndarray:
    values = generator.normal(size=blocks)
    for i in range(1, blocks):
        values[i] = r * values[i - 1] + math.sqrt(1 - r * r) * values[i]
    return values


def _sides_apart(generator: np.random.Generator, blocks: int, r: float) -> np.ndarray:
    """A stream in the order A B B A … in which each side has a state of its own: nothing of it cancels in pairs."""
    sides = [_dependent(generator, blocks // 2, r) for _ in range(2)]
    return np.array([sides[(pair + place) % 2][pair] for pair in range(blocks // 2) for place in range(2)])


SHAPES: dict[str, Draw] = {
    "normal": lambda g, n, cv: 1 + cv * g.normal(size=n),
    "log-normal": lambda g, n, cv: g.lognormal(0, cv, n),
    "two modes": lambda g, n, cv: 1 + cv * (g.choice([-0.9, 0.9], n) + 0.4 * g.normal(size=n)),
    "heavy tails (t, 2.5)": lambda g, n, cv: np.exp(cv * g.standard_t(2.5, n) / math.sqrt(5)),
    "AR(1), 0.3": lambda g, n, cv: 1 + cv * _dependent(g, n, 0.3),
    "AR(1), 0.5": lambda g, n, cv: 1 + cv * _dependent(g, n, 0.5),
    "AR(1), 0.7": lambda g, n, cv: 1 + cv * _dependent(g, n, 0.7),
}
# As the protocol measures: one stream of blocks in the order A B B A A B B A …, so that what neighbours share falls on both sides.
STREAMS: dict[str, Draw] = {
    "ABBA, normal": SHAPES["normal"],
    "ABBA, AR(1), 0.3": SHAPES["AR(1), 0.3"],
    "ABBA, AR(1), 0.5": SHAPES["AR(1), 0.5"],
    "ABBA, AR(1), 0.7": SHAPES["AR(1), 0.7"],
    "ABBA, AR(1), 0.9": lambda g, n, cv: 1 + cv * _dependent(g, n, 0.9),
    "ABBA, each side by itself AR(1), 0.5": lambda g, n, cv: 1 + cv * _sides_apart(g, n, 0.5),
    "ABBA, each side by itself AR(1), 0.7": lambda g, n, cv: 1 + cv * _sides_apart(g, n, 0.7),
    "ABBA, random walk": lambda g, n, cv: 1 + cv * np.cumsum(g.normal(size=n)) / math.sqrt(n),
    "ABBA, slope": lambda g, n, cv: 1 + cv * (np.linspace(-1.5, 1.5, n) + 0.3 * g.normal(size=n)),
}
INDEPENDENT = ("normal", "log-normal", "two modes", "heavy tails (t, 2.5)")


@dataclass(slots=True)
class Tally:
    """Counts over pairs. `dependent`: blocks too dependent to decide; the intervals of `covered` hold the truth."""

    pairs: int = 0
    regression: int = 0
    improved: int = 0
    kept: int = 0
    dependent: int = 0
    covered: int = 0
    stated: float = 0.0

    def __iadd__(self, other: Tally) -> Tally:
        for name in self.__dataclass_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        return self


def blocks_of(draw: Draw, generator: np.random.Generator, blocks: int, noise: float) -> list[float]:
    """Blocks around 100, never zero or less."""
    values: list[float] = (100 * np.maximum(draw(generator, blocks, noise), 0.01)).tolist()
    return values


def in_turn(values: list[float]) -> tuple[list[float], list[float]]:
    """The two sides of a stream that was measured A B B A A B B A …; each pair of neighbours has one of each."""
    twos = list(zip(values[::2], values[1::2], strict=True))
    return [two[i % 2] for i, two in enumerate(twos)], [two[1 - i % 2] for i, two in enumerate(twos)]


def judge_pair(before: list[float], after: list[float], *, paired: bool = False) -> Tally:
    """One comparison of identical code by the guard (margin 5 %) and by the target (threshold 15 %), mode `proved`, 95 %."""
    guard = judge_guard("m", Unit.MILLISECONDS, Direction.LOWER, before, after, margin=MARGIN, floor=0.0, mode=Mode.PROVED, paired=paired)
    target = judge_target(
        "m", Unit.MILLISECONDS, Direction.LOWER, before, after, threshold_percent=THRESHOLD, mode=Mode.PROVED, paired=paired
    )
    dependent = guard.label is GuardLabel.INCONCLUSIVE and "depend on each other (" in guard.reason
    covered = guard.ci_low is not None and guard.ci_high is not None and guard.ci_low <= 0 <= guard.ci_high
    return Tally(
        pairs=1, regression=guard.label is GuardLabel.REGRESSION, improved=target.passes,
        kept=guard.label is GuardLabel.NO_REGRESSION, dependent=dependent,
        covered=covered, stated=guard.level or 0.0,
    )  # fmt: skip


def same_code(*, pairs: int, seed: int, shapes: dict[str, Draw] | None = None) -> dict[tuple[str, int, float], Tally]:
    """Tallies of about `pairs` A/A pairs a shape, spread evenly over blocks and noise."""
    generator, each = np.random.default_rng(seed), math.ceil(pairs / len(BLOCKS) / len(NOISE))
    tallies = {}
    for shape, draw in (shapes or SHAPES | STREAMS).items():
        for blocks in BLOCKS:
            for noise in NOISE:
                tally = Tally()
                for _ in range(each):
                    if shape in STREAMS:
                        tally += judge_pair(*in_turn(blocks_of(draw, generator, 2 * blocks, noise)), paired=True)
                    else:
                        tally += judge_pair(*(blocks_of(draw, generator, blocks, noise) for _ in range(2)))
                tallies[shape, blocks, noise] = tally
    return tallies


@dataclass(frozen=True, slots=True)
class Design:
    """A true change, how many blocks the formula asks for, and how often the right answer came."""

    question: str
    shape: str
    noise: float
    blocks: int
    right: float


def at_design_power(*, pairs: int, seed: int, most_blocks: int = 60) -> Iterator[Design]:
    """A/B pairs with the blocks of the formula at power 0.95, where those are at most `most_blocks`."""
    generator = np.random.default_rng(seed)
    for shape in INDEPENDENT:
        for noise in NOISE:
            sample = np.log(blocks_of(SHAPES[shape], generator, 20_000, noise))
            sigma = float(np.std(sample))
            for worse in (0.0, 0.10, 0.15, 0.30):
                regressed = worse > MARGIN
                blocks = blocks_for_regression(sigma, worse, margin=MARGIN) if regressed else blocks_for_no_regression(sigma, margin=MARGIN)
                right = GuardLabel.REGRESSION if regressed else GuardLabel.NO_REGRESSION
                if blocks <= most_blocks:
                    hits = 0
                    for _ in range(pairs):
                        before, after = (blocks_of(SHAPES[shape], generator, blocks, noise) for _ in range(2))
                        after = [v * (1 + worse) for v in after]
                        verdict = judge_guard(
                            "m", Unit.MILLISECONDS, Direction.LOWER, before, after, margin=MARGIN, floor=0.0, mode=Mode.PROVED
                        )
                        hits += verdict.label is right
                    yield Design(f"{100 * worse:g} % worse", shape, noise, blocks, hits / pairs)
            for better in (0.25, 0.30, 0.50):
                blocks = blocks_for_improvement(sigma, better, threshold=THRESHOLD / 100)
                if blocks <= most_blocks:
                    hits = 0
                    for _ in range(pairs):
                        before, after = (blocks_of(SHAPES[shape], generator, blocks, noise) for _ in range(2))
                        after = [v * (1 - better) for v in after]
                        hits += judge_target("m", Unit.MILLISECONDS, Direction.LOWER, before, after, mode=Mode.PROVED).passes
                    yield Design(f"{100 * better:g} % better", shape, noise, blocks, hits / pairs)


def at_planned_blocks(*, pairs: int, seed: int, most_blocks: int = 200) -> Iterator[tuple[str, int, Tally]]:
    """A/A pairs with the blocks of the formula for "no regression": those of independent ones, times (1 + r) / (1 - r)."""
    generator = np.random.default_rng(seed)
    for shape, draw in SHAPES.items():
        r = float(shape.removeprefix("AR(1), ")) if shape.startswith("AR(1)") else 0.0
        for noise in NOISE:
            sigma = float(np.std(np.log(blocks_of(draw, generator, 20_000, noise))))
            blocks = math.ceil(blocks_for_no_regression(sigma, margin=MARGIN) * (1 + r) / (1 - r))
            if blocks <= most_blocks:
                tally = Tally()
                for _ in range(pairs):
                    tally += judge_pair(*(blocks_of(draw, generator, blocks, noise) for _ in range(2)))
                yield f"{shape}, {100 * noise:g} %", blocks, tally


def summed(tallies: dict[tuple[str, int, float], Tally], shape: str, *, blocks: int | None = None, noise: float | None = None) -> Tally:
    """The tallies of a shape over all blocks and noises, or over those given."""
    total = Tally()
    for (name, b, cv), tally in tallies.items():
        if name == shape and (blocks is None or b == blocks) and (noise is None or cv == noise):
            total += tally
    return total


HEAD = "false regression | false improved | no regression | inconclusive | of that: dependent | covered | stated level |\n|"


def row(name: str, t: Tally) -> str:
    """One line of a table, in percent of the pairs."""
    shares = [t.regression, t.improved, t.kept, t.pairs - t.kept - t.regression, t.dependent]
    shown = [f"{100 * share / t.pairs:.2f}" for share in shares]
    return f"| {name} | {t.pairs} | " + " | ".join([*shown, f"{100 * t.covered / t.pairs:.1f}", f"{100 * t.stated / t.pairs:.1f}"]) + " |"


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description="Error rates of the judge.")
    parser.add_argument("--pairs", type=int, default=10_000, help="A/A pairs of each shape, over 4 to 12 blocks and 2 to 30 %% noise")
    parser.add_argument("--ab-pairs", type=int, default=1000, help="A/B pairs for each shape, noise and change")
    parser.add_argument("--planned-pairs", type=int, default=5000, help="A/A pairs of each shape and noise with the blocks of the formula")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cells", action="store_true", help="also every shape, number of blocks and noise by itself")
    options = parser.parse_args()
    begin = time.perf_counter()
    tallies = same_code(pairs=options.pairs, seed=options.seed)
    seconds = time.perf_counter() - begin
    total = sum(t.pairs for t in tallies.values())
    write(f"{total} pairs of identical code, 4 to 12 blocks a side, noise 2 to 30 %, in percent; a guard and a target take")
    write(f"{1000 * seconds / total:.2f} ms together.\n")
    for title, keys in (("blocks", BLOCKS), ("noise", NOISE)):
        write(f"| shape, {title} | pairs | {HEAD}" + "---|" * 9)
        for shape in SHAPES | STREAMS:
            write(row(f"**{shape}**", summed(tallies, shape)))
            for key in keys:
                t = summed(tallies, shape, blocks=int(key)) if title == "blocks" else summed(tallies, shape, noise=key)
                write(row(f"{shape}, {key:g}", t))
        write("")
    if options.cells:
        write(f"| shape, blocks, noise | pairs | {HEAD}" + "---|" * 9)
        for (shape, blocks, noise), t in tallies.items():
            write(row(f"{shape}, {blocks}, {noise:g}", t))
        write("")
    if options.planned_pairs:
        write("Identical code, with the blocks of the formula at power 0.95 for dependent blocks too (n (1 + r) / (1 - r)):\n")
        write(f"| shape, noise, blocks a side | pairs | {HEAD}" + "---|" * 9)
        for name, blocks, t in at_planned_blocks(pairs=options.planned_pairs, seed=options.seed):
            write(row(f"{name}, {blocks}", t))
    if options.ab_pairs:
        write(f"\nBlocks from the formula at power 0.95, {options.ab_pairs} pairs each:\n")
        write("| truth | shape | noise | blocks a side | right answer, % |\n|---|---|---|---|---|")
        for d in at_design_power(pairs=options.ab_pairs, seed=options.seed):
            write(f"| {d.question} | {d.shape} | {100 * d.noise:g} % | {d.blocks} | {100 * d.right:.1f} |")


def write(line: str) -> None:
    """One line on standard output."""
    sys.stdout.write(line + "\n")


if __name__ == "__main__":
    main()
