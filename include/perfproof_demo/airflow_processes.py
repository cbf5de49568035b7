"""The demo's own Airflow as detached processes: started where missing, found again after a crash, ended without rest."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil

from perfproof.commands import keygen
from perfproof.commands.keygen import CONNECTION_FILE, TRUST_FILE
from perfproof.strict import read_json
from perfproof_demo.airflow_home import COMPONENTS, READY_SECONDS, AirflowHome, User
from perfproof_demo.database import database_urls
from perfproof_demo.errors import DemoError
from perfproof_demo.processes import ProcessState, read_pid, require_free_port
from perfproof_demo.settings import HOST, DemoSettings, Side

STOP_SECONDS = 15.0
PEOPLE = {
    "demo-owner": "user",
    "demo-sre": "user",
    "demo-security": "user",
    "demo-engineer": "user",
    "demo-performance": "op",
    "demo-viewer": "viewer",
    "demo-admin": "admin",
}
HEALTHY = ("metadatabase", "scheduler", "triggerer", "dag_processor")


def airflow_home(settings: DemoSettings, *, workspace: Path, dags_folder: Path, protocols: Path) -> AirflowHome:
    """The home under `.demo/airflow`: people, connections to what the demo runs, and short timeouts for crashes."""
    connections: dict[str, dict[str, object]] = {
        "perfproof_prometheus": _http(settings.metrics_url),
        "perfproof_api": {**_http(f"http://{HOST}:{settings.port('airflow')}"), "login": "demo-admin", "password_of": "demo-admin"},
    }
    for side in Side:
        connections[f"perfproof_shop_{side}"] = _database(database_urls(settings, side).reader)
    return AirflowHome(
        root=settings.home / "airflow",
        dags_folder=dags_folder,
        users=tuple(User(name, role) for name, role in PEOPLE.items()),
        port=settings.port("airflow"),
        connections=connections,
        options={
            "perfproof.workspace": str(workspace),
            "perfproof.protocols_dir": str(protocols),
            # After a crash the next start should find dead work in seconds, not in the five minutes of a cluster.
            "scheduler.task_instance_heartbeat_timeout": "40",
            "scheduler.task_instance_heartbeat_timeout_detection_interval": "5",
            "scheduler.scheduler_health_check_threshold": "20",
            "scheduler.orphaned_tasks_check_interval": "15",
            "triggerer.triggerer_health_check_threshold": "20",
            "workers.min_heartbeat_interval": "3",
        },
    )


def trust_root(settings: DemoSettings) -> Path:
    """What an outsider verifies the demo's checkpoints with."""
    return settings.home / "keys" / TRUST_FILE


def signing_connection(settings: DemoSettings) -> dict[str, dict[str, object]]:
    """The Connection that checkpoints are signed with; its key is made the first time."""
    if not trust_root(settings).exists():
        keygen.run(argparse.Namespace(directory=settings.home / "keys", key_id=None, valid_from=None, valid_until=None))
    made: dict[str, dict[str, object]] = read_json((settings.home / "keys" / CONNECTION_FILE).read_bytes(), where=CONNECTION_FILE)
    return made


def _http(url: str) -> dict[str, object]:
    parts = httpx.URL(url)
    path = parts.path.rstrip("/")
    extra = {"extra": json.dumps({"path": path})} if path else {}
    return {"conn_type": "http", "schema": parts.scheme, "host": parts.host, "port": parts.port, **extra}


def _database(url: str) -> dict[str, object]:
    import psycopg.conninfo

    parts = psycopg.conninfo.conninfo_to_dict(url)
    return {
        "conn_type": "postgres",
        "host": parts.get("host"),
        "port": int(str(parts["port"])) if parts.get("port") else None,
        "login": parts.get("user"),
        "password": parts.get("password"),
        "schema": parts.get("dbname"),
    }


def start_airflow(settings: DemoSettings, home: AirflowHome) -> None:
    """Starts each component that does not run, and waits until all are healthy."""
    missing = [name for name in COMPONENTS if not _alive(settings, home, name)]
    if not missing and _unhealthy(home) == ():
        return
    if "api-server" in missing:
        require_free_port(settings, "airflow")
    if missing:
        home.prepare()
    for name in missing:
        _start(settings, home, name)
    deadline = time.monotonic() + READY_SECONDS
    while waiting := _unhealthy(home):
        dead = [name for name in COMPONENTS if not _alive(settings, home, name)]
        if dead or time.monotonic() > deadline:
            what = f"{', '.join(dead)} ended" if dead else f"{', '.join(waiting)} is not healthy after {READY_SECONDS:g} s"
            raise DemoError(151, where="airflow", what=what, fix=f"read the logs in {home.root / 'logs'}")
        time.sleep(0.5)


def _start(settings: DemoSettings, home: AirflowHome, name: str) -> None:
    settings.run_directory.mkdir(parents=True, exist_ok=True)
    with (home.root / "logs" / f"{name}.log").open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "airflow", *COMPONENTS[name]],
            env=home.environment(),
            cwd=home.root,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    settings.pid_file(f"airflow-{name}").write_text(f"{process.pid}\n")
    # It outlives this process; a forgotten Popen would warn.
    process.returncode = 0


def _unhealthy(home: AirflowHome) -> tuple[str, ...]:
    try:
        health = httpx.get(f"{home.url}/api/v2/monitor/health", timeout=5).json()
    except (httpx.HTTPError, ValueError):
        return ("api-server",)
    return tuple(name for name in HEALTHY if (health.get(name) or {}).get("status") != "healthy")


def _alive(settings: DemoSettings, home: AirflowHome, name: str) -> bool:
    pid = read_pid(settings.pid_file(f"airflow-{name}"))
    return pid is not None and _belongs(pid, home.root)


def _belongs(pid: int, root: Path) -> bool:
    """Whether `pid` works in this home: a pid may belong to a stranger by now.

    By its working directory, which children inherit. Command line and environment are no marks: Airflow overwrites both in
    memory when it gives its processes titles.
    """
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()) == root
    except (psutil.Error, OSError):
        return False


def airflow_processes(settings: DemoSettings) -> list[ProcessState]:
    """The components that were started and not stopped, alive or not."""
    root = settings.home / "airflow"
    found = []
    for name in COMPONENTS:
        pid = read_pid(settings.pid_file(f"airflow-{name}"))
        if pid is not None:
            found.append(ProcessState(f"airflow-{name}", pid, _belongs(pid, root)))
    return found


def stop_airflow(settings: DemoSettings) -> list[str]:
    """Ends every process of the home, also those whose parent died; returns the names of the components that ran."""
    root = settings.home / "airflow"
    ran = [state.name for state in airflow_processes(settings) if state.alive]
    for number, patience in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, 5.0)):
        members = list(_members(root))
        for process in members:
            with contextlib.suppress(psutil.Error):
                process.send_signal(number)
        psutil.wait_procs(members, timeout=patience)
        if not any(True for _ in _members(root)):
            break
    for name in COMPONENTS:
        settings.pid_file(f"airflow-{name}").unlink(missing_ok=True)
    return ran


def _members(root: Path) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        if process.pid != os.getpid() and _belongs(process.pid, root):
            yield process
