"""Sources of every kind become source documents; the system's state is looked at as a whole."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from perfproof.baseline import cells_of
from perfproof.baseline.cells import Window
from perfproof.config import Protocol, load_protocol
from perfproof.errors import TelemetryError
from perfproof_airflow.hooks.baseline import measure_service, metric_hooks
from perfproof_airflow.hooks.sources import read_source
from perfproof_airflow.hooks.system_state import examine_system_state
from perfproof_airflow.hooks.workspace import found_artifacts

DEMO = Path(__file__).parents[3] / "include" / "protocols" / "demo.yaml"
NOW = datetime(2025, 2, 16, 10, 0, tzinfo=UTC)
INCIDENTS = """---
report: incident
generated_at: 2025-02-16T09:00:00Z
service: shop
---
## Incidents
| ID | Title | Started at | Ended at | Severity | Services | Impact |
|---|---|---|---|---|---|---|
| INC-1 | Orders slow | 2025-02-14T18:00:00Z | ongoing | SEV2 | shop | 300 waited |
"""


@pytest.fixture(scope="module")
def protocol() -> Protocol:
    return load_protocol(DEMO.read_bytes(), where="demo.yaml")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """A Prometheus on loopback: `instant` are the values of an instant query, `refused` a part of range queries that fail."""
    answers: dict[str, Any] = {"instant": ["1"], "refused": None, "range": "50"}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parsed = urlsplit(self.path)
            asked = {key: values[0] for key, values in parse_qs(parsed.query).items()}
            status = 200
            if parsed.path == "/api/v1/query":
                result = [{"metric": {}, "value": [NOW.timestamp(), value]} for value in answers["instant"]]
                document: dict[str, Any] = {"status": "success", "data": {"resultType": "vector", "result": result}}
            elif answers["refused"] and answers["refused"] in asked["query"]:
                status, document = 400, {"status": "error", "error": "bad query"}
            else:
                start, end, step = (float(asked[key]) for key in ("start", "end", "step"))
                values = [[start + n * step, answers["range"]] for n in range(round((end - start) / step) + 1)]
                document = {"status": "success", "data": {"resultType": "matrix", "result": [{"metric": {}, "values": values}]}}
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            return

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("AIRFLOW_CONN_PERFPROOF_PROMETHEUS", f"http://127.0.0.1:{httpd.server_port}")
    yield answers
    httpd.shutdown()
    thread.join()
    httpd.server_close()


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty workspace."""
    monkeypatch.setenv("AIRFLOW__PERFPROOF__WORKSPACE", str(tmp_path))
    monkeypatch.setenv("AIRFLOW_CONN_PERFPROOF_APPROVALS", f"generic://key-1:{'ab' * 32}@")
    # Nothing listens there, so the checks of the database say that they could not read it.
    monkeypatch.setenv("AIRFLOW_CONN_PERFPROOF_SHOP_BASELINE", "postgres://reader@127.0.0.1:1/shop")
    return tmp_path


def put(root: Path, path: str, content: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(content)


def source(protocol: Protocol, name: str) -> dict[str, Any]:
    return read_source(protocol, next(s for s in protocol.sources if s.name == name), now=NOW)


def test_metrics_answer_to_their_probe(protocol: Protocol, root: Path, server: dict[str, Any]) -> None:
    """A Prometheus that scrapes something is a source that answers."""
    document = source(protocol, "prometheus")
    assert (document["status"], document["items"]) == ("ok", [{"type": "metrics", "probe": "up", "samples": 1}])


def test_a_prometheus_without_samples_is_a_missing_critical_source(protocol: Protocol, root: Path, server: dict[str, Any]) -> None:
    """Up, but scraping nothing: no telemetry."""
    server["instant"] = []
    document = source(protocol, "prometheus")
    assert document["status"] == "missing"
    assert "probe returns no sample" in document["reason"]


def test_a_log_is_summarised(protocol: Protocol, root: Path) -> None:
    """Counts of its last lines, with the digest of what was read."""
    put(root, ".demo/logs/shop-baseline-access.jsonl", '{"time": "2025-02-16T09:59:00Z", "status": 200}\n')
    document = source(protocol, "access_log")
    assert (document["status"], document["items"][0]["lines"], document["items"][0]["type"]) == ("ok", 1, "logs")
    assert len(document["sha256"]) == 64


def test_a_missing_optional_log_is_unknown(protocol: Protocol, root: Path) -> None:
    """The document says why; nothing is raised."""
    document = source(protocol, "traces")
    assert (document["status"], document["items"]) == ("unknown", [])
    assert "ART-395" in document["reason"]


def test_an_artifact_serves_as_a_source(protocol: Protocol, root: Path) -> None:
    """Incidents come from the validated report."""
    put(root, ".demo/inputs/INCIDENT-REPORT.md", INCIDENTS)
    document = source(protocol, "incidents")
    assert (document["status"], document["items"][0]["id"], document["items"][0]["type"]) == ("ok", "INC-1", "incidents")


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "no file at"), ("no report", "no head"), (INCIDENTS.replace("2025-02-16T09", "2024-02-16T09"), "days old")],
)
def test_an_artifact_that_is_not_ok_is_no_source(protocol: Protocol, root: Path, content: str | None, words: str) -> None:
    """Absent, invalid and stale reports are missing sources, with the reason."""
    if content is not None:
        put(root, ".demo/inputs/INCIDENT-REPORT.md", content)
    document = source(protocol, "incidents")
    assert document["status"] == "missing"
    assert words in document["reason"]


