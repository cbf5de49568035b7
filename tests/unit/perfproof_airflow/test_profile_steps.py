"""Profiling a service of the protocol that answers pprof: asked while the load runs, and judged like any other profile."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from perfproof.config import Target
from perfproof.load.rows import make_rows, write_rows
from perfproof_airflow import profile_steps
from perfproof_airflow.sensors.questions import _profiling_clearance

CPU = (Path(__file__).parents[2] / "fixtures" / "profiles" / "go-cpu-before.pb.gz").read_bytes()
REQUESTS = 40


@pytest.fixture
def service() -> Iterator[int]:
    """The port of a service whose CPU profile is the recorded one of a Go service."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(CPU)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, daemon=True)
        thread.start()
        yield listening.server_address[1]
        listening.shutdown()
        thread.join()


@pytest.fixture
def go_run(unopened: Any, service: int) -> Any:
    """A run whose protocol names the service, with a pprof path in place of the pid file and without a database."""
    path = unopened.workspace / "include" / "protocols" / "demo.yaml"
    text = path.read_text().replace("18101", str(service))
    text = text.replace("pid_file: .demo/run/shop-baseline.pid", "pprof_path: /debug/pprof/profile")
    path.write_text(text.replace("        database_connection: perfproof_shop_baseline\n", "", 1))
    unopened.open()
    return unopened


def sent(cycle: Any, plan: Any, *, allowed: Any, endpoint: Any, injections: Any) -> Any:
    """A load test that calls its injections and sends each transaction some times."""
    for injection in injections:
        injection.action()
    names = [transaction.name for transaction in plan.transactions for _ in range(REQUESTS)]
    start = [0.01 * i for i in range(len(names))]
    rows = make_rows(intended_start=start, start=start, end=[s + 0.005 for s in start], status=[200] * len(names), transaction=names)
    return SimpleNamespace(rows=write_rows(rows), summary=SimpleNamespace(build="v1", reason=None))


def test_a_service_with_a_pprof_path_is_profiled_over_http(go_run: Any, service: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stacks, flame graph and document are published; the document has the shares of the Go service."""
    monkeypatch.setattr(profile_steps, "verify_clearance", lambda *_: None)
    monkeypatch.setattr(profile_steps, "authorization", lambda _: SimpleNamespace(targets=(Target("127.0.0.1", service),)))
    monkeypatch.setattr(profile_steps, "send", sent)
    cycle = go_run.cycle("diagnostics.profile_transactions")
    document = cycle.document(profile_steps.profile_service(cycle, "shop"))
    assert (document["profiler"], document["status"], document["samples"]) == ("pprof cpu", "ok", 183)
    assert document["rate_hz"] == 100
    hot = {f["function"]: f["self_percent"] for f in document["hot_functions"]}
    assert hot["crypto/sha256.block"] == pytest.approx(49.18, abs=0.01)
    assert {"evidence/profile-shop-stacks.txt", "evidence/profile-shop-flame-graph.svg"} <= set(go_run.live())


def test_who_clears_profiling_reads_how_it_is_done(go_run: Any) -> None:
    """Security is asked about pprof where pprof is used, and for both deployments."""
    _, shown = _profiling_clearance(go_run.cycle())
    assert "; pprof, asked of the running service itself;" in shown["profilers"]
    assert shown["profilers"].startswith("py-spy on the running process;"), "the candidate has a pid file"
    assert shown["deployments"] == ["baseline", "candidate"]
