"""The fault proxy as a process between a client and a server: what each fault does, for how long, and who may ask for it."""

from __future__ import annotations

import http.client
import http.server
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from perfproof.config import Abort, Failure, Fault, Proxy, Target, Transaction
from perfproof.errors import LoadError
from perfproof.load.plan import LoadPlan, Scenario, Stage
from perfproof.load.recovery import failure_outcome
from perfproof.load.rows import read_rows
from perfproof_airflow.hooks.fault import ProxyFaultHook, harm_of
from perfproof_airflow.hooks.load import Injection, LoadHook

SIZE = 20_000


class Dependency(http.server.BaseHTTPRequestHandler):
    """Answers the consent, and 20 kB to everything else."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Consent at /build."""
        body = b'{"build": "b1", "environment": "test"}' if self.path == "/build" else b"x" * SIZE
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002  the name of http.server
        """Says nothing."""


@pytest.fixture
def ports() -> Iterator[tuple[int, int]]:
    """Where the proxy listens, and where it is controlled."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Dependency)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    target = f"127.0.0.1:{server.server_address[1]}"
    process = subprocess.Popen(
        [sys.executable, "-m", "perfproof_airflow.fault_proxy", "--listen", "0", "--control", "0", "--target", target],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    found = re.findall(r":(\d+)", process.stdout.readline())
    yield int(found[0]), int(found[2])
    process.terminate()
    assert process.wait(10) == 0
    process.stdout.close()
    server.shutdown()
    server.server_close()


def hook(control: int, **changes: Any) -> ProxyFaultHook:
    """A hook for a fault of 30 s."""
    return ProxyFaultHook(replace(Proxy("127.0.0.1", control, seconds=30), **changes))


def ask(port: int) -> float:
    """Seconds that one request on a connection of its own takes."""
    began = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/")
        assert len(connection.getresponse().read()) == SIZE
    finally:
        connection.close()
    return time.monotonic() - began


def test_without_a_fault_everything_passes(ports: tuple[int, int]) -> None:
    """And the state says so."""
    port, control = ports
    assert ask(port) < 1
    assert hook(control).state()["fault"] is None


def test_a_slow_dependency_answers_later_by_the_latency(ports: tuple[int, int]) -> None:
    """A long answer is late once, not once for each of its parts; when the fault ends the answers are quick again."""
    port, control = ports
    slow = hook(control, latency_ms=400)
    assert slow.begin(Fault.SLOW_DEPENDENCY)["fault"] == "slow_dependency"
    assert 0.4 <= ask(port) < 1.2
    slow.end()
    assert ask(port) < 0.4


def test_lost_connections_end_at_once_and_no_new_one_comes_up(ports: tuple[int, int]) -> None:
    """Open connections break in the middle; those that are made while the fault lasts do too."""
    port, control = ports
    kept = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    kept.request("GET", "/")
    assert len(kept.getresponse().read()) == SIZE
    lost = hook(control)
    assert lost.begin(Fault.LOST_CONNECTIONS)["ended"] == 1
    with pytest.raises((OSError, http.client.HTTPException)):
        kept.request("GET", "/")
        kept.getresponse()
    kept.close()
    with pytest.raises((OSError, http.client.HTTPException)):
        ask(port)
    lost.end()
    assert ask(port) < 1


def test_low_bandwidth_stretches_an_answer(ports: tuple[int, int]) -> None:
    """20 kB at 40 kB/s take half a second."""
    port, control = ports
    hook(control, bytes_per_second=40_000).begin(Fault.LOW_BANDWIDTH)
    assert 0.45 <= ask(port) < 2


def test_a_fault_ends_by_itself(ports: tuple[int, int]) -> None:
    """Whoever asked for it may be dead by then."""
    port, control = ports
    hook(control, seconds=0.5, latency_ms=5000).begin(Fault.SLOW_DEPENDENCY)
    time.sleep(0.6)
    assert ask(port) < 1
    assert hook(control).state()["fault"] is None


@pytest.mark.parametrize(
    "document",
    [
        {}, {"fault": "terminate_database_connections", "seconds": 1}, {"fault": "slow_dependency", "seconds": 1},
        {"fault": "slow_dependency", "seconds": 0, "latency_ms": 5}, {"fault": "slow_dependency", "seconds": 1, "latency_ms": True},
        {"fault": "lost_connections", "seconds": 1e9}, {"fault": "lost_connections", "seconds": 1, "latency_ms": 5}, [], "x",
    ],
)  # fmt: skip
def test_what_is_no_fault_is_refused(ports: tuple[int, int], document: object) -> None:
    """With the reason; nothing changes."""
    _, control = ports
    status, answer = raw(control, json.dumps(document).encode(), {"X-Perfproof-Fault": "1"})
    assert status == 400
    assert "LOD-333" in answer
    assert hook(control).state()["fault"] is None


@pytest.mark.parametrize(
    "headers",
    [{}, {"X-Perfproof-Fault": "1", "Origin": "http://page.test"}, {"X-Perfproof-Fault": "1", "Host": "page.test:80"}],
)
def test_a_page_in_a_browser_cannot_ask(ports: tuple[int, int], headers: dict[str, str]) -> None:
    """Without the header, with an origin, or under a name that was made to point here."""
    _, control = ports
    status, _ = raw(control, b'{"fault": "lost_connections", "seconds": 1}', headers)
    assert status == 403
    assert hook(control).state()["fault"] is None


def raw(control: int, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
    """Status and text of a POST to the control port."""
    connection = http.client.HTTPConnection("127.0.0.1", control, timeout=5)
    try:
        connection.request("POST", "/fault", body=body, headers=headers)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def test_a_proxy_that_is_not_there_is_an_error_before_the_load() -> None:
    """The scenario asks for its state first."""
    with pytest.raises(LoadError) as caught:
        hook(1).state()
    assert caught.value.code == "LOD-332"


@pytest.mark.parametrize(
    ("fault", "figures", "failed"),
    [(Fault.LOST_CONNECTIONS, {}, True), (Fault.SLOW_DEPENDENCY, {"latency_ms": 300.0}, False)],
)
def test_a_failure_scenario_through_the_proxy(
    ports: tuple[int, int], tmp_path: Path, fault: Fault, figures: dict[str, float], failed: bool
) -> None:
    """Load through the proxy: errors or latency while the fault lasts, and recovery counted from its end."""
    port, control = ports
    proxy = Proxy("127.0.0.1", control, seconds=1.0, **figures)
    failure = Failure(rate=40, seconds=4, fault=fault, fault_at_second=1, recover_within_seconds=1.5, proxy=proxy)
    plan = LoadPlan(
        schema_version=1,
        scenario=Scenario.FAILURE,
        host="127.0.0.1",
        port=port,
        build_path="/build",
        environment="test",
        stages=(Stage(failure.rate, failure.seconds),),
        warmup_seconds=0,
        transactions=(Transaction("a", "GET", "/a", 1),),
        seed=1,
        max_in_flight=100,
        timeout_seconds=5,
        abort=Abort(100, 20_000, 5),
        allow=(Target("127.0.0.1", port),),
    )
    unused: Callable[[], str] = lambda: pytest.fail("no database is named")  # noqa: E731
    harm = harm_of(failure, dsn=unused)
    harm.ready()
    run = LoadHook(tmp_path).run(plan, injections=[Injection(failure.fault_at_second, harm.begin)])
    outcome = failure_outcome(
        read_rows(run.rows, where="rows"), plan=plan, fault=fault.value, injected_at=run.injected_at[0],
        recover_within_seconds=failure.recover_within_seconds, lasts_seconds=failure.fault_seconds,
    )  # fmt: skip
    assert (outcome["errors_during"] > 10) is failed
    assert outcome["recovered"] is True
    assert outcome["recovered_after_seconds"] <= 1.5
    assert outcome["lasted_seconds"] == 1
    if not failed:
        assert outcome["latency_during"]["p50"] > 300
        assert outcome["latency_after"]["p50"] < 300
