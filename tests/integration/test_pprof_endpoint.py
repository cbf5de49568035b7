"""The pprof hook with a real Go service: Prometheus profiles itself at /debug/pprof/profile."""

from __future__ import annotations

import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from prometheus_server import ask_again_and_again, running_prometheus

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
    with running_prometheus(str(PROMETHEUS), tmp_path, configuration=of_itself) as number:
        yield number


def of_itself(port: int) -> str:
    """The file of a Prometheus that scrapes itself each second."""
    return (
        f"scrape_configs:\n- job_name: self\n  scrape_interval: 1s\n  scrape_timeout: 50ms\n"
        f"  static_configs:\n  - targets: ['127.0.0.1:{port}']\n"
    )


def test_a_running_go_service_is_profiled_over_http(port: int) -> None:
    """Two seconds of a real service: samples at 100 Hz, of functions of its own."""
    endpoint = Endpoint("127.0.0.1", port, "/build", "/metrics", pprof_path="/debug/pprof/profile")
    with ThreadPoolExecutor(max_workers=1) as threads:
        asked = threads.submit(ask_again_and_again, port, seconds=2.5)
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
