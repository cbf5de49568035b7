"""What the judge gets right and wrong, in figures that anyone can compute again.

python bench/judge.py [--labelled DIR] [--pairs 10200] [--otava-python PYTHON]
"""

from __future__ import annotations

import argparse
import math
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import NormalDist, fmean

import numpy as np
from detectors import Answers, Series, otava, pelt, perfproof, significant, threshold
from generated import CHANGED, UNCHANGED, generated
from labelled import Labelled, read_labelled, score
from pairs import SHAPES, WORSE, Pair, Said, draw_pairs, judged

Detectors = dict[str, Callable[[Series], Answers]]
Z = NormalDist().inv_cdf(0.975)
# The other tables of the same judge, each a program of its own.
OTHERS = (("error_rates.py", ("--pairs", "10000")), ("sequential.py", ("--pairs", "2000")))


def main() -> None:
    """Prints the tables as Markdown."""
    parser = argparse.ArgumentParser(description="Benchmark of the judge and the change-point detector.")
    parser.add_argument("--labelled", type=Path, action="append", default=[], metavar="DIR", help="labelled series (see labelled.py)")
    parser.add_argument("--pairs", type=int, default=10_200, help="pairs of which nothing changed; a fifth as many per size of change")
    parser.add_argument("--series", type=int, default=466, help="synthetic series")
    parser.add_argument("--length", type=int, default=644, help="values of each")
    parser.add_argument("--each", type=int, default=100, help="series of every generated kind; four times as many without a change")
    parser.add_argument("--otava-python", type=Path, help="a Python that has apache-otava and ruptures")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--all", action="store_true", help="the tables of error_rates.py and sequential.py too")
    options = parser.parse_args()
    detectors: Detectors = {"perfproof": perfproof, "15 % off the ten before": threshold}
    if options.otava_python:
        detectors |= {"Otava": partial(otava, python=options.otava_python), "PELT (ruptures)": partial(pelt, python=options.otava_python)}
    for path in options.labelled:
        print_detectors(path.name, read_labelled(path), detectors)
    print_detectors("steps in log-normal noise", synthetic(options.series, options.length, seed=options.seed), detectors)
    if options.each:
        print_kinds(options.each, options.seed, detectors)
    if options.pairs:
        print_pairs(options.pairs, options.seed, options.otava_python)
    write(f"\npeak memory of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")
    for name, arguments in OTHERS if options.all else ():
        print_other(Path(__file__).with_name(name), arguments)


