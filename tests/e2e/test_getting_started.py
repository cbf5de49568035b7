"""docs/getting-started.md, followed word by word: every command of it in its order, on a service that is not the demo's.

What stands outside of the guide is what its first section asks for: the service with two deployments, the stock that it depends on behind a
fault proxy, a metrics server that scrapes both. Substituted are the variables that the guide itself defines, and `make`, which only says
what it would do: the packages of this test are installed already.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import own_service
import psutil
import pytest
from airflow_rig import REPOSITORY, eventually

from perfproof_demo.airflow_home import HOST, free_port

GUIDE = REPOSITORY / "docs" / "getting-started.md"
OWN_SERVICE = Path(__file__).with_name("own_service.py")
SECONDS = 1500
# The embedded server keeps the demo's series only; here it is told to keep those of the guide.
METRICS_SERVER = """\
from perfproof_demo import metrics_server
metrics_server.FAMILIES = ("request_seconds", "process_cpu_seconds_total", "process_resident_memory_bytes")
metrics_server.main()
"""
DEPLOY = """\
#!/bin/bash
set -e
kill "$(cat run/mine-candidate.pid)"
while curl -fs "http://$CANDIDATE/build" > run/old; do sleep 0.1; done
nohup {command} > run/candidate-2.log 2>&1 &
until curl -fs "http://$CANDIDATE/build" > run/new; do sleep 0.1; done
"""


def blocks(text: str, *, info: str) -> list[str]:
    """The fenced blocks of a document whose first line says `info`."""
    return re.findall(rf"^```{re.escape(info)}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@dataclass
class Given:
    """What the guide presupposes, running below `root`; `variables` are those of its second section."""

    root: Path
    ports: Mapping[str, int]
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def workspace(self) -> Path:
        """Of the guide."""
        return self.root / "workspace"

    @property
    def variables(self) -> dict[str, str]:
        """In place of the guide's defaults."""
        return {
            "PERFPROOF": str(REPOSITORY),
            "WORKSPACE": str(self.workspace),
            "BASELINE": f"{HOST}:{self.ports['baseline']}",
            "CANDIDATE": f"{HOST}:{self.ports['candidate']}",
            "METRICS_HOST": HOST,
            "METRICS_PORT": str(self.ports["metrics"]),
            "SCRAPE_SECONDS": "1",
            "FAULT_PROXY": str(self.ports["control"]),
            "AIRFLOW_PORT": str(self.ports["airflow"]),
            "DEPLOY": "./deploy.sh",
        }

    def environment(self) -> dict[str, str]:
        """Of every process here: nothing of an Airflow that the tests were started from."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW_", "PYTHONDONTWRITEBYTECODE"))}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return {**kept, **self.variables, "PATH": path, "MAKEFLAGS": "n", "GX_ANALYTICS_ENABLED": "false", "NO_COLOR": "1"}

    def shop(self, side: str, build: str, *more: str) -> list[str]:
        """The command of a deployment. It reaches its stock through the fault proxy."""
        return [
            sys.executable, str(OWN_SERVICE), "shop", "--offered", "offered.py", "--port", str(self.ports[side]), "--stock",
            str(self.ports["proxy"]), "--build", build, "--pid-file", f"run/mine-{side}.pid", *more,
        ]  # fmt: skip

    def start(self, arguments: Sequence[str], name: str) -> None:
        """Starts a process of its own group in the workspace, with its output in a file."""
        with (self.root / f"{name}.log").open("wb") as output:
            self.processes.append(
                subprocess.Popen(
                    arguments, cwd=self.workspace, env=self.environment(), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
                )
            )

    def start_all(self) -> None:
        """Stock, proxy, both deployments with the same build, metrics server."""
        ports = {name: str(port) for name, port in self.ports.items()}
        self.start([sys.executable, str(OWN_SERVICE), "stock", "--port", ports["stock"]], "stock")
        proxy = ["--listen", ports["proxy"], "--control", ports["control"], "--target", f"{HOST}:{ports['stock']}"]
        self.start([sys.executable, "-m", "perfproof_airflow.fault_proxy", *proxy], "proxy")
        for side in ("baseline", "candidate"):
            self.start(self.shop(side, "1"), side)
        targets = [f"--target={HOST}:{ports[side]}" for side in ("baseline", "candidate")]
        self.start([sys.executable, "-c", METRICS_SERVER, "--port", ports["metrics"], "--demo-process", "own", *targets], "metrics")
        asked = [(ports["baseline"], "/orders/1"), (ports["candidate"], "/orders/1"), (ports["metrics"], "/-/ready")]
        for port, path in asked:
            eventually(lambda url=f"http://{HOST}:{port}{path}": _answers(url), seconds=60, what=f"{path} on {port}")

    def end(self) -> None:
        """Ends what was started here, and whatever the guide started: everything that works below `root`, and nothing else."""
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if process.pid != os.getpid() and Path(process.cwd()).is_relative_to(self.root):
                    process.kill()
        for process in self.processes:
            process.wait(10)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5, trust_env=False).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


@pytest.fixture
def given(tmp_path: Path) -> Iterator[Given]:
    """What the guide's first section asks for."""
    names = ("baseline", "candidate", "metrics", "proxy", "control", "stock", "airflow")
    ports = {name: free_port() for name in names}
    assert len(set(ports.values())) == len(names)
    found = Given(tmp_path, ports)
    (found.workspace / "run").mkdir(parents=True)
    (offered,) = blocks(GUIDE.read_text(encoding="utf-8"), info="python file=offered.py")
    (found.workspace / "offered.py").write_text(offered, encoding="utf-8")
    deploy = found.workspace / "deploy.sh"
    deploy.write_text(DEPLOY.format(command=" ".join(found.shop("candidate", "2", "--indexed"))), encoding="utf-8")
    deploy.chmod(0o755)
    try:
        found.start_all()
        yield found
    finally:
        found.end()


