"""Starts the stack of the kill matrix: a Postgres of its own for Airflow, a small disk for the evidence, faults on demand; and ends it."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg
from airflow_rig import REPOSITORY, SHORT_TIMES
from stack import DATABASE, Stack, importing

from perfproof_demo import airflow_home
from perfproof_demo.airflow_home import free_port
from perfproof_demo.airflow_processes import stop_airflow
from perfproof_demo.cycle import EVIDENCE, Demo
from perfproof_demo.postgres_server import ADMINISTRATOR, passwords, start_server, stop_server
from perfproof_demo.settings import HOST, DemoSettings
from perfproof_demo.target import stop_target

DISK_MIB = 200
# Those of the rig are for a quiet machine: where a heartbeat can be 20 s late, Airflow takes what is healthy for dead.
TIMES = {
    **SHORT_TIMES,
    "scheduler.task_instance_heartbeat_timeout": "45",
    "scheduler.scheduler_health_check_threshold": "30",
    "triggerer.triggerer_health_check_threshold": "20",
}
# The server's own settings are for a shop whose data can be made again; a metadata database keeps what it has committed.
# Workers of a killed scheduler keep its connections open, and with them the locks of its transaction: only the server can end that.
SERVER = (
    "fsync = on",
    "synchronous_commit = on",
    "full_page_writes = on",
    "max_connections = 150",
    "idle_in_transaction_session_timeout = '20s'",
)


@contextmanager
def metadata_server(home: Path, *, port_base: int) -> Iterator[DemoSettings]:
    """A Postgres server with an empty database for Airflow, ended with the block."""
    settings = DemoSettings(home=home, port_base=port_base)
    start_server(settings)
    try:
        url = f"postgresql://{ADMINISTRATOR}:{passwords(settings)['administrator']}@{HOST}:{settings.port('database')}/postgres"
        with psycopg.connect(url, autocommit=True) as connection:
            for setting in SERVER:
                connection.execute(f"ALTER SYSTEM SET {setting}".encode())
            connection.execute(f"CREATE DATABASE {DATABASE}".encode())
        stop_server(settings)
        start_server(settings)
        yield settings
    finally:
        stop_server(settings)


@contextmanager
def running_stack(workspace: Path) -> Iterator[Stack]:
    """The whole stack in `workspace`, until the block ends. Its evidence is on a file system of its own if this is root."""
    (workspace / "faults").mkdir(parents=True, exist_ok=True)
    base = min(max(free_port() // 200 * 200, 20000), 60000)
    settings = DemoSettings(home=workspace / ".demo", port_base=base)
    with metadata_server(workspace / "metadata", port_base=base + 100) as metadata, hooked(workspace / "faults"), small_disk(workspace):
        demo = Demo.of(settings, workspace=workspace, repository=REPOSITORY)
        url = Stack(demo, metadata).url().replace("postgresql:", "postgresql+psycopg2:")
        options = {**demo.home.options, **TIMES, "database.sql_alchemy_conn": url, "dag_processor.min_file_process_interval": "30"}
        stack = Stack(replace(demo, home=replace(demo.home, options=options)), metadata)
        thread = threading.Thread(target=stack.keep_going, daemon=True)
        try:
            with importing(stack.code):
                stack.demo.start()
            thread.start()
            yield stack
        finally:
            stack.end()
            stack.kill_everything()
            stop_airflow(settings)
            stop_target(settings)
            if thread.ident is not None:
                thread.join(30)


@contextmanager
def small_disk(workspace: Path) -> Iterator[None]:
    """A file system in memory for the evidence, which a test can fill. Only root can mount one."""
    place = workspace / EVIDENCE.parts[0]
    place.mkdir(parents=True, exist_ok=True)
    if os.geteuid() != 0:
        yield
        return
    subprocess.run(["/bin/mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", str(place)], check=True)
    try:
        yield
    finally:
        subprocess.run(["/bin/umount", "--lazy", str(place)], check=True)


@contextmanager
def hooked(faults: Path) -> Iterator[None]:
    """Airflow processes that are started in the block load the test's own faults; without a plan in `faults` they do nothing."""
    before = airflow_home.LOCAL_SETTINGS
    lines = ["import sys", f"sys.path.insert(0, {str(Path(__file__).parent)!r})", "import injected_faults"]
    lines += [f"injected_faults.install({str(faults)!r})", ""]
    airflow_home.LOCAL_SETTINGS = before + "\n".join(lines)
    try:
        yield
    finally:
        airflow_home.LOCAL_SETTINGS = before


def delete(workspace: Path) -> None:
    """Removes a workspace that this program made."""
    shutil.rmtree(workspace, ignore_errors=True)
