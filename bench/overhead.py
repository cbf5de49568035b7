"""`make bench`: what perfproof costs over the least that the same thing can cost, as one table of ratios.

Every line is a ratio within one run: both sides take turns, in the order ABBA, and the interval encloses the median of the pairs' ratios
(sign test, 95 %). No time is compared with a number. Exit code 1 if the whole interval of a line lies above its goal.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import evidence
import overhead_cycle
import overhead_parse
from overhead_table import Line, table
from paired import summary_of

ELSEWHERE = (
    ("a range query of 1,000,000 samples, over bare HTTP and orjson", "make bench-telemetry"),
    ("pages over 1,000 cycles: milliseconds, no ratio", "make bench-pages"),
    ("an append by 50 writers at once, and in a log that grows", "make bench-evidence"),
    ("the rate of the load generator, over the planned rate", "make bench-load"),
    ("error rates of the judge, over the promised ones", "make bench-judge"),
)
GOAL_APPEND = 2.0


def main() -> int:
    """Measures the parts that were asked for, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=("parse", "cycle", "append"), default=("parse", "cycle", "append"))
    parser.add_argument("--parse-pairs", type=int, default=10)
    parser.add_argument("--cycle-pairs", type=int, default=6)
    options = parser.parse_args()
    lines: list[Line] = []
    if "parse" in options.parts:
        lines += overhead_parse.lines(pairs=options.parse_pairs)
    if "cycle" in options.parts:
        lines += overhead_cycle.lines(pairs=options.cycle_pairs)
    if "append" in options.parts:
        lines.append(append_line(pairs=options.parse_pairs))
    sys.stdout.write(table(lines, elsewhere=ELSEWHERE))
    return int(any(line.missed for line in lines))


def append_line(*, pairs: int) -> Line:
    """An append to the log of one writer, over a bare durable write; each pair is one turn of `bench/evidence.py`."""
    ratios = []
    for _ in range(pairs):
        with tempfile.TemporaryDirectory(prefix="perfproof-bench-") as scratch:
            ratios.append(evidence.own_logs(Path(scratch), writers=4, rounds=10, each=evidence.TURN)[1])
    return Line("p95 of an append to the evidence log by 4 writers, over a bare write, fsync and link", summary_of(ratios), GOAL_APPEND)


if __name__ == "__main__":
    sys.exit(main())
