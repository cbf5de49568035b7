"""Cycles that wait for an approval, all at once: what they hold, what they cost, and how soon a mark is seen.

A real Airflow on loopback (Postgres, LocalExecutor). Before each size is measured, waits are copied until that many wait (see
`scale_waits`), and a few more are asked for real. Those are marked through the REST API, one after the other, each after a bare wait of
Airflow's own trigger for its floor. The time is Airflow's: from the moment before the mark is sent to the end of the waiting task.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scale_figures import quantile, table

if TYPE_CHECKING:
    from airflow_rig import Rig

HERE = Path(__file__).parent
WAIT, FLOOR, TARGET, APPROVALS, TASK = "scale_wait", "scale_floor", "scale_floor_target", "performance_approvals", "await_plan"
SIZES = (1, 100, 500, 1_000)
# The waiting task looks at nothing in its first five seconds, and its trigger has to be with a triggerer by then.
SETTLED_SECONDS = 8.0
PATIENCE_SECONDS = 3_600.0
COMPONENTS = ("triggerer", "scheduler", "api-server")


@dataclass(slots=True)
class Measured:
    """What was measured while `waiting` waits waited. `cpu` is percent of a core by component, `resident` MiB of the triggerer.

    `followed` is how long the task after the waiting one took to be scheduled, of waits and floors alike.
    """

    waiting: int
    states: dict[str, int]
    pool: dict[str, int]
    cpu: dict[str, float]
    resident: float
    resumed: list[float] = field(default_factory=list)
    floor: list[float] = field(default_factory=list)
    followed: list[float] = field(default_factory=list)


@dataclass(slots=True)
class Waits:
    """The waits of a running Airflow. `example` really waits and is what copies are made of; `copies` is how many there are."""

    rig: Rig
    example: str = ""
    copies: int = 0
    asked: int = 0

    def ask(self, count: int) -> list[tuple[str, str]]:
        """(run, request) of that many new waits, all of which wait when it returns."""
        api = self.rig.as_("requester")
        runs = [f"wait-{self.asked + number:04}" for number in range(count)]
        self.asked += count
        for run in runs:
            api.trigger(WAIT, run_id=run)
        requests = [(run, self.rig.request_of(WAIT, run, seconds=PATIENCE_SECONDS)) for run in runs]
        for run in runs:
            self._reached(WAIT, run, TASK, "deferred")
        return requests

    def ask_bare(self, count: int) -> list[tuple[str, str]]:
        """(run, target) of that many floors."""
        api, found = self.rig.as_("requester"), []
        for number in range(self.asked, self.asked + count):
            run, target = f"bare-{number:04}", f"target-{number:04}"
            api.trigger(TARGET, run_id=target)
            api.trigger(FLOOR, run_id=run, conf={"target": target})
            found.append((run, target))
        self.asked += count
        for run, target in found:
            self._reached(TARGET, target, "approve", "awaiting_input")
            self._reached(FLOOR, run, TASK, "deferred")
        return found

    def copy_until(self, total: int) -> None:
        """Copies the example until `total` waits wait, itself among them, and a triggerer has all of them."""
        missing = total - 1 - self.copies
        if missing > 0:
            home = self.rig.airflow.home
            command = [sys.executable, str(HERE / "scale_waits.py"), self.example, str(self.copies), str(missing)]
            subprocess.run(command, env=home.environment(), cwd=home.root, check=True, stdout=subprocess.DEVNULL)
            self.copies += missing
        self._eventually(
            lambda: self.rig.database("SELECT 1 FROM trigger WHERE triggerer_id IS NULL") == [], "a triggerer has all triggers"
        )

    def seconds_after_mark(self, dag: str, run: str, mark: Callable[[], int]) -> tuple[float, float]:
        """Seconds from before the mark to the end of the waiting task of `run`, and from there to the end of the empty one after it."""
        begun = time.time()
        status = mark()
        if status != 200:
            raise AssertionError(f"{run}: the mark was answered {status}")
        tasks: dict[str, Any] = self._eventually(lambda: self._over(dag, run), f"{run} is over")
        waited, after = (datetime.fromisoformat(tasks[name]["end_date"]).timestamp() for name in (TASK, "after"))
        return waited - begun, after - waited

    def _reached(self, dag: str, run: str, task: str, state: str) -> None:
        self._eventually(lambda: self.rig.state_of(dag, run, task) == state, f"{task} of {run} is {state}")

    def _over(self, dag: str, run: str) -> dict[str, Any] | None:
        tasks = {task["task_id"]: task for task in self.rig.as_("requester").tasks(dag, run)}
        return tasks if all(task["state"] == "success" for task in tasks.values()) else None

    @staticmethod
    def _eventually(question: Callable[[], Any], what: str) -> Any:
        from airflow_rig import eventually

        return eventually(question, seconds=PATIENCE_SECONDS, what=what)


def states_by_rest(rig: Rig, states: Sequence[str] = ("running", "queued", "deferred", "awaiting_input")) -> dict[str, int]:
    """How many task instances of all DAGs are in each state, as the REST API counts them."""
    found = {}
    for state in states:
        answer = rig.as_("requester").client.get("/api/v2/dags/~/dagRuns/~/taskInstances", params={"state": state, "limit": 1})
        answer.raise_for_status()
        found[state] = int(answer.json()["total_entries"])
    return found


def pool_by_rest(rig: Rig) -> dict[str, int]:
    """The slots of the default pool, as the REST API counts them."""
    answer = rig.as_("requester").client.get("/api/v2/pools/default_pool")
    answer.raise_for_status()
    document = answer.json()
    return {key: int(document[f"{key}_slots"]) for key in ("running", "queued", "occupied", "deferred", "open")}


def cpu_share(rig: Rig, *, seconds: float) -> dict[str, float]:
    """Percent of a core that each component takes over `seconds`."""

    def used() -> dict[str, float]:
        return {name: sum(sum(process.cpu_times()[:2]) for process in rig.members(name)) for name in COMPONENTS}

    begun, before = time.monotonic(), used()
    time.sleep(seconds)
    elapsed, after = time.monotonic() - begun, used()
    return {name: 100 * (after[name] - before[name]) / elapsed for name in COMPONENTS}


def resident_mib(rig: Rig, component: str) -> float:
    """Proportional memory of a component's processes: what they share is counted once."""
    return float(sum(process.memory_full_info().pss for process in rig.members(component))) / 2**20


