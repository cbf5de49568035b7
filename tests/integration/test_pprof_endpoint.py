"""The pprof hook with a real Go service: Prometheus profiles itself at /debug/pprof/profile."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from perfproof.config import Endpoint, Target
from perfproof.profile_formats.collapsed import parse_collapsed
from perfproof.profile_formats.content import Format, read_profile
from perfproof.profiles import Weight, hot_functions, normalise
from perfproof_airflow.hooks.pprof import PprofHook

PROMETHEUS = shutil.which("prometheus")
pytestmark = pytest.mark.skipif(PROMETHEUS is None, reason="no prometheus on PATH")


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """A Prometheus of its own that scrapes itself often, so that there is something to see."""
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        number = reserved.getsockname()[1]
    config = tmp_path / "prometheus.yml"
    config.write_text(
        f"scrape_configs:\n- job_name: self\n  scrape_interval: 1s\n  scrape_timeout: 50ms\n"
        f"  static_configs:\n  - targets: ['127.0.0.1:{number}']\n"
    )
    command = [
        str(PROMETHEUS), f"--config.file={config}", f"--storage.tsdb.path={tmp_path / 'data'}", f"--web.listen-address=127.0.0.1:{number}",
    ]  # fmt: skip
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        try:
            _await_ready(number)
            yield number
        finally:
            process.kill()


def _await_ready(port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=1):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise AssertionError("prometheus did not start")


def _ask_for(seconds: float, port: int) -> None:
    """Something to do for the service: its metrics again and again."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            answer.read()


def test_a_running_go_service_is_profiled_over_http(port: int) -> None:
    """Two seconds of a real service: samples at 100 Hz, of functions of its own."""
    endpoint = Endpoint("127.0.0.1", port, "/build", "/metrics", pprof_path="/debug/pprof/profile")
    with ThreadPoolExecutor(max_workers=1) as threads:
        asked = threads.submit(_ask_for, 2.5, port)
        recording = PprofHook(endpoint, allow=(Target("127.0.0.1", port),)).record(seconds=2, rate_hz=100)
        asked.result()
    profile = normalise(parse_collapsed(recording.collapsed, where="recording"))
    assert recording.rate_hz == 100
    assert recording.seconds == pytest.approx(2, abs=0.5)
    assert profile.samples > 0
    assert any("net/http" in function for stack in profile.stacks for function in stack)


def test_the_heap_of_a_running_go_service_is_read(port: int) -> None:
    """Its four values, and bytes in use by default."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/debug/pprof/heap", timeout=10) as answer:
        imported = read_profile(answer.read(), where="heap")
    assert imported.form is Format.PPROF
    assert (imported.value, imported.profile.weight) == ("inuse_space", Weight.BYTES)
    assert hot_functions(imported.profile)