def test_every_declared_artifact_is_looked_for(protocol: Protocol, root: Path) -> None:
    """What is there and what is not, by name; `latest` is followed."""
    put(root, ".artifacts/performance/run-1/baseline-metrics.json", "{}")
    (root / ".artifacts/performance/latest").symlink_to("run-1")
    found = found_artifacts(protocol)
    assert set(found) == {artifact.name for artifact in protocol.prerequisites}
    assert found["baseline-metrics.json"].data == b"{}"
    assert (found["MONITORING-PACKAGE.zip"].data, found["MONITORING-PACKAGE.zip"].error) == (None, None)


def window() -> Window:
    return Window(NOW.timestamp() - 60, NOW.timestamp(), 2)


def test_a_service_is_measured_with_its_adherence(protocol: Protocol, root: Path, server: dict[str, Any]) -> None:
    """Every metric has its cell, every objective its adherence, every cell its answer."""
    document = measure_service(protocol, protocol.services[0], window=window(), hooks=metric_hooks(protocol), build="1.4.2", fetched_at=NOW)
    assert {cell.score for cell in cells_of(document)} == {1.0}
    assert (document["build"], document["adherence"]) == ("1.4.2", {"shop/Orders latency p95": 100.0})
    assert 'instance="127.0.0.1:18101"' in document["cells"][0]["query"]
    assert "[10s]" in document["cells"][0]["query"]


def test_a_query_that_is_refused_costs_one_cell(protocol: Protocol, root: Path, server: dict[str, Any]) -> None:
    """FETCH_ERROR for that metric, values for the others."""
    server["refused"] = "process_resident_memory_bytes"
    document = measure_service(protocol, protocol.services[0], window=window(), hooks=metric_hooks(protocol), build=None, fetched_at=NOW)
    reasons = {cell["metric_name"]: cell["reasons"] for cell in document["cells"] if cell["reasons"]}
    assert reasons == {"memory_utilization": ["TOO_FEW", "FETCH_ERROR"]}


def test_a_source_that_gives_nothing_halts_the_baseline(protocol: Protocol, root: Path, server: dict[str, Any]) -> None:
    """All samples NaN: a required source gave no valid sample."""
    server["range"] = "NaN"
    with pytest.raises(TelemetryError, match="TEL-251"):
        measure_service(protocol, protocol.services[0], window=window(), hooks=metric_hooks(protocol), build=None, fetched_at=NOW)


def test_the_systems_state_shows_every_problem_at_once(protocol: Protocol, root: Path, server: dict[str, Any]) -> None:
    """Access, permissions, key and mirrored facts are all looked at, whatever fails first."""
    server["instant"] = ["4", "8"]
    put(root, ".cursor", "a file in the way")
    state = examine_system_state(protocol, services=["shop"], now=NOW)
    assert [(item["name"], item["status"]) for item in state["telemetry_access"]] == [
        ("prometheus", "ok"),
        ("access_log", "unknown"),
        ("traces", "unknown"),
    ]
    assert [(item["path"], item["writable"]) for item in state["write_permissions"]] == [
        (".artifacts/performance", True),
        (".cursor/context-kit", False),
        (".demo/instrumentation", True),
    ]
    assert [item["status"] for item in state["mirrors_production"]] == ["unknown", "unknown", "mismatch"]
    # Of the two instances, the one that does not mirror production speaks.
    assert state["mirrors_production"][2]["found"] == 8.0
    assert state["others"] == [{"name": "approval key", "status": "ok", "reason": None}]


def test_secrets_of_the_database_do_not_show(
    protocol: Protocol, root: Path, server: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that does not answer is named by its Connection, not by its password."""
    monkeypatch.setenv("AIRFLOW_CONN_PERFPROOF_SHOP_BASELINE", "postgres://reader:hunter2@127.0.0.1:1/shop")
    state = examine_system_state(protocol, services=["shop"], now=NOW)
    reasons = [item["reason"] for item in state["mirrors_production"]]
    assert "perfproof_shop_baseline" in reasons[0]
    assert all("hunter2" not in str(reason) for reason in reasons)
