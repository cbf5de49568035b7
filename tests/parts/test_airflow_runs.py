"""Deployments from a real Airflow: its API logs in, filters by the end of runs, and tells conf and note."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from perfproof.errors import TelemetryError
from perfproof_airflow.hooks.airflow_runs import AirflowRunsHook
from perfproof_airflow.hooks.connection_values import ConnectionValues
from perfproof_airflow.hooks.refused import QueryRefused
from perfproof_airflow.rest import AirflowApi

AIRFLOW = Path(sys.executable).parent / "airflow"
pytestmark = pytest.mark.skipif(not AIRFLOW.exists(), reason="no airflow beside this Python: install apache-airflow")
START_SECONDS = 120.0
PASSWORD = "of-a-test"
DAG = """
from airflow.sdk import DAG

with DAG("deploy", schedule=None):
    pass
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An api-server on loopback with one Dag and a database of its own."""
    home = tmp_path_factory.mktemp("airflow")
    (home / "dags").mkdir()
    (home / "dags" / "deploy.py").write_text(DAG)
    passwords = home / "passwords.json"
    passwords.write_text(json.dumps({"deployer": PASSWORD}))
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(home), "AIRFLOW_HOME": str(home), "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "false", "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "deployer:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords), "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/a.db",
        "AIRFLOW__API_AUTH__JWT_SECRET": "0123456789abcdef" * 4, "AIRFLOW__CORE__FERNET_KEY": "",
    }  # fmt: skip
    for command in (["db", "migrate"], ["dags", "reserialize"]):
        subprocess.run([str(AIRFLOW), *command], env=environment, cwd=home, check=True, capture_output=True, timeout=START_SECONDS)
    command = [str(AIRFLOW), "api-server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    with (home / "log").open("wb") as log, subprocess.Popen(command, env=environment, cwd=home, stdout=log, stderr=log) as process:
        try:
            _wait(f"http://127.0.0.1:{port}/api/v2/version", process, home / "log")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(url, timeout=2, trust_env=False).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    pytest.fail(f"the api-server did not start: {log.read_text()[-2000:]}")


def asked(address: str, *, start: float, dag: str = "deploy", password: str = PASSWORD) -> list[dict[str, Any]]:
    hook = AirflowRunsHook(connection=ConnectionValues(address, login="deployer", password=password), service="shop")
    now = datetime.now(UTC)
    found, raw = hook.items(query=dag, start=start, end=now.timestamp() + 60, fetched_at=now)
    assert raw
    return found["deployments"]


def test_runs_of_a_real_airflow_are_deployments(address: str) -> None:
    """Successful ones by conf and note, failed and unfinished ones not; those before the window are represented by the last."""
    began = time.time() - 1
    assert asked(address, start=began) == []
    api = AirflowApi(address, "deployer", PASSWORD)
    try:
        api.unpause("deploy")
        ends = ["success", "success", "success", "failed", None]
        for number, state in enumerate(ends):
            conf = {"build": f"1.{number}", "change": "No more joins"} if number else {}
            run = api.trigger("deploy", conf=conf)["dag_run_id"]
            if state is not None:
                api.mark_run("deploy", run, state=state).raise_for_status()
            if number == 0:
                note = {"note": "Went well.\nbuild: 1.0-of-the-note"}
                api.client.patch(f"/api/v2/dags/deploy/dagRuns/{run}", json=note).raise_for_status()
    finally:
        api.close()
    items = asked(address, start=began)
    assert [(item["service"], item["build"], item["change"]) for item in items] == [
        ("shop", "1.0-of-the-note", "UNKNOWN"), ("shop", "1.1", "No more joins"), ("shop", "1.2", "No more joins"),
    ]  # fmt: skip
    assert all(item["deployed_at"].endswith("Z") for item in items)
    assert [item["build"] for item in asked(address, start=time.time() + 30)] == ["1.2"]


def test_a_real_airflow_refuses_strangers_and_unknown_dags(address: str) -> None:
    """Errors, and no empty list of deployments."""
    with pytest.raises(TelemetryError, match="TEL-782"):
        asked(address, start=0, password="wrong")
    with pytest.raises(QueryRefused, match="TEL-780"):
        asked(address, start=0, dag="absent")
