"""What the judge gets right and wrong, in figures that anyone can compute again.

python bench/judge.py [--labelled DIR] [--pairs 400] [--series 466 --length 644] [--otava-python PYTHON]
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from detectors import Answers, Series, otava, partitioning, perfproof, threshold
from labelled import Labelled, read_labelled, score
from pairs import SHAPES, WORSE, run_pairs


def main() -> None:
    """Prints the tables as Markdown."""
    parser = argparse.ArgumentParser(description="Benchmark of the judge and the change-point detector.")
    parser.add_argument("--labelled", type=Path, action="append", default=[], metavar="DIR", help="labelled series (see labelled.py)")
    parser.add_argument("--pairs", type=int, default=400, help="A/A and A/B pairs for each shape and size of change")
    parser.add_argument("--series", type=int, default=466, help="synthetic series")
    parser.add_argument("--length", type=int, default=644, help="values of each")
    parser.add_argument("--otava-python", type=Path, help="a Python that has apache-otava")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    detectors: dict[str, Callable[[Series], Answers]] = {
        "perfproof": perfproof,
        "threshold of 15 %": threshold,
        "optimal partitioning (PELT)": partitioning,
    }
    if options.otava_python:
        detectors["Otava"] = partial(otava, python=options.otava_python)
    sets = [(path.name, read_labelled(path)) for path in options.labelled]
    sets += [("synthetic", synthetic(options.series, options.length, seed=options.seed))]
    for name, labelled in sets:
        print_detectors(name, labelled, detectors)
    if options.pairs:
        print_pairs(options.pairs, options.seed)


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


def print_detectors(name: str, labelled: Labelled, detectors: dict[str, Callable[[Series], Answers]]) -> None:
    """One table for one set."""
    values = sum(len(v) for v in labelled.series.values())
    write(f"\n{name}: {len(labelled.series)} series, {values} values, {sum(map(len, labelled.labels.values()))} labelled changes\n")
    write("| method | found | extra alarms | unchanged series alarmed | F1 | seconds |\n|---|---|---|---|---|---|")
    for method, detect in detectors.items():
        begin = time.perf_counter()
        answers = detect(labelled.series)
        seconds = time.perf_counter() - begin
        s = score(answers, labelled)
        write(f"| {method} | {s.found} of {s.labels} | {s.extra} | {s.alarmed} of {s.unchanged} | {s.f1:.2f} | {seconds:.2f} |")


def print_pairs(pairs: int, seed: int) -> None:
    """Answers per shape and size of change, in percent of the pairs."""
    write(f"\n{pairs} pairs each, 4 to 12 blocks a side, noise 2 to 30 %: answers in percent\n")
    write(
        "| shape | really worse by | guard: regression | guard: no regression | guard: inconclusive | target: proved | target: met |"
        " medians 5 % apart |\n|---|---|---|---|---|---|---|---|"
    )
    tallies = run_pairs(pairs=pairs, seed=seed)
    for shape in SHAPES:
        for worse in WORSE:
            tally = tallies[shape, worse]
            shown = [tally.guard[label] for label in ("regression", "no regression", "inconclusive")]
            shown += [tally.target["proved"], tally.target["met"], tally.plain["regression"]]
            write(f"| {shape} | {100 * worse:g} % | " + " | ".join(f"{100 * count / pairs:.1f}" for count in shown) + " |")


def write(line: str) -> None:
    """One line on standard output."""
    sys.stdout.write(line + "\n")


if __name__ == "__main__":
    main()
