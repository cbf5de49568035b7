"""A small healthy installation for `perfproof doctor`: an Airflow, a database, a source of metrics, and a protocol file that names them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from airflow_rig import APPROVALS, REPOSITORY, Rig, eventually, running_rig
from fault_server import JSON, Answer, fault_server

from perfproof_demo.airflow_home import KEY_CONNECTION, User

CYCLES, CAPTURES, WAITING = "performance_optimization", "baseline_capture", "rig"
PEOPLE = (
    User("requester", "admin"),
    User("demo-owner", "user"),
    User("demo-sre", "user"),
    User("demo-security", "user"),
    User("demo-engineer", "user"),
    User("watcher", "viewer"),
)
KEY = {"conn_type": "generic", "login": "k-doctor", "password": "5f" * 32}
DOCTOR_SECONDS = 240
# A busy machine must not look like a dead component.
PATIENT = {"triggerer.triggerer_health_check_threshold": "900", "scheduler.scheduler_health_check_threshold": "900"}


@dataclass(slots=True)
class Told:
    """What the doctor said: its exit code, and its findings as JSON."""

    code: int
    findings: list[dict[str, Any]]
    output: str

    @property
    def problems(self) -> list[dict[str, Any]]:
        """The findings that are problems."""
        return [finding for finding in self.findings if finding["state"] == "problem"]

    @property
    def codes(self) -> set[str]:
        """Their codes."""
        return {str(finding["code"]) for finding in self.problems}


@dataclass(slots=True)
class Installation:
    """The rig, its Connections as they were made, and the doctor."""

    rig: Rig
    connections: dict[str, dict[str, Any]]
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def protocol_file(self) -> Path:
        """The one protocol file."""
        return self.rig.workspace / "include" / "protocols" / "demo.yaml"

    def doctor(self, *arguments: str, **environment: str) -> Told:
        """What `perfproof doctor` says on this machine, with further `environment`, as the administrator."""
        home = self.rig.airflow.home
        account = {"AIRFLOW_URL": home.url, "AIRFLOW_USER": "requester", "AIRFLOW_PASSWORD": home.password("requester")}
        done = subprocess.run(
            [sys.executable, "-m", "perfproof.cli", "doctor", "--json", *arguments],
            env=home.environment() | account | environment, cwd=home.root, check=False, capture_output=True, text=True,
            timeout=DOCTOR_SECONDS,
        )  # fmt: skip
        assert done.returncode in (0, 1), done.stdout + done.stderr
        return Told(done.returncode, json.loads(done.stdout)["findings"], done.stdout)

    def put(self, connection_id: str, fields: Mapping[str, Any] | None) -> None:
        """Makes the Connection hold `fields`; None: there is none."""
        client = self.rig.as_("requester").client
        client.delete(f"/api/v2/connections/{connection_id}")
        if fields is not None:
            client.post("/api/v2/connections", json={"connection_id": connection_id, **fields}).raise_for_status()

    @contextmanager
    def connection(self, connection_id: str, **changes: Any) -> Iterator[None]:
        """The Connection changed for the block; without changes it is gone."""
        self.put(connection_id, {**self.connections[connection_id], **changes} if changes else None)
        try:
            yield
        finally:
            self.put(connection_id, self.connections.get(connection_id))

    @contextmanager
    def protocol(self, old: str, new: str) -> Iterator[None]:
        """The protocol file with `new` in place of `old` for the block."""
        before = self.protocol_file.read_text()
        assert before.count(old) == 1, old
        self.protocol_file.write_text(before.replace(old, new))
        try:
            yield
        finally:
            self.protocol_file.write_text(before)

    @contextmanager
    def patched(self, path: str, *, back: Mapping[str, Any], **changes: Any) -> Iterator[None]:
        """Something of Airflow changed over REST for the block."""
        client = self.rig.as_("requester").client
        mask = {"update_mask": list(changes)}
        client.patch(f"/api/v2/{path}", params=mask, json=changes).raise_for_status()
        try:
            yield
        finally:
            client.patch(f"/api/v2/{path}", params=mask, json=dict(back)).raise_for_status()


def metrics(*, ahead: float = 0.0) -> Callable[[bytes], Answer]:
    """Answers of a Prometheus whose clock is `ahead` seconds ahead."""

    def answer(request: bytes) -> Answer:
        now = time.time() + ahead
        value = [now, f"{now}"]
        data: dict[str, Any] = {"resultType": "vector", "result": [{"metric": {}, "value": [now, "1"]}]}
        if b"time%28%29" in request or b"time()" in request:
            data = {"resultType": "scalar", "result": value}
        return 200, JSON, json.dumps({"status": "success", "data": data}).encode()

    return answer


def http_fields(address: str) -> dict[str, Any]:
    """A Connection to http://host:port."""
    host, _, port = address.removeprefix("http://").partition(":")
    return {"conn_type": "http", "schema": "http", "host": host, "port": int(port)}


def _databases(url: str) -> dict[str, Any]:
    """A database of a service on the server of the metadata, and the Connection of who reads it."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE ROLE reader LOGIN PASSWORD 'reads-only' IN ROLE pg_read_all_stats")
        connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
    parts = psycopg.conninfo.conninfo_to_dict(url)
    return {
        "conn_type": "postgres", "host": parts["host"], "port": int(str(parts["port"])), "login": "reader", "password": "reads-only",
        "schema": parts["dbname"],
    }  # fmt: skip


@contextmanager
def healthy_installation(root: Path) -> Iterator[Installation]:
    """An installation in which nothing is wrong, until the block ends."""
    names = ("performance_approvals.py", "performance_optimization.py", "baseline_capture.py")
    files = [*(REPOSITORY / "dags" / name for name in names), REPOSITORY / "tests" / "e2e" / "rig_dag.py"]
    with fault_server("good", metrics()) as source, running_rig(root, dag_files=files, people=PEOPLE, options=PATIENT) as rig:
        home, admin = rig.airflow.home, rig.as_("requester")
        database = _databases(rig.database_url)
        connections: dict[str, dict[str, Any]] = {
            KEY_CONNECTION: KEY,
            "perfproof_prometheus": http_fields(source),
            "perfproof_api": {**http_fields(home.url), "login": "requester", "password": home.password("requester")},
            "perfproof_shop_baseline": database,
            "perfproof_shop_candidate": database,
        }
        installed = Installation(rig, connections)
        for connection_id, fields in connections.items():
            installed.put(connection_id, fields)
        installed.protocol_file.parent.mkdir(parents=True)
        installed.protocol_file.write_bytes((REPOSITORY / "include" / "protocols" / "demo.yaml").read_bytes())
        for dag in (CYCLES, APPROVALS, CAPTURES, WAITING):
            eventually(lambda dag=dag: admin.dag(dag), seconds=300, what=f"{dag} is known")
        yield installed


def killed_and_started(rig: Rig, component: str) -> None:
    """Ends a component, starts it anew, and waits until it is healthy."""
    rig.crash(component)
    rig.airflow.start(component)
    rig.airflow.wait_until_ready(seconds=float(os.environ.get("PERFPROOF_RIG_SECONDS", "300")))
