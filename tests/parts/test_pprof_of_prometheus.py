"""The pprof hook and readers on a real Go service: Prometheus serves its own profiles. Needs `prometheus` (PATH or PROMETHEUS_BIN)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from prometheus_server import ask_again_and_again, running_prometheus

from perfproof.config import Endpoint, Target
from perfproof.errors import LoadError, ProfileError
from perfproof.profile_comparison import compare_profiles
from perfproof.profile_formats.collapsed import parse_collapsed
from perfproof.profiles import Weight, hot_functions, normalise
from perfproof_airflow.hooks.pprof import PprofHook

PROMETHEUS = os.environ.get("PROMETHEUS_BIN") or shutil.which("prometheus")
pytestmark = pytest.mark.skipif(
    PROMETHEUS is None or not os.access(PROMETHEUS, os.X_OK), reason="no prometheus: name it in PROMETHEUS_BIN, or put it on PATH"
)
SECONDS = 2


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A Prometheus that scrapes nothing and answers on 127.0.0.1."""
    directory = tmp_path_factory.mktemp("prometheus")
    with running_prometheus(str(PROMETHEUS), directory, configuration=lambda _: "scrape_configs: []\n") as number:
        yield number


@pytest.fixture
def hook(port: int) -> PprofHook:
    endpoint = Endpoint("127.0.0.1", port, "/build", "/metrics", pprof_path="/debug/pprof/profile")
    return PprofHook(endpoint, allow=(Target("127.0.0.1", port),))


def test_a_cpu_profile_names_functions_of_the_service(port: int, hook: PprofHook) -> None:
    """At Go's own 100 Hz, for as long as was asked, whatever rate was wanted."""
    with ThreadPoolExecutor(max_workers=1) as threads:
        asked = threads.submit(ask_again_and_again, port, seconds=SECONDS + 0.5)
        recording = hook.record(seconds=SECONDS, rate_hz=250)
        asked.result()
    profile = normalise(parse_collapsed(recording.collapsed, where="recording"))
    assert (recording.rate_hz, recording.profiler) == (100, "pprof cpu")
    assert recording.seconds == pytest.approx(SECONDS, abs=0.5)
    assert profile.weight is Weight.SAMPLES and profile.samples > 10
    assert any("net/http" in function for stack in profile.stacks for function in stack)


@pytest.mark.parametrize(
    ("value", "weight"),
    [
        (None, Weight.BYTES),
        ("inuse_space", Weight.BYTES),
        ("alloc_space", Weight.BYTES),
        ("inuse_objects", Weight.OBJECTS),
        ("alloc_objects", Weight.OBJECTS),
    ],
)
def test_each_value_of_the_heap_can_be_chosen(hook: PprofHook, value: str | None, weight: Weight) -> None:
    """What is held now by default; what was ever allocated is at least that."""
    read, body = hook.snapshot("/debug/pprof/heap", value=value)
    assert (read.value, read.profile.weight) == (value or "inuse_space", weight)
    assert read.values == ("alloc_objects", "alloc_space", "inuse_objects", "inuse_space")
    assert body[:2] == b"\x1f\x8b"
    assert read.profile.total > 0 and hot_functions(normalise(read.profile))
    if value == "alloc_space":
        assert read.profile.total >= hook.snapshot("/debug/pprof/heap")[0].profile.total


def test_a_value_that_the_profile_has_not_is_an_error(hook: PprofHook) -> None:
    """The error names those that it has."""
    with pytest.raises(ProfileError, match="PRO-224") as caught:
        hook.snapshot("/debug/pprof/heap", value="cpu")
    assert "inuse_space" in str(caught.value)


def test_two_heaps_are_compared(port: int, hook: PprofHook) -> None:
    """What was allocated while the service was busy is new or grown, or nothing is claimed; the shares of both sides add up."""
    first, _ = hook.snapshot("/debug/pprof/heap", value="alloc_space")
    ask_again_and_again(port, seconds=1)
    second, _ = hook.snapshot("/debug/pprof/heap", value="alloc_space")
    compared = compare_profiles([normalise(first.profile)], [normalise(second.profile)])
    assert sum(c.before for c in compared.own) == pytest.approx(1)
    assert sum(c.after for c in compared.own) == pytest.approx(1)
    assert {c.change for c in compared.own} == {"unknown"}, "the sampling error of memory is not known from one profile a side"


def test_goroutines_are_counted(hook: PprofHook) -> None:
    """Any profile of profile.proto is read, also one that counts neither time nor memory."""
    read, _ = hook.snapshot("/debug/pprof/goroutine")
    assert (read.value, read.profile.weight) == ("goroutine", Weight.OBJECTS)
    assert read.profile.total > 5


def test_a_heap_is_no_cpu_profile(port: int) -> None:
    """A pprof_path that names it is refused when it is recorded."""
    endpoint = Endpoint("127.0.0.1", port, "/build", "/metrics", pprof_path="/debug/pprof/heap")
    with pytest.raises(ProfileError, match="PRO-185"):
        PprofHook(endpoint, allow=(Target("127.0.0.1", port),)).record(seconds=1, rate_hz=100)


@pytest.mark.parametrize("path", ["/", "/debug/pprof/nothing", "/metrics"])
def test_what_is_no_profile_is_an_error(hook: PprofHook, path: str) -> None:
    """A page, nothing at all, text."""
    with pytest.raises(ProfileError):
        hook.snapshot(path)


def test_an_unlisted_service_is_not_asked(port: int) -> None:
    """The allow-list holds for profiles too."""
    endpoint = Endpoint("127.0.0.1", port, "/build", "/metrics", pprof_path="/debug/pprof/profile")
    with pytest.raises(LoadError):
        PprofHook(endpoint, allow=(Target("127.0.0.1", port + 1),)).snapshot("/debug/pprof/heap")
