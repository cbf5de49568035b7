"""Where a Python of a given name is: on PATH, or among those that pyenv keeps but does not show."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SECONDS = 60


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python that answers: as it was asked for, its program and its version."""

    name: str
    program: Path
    version: str

    @property
    def minor(self) -> str:
        """The two numbers that name its lock: 3.12."""
        return ".".join(self.version.split(".")[:2])


def found(name: str) -> Interpreter | None:
    """The Python that `name` (python3.12, or a path) stands for; None if none of that version answers."""
    wanted = re.fullmatch(r"python(3\.\d+)", Path(name).name)
    for program in _candidates(name):
        version = _version(program)
        if version and (wanted is None or version.startswith(f"{wanted[1]}.")):
            return Interpreter(name, program, version)
    return None


def _candidates(name: str) -> Iterator[Path]:
    on_path = shutil.which(name)
    if on_path:
        yield Path(on_path)
    # pyenv's program of that name answers only if the version is chosen; the version may be there all the same.
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from sorted(root.glob(f"versions/*/bin/{Path(name).name}"))


def _version(program: Path) -> str:
    question = "import sys, venv; print('.'.join(map(str, sys.version_info[:3])))"
    try:
        done = subprocess.run([str(program), "-I", "-c", question], capture_output=True, text=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
