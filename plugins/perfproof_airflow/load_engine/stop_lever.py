"""The stop lever of a run: a file that ends its load and keeps it from starting again, whoever is still alive to act.

Each run has a directory in the workspace. Every test makes one of its own in it, and its generator holds a lock there as long
as it lives: so anyone on this machine can tell what sends load, without Airflow.
"""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perfproof.errors import LoadError, quoted
from perfproof.strict import read_json
from perfproof_airflow.load_engine import PLAN

RUNS = Path(".artifacts") / "load-tests"
LEVER = "stop"
ALIVE = "alive"
TEST_PREFIX = "load-"
MAX_REASON = 200


@dataclass(frozen=True, slots=True)
class Sending:
    """A generator that lives: its directory, process id and machine, and what it sends where."""

    directory: Path
    pid: int
    machine: str
    what: str

    @property
    def ended(self) -> bool:
        """Whether it lives no more."""
        return not _is_held(self.directory / ALIVE)


def run_directory(workspace: Path, run: str) -> Path:
    """Where the tests of a run work, and where its lever is."""
    return workspace / RUNS / run


def pull(directory: Path, reason: str) -> None:
    """Stops the load of the run, and all that it would still send."""
    directory.mkdir(parents=True, exist_ok=True)
    temporary = directory / f".{LEVER}-{os.getpid()}"
    temporary.write_text(quoted(reason, MAX_REASON) + "\n", encoding="utf-8")
    temporary.replace(directory / LEVER)


def release(directory: Path) -> bool:
    """Lets the run send load again; whether it had been stopped."""
    try:
        (directory / LEVER).unlink()
    except FileNotFoundError:
        return False
    return True


def reason_of(directory: Path) -> str | None:
    """Why the run was stopped; None if it was not. A lever that cannot be read is pulled all the same."""
    try:
        with (directory / LEVER).open("rb") as file:
            text = file.read(4 * MAX_REASON).decode(errors="replace").strip()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        text = error.strerror or ""
    return quoted(text.partition("\n")[0], MAX_REASON) or "no reason given"


def require_not_pulled(directory: Path) -> None:
    """Raises LoadError 304 if the run was stopped."""
    reason = reason_of(directory)
    if reason is not None:
        raise LoadError(
            304, where=f"run {directory.name}", what="the load of this run was stopped", got=reason,
            fix="when load is safe again: perfproof stop RUN --release, then clear the task",
        )  # fmt: skip


def hold_alive(directory: Path) -> int:
    """Locks the test's directory for the life of this process; the descriptor must stay open."""
    descriptor = os.open(directory / ALIVE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()} {socket.gethostname()}\n".encode())
    return descriptor


def sending(directory: Path) -> Iterator[Sending]:
    """The generators of a run that live."""
    for test in sorted(directory.glob(f"{TEST_PREFIX}*")):
        if _is_held(test / ALIVE):
            try:
                pid, _, machine = (test / ALIVE).read_text(encoding="utf-8", errors="replace").strip().partition(" ")
                yield Sending(test, int(pid), machine, _what(test / PLAN))
            except (OSError, ValueError):
                continue  # it has just begun, or just ended


def _is_held(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _what(path: Path) -> str:
    plan: Any = read_json(path.read_bytes(), where=path.name, error=LoadError, number=119)
    return quoted(f"{plan['scenario']} on {plan['host']}:{plan['port']}") if isinstance(plan, dict) else "a load test"
