"""A virtual environment as a user makes it: the lock of that Python, the wheel, and an Airflow home of its own."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Generous: a machine that is busy with something else is no failure.
INSTALL_SECONDS = 1800
COMMAND_SECONDS = 600
# What would let the environment see this checkout, or another Airflow.
HIDDEN = ("PYTHON", "AIRFLOW", "PERFPROOF", "VIRTUAL_ENV", "GX_")


class CheckFailed(Exception):
    """What did not hold, in one line or a few."""


@dataclass(frozen=True, slots=True)
class Environment:
    """The directories of one Python under test: `venv`, `home` (AIRFLOW_HOME) and `work`, where commands run."""

    root: Path

    @property
    def python(self) -> Path:
        return self.root / "venv" / "bin" / "python"

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def work(self) -> Path:
        return self.root / "work"

    def make(self, program: Path) -> None:
        """Makes the directories and an environment with pip alone."""
        self.home.mkdir(parents=True)
        self.work.mkdir()
        self._run([str(program), "-I", "-m", "venv", str(self.root / "venv")], seconds=INSTALL_SECONDS)

    def pip(self, *arguments: str) -> str:
        """What pip says. Raises CheckFailed with its last lines."""
        return self._run([str(self.python), "-I", "-m", "pip", *arguments], seconds=INSTALL_SECONDS)

    def tool(self, name: str, *arguments: str, variables: Mapping[str, str] | None = None) -> str:
        """Standard output of a program of the environment, run with further `variables`."""
        return self._run([str(self.python.parent / name), *arguments], seconds=COMMAND_SECONDS, more=variables)

    def listed(self, *arguments: str, variables: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
        """The rows of an `airflow … --output json`. Log lines may stand before them."""
        told = self.tool("airflow", *arguments, "--output", "json", variables=variables)
        for start in (at for at, letter in enumerate(told) if letter == "["):
            try:
                rows = json.loads(told[start:])
            except ValueError:
                continue
            return [dict(row) for row in rows]
        # Airflow says so in words where there is nothing to list.
        if "No data found" in told:
            return []
        raise CheckFailed(f"airflow {' '.join(arguments)} gave no JSON: {told[-300:]}")

    def probe(self, script: Path, *arguments: str) -> dict[str, Any]:
        """The answer of a script that writes JSON, run without this directory and without user packages on its path."""
        told = self._run([str(self.python), "-I", "-W", "error::SyntaxWarning", str(script), *arguments], seconds=COMMAND_SECONDS)
        answer: dict[str, Any] = json.loads(told.strip().splitlines()[-1])
        return answer

    def _run(self, command: list[str], *, seconds: float, more: Mapping[str, str] | None = None) -> str:
        variables: Mapping[str, str] = {
            **{key: value for key, value in os.environ.items() if not key.startswith(HIDDEN)},
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            "GX_ANALYTICS_ENABLED": "false",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            **(more or {}),
        }
        try:
            done = subprocess.run(
                command,
                cwd=self.work,
                env=variables,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise CheckFailed(f"{Path(command[0]).name} {' '.join(command[1:4])} did not end within {seconds:.0f} s") from None
        if done.returncode != 0:
            raise CheckFailed(
                f"{Path(command[0]).name} {' '.join(command[1:4])}: exit {done.returncode}: {(done.stderr or done.stdout).strip()[-800:]}"
            )
        return done.stdout