def measure(waits: Waits, size: int, *, samples: int, cpu_seconds: float) -> Measured:
    """Lets `size` wait, looks, then marks `samples` of them, each after its floor."""
    rig = waits.rig
    waits.copy_until(max(1, size - samples))
    asked, bare = waits.ask(samples), waits.ask_bare(samples)
    time.sleep(SETTLED_SECONDS)
    waiting = waits.copies + 1 + samples
    found = Measured(waiting, states_by_rest(rig), pool_by_rest(rig), cpu_share(rig, seconds=cpu_seconds), resident_mib(rig, "triggerer"))
    for (run, request), (floor_run, target) in zip(asked, bare, strict=True):
        floor, floor_after = waits.seconds_after_mark(FLOOR, floor_run, partial(_mark_bare, rig, target))
        resumed, after = waits.seconds_after_mark(WAIT, run, partial(rig.mark, "demo-sre", request))
        found.floor.append(floor)
        found.resumed.append(resumed)
        found.followed += [floor_after, after]
    return found


def _mark_bare(rig: Rig, target: str) -> int:
    return int(rig.as_("requester").mark(TARGET, target, "approve", state="success").status_code)


def waiting_part(root: Path, *, sizes: Sequence[int], samples: int, cpu_seconds: float, say: Callable[[str], None]) -> str:
    """Starts an Airflow below `root`, measures at each of `sizes`; the tables."""
    from scale_rig import scale_rig

    found = []
    with scale_rig(root) as rig:
        waits = Waits(rig)
        ((waits.example, _),) = waits.ask(1)
        for size in sizes:
            found.append(measure(waits, size, samples=samples, cpu_seconds=cpu_seconds))
            say(waiting_tables(found[-1:]))
    return waiting_tables(found)


def waiting_tables(found: Sequence[Measured]) -> str:
    """Markdown: what is held and what it costs, and how soon a mark is seen."""
    held = table(
        ["waiting", "tasks running", "tasks queued", "tasks deferred", "tasks awaiting input", "pool slots taken",
         *(f"{name} (% of a core)" for name in COMPONENTS), "triggerer (MiB)"],
        [
            [m.waiting, *m.states.values(), m.pool["occupied"], *(f"{m.cpu[name]:.0f}" for name in COMPONENTS), f"{m.resident:.0f}"]
            for m in found
        ],
    )  # fmt: skip
    seen = table(
        [
            "waiting",
            "marks",
            "p50 (s)",
            "p95 (s)",
            "max (s)",
            "floor p50 (s)",
            "floor p95 (s)",
            "ratio p50",
            "ratio p95",
            "next task p50 (s)",
            "next task max (s)",
        ],
        [_resume_row(m) for m in found],
    )
    return f"{held}\n\n{seen}"


def _resume_row(found: Measured) -> list[object]:
    own, floor = ([quantile(values, share) for share in (0.5, 0.95)] for values in (found.resumed, found.floor))
    ratios = [f"{a / b:.2f}" for a, b in zip(own, floor, strict=True)]
    measured = [f"{value:.2f}" for value in (*own, max(found.resumed), *floor)]
    followed = [f"{value:.2f}" for value in (quantile(found.followed, 0.5), max(found.followed))]
    return [found.waiting, len(found.resumed), *measured, *ratios, *followed]