def synthetic(count: int, length: int, *, seed: int) -> Labelled:
    """Half without a change; half with one to three steps of 5 to 30 %. Noise of 1 to 5 %, every fourth with outliers."""
    generator = np.random.default_rng(seed)
    series, labels = {}, {}
    for number in range(count):
        values = 100 * generator.lognormal(0, generator.uniform(0.01, 0.05), length)
        steps = int(generator.integers(1, 4)) if number % 2 else 0
        places = sorted(generator.choice(np.arange(20, length - 20), steps, replace=False).tolist())
        places = [at for i, at in enumerate(places) if i == 0 or at - places[i - 1] >= 20]
        for at in places:
            values[at:] *= 1 + generator.choice([-1, 1]) * generator.uniform(0.05, 0.30)
        if number % 4 < 2:
            values[generator.choice(length, length // 50, replace=False)] *= 1.5
        name = f"s{number:04d}"
        series[name], labels[name] = values.tolist(), places
    return Labelled(series, labels)


def print_detectors(name: str, labelled: Labelled, detectors: Detectors) -> None:
    """One table for one set."""
    values = sum(len(v) for v in labelled.series.values())
    write(f"\n{name}: {len(labelled.series)} series, {values} values, {sum(map(len, labelled.labels.values()))} labelled changes\n")
    write("| method | found | extra alarms | unchanged series alarmed | F1 | covering | seconds |\n|---|---|---|---|---|---|---|")
    for method, detect in detectors.items():
        begin = time.perf_counter()
        answers = detect(labelled.series)
        seconds = time.perf_counter() - begin
        s = score(answers, labelled)
        shown = f"{s.found} of {s.labels} | {s.extra} | {s.alarmed} of {s.unchanged} | {s.f1:.2f} | {s.covering:.2f}"
        write(f"| {method} | {shown} | {seconds:.2f} |")


def print_kinds(each: int, seed: int, detectors: Detectors) -> None:
    """F1 and covering for each kind of change, and alarms for each kind without one."""
    write(f"\nOther generators, {each} series each: F1 / covering\n")
    write("| kind | " + " | ".join(detectors) + " |\n|---|" + "---|" * len(detectors))
    for name, labelled in generated(CHANGED, each=each, seed=seed).items():
        scores = [score(detect(labelled.series), labelled) for detect in detectors.values()]
        write(f"| {name} | " + " | ".join(f"{s.f1:.2f} / {s.covering:.2f}" for s in scores) + " |")
    detectors = {"perfproof": perfproof, "perfproof, however small": significant, **detectors}
    write(f"\nWithout a step, {4 * each} series each: percent of the series that got an alarm\n")
    write("| kind | " + " | ".join(detectors) + " |\n|---|" + "---|" * len(detectors))
    for name, labelled in generated(UNCHANGED, each=4 * each, seed=seed).items():
        scores = [score(detect(labelled.series), labelled) for detect in detectors.values()]
        write(f"| {name} | " + " | ".join(f"{100 * s.alarmed / s.unchanged:.1f}" for s in scores) + " |")


def print_pairs(count: int, seed: int, other_python: Path | None) -> None:
    """False alarms, power, and what is called fine though it is not, of every rule on the same pairs."""
    same = draw_pairs(count=count, worse=0.0, seed=seed)
    said, own = judged(same, other_python=other_python)
    write(
        f"\n{count} pairs of which nothing changed, 4 to 12 blocks, noise 2 to 30 %: percent called worse, by more than a margin of 5 %\n"
    )
    write("| rule | all | up to | " + " | ".join(SHAPES) + " | not decided | seconds |\n|---|---|---|" + "---|" * (len(SHAPES) + 2))
    for name, one in said.items():
        wrong = sum(answer is True for answer in one.answers)
        by_shape = [_share(one, same, True, shape) for shape in SHAPES]
        figures = [_percent(wrong, count), f"{100 * _upper(wrong, count):.2f}", *by_shape, _share(one, same, None), f"{one.seconds:.1f}"]
        write(f"| {name} | " + " | ".join(figures) + " |")
    write(f"\nperfproof: an improvement of 15 % proved in {_percent(own.proved, count)} % of them")
    intervals = list(own.intervals)
    write(f"\n{count // 5} pairs each, really worse by: percent called worse / called fine\n")
    write("| rule | " + " | ".join(f"{100 * worse:g} %" for worse in WORSE) + " |\n|---|" + "---|" * len(WORSE))
    cells: dict[str, list[str]] = {name: [] for name in said}
    for worse in WORSE:
        pairs = draw_pairs(count=count // 5, worse=worse, seed=seed)
        said, own = judged(pairs, other_python=other_python)
        intervals += own.intervals
        for name, one in said.items():
            cells[name].append(f"{_share(one, pairs, True)} / {_share(one, pairs, False)}")
    for name, shown in cells.items():
        write(f"| {name} | " + " | ".join(shown) + " |")
    for name, dependent in (("independent", False), ("dependent", True)):
        chosen = [(level, held) for shape, level, held in intervals if shape.startswith("AR") is dependent]
        if chosen:
            covered, stated = _percent(sum(held for _, held in chosen), len(chosen)), 100 * fmean(level for level, _ in chosen)
            write(f"\nintervals of {name} blocks hold the truth in {covered} % of {len(chosen)} pairs; they state {stated:.1f} %")


def print_other(program: Path, arguments: tuple[str, ...]) -> None:
    """The tables of another program of this directory, if it is there."""
    if program.is_file():
        write(f"\n{program.name}:\n")
        sys.stdout.flush()
        subprocess.run([sys.executable, str(program), *arguments], check=True)


def _share(said: Said, pairs: list[Pair], answer: bool | None, shape: str | None = None) -> str:
    chosen = [a for a, pair in zip(said.answers, pairs, strict=True) if shape in (None, pair.shape)]
    return _percent(sum(a is answer for a in chosen), len(chosen))


def _percent(count: int, total: int) -> str:
    return f"{100 * count / total:.2f}" if total else "-"


def _upper(count: int, total: int) -> float:
    """Upper end of Wilson's 95 % interval."""
    share, z = count / total, Z**2 / total
    return (share + z / 2 + Z * math.sqrt(share * (1 - share) / total + z / (4 * total))) / (1 + z)


def write(line: str) -> None:
    """One line on standard output."""
    sys.stdout.write(line + "\n")


if __name__ == "__main__":
    main()
