"""A real Airflow for the end-to-end tests: started once, with people of several rights, stopped with all its processes."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from perfproof.evidence import EvidenceStore, LocalBackend
from perfproof.run_key import run_key
from perfproof_airflow.rest import AirflowApi
from perfproof_demo.airflow_home import AirflowHome, RunningAirflow, User, free_port

REPOSITORY = Path(__file__).parents[2]
APPROVALS = "performance_approvals"
PEOPLE = (
    User("requester", "admin"),
    User("demo-owner", "user"),
    User("demo-sre", "user"),
    User("outsider", "op"),
    User("watcher", "viewer"),
)


def eventually(question: Callable[[], Any], *, seconds: float, what: str, pause: float = 0.2) -> Any:
    """The first true answer of `question`. AssertionError with `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = question()
        if answer:
            return answer
        time.sleep(pause)
    raise AssertionError(f"not within {seconds:g} s: {what}")


@dataclass(slots=True)
class Rig:
    """A running Airflow, its people, and the evidence that its runs write."""

    airflow: RunningAirflow
    workspace: Path
    _people: dict[str, AirflowApi] = field(default_factory=dict)

    def as_(self, name: str) -> AirflowApi:
        """The REST API as that person."""
        if name not in self._people:
            self._people[name] = AirflowApi(self.airflow.home.url, name, self.airflow.home.password(name))
        return self._people[name]

    def store(self, dag_id: str, run_id: str) -> EvidenceStore:
        """The evidence of a run."""
        return EvidenceStore(LocalBackend(self.workspace / ".artifacts" / "performance"), run_key(dag_id, run_id))

    def request_of(self, dag_id: str, run_id: str, *, attempt: int = 1, seconds: float = 60) -> str:
        """Id of the `attempt`-th request of a run, as soon as all its tasks wait for an answer."""
        prefix = f"{run_key(dag_id, run_id)}__"
        admin = self.as_("requester")

        def waiting() -> str | None:
            runs = [r["dag_run_id"] for r in admin.runs(APPROVALS) if r["dag_run_id"].startswith(prefix)]
            found = next((r for r in runs if r.endswith(f"a{attempt}")), None)
            tasks = [t for t in admin.tasks(APPROVALS, found) if t["task_id"] == "approve"] if found else []
            return found if tasks and all(t["state"] == "awaiting_input" for t in tasks) else None

        return str(eventually(waiting, seconds=seconds, what=f"request {attempt} of {run_id} waits for an answer"))

    def state_of(self, dag_id: str, run_id: str, task_id: str) -> str | None:
        """State of a task."""
        return next(t["state"] for t in self.as_("requester").tasks(dag_id, run_id) if t["task_id"] == task_id)

    def python(self, code: str) -> str:
        """Output of `code`, run as a process of this Airflow: for what only its own components may do."""
        home = self.airflow.home
        done = subprocess.run(
            [sys.executable, "-c", code], env=home.environment(), cwd=home.root, check=True, capture_output=True, text=True, timeout=60
        )
        return done.stdout

    def close(self) -> None:
        """Closes the people's connections."""
        for person in self._people.values():
            person.close()


@contextmanager
def running_rig(
    root: Path, *, dag_files: Sequence[Path], people: Sequence[User] = PEOPLE, options: Mapping[str, str] | None = None
) -> Iterator[Rig]:
    """An Airflow below `root` with copies of `dag_files`, until the block ends."""
    dags, workspace = root / "dags", root / "workspace"
    for directory in (dags, workspace):
        directory.mkdir(parents=True)
    for file in dag_files:
        shutil.copy(file, dags / file.name)
    home = AirflowHome(
        root=root / "airflow",
        dags_folder=dags,
        users=tuple(people),
        port=free_port(),
        options={"perfproof.workspace": str(workspace), **(options or {})},
        preload=False,
    )
    home.prepare()
    with RunningAirflow(home) as airflow:
        rig = Rig(airflow, workspace)
        try:
            yield rig
        finally:
            rig.close()
