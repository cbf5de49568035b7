"""`make chaos`: parts of a real stack are killed in every phase of real cycles; afterwards a checker asks what is left.

One stack for all rides; one ride is a cycle with a kill at each of its moments. Prints a line for each cell. Exit code 0 only if every
cell was reached, consistent and converged.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from pathlib import Path

from cells import Cell, chosen, drawn, mixed
from ride import Ride
from stack import Stack
from starting import delete, running_stack


def tell(text: str) -> None:
    """One line with the time, at once."""
    sys.stdout.write(f"{time.strftime('%H:%M:%S')}  {text}\n")
    sys.stdout.flush()


def run_ride(stack: Stack, name: str, cells: list[Cell], *, seed: int) -> tuple[int, int]:
    """Number of sound cells and of all cells of one ride, each told in a line."""
    begun = time.monotonic()
    ride = Ride(stack, cells, tell, seed=seed)
    tell(f"ride {name}: {len(cells)} kills")
    ride.begin()
    end = ride.finish()
    converged = not any(text.startswith("I8") for text in end)
    sound = 0
    records = {record.cell: record for record in ride.records}
    for cell in cells:
        record = records.get(cell)
        if record is None:
            tell(f"{cell.id:<7} {cell.words}: NOT REACHED")
            continue
        wrong = list(dict.fromkeys([*record.findings, *end]))
        consistent = not any(not text.startswith("I8") for text in wrong)
        sound += consistent and converged
        seconds = "-" if record.recovery_seconds is None else f"{record.recovery_seconds:.1f} s"
        words = "consistent" if consistent else "INCONSISTENT"
        tell(f"{cell.id:<7} {cell.words}: {words}, {'converged' if converged else 'NOT CONVERGED'}, recovered in {seconds}")
        for text in record.findings:
            tell(f"        {text}")
    for text in end:
        tell(f"        at the end: {text}")
    retried = sum(len(asked) for asked in ride.people.retried.values())
    clears = f", {ride.clears} clears by the operator, {ride.disturbed} for a busy machine" if ride.clears else ""
    marks = sum(mark.status == 200 for mark in ride.witness.marks)
    tell(
        f"ride {name} is over after {time.monotonic() - begun:.0f} s: {len(ride.witness.entries)} entries, {marks} marks acknowledged, "
        f"{retried} gates retried{clears}"
    )
    return sound, len(cells)


def main() -> int:
    """Runs the chosen cells."""
    parser = argparse.ArgumentParser(description="Kill parts of a real stack, and check what is left.")
    parser.add_argument("--cells", default="all", help="all, a range like F01-F12, or ids joined by commas")
    parser.add_argument("--mixed", action="store_true", help="another part at each moment of a cycle, not the same one")
    parser.add_argument("--random", type=int, default=0, metavar="N", help="N more kills drawn at random")
    parser.add_argument("--seed", type=int, default=1, help="of the random schedule")
    parser.add_argument("--rounds", type=int, default=1, help="how often everything is done")
    parser.add_argument("--workspace", type=Path, default=None, help="kept afterwards; else a temporary directory")
    options = parser.parse_args()
    # The stack is taken down also when somebody ends this program.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
    begun = time.monotonic()
    workspace = options.workspace or Path(tempfile.mkdtemp(prefix="perfproof-chaos-"))
    workspace.mkdir(parents=True, exist_ok=True)
    rides = {} if options.cells == "none" else dict(chosen(options.cells))
    if options.mixed and rides:
        rides = mixed(rides)
    rides |= drawn(options.random, options.seed)
    sound = cells = 0
    try:
        with running_stack(workspace.resolve()) as stack:
            tell(f"the stack is up after {time.monotonic() - begun:.0f} s")
            for _ in range(options.rounds):
                for name, planned in rides.items():
                    good, all_ = run_ride(stack, name, planned, seed=options.seed)
                    sound, cells = sound + good, cells + all_
    finally:
        if options.workspace is None:
            delete(workspace)
    seeds = f", seed {options.seed}" if options.random else ""
    tell(f"chaos: {sound} of {cells} cells consistent and converged{seeds}; {time.monotonic() - begun:.0f} s")
    return 0 if sound == cells and cells else 1


if __name__ == "__main__":
    sys.exit(main())
