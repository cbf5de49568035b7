"""A worker and a triggerer killed in the middle of a cycle: those that hold its work at that moment, not any two."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from compose.stack import Container, Stack

from perfproof_demo.approvers import Waiting

# Phase 2 and phase 3 of the protocol.
PHASES = ("diagnostics", "optimization")
# A kill right after a start would find nothing of the task's work done.
INTO_THE_TASK_SECONDS = 1.0


@dataclass(slots=True)
class Disturbance:
    """Looks at a cycle and kills, once each, when the moment has come. `done` says what was killed and when."""

    stack: Stack
    tell: Callable[[str], None]
    done: dict[str, str] = field(default_factory=dict)
    _seen: dict[str, float] = field(default_factory=dict)

    def look(self, tasks: list[dict[str, Any]], waiting: list[Waiting]) -> bool:
        """Whether people may answer now: not before the triggerer that watches a phase's approval was killed."""
        if "worker" not in self.done:
            self._kill_worker(tasks)
        if waiting and "triggerer" not in self.done and self._deferred(tasks):
            self._kill_triggerer(tasks, waiting)
            return "triggerer" in self.done
        return True

    @property
    def complete(self) -> bool:
        """Whether both were killed."""
        return {"worker", "triggerer"} <= set(self.done)

    def _kill_worker(self, tasks: list[dict[str, Any]]) -> None:
        for task in tasks:
            if task["state"] != "running" or not task["pid"] or task["task_id"].partition(".")[0] not in PHASES:
                continue
            seen = self._seen.setdefault(f"{task['task_id']}#{task['map_index']}#{task['try_number']}", time.monotonic())
            if time.monotonic() - seen < INTO_THE_TASK_SECONDS:
                continue
            container = self._holder(int(task["pid"]))
            if container is None:
                continue
            self.tell(f"SIGKILL to {container.name}, which runs {task['task_id']}")
            how = self.stack.kill(container)
            self.done["worker"] = f"{container.name} while it ran {task['task_id']}; {how}"
            self.tell(how)
            return

    def _kill_triggerer(self, tasks: list[dict[str, Any]], waiting: list[Waiting]) -> None:
        for task in self._deferred(tasks):
            host = str((task.get("triggerer_job") or {}).get("hostname") or "")
            for container in self.stack.containers("triggerer"):
                if not host or not container.id.startswith(host):
                    continue
                steps = ", ".join(sorted({question.step for question in waiting}))
                self.tell(f"SIGKILL to {container.name}, which watches {task['task_id']} while {steps} waits")
                how = self.stack.kill(container)
                self.done["triggerer"] = f"{container.name} while {steps} waited; {how}"
                self.tell(how)
                return

    def _deferred(self, tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [task for task in tasks if task["state"] == "deferred" and task["task_id"].partition(".")[0] in PHASES]

    def _holder(self, pid: int) -> Container | None:
        """The worker in which a process has this number in the namespace that all workers share."""
        workers = self.stack.containers("worker")
        for status in Path("/proc").glob("[0-9]*/status"):
            with contextlib.suppress(OSError):
                numbers = re.search(r"^NSpid:\s+(.+)$", status.read_text(), re.MULTILINE)
                if numbers is None or numbers[1].split()[-1] != str(pid) or len(numbers[1].split()) < 2:
                    continue
                group = status.with_name("cgroup").read_text()
                for container in workers:
                    if container.id in group:
                        return container
        return None
