"""Which process does what: the tasks of an Airflow with their supervisors, and the load generators of a workspace."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

# The titles that Airflow 3.3 gives its processes: the supervisor in a worker of the LocalExecutor, and the task that it forked.
_SUPERVISOR = re.compile(r"airflow worker -- LocalExecutor: (?P<id>[0-9a-f-]{36})")
_TASK = re.compile(r"airflow worker -- (?P<id>[0-9a-f-]{36})")
GENERATOR = "perfproof_airflow.load_engine"


@dataclass(frozen=True, slots=True)
class TaskProcess:
    """A task instance that somebody works on: `task` is its own process, `supervisor` the one that watches it."""

    ti_id: str
    task: psutil.Process
    supervisor: psutil.Process


def titled(root: Path) -> Iterator[tuple[psutil.Process, str]]:
    """The processes that work in `root`, with their command lines."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            title = " ".join(process.cmdline()).strip()
            if title.startswith("airflow worker --") and Path(process.cwd()) == root:
                yield process, title


def task_processes(root: Path) -> list[TaskProcess]:
    """What is worked on now in the Airflow of `root`."""
    supervisors: dict[str, psutil.Process] = {}
    tasks: dict[str, psutil.Process] = {}
    for process, title in titled(root):
        if match := _SUPERVISOR.match(title):
            supervisors[match["id"]] = process
        elif match := _TASK.match(title):
            tasks[match["id"]] = process
    return [TaskProcess(id_, tasks[id_], supervisors[id_]) for id_ in tasks if id_ in supervisors]


def generators_in(workspace: Path) -> list[psutil.Process]:
    """The load generators that work below `workspace`."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            line = process.cmdline()
            if any(part.startswith(GENERATOR) for part in line) and any(part.startswith(str(workspace)) for part in line):
                found.append(process)
    return found


@dataclass(slots=True)
class Generators:
    """Watches load generators from outside: how long each lived after the task that controls it was gone."""

    workspace: Path
    orphaned: dict[int, float] = field(default_factory=dict)
    parents: dict[int, psutil.Process] = field(default_factory=dict)
    survived: dict[int, float] = field(default_factory=dict)

    def look(self) -> None:
        """One look at the process table."""
        moment, found = time.monotonic(), generators_in(self.workspace)
        for process in found:
            if process.pid not in self.parents:
                with contextlib.suppress(psutil.Error):
                    parent = process.parent()
                    if parent is not None:
                        self.parents[process.pid] = parent
        for pid, parent in list(self.parents.items()):
            alive = pid in {process.pid for process in found}
            if alive and (not parent.is_running() or parent.status() == psutil.STATUS_ZOMBIE):
                self.orphaned.setdefault(pid, moment)
                self.survived[pid] = moment - self.orphaned[pid]
            elif not alive:
                self.parents.pop(pid)
                self.orphaned.pop(pid, None)
