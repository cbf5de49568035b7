"""The Alertmanager hook against a real Alertmanager: what fires, what is silenced, what was resolved, and a matcher."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from perfproof_airflow.hooks.alertmanager import AlertmanagerHook
from perfproof_airflow.hooks.connection_values import ConnectionValues
from perfproof_airflow.hooks.http_answers import Limits
from perfproof_airflow.hooks.refused import QueryRefused

PROGRAM = os.environ.get("ALERTMANAGER_BIN") or shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
pytestmark = pytest.mark.skipif(
    PROGRAM is None, reason="no Alertmanager: install prometheus-alertmanager, or name its program in ALERTMANAGER_BIN"
)
START_SECONDS = 20.0
CONFIGURATION = "route: {receiver: nobody, group_wait: 1s}\nreceivers: [{name: nobody}]\n"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An Alertmanager on loopback, alone in its cluster."""
    home = tmp_path_factory.mktemp("alertmanager")
    (home / "alertmanager.yml").write_text(CONFIGURATION)
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
    command = [
        str(PROGRAM), f"--config.file={home / 'alertmanager.yml'}", f"--storage.path={home / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address=",
    ]  # fmt: skip
    with (home / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log, cwd=home) as process:
        try:
            _wait(f"http://127.0.0.1:{port}/-/ready", process, home / "log")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(url, timeout=1, trust_env=False).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    told = log.read_text()[-1000:]
    if "default.tmpl: no such file" in told:
        pytest.skip(
            "Debian's Alertmanager needs its templates below /usr/share/prometheus/alertmanager: install the package, or link them there"
        )
    pytest.fail(f"Alertmanager did not start: {told}")


def post(url: str, document: Any) -> None:
    httpx.post(url, json=document, timeout=5, trust_env=False).raise_for_status()


def asked(address: str, query: str | None = None) -> list[dict[str, Any]]:
    hook = AlertmanagerHook(connection=ConnectionValues(address), limits=Limits(total_seconds=5))
    now = datetime.now(UTC)
    found, raw = hook.items(query=query, start=now.timestamp() - 3600, end=now.timestamp(), fetched_at=now)
    assert raw
    return found["alerts"]


def test_a_real_alertmanager_tells_what_fires(address: str) -> None:
    """One fires, one is silenced, one is over: its API forgets that; labels and the link of the rule become fields."""
    now = datetime.now(UTC)
    begun = (now - timedelta(minutes=10)).isoformat()
    labels = {name: {"alertname": name, "service": "shop", "severity": "page"} for name in ("OrdersSlow", "Known", "Over")}
    link = "http://prometheus.test:9090/graph?g0.expr=shop%3Ap95+%3E+0.25&g0.tab=1"
    quiet = {
        "matchers": [{"name": "alertname", "value": "Known", "isRegex": False, "isEqual": True}], "startsAt": now.isoformat(),
        "endsAt": (now + timedelta(hours=1)).isoformat(), "createdBy": "test", "comment": "known",
    }  # fmt: skip
    post(f"{address}/api/v2/silences", quiet)
    over = {"labels": labels["Over"], "startsAt": begun, "endsAt": (now - timedelta(minutes=5)).isoformat()}
    post(
        f"{address}/api/v2/alerts",
        [*({"labels": labels[n], "startsAt": begun, "generatorURL": link} for n in ("OrdersSlow", "Known")), over],
    )
    deadline = time.monotonic() + 10
    # Alertmanager sorts new alerts in after it has answered.
    while len(items := asked(address)) < 2 or not any(item["silenced"] for item in items):
        assert time.monotonic() < deadline, items
        time.sleep(0.05)
    assert {item["name"]: (item["state"], item["silenced"]) for item in items} == {
        "OrdersSlow": ("firing", False), "Known": ("firing", True),
    }  # fmt: skip
    for item in items:
        assert (item["expression"], item["severity"], item["service"], item["ended_at"]) == ("shop:p95 > 0.25", "page", "shop", None)
        assert item["started_at"].endswith("Z")
    assert [item["name"] for item in asked(address, 'alertname=~"Orders.*"')] == ["OrdersSlow"]
    assert asked(address, 'service="mail"') == []


def test_a_real_alertmanager_refuses_what_is_no_matcher(address: str) -> None:
    """Its refusal is an error of the query, and not "no alerts"."""
    with pytest.raises(QueryRefused, match="TEL-780"):
        asked(address, "{{{")
