"""Installs the wheel into a fresh environment of each Python, as docs/operations.md tells a user, and checks what must hold there.

`python tests/wheel/run.py PYTHON…` (python3.11 python3.12 python3.13, or paths). It needs an index for the packages of the locks. What is
tested is the commit that is checked out. Exit codes: 0 everything held for every Python, 1 something did not, 2 nothing could be built,
or a Python is not there: that is never a pass.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from build import Built, NotBuilt, built
from checks import CHECKS, NEEDED, Subject
from environment import CheckFailed, Environment
from interpreters import Interpreter, found

ROOT = Path(__file__).resolve().parents[2]


def tell(name: str, check: str, outcome: str, detail: str) -> None:
    """One line per Python and check."""
    sys.stdout.write(f"{name:<12}{check:<12}{outcome:<8}{' '.join(detail.split())}\n")
    sys.stdout.flush()


def checked(interpreter: Interpreter, made: Built, scratch: Path) -> int:
    """How many checks did not hold for this Python. Its environment is deleted afterwards."""
    lock = made.locks / f"python-{interpreter.minor}.txt"
    if not lock.is_file():
        tell(interpreter.name, "lock", "FAILED", f"there is no locks/{lock.name}")
        return 1
    with tempfile.TemporaryDirectory(dir=scratch) as directory:
        environment = Environment(Path(directory))
        environment.make(interpreter.program)
        subject = Subject(environment, made, lock)
        failed = 0
        for name, check in CHECKS.items():
            began = time.monotonic()
            try:
                detail = check(subject)
            except CheckFailed as error:
                failed += 1
                tell(interpreter.name, name, "FAILED", str(error))
                if name in NEEDED:
                    return failed
            else:
                tell(interpreter.name, name, "ok", f"{detail} ({time.monotonic() - began:.0f} s)")
    return failed


def main() -> int:
    """Checks every Python that is named, and ends with how many held."""
    names = sys.argv[1:]
    if not names or names[0] in ("-h", "--help"):
        sys.stderr.write(f"{__doc__}\n")
        return 2
    with tempfile.TemporaryDirectory(prefix="perfproof-wheel-") as directory:
        scratch = Path(directory).resolve()
        try:
            made = built(ROOT, scratch)
        except NotBuilt as error:
            sys.stderr.write(f"nothing was built: {error}\n")
            return 2
        sys.stdout.write(f"{made.wheel.name} and {made.sdist.name} of commit {made.commit}; the sdist builds the same wheel\n")
        if made.left_out:
            sys.stdout.write(f"{made.left_out} changed files are not committed, and therefore not in it\n")
        failed, missing, held = 0, [], 0
        for name in names:
            interpreter = found(name)
            if interpreter is None:
                missing.append(name)
                tell(name, "-", "MISSING", "no Python of this version answers; nothing was checked")
                continue
            tell(name, "-", "found", f"Python {interpreter.version}")
            wrong = checked(interpreter, made, scratch)
            failed += wrong
            held += 0 if wrong else 1
    sys.stdout.write(f"{held} of {len(names)} Pythons: everything held; {failed} checks failed; missing: {', '.join(missing) or 'none'}\n")
    return 1 if failed else 2 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
