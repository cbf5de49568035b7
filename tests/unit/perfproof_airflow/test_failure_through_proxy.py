"""A failure scenario of a cycle, from the protocol file to its document, with a real proxy and the real engine."""

from __future__ import annotations

import http.server
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from perfproof.config import Proxy
from perfproof.errors import LoadError
from perfproof_airflow.hooks.fault import ProxyFaultHook
from perfproof_airflow.load_steps import run_scenario

FAILURE = "evidence/load-failure.json"


@dataclass
class Ports:
    """Where the proxy listens, and its control port."""

    listen: int
    control: int


class Shop(http.server.BaseHTTPRequestHandler):
    """Consents, and answers everything."""

    protocol_version = "HTTP/1.1"
    environment = ""

    def do_GET(self) -> None:
        """The same to all."""
        body = b'{"build": "b1", "environment": "%s"}' % self.environment.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002  the name of http.server
        """Says nothing."""


@pytest.fixture
def ports() -> Iterator[Ports]:
    """A proxy in front of a shop."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "perfproof_airflow.fault_proxy", "--listen", "0", "--control", "0"),
            *("--target", f"127.0.0.1:{server.server_address[1]}"),
        ],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    found = re.findall(r":(\d+)", process.stdout.readline())
    yield Ports(int(found[0]), int(found[2]))
    process.terminate()
    process.wait(10)
    process.stdout.close()
    server.shutdown()
    server.server_close()


@pytest.fixture
def fault(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The fault of the profile."""
    return getattr(request, "param", {"fault": "slow_dependency", "latency_ms": 300})


@pytest.fixture
def workspace(workspace: Path, ports: Ports, fault: dict[str, Any]) -> Path:
    """The demo's protocol file with a baseline behind the proxy, and a failure scenario that the proxy does."""
    path = workspace / "include" / "protocols" / "demo.yaml"
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    Shop.environment = document["environment"]["name"]
    document["load"]["allow"].append({"host": "127.0.0.1", "port": ports.listen})
    document["services"][0]["endpoints"]["baseline"] |= {"port": ports.listen, "build_path": "/build"}
    figures = {key: value for key, value in fault.items() if key != "fault"}
    profile = document["load"]["profiles"]["demo"]
    profile["peak"]["warmup_seconds"] = 0.5
    profile["failure"] = {
        "rate": 40, "seconds": 3.5, "fault": fault["fault"], "fault_at_second": 0.5, "recover_within_seconds": 1.5,
        "proxy": {"host": "127.0.0.1", "port": ports.control, "seconds": 1, **figures},
    }  # fmt: skip
    path.write_text(yaml.safe_dump(document))
    return workspace


def fail(run: Any) -> Any:
    """The scenario as its task runs it."""
    cycle = run.cycle("diagnostics.run_load_tests", map_index=2)
    return run_scenario(cycle, "failure", side="baseline", name=FAILURE)


@pytest.mark.parametrize("fault", [{"fault": "slow_dependency", "latency_ms": 300}, {"fault": "lost_connections"}], indirect=True)
def test_the_fault_of_the_protocol_file_is_done_and_its_outcome_published(authorized: Any, ports: Ports, fault: dict[str, Any]) -> None:
    """While it lasts there is latency or there are errors; afterwards there are neither, and the proxy does nothing any more."""
    document = authorized.cycle().document(fail(authorized))
    outcome = document["fault"]
    assert document["valid"] is True
    assert (outcome["fault"], outcome["lasted_seconds"], outcome["recovered"]) == (fault["fault"], 1, True)
    assert outcome["at_second"] == pytest.approx(0.5, abs=0.3)
    if fault["fault"] == "slow_dependency":
        assert outcome["latency_during"]["p50"] > 300 > outcome["latency_after"]["p50"]
        assert outcome["errors_during"] == 0
    else:
        assert outcome["errors_during"] > 10
    assert ProxyFaultHook(Proxy("127.0.0.1", ports.control, seconds=1)).state()["fault"] is None
    planned = authorized.entries("loadtest.started")[0]["plan"]
    assert planned["scenario"] == "failure"


def test_without_its_proxy_nothing_is_sent(authorized: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault that could not be done would leave a test without one, which would look like a service that survives it."""

    def absent(self: ProxyFaultHook) -> Any:
        raise LoadError(332, where="fault proxy", what="the fault proxy does not answer", fix="start it")

    monkeypatch.setattr(ProxyFaultHook, "state", absent)
    with pytest.raises(LoadError) as caught:
        fail(authorized)
    assert caught.value.code == "LOD-332"
    assert authorized.entries("loadtest.started") == []
