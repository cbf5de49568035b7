"""What happens to a running cycle beside SIGKILL: disks, the metadata database, paused attempts, new code, crash points, flaky calls.

Each function does it, ends it, and returns what it found wrong on the way.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import psycopg
from cells import Cell, Victim
from processes_of_airflow import TaskProcess, generators_in, task_processes
from stack import DATABASE, eventually, tolerant

from perfproof_airflow.commands.run import DAG
from perfproof_demo.airflow_processes import stop_airflow
from perfproof_demo.postgres_server import ADMINISTRATOR, _binary, passwords
from perfproof_demo.processes import read_pid
from perfproof_demo.settings import HOST

if TYPE_CHECKING:
    from ride import Ride

DISTURBED_SECONDS = 15.0
PAUSED_SECONDS = 60.0
LEASE_SECONDS = 10.0


def disturb(ride: Ride, cell: Cell, found: Sequence[TaskProcess]) -> list[str]:
    """Does what the cell says."""
    acts: dict[Victim, Callable[[Ride, Cell, Sequence[TaskProcess]], list[str]]] = {
        Victim.LOCKED: locked,
        Victim.SLOW: slow,
        Victim.CONNECTIONS: exhausted,
        Victim.DISK_FULL: disk_full,
        Victim.READ_ONLY: read_only,
        Victim.REMOVED: removed,
        Victim.PAUSED: paused,
        Victim.CODE: upgraded,
        Victim.BACKUP: backed_up,
        Victim.RESTORE: restored,
        Victim.CRASH: crashed,
        Victim.FLAKY: flaky,
    }
    return acts[cell.victim](ride, cell, found)


def locked(ride: Ride, cell: Cell, found: Sequence[TaskProcess]) -> list[str]:
    """Nobody can read or write runs and tasks for a while."""
    with psycopg.connect(ride.stack.url()) as connection:
        connection.execute("SET lock_timeout = '60s'")
        connection.execute("LOCK TABLE task_instance, dag_run IN ACCESS EXCLUSIVE MODE")
        connection.execute(f"SELECT pg_sleep({DISTURBED_SECONDS})".encode())
    return []


def slow(ride: Ride, cell: Cell, found: Sequence[TaskProcess]) -> list[str]:
    """Every backend of the server stands still three quarters of the time."""
    server = psutil.Process(read_pid(ride.stack.metadata.home / "pg" / "data" / "postmaster.pid") or -1)
    end = time.monotonic() + DISTURBED_SECONDS
    while time.monotonic() < end:
        backends = server.children()
        ride.stack.signal(backends, signal.SIGSTOP)
        time.sleep(0.15)
        ride.stack.signal(backends, signal.SIGCONT)
        time.sleep(0.05)
    return []


def exhausted(ride: Ride, cell: Cell, found: Sequence[TaskProcess]) -> list[str]:
    """No connection to the server is left for a while."""
    taken: list[psycopg.Connection[tuple[object, ...]]] = []
    try:
        with suppress(psycopg.OperationalError):
            while len(taken) < 1000:
                taken.append(psycopg.connect(ride.stack.url(), autocommit=True))
        time.sleep(DISTURBED_SECONDS)
    finally:
        for connection in taken:
            connection.close()
    return [] if taken else ["rig: no connection could be taken"]


def disk_full(ride: Ride, cell: Cell, found: Sequence[TaskProcess]) -> list[str]:
    """The file system of the evidence is full until the run has halted."""
    filler = ride.stack.evidence.parent / "filler"
    with filler.open("wb") as file, suppress(OSError):
        while True:
            file.write(bytes(1 << 16))
            file.flush()
    try:
        return halts_with(ride, "EVI-507")
    finally:
        filler.unlink()


def read_only(ride: Ride, cell: Cell, found: Sequence[TaskProcess]) -> list[str]:
    """The file system of the evidence can only be read until the run has halted."""
    place = str(ride.stack.evidence.parent)
    eventually(lambda: not _fails(["/bin/mount", "-o", "remount,ro", place]), what="the evidence can be mounted read-only", seconds=30)
    try:
        return halts_with(ride, "EVI-503")
    finally:
        subprocess.run(["/bin/mount", "-o", "remount,rw", place], check=True)


def removed(ride: Ride, cell: Cell, found: Sequence[TaskProcess]) -> list[str]:
    """The run's directory is somewhere else until the run has halted."""
    directory = ride.stack.evidence / ride.key
    away = directory.with_name(f"away-{directory.name}")
    directory.rename(away)
    try:
        return halts_with(ride, "EVI-5")
    finally:
        # What tasks made in its place meanwhile is none of the run's evidence: the finding below says if there is any.
        if directory.exists():
            shutil.rmtree(directory)
        away.rename(directory)


def paused(ride: Ride, cell: Cell, found: Sequence[TaskProcess]) -> list[str]:
    """The supervisor and the task of one try stand still until another try is done, or a minute under load; then they go on."""
    old = found[0]
    members = [old.supervisor, old.task]
    task_id, map_index, try_number, _ = ride.stack.task_ids(ride.run_id)[old.ti_id]
    sends = bool(generators_in(ride.stack.demo.workspace))
    ride.stack.signal(members, signal.SIGSTOP)
    begun = time.monotonic()
    wrong: list[str] = []
    try:
        if sends:
            eventually(lambda: not generators_in(ride.stack.demo.workspace), what="the load of a paused task ends", seconds=PAUSED_SECONDS)
            ended = time.monotonic() - begun
            ride.tell(f"        the load of the paused task ended after {ended:.1f} s")
            # It notices when the lease has lapsed, and looks every second.
            if ended > LEASE_SECONDS + 5:
                wrong.append(f"I7 the load of a paused task ended after {ended:.0f} s")
            time.sleep(max(0.0, begun + PAUSED_SECONDS - time.monotonic()))
        else:
            eventually(lambda: _done_again(ride, task_id, map_index, try_number), what=f"another try of {task_id} is done", seconds=300)
    finally:
        ride.stack.signal(members, signal.SIGCONT)
    ride.tell(f"        {task_id} try {try_number} stood still for {time.monotonic() - begun:.0f} s and goes on")
    eventually(lambda: not _works(ride, old.ti_id), what="the old try ends", seconds=180)
    return wrong


