"""One call of git: a list of arguments, no shell, an environment of our own, a time limit, and nothing of what a repository may run."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from perfproof.errors import ArtifactError, quoted
from perfproof_airflow.hooks.git_tags import ENVIRONMENT

# A repository's own configuration could name programs for these.
NOTHING_RUN = ("-c", f"core.hooksPath={os.devnull}", "-c", "core.fsmonitor=false", "-c", "gc.auto=0", "-c", "maintenance.auto=false")


@dataclass(frozen=True, slots=True)
class GitCommand:
    """Calls `git` on the repository whose own directory (`.git`, or a bare one) is `directory`."""

    git: str
    directory: Path
    where: str
    seconds: float

    def line(self, *arguments: str, data: bytes = b"", more: Mapping[str, str] | None = None) -> str:
        """The one line that git answers. Raises ArtifactError 905 if it fails."""
        status, output, problem = self.answer(arguments, data=data, more=more)
        if status != 0:
            raise self.failed(f"git {arguments[0]} fails", f"status {status}: {problem}")
        return output.decode("ascii", "replace").strip()

    def commit(self, name: str) -> str | None:
        """The commit that `name` (a full name of a reference, or HEAD) stands for; None if there is none."""
        status, output, _ = self.answer(("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"))
        return output.decode("ascii", "replace").strip() if status == 0 else None

    def blobs(self, commit: str, paths: Sequence[str]) -> dict[str, str]:
        """The object of each of `paths` that is a plain file in `commit`."""
        status, output, problem = self.answer(("--literal-pathspecs", "ls-tree", "-r", "-z", "--full-tree", commit, "--", *paths))
        if status != 0:
            raise self.failed("git ls-tree fails", f"status {status}: {problem}")
        found = {}
        for entry in filter(None, output.decode("utf-8", "replace").split("\0")):
            about, _, path = entry.partition("\t")
            mode, kind, name = about.split(" ")
            if (mode, kind) == ("100644", "blob"):
                found[path] = name
        return found

    def answer(self, arguments: Sequence[str], *, data: bytes = b"", more: Mapping[str, str] | None = None) -> tuple[int, bytes, str]:
        """Status, output, and the first line of what git says is wrong. Raises ArtifactError 905 if it cannot be run or has no end."""
        # --git-dir: what is found above the directory is another repository.
        command = [
            self.git,
            "--no-pager",
            *NOTHING_RUN,
            "-c",
            f"safe.directory={self.directory}",
            f"--git-dir={self.directory}",
            *arguments,
        ]
        return run(command, data=data, environment={**ENVIRONMENT, **(more or {})}, where=self.where, seconds=self.seconds)

    def failed(self, what: str, got: object) -> ArtifactError:
        """The error of a call."""
        return failure(what, got, where=self.where)


def run(command: Sequence[str], *, data: bytes, environment: Mapping[str, str], where: str, seconds: float) -> tuple[int, bytes, str]:
    """Status, output, and the first line of the errors of `command`, which sees only `environment` and the PATH."""
    try:
        done = subprocess.run(
            list(command), input=data, capture_output=True, env={**environment, "PATH": os.environ.get("PATH", os.defpath)},
            cwd="/", timeout=seconds, check=False,
        )  # fmt: skip
    except OSError as error:
        raise failure("git cannot be run", error.strerror, where=where) from None
    except subprocess.TimeoutExpired:
        raise failure("git did not answer in time", f"{seconds:g} s", where=where) from None
    told = done.stderr.decode("utf-8", "replace").strip().splitlines()
    return done.returncode, done.stdout, quoted(told[0], 120) if told else ""


def failure(what: str, got: object, *, where: str) -> ArtifactError:
    """The error of a call of git that gave no result."""
    return ArtifactError(
        905, where=where, what=what, got=got, fix="check the repository that instrumentation.git names, then clear this task"
    )