def follow(given: Given, script: str) -> tuple[int, str]:
    """Exit code and output of the guide's commands, in one shell that stops at the first that fails."""
    log = given.root / "guide.log"
    bash = shutil.which("bash")
    assert bash is not None
    with log.open("wb") as output:
        shell = subprocess.Popen(
            [bash, "-c", script], cwd=given.root, env=given.environment(), stdin=subprocess.DEVNULL, stdout=output,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
        deadline = time.monotonic() + SECONDS
        while shell.poll() is None and time.monotonic() < deadline:
            if _run_failed(given):
                shell.kill()
            time.sleep(1)
        if shell.poll() is None:
            shell.kill()
        shell.wait()
    return shell.returncode, log.read_text(encoding="utf-8", errors="replace")


def _run_failed(given: Given) -> bool:
    """Whether the cycle has halted, or asks what to do at a gate: then the guide would wait for ever for the next request."""
    for log in (given.workspace / ".artifacts" / "performance").glob("*/log"):
        for path in sorted(log.glob("*.json"))[-3:]:
            entry = json.loads(path.read_bytes())
            if entry["type"] == "error" or (entry["type"] == "approval.requested" and "gate_" in json.dumps(entry["body"].get("step"))):
                return True
    return False


@pytest.mark.e2e
@pytest.mark.long
@pytest.mark.timeout(SECONDS + 200)
def test_the_guide_leads_from_nothing_to_a_verified_cycle(given: Given) -> None:
    """All gates pass, the evidence is verified, the last hour is captured; every command of the guide succeeds."""
    commands = blocks(GUIDE.read_text(encoding="utf-8"), info="bash")
    assert len(commands) >= 10
    script = "set -eo pipefail\n" + "".join(f"echo '## block {number}'\n{block}" for number, block in enumerate(commands))
    code, shown = follow(given, script)
    assert code == 0, shown[-6000:]
    assert "the run passed" in shown
    assert "verified" in shown.lower()
    evidence = given.workspace / ".artifacts" / "performance"
    report = json.loads((evidence / "latest" / "optimization-validation-report.json").read_text(encoding="utf-8"))
    assert report["status"] == "pass"
    assert report["target_metric"] == "orders_latency_p95"
    assert (evidence / "latest" / "PERFORMANCE-REPORT.html").is_file()


def test_bash_can_read_every_command_of_the_guide() -> None:
    """No block has a mistake of syntax, and none hides what it would print."""
    bash = shutil.which("bash")
    assert bash is not None
    for block in blocks(GUIDE.read_text(encoding="utf-8"), info="bash"):
        done = subprocess.run([bash, "-n", "-c", block], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, ""), block


def test_both_deployments_of_the_service_answer_the_same() -> None:
    """The candidate does less work, and leaves nothing out."""
    lines = own_service.all_orders()
    index = own_service.indexed(lines)
    for customer in (1, 17, 899):
        found = own_service.orders_by_scanning(lines, customer)
        assert len(found) > 20
        assert own_service.orders_by_index(index, customer) == found