def upgraded(ride: Ride, cell: Cell, found: Sequence[TaskProcess]) -> list[str]:
    """Airflow ends in good order, and starts again with another version of the package."""
    code = ride.stack.demo.workspace / "upgraded"
    if not code.exists():
        for name in ("include", "plugins"):
            shutil.copytree(ride.stack.code / name, code / name, ignore=shutil.ignore_patterns("__pycache__"))
        module = code / "include" / "perfproof" / "__init__.py"
        module.write_text(module.read_text() + '\n__version__ = "99.0.0"\n')
    stop_airflow(ride.stack.demo.settings)
    ride.stack.code = code
    ride.stack.start_missing()
    return []


def backed_up(ride: Ride, cell: Cell, found: Sequence[TaskProcess]) -> list[str]:
    """A dump of the metadata database while everything runs."""
    _postgres(ride, "pg_dump", "-Fc", "-f", str(ride.stack.metadata.home / "older.dump"), DATABASE)
    return []


def restored(ride: Ride, cell: Cell, found: Sequence[TaskProcess]) -> list[str]:
    """Everything dies, and Airflow starts on the database as it was dumped earlier; when that has halted, on the newest one."""
    newest = ride.stack.metadata.home / "newest.dump"
    _postgres(ride, "pg_dump", "-Fc", "-f", str(newest), DATABASE)
    _restore(ride, ride.stack.metadata.home / "older.dump")
    known = len(ride.observe())
    wrong = halts_with(ride, "DIVERGED")
    if len(ride.observe()) != known:
        wrong.append(f"I1 {len(ride.observe()) - known} entries of another history were written")
    _restore(ride, newest)
    return wrong


def _restore(ride: Ride, dump: Path) -> None:
    ride.stack.kill_everything()
    with psycopg.connect(ride.stack.url("postgres"), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {DATABASE} WITH (FORCE)".encode())
        connection.execute(f"CREATE DATABASE {DATABASE}".encode())
    _postgres(ride, "pg_restore", "-d", DATABASE, str(dump))
    ride.stack.start_missing()


def crashed(ride: Ride, cell: Cell, found: Sequence[TaskProcess]) -> list[str]:
    """The next task that comes to the point dies there."""
    token = f"{cell.id}-{ride.run_id[-8:]}"
    _plan(ride, {"crash": {"point": cell.detail, "token": token}})
    ride.people.paused = False
    eventually(lambda: (ride.stack.faults / token).exists(), what=f"a task dies {cell.detail}", seconds=300)
    (ride.stack.faults / "plan.json").unlink()
    return []


def flaky(ride: Ride, cell: Cell, found: Sequence[TaskProcess]) -> list[str]:
    """From now on calls of store and HTTP fail at a rate, by a seed, until the ride is over."""
    rate = float(cell.detail)
    _plan(ride, {"faults": {"store": rate, "http": rate, "seed": ride.seed}})
    return []


def halts_with(ride: Ride, code: str) -> list[str]:
    """Waits until the run has failed; what is wrong if no failed task says `code`."""
    ride.people.paused = False
    eventually(lambda: ride.state() == "failed", what="the run halts", seconds=300)
    api = ride.stack.as_("demo-admin")
    failed = [task for task in tolerant(lambda: api.tasks(DAG, ride.run_id)) or () if task["state"] == "failed"]
    for task in failed:
        text = log_of(ride, task)
        if code in text:
            start = text.index(code)
            ride.tell(f"        {task['task_id']} halts: {text[start : start + 160].splitlines()[0]}")
            return []
    return [f"I8 no failed task says {code}: {[task['task_id'] for task in failed]}"]


def log_of(ride: Ride, task: Mapping[str, Any]) -> str:
    """What a task's last try said; empty while Airflow does not tell."""
    api, index = ride.stack.as_("demo-admin"), task["map_index"]
    return str(tolerant(lambda: api.log(DAG, ride.run_id, task["task_id"], try_number=task["try_number"], map_index=index)) or "")


def _postgres(ride: Ride, program: str, *arguments: str) -> None:
    environment = {**os.environ, "PGPASSWORD": passwords(ride.stack.metadata)["administrator"]}
    address = ["-h", HOST, "-p", str(ride.stack.metadata.port("database")), "-U", ADMINISTRATOR]
    subprocess.run([str(_binary(program)), *address, *arguments], check=True, env=environment, timeout=300)


def _plan(ride: Ride, document: dict[str, object]) -> None:
    new = ride.stack.faults / "plan.new"
    new.write_text(json.dumps(document))
    new.replace(ride.stack.faults / "plan.json")


def _fails(command: Sequence[str]) -> bool:
    return subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode != 0


def _works(ride: Ride, ti_id: str) -> bool:
    return any(process.ti_id == ti_id for process in task_processes(ride.stack.demo.home.root))


def _done_again(ride: Ride, task_id: str, map_index: int, try_number: int) -> bool:
    rows = ride.stack.task_ids(ride.run_id).values()
    return any(row[:2] == (task_id, map_index) and row[2] > try_number and row[3] == "success" for row in rows)
