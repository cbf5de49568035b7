"""`make bench-scale`: what 1,000 waiting cycles, 50 running ones, a capture of 2,000 metrics and a year of captures cost.

    python bench/scale.py [--part history] [--part capture] [--part waiting] [--part running] [--quick]

Each part prints a table with the ratio to its floor, measured in the same run. Nothing is judged: exit code 0 says that it ran, and
that no run was mixed with another. `waiting` and `running` start an Airflow on loopback with a Postgres of its own. docs/scale.md
says what the figures mean.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

PARTS = ("history", "capture", "waiting", "running")


def main() -> int:
    """Runs the parts that were asked for, prints each as it ends."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", action="append", choices=PARTS, help="only this one; may be given again (default: all)")
    parser.add_argument("--quick", action="store_true", help="a tenth of every size, to see whether it works")
    parser.add_argument("--seed", type=int, default=1, help="of the drawn history (default 1)")
    parser.add_argument("--marks", type=int, default=10, help="approvals that are marked at each number of waiting ones (default 10)")
    parser.add_argument("--prometheus", metavar="PROGRAM", help="ask a real Prometheus in the capture part, not the recorded server")
    options = parser.parse_args()
    share = 10 if options.quick else 1
    with tempfile.TemporaryDirectory(prefix="perfproof-scale-") as scratch:
        root = Path(scratch)
        # An import of Airflow writes its configuration where this points.
        os.environ["AIRFLOW_HOME"] = str(root / "home")
        parts: dict[str, Callable[[], str]] = {
            "history": lambda: _history(root / "history", share=share, seed=options.seed),
            "capture": lambda: _capture(root / "capture", share=share, prometheus=options.prometheus),
            "waiting": lambda: _waiting(root / "waiting", share=share, marks=options.marks),
            "running": lambda: _running(root / "running", share=share),
        }
        say(f"{os.cpu_count()} cores, {platform.platform()}, Python {platform.python_version()}")
        for name in options.part or PARTS:
            begun = time.monotonic()
            answer = parts[name]()
            say(f"\n## {name}\n\n{answer}\n\n({time.monotonic() - begun:.0f} s)")
            if name == "running" and "\n- " in answer:
                return 1
    return 0


def say(text: str) -> None:
    """Prints at once: a part takes minutes."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def progress(text: str) -> None:
    """Prints what is known so far beside the answer."""
    sys.stderr.write(f"{text}\n")


def _history(root: Path, *, share: int, seed: int) -> str:
    from scale_history import SIZES, history_part

    sizes = tuple(max(size // share, 20) for size in SIZES)
    one = history_part(root / "one", sizes=sizes, services=1, metrics=20, times=3, seed=seed)
    many = history_part(root / "many", sizes=(24, 336 // share), services=100 // share, metrics=20, times=1, seed=seed)
    return f"{one}\n\n{many}"


def _capture(root: Path, *, share: int, prometheus: str | None) -> str:
    from scale_capture import SIZES, capture_part

    sizes = [(max(services // share, 1), metrics) for services, metrics in SIZES]
    return capture_part(root, sizes=list(dict.fromkeys(sizes)), prometheus=prometheus)


def _waiting(root: Path, *, share: int, marks: int) -> str:
    from scale_waiting import SIZES, waiting_part

    sizes = [max(size // share, 1) for size in SIZES]
    return waiting_part(root, sizes=sizes, samples=max(marks // share, 2), cpu_seconds=20.0, say=progress)


def _running(root: Path, *, share: int) -> str:
    from scale_running import RUNS, running_part

    return running_part(root, runs=max(RUNS // share, 2))


if __name__ == "__main__":
    sys.exit(main())
