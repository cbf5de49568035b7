"""The real stack of the kill matrix: the demo's target, an Airflow on Postgres with short times, and the hand that kills its parts."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))

import httpx
import psutil
import psycopg
from airflow_rig import REPOSITORY
from airflow_rig import eventually as eventually
from processes_of_airflow import Generators, TaskProcess, generators_in, task_processes

from perfproof_airflow.commands.run import DAG
from perfproof_airflow.rest import AirflowApi
from perfproof_demo import airflow_processes
from perfproof_demo.airflow_processes import start_airflow, trust_root
from perfproof_demo.cycle import EVIDENCE, Demo
from perfproof_demo.postgres_server import ADMINISTRATOR, passwords, start_server
from perfproof_demo.processes import read_pid
from perfproof_demo.settings import HOST, DemoSettings
from perfproof_demo.traffic import renew_lease

DATABASE = "airflow"
# A starved machine still gets there; nothing is asserted about how long it takes.
PATIENCE_SECONDS = 600.0


@dataclass(slots=True)
class Stack:
    """A running demo whose Airflow keeps its state in Postgres. `code` is the checkout whose modules its processes import."""

    demo: Demo
    metadata: DemoSettings
    code: Path = REPOSITORY
    generators: Generators = field(init=False)
    _stop: threading.Event = field(default_factory=threading.Event)
    _people: dict[str, AirflowApi] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.generators = Generators(self.demo.workspace)

    @property
    def faults(self) -> Path:
        """Where the plan of the faults inside Airflow's processes is."""
        return self.demo.workspace / "faults"

    @property
    def evidence(self) -> Path:
        """Where the cycles' evidence is."""
        return self.demo.workspace / EVIDENCE

    @property
    def trust(self) -> Path:
        """The trust root that the checkpoints are verified with."""
        return trust_root(self.demo.settings)

    def keep_going(self) -> None:
        """Lets the shop's users send, and watches the load generators, until the stack ends."""
        while not self._stop.wait(1.0):
            renew_lease(self.demo.settings)
            with contextlib.suppress(psutil.Error):
                self.generators.look()

    def end(self) -> None:
        """Ends the background work and closes the connections."""
        self._stop.set()
        for person in self._people.values():
            person.close()

    def as_(self, name: str) -> AirflowApi:
        """The REST API as that person."""
        if name not in self._people:
            self._people[name] = self.demo.api(name)
        return self._people[name]

    def url(self, database: str = DATABASE) -> str:
        """The metadata database, as its administrator."""
        word = passwords(self.metadata)["administrator"]
        return f"postgresql://{ADMINISTRATOR}:{word}@{HOST}:{self.metadata.port('database')}/{database}"

    def query(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Rows of the metadata database; none while it cannot be asked."""
        try:
            with psycopg.connect(self.url(), connect_timeout=5, options="-c statement_timeout=5000") as connection:
                return connection.execute(statement.encode(), values).fetchall()
        except psycopg.Error:
            return []

    def task_ids(self, run_id: str) -> dict[str, tuple[str, int, int, str]]:
        """Task id, map index, try and state of the run's task instances, by their own id."""
        statement = "SELECT id, task_id, map_index, try_number, state FROM task_instance WHERE dag_id = %s AND run_id = %s"
        return {str(row[0]): (row[1], row[2], row[3], str(row[4])) for row in self.query(statement, DAG, run_id)}

    def working(self, run_id: str, task: str) -> list[TaskProcess]:
        """Processes that now work on tasks of the run whose id ends with `task`."""
        known = self.task_ids(run_id)
        running = task_processes(self.demo.home.root)
        return [process for process in running if known.get(process.ti_id, ("", 0, 0, ""))[0].endswith(task)]

    def leader(self, component: str) -> int | None:
        """The process of a component."""
        return read_pid(self.demo.settings.pid_file(f"airflow-{component}"))

    def kill(self, *components: str, children: bool) -> None:
        """SIGKILL for components, alone or with everything that they started, wherever it put itself."""
        victims: list[psutil.Process] = []
        for component in components:
            pid = self.leader(component)
            with contextlib.suppress(psutil.NoSuchProcess):
                process = psutil.Process(pid or -1)
                victims += [process, *(process.children(recursive=True) if children else [])]
        self.signal(victims, signal.SIGKILL)
        psutil.wait_procs(victims, timeout=30)

    def kill_everything(self) -> None:
        """SIGKILL for every process of this Airflow, also for what an earlier crash left behind."""
        victims = list(airflow_processes._members(self.demo.home.root))
        self.signal([*victims, *generators_in(self.demo.workspace)], signal.SIGKILL)
        psutil.wait_procs(victims, timeout=30)

    @staticmethod
    def signal(victims: Sequence[psutil.Process], number: signal.Signals) -> None:
        """Sends `number` to what is still there."""
        for process in victims:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def start_missing(self) -> None:
        """Starts every component that does not run, and returns when all are healthy."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        with importing(self.code):
            while True:
                try:
                    start_airflow(self.demo.settings, self.demo.home)
                    return
                except Exception:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(1.0)

    def restart_database(self) -> None:
        """What `pg_ctl restart -m immediate` does: every server process ends at once without a checkpoint, then recovery."""
        pid = read_pid(self.metadata.home / "pg" / "data" / "postmaster.pid")
        server = psutil.Process(pid or -1)
        server.send_signal(signal.SIGQUIT)
        server.wait(60)
        start_server(self.metadata)


@contextmanager
def importing(code: Path) -> Iterator[None]:
    """What is started in the block imports perfproof from `code`, whatever is installed."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(str(code / name) for name in ("include", "plugins"))
    try:
        yield
    finally:
        if before is None:
            os.environ.pop("PYTHONPATH")
        else:
            os.environ["PYTHONPATH"] = before


def tolerant(question: Callable[[], Any]) -> Any:
    """The answer, or None while Airflow does not give one."""
    try:
        return question()
    except (httpx.HTTPError, KeyError, ValueError):
        return None
