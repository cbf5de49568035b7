"""The pprof hook against a server on this machine: one good answer, and every bad one a single error in bounded time."""

from __future__ import annotations

import dataclasses
import gzip
import http.server
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from perfproof.config import Endpoint, Target
from perfproof.errors import LoadError, PerfproofError, ProfileError
from perfproof.profile_formats.collapsed import parse_collapsed
from perfproof.profiles import total_weights
from perfproof_airflow.hooks import pprof
from perfproof_airflow.hooks.pprof import PprofHook
from perfproof_airflow.hooks.profiler import ProfilerHook
from perfproof_airflow.profile_steps import profiler_of

FIXTURES = Path(__file__).parents[2] / "fixtures" / "profiles"
CPU = (FIXTURES / "go-cpu-before.pb.gz").read_bytes()
Answer = Callable[[http.server.BaseHTTPRequestHandler], None]


def answering(status: int, body: bytes, **headers: str) -> Answer:
    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def trickling(handler: http.server.BaseHTTPRequestHandler) -> None:
    """A byte now and then, for longer than anybody waits."""
    handler.send_response(200)
    handler.end_headers()
    for _ in range(100):
        handler.wfile.write(b"\x1f")
        time.sleep(0.1)


@dataclasses.dataclass
class Server:
    """What the server answers next, and which paths it was asked for."""

    port: int
    answer: Answer = dataclasses.field(default_factory=lambda: answering(200, CPU))
    asked: list[str] = dataclasses.field(default_factory=list)

    def hook(self, **changes: object) -> PprofHook:
        endpoint = Endpoint("127.0.0.1", self.port, "/build", "/metrics", pprof_path="/debug/pprof/profile")
        return PprofHook(dataclasses.replace(endpoint, **changes), allow=(Target("127.0.0.1", self.port),))  # type: ignore[arg-type]


@pytest.fixture
def server() -> Iterator[Server]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            held.asked.append(self.path)
            try:
                held.answer(self)
            except OSError:
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        listening.daemon_threads = True
        held = Server(listening.server_address[1])
        thread = threading.Thread(target=listening.serve_forever, daemon=True)
        thread.start()
        yield held
        listening.shutdown()
        thread.join()


def test_a_cpu_profile_becomes_collapsed_stacks(server: Server) -> None:
    """Asked for whole seconds; duration and rate are those that the service tells."""
    recording = server.hook().record(seconds=5.2, rate_hz=99)
    assert server.asked == ["/debug/pprof/profile?seconds=5"]
    assert total_weights(parse_collapsed(recording.collapsed, where="test"))["main.encode"] == 126
    assert recording.seconds == pytest.approx(5.12, abs=0.01)
    assert (recording.rate_hz, recording.pid, recording.profiler) == (100, None, "pprof cpu")


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (answering(302, b"", Location="http://127.0.0.1:1/"), "PRO-183"),
        (answering(404, b"no"), "PRO-183"),
        (answering(429, b""), "PRO-183"),
        (answering(500, b"Could not enable CPU profiling"), "PRO-183"),
        (answering(200, b"<html>login</html>"), "PRO-22"),
        (answering(200, b""), "PRO-222"),
        (answering(200, CPU[:-20]), "PRO-204"),
        (answering(200, CPU, **{"Content-Length": str(len(CPU) + 5)}), "PRO-182"),
        (answering(200, (FIXTURES / "go-heap.pb.gz").read_bytes()), "PRO-185"),
        (answering(200, b"\0" * (pprof.MAX_BYTES + 1)), "PRO-184"),
        (answering(200, gzip.compress(b"\0" * (70 << 20), compresslevel=1)), "PRO-101"),
        (lambda handler: None, "PRO-182"),
    ],
)
def test_an_answer_that_is_no_cpu_profile_is_one_error(server: Server, answer: Answer, code: str) -> None:
    """Redirects are not followed, sizes are bounded, and nothing half is read."""
    server.answer = answer
    with pytest.raises(ProfileError, match=code) as raised:
        server.hook().record(seconds=1, rate_hz=100)
    assert "\n" not in str(raised.value)
    assert len(server.asked) == 1


def test_an_endless_answer_ends_in_time(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every byte would begin a read timeout anew; the total counts."""
    monkeypatch.setattr(pprof, "GRACE_SECONDS", 0.2)
    server.answer = trickling
    started = time.monotonic()
    with pytest.raises(ProfileError, match=r"PRO-182.*no end of the answer"):
        server.hook().record(seconds=1, rate_hz=100)
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("changes", [{"host": "localhost"}, {"host": "127.1"}, {"host": "0x7f000001"}, {"host": "127.0.0.2"}])
def test_a_host_that_is_not_listed_is_never_asked(server: Server, changes: dict[str, object]) -> None:
    """Whatever resolves to the same machine: the spelling of the list is the only one."""
    with pytest.raises(LoadError, match=r"LOD-10[12]"):
        server.hook(**changes).record(seconds=1, rate_hz=100)
    assert server.asked == []


def test_a_name_that_leads_elsewhere_is_not_asked(server: Server) -> None:
    """The address of the connection is compared with the list before anything is sent: a listed name alone is not enough."""
    endpoint = Endpoint("target", server.port, "/build", "/metrics", pprof_path="/debug/pprof/profile")
    hook = PprofHook(endpoint, allow=(Target("target", server.port), Target("10.0.0.1", server.port)))
    with socket.create_connection(("127.0.0.1", server.port)) as connected, pytest.MonkeyPatch.context() as patch:
        patch.setattr("http.client.HTTPConnection.connect", lambda self: setattr(self, "sock", connected))
        with pytest.raises(LoadError, match="LOD-104"):
            hook.record(seconds=1, rate_hz=100)
    assert server.asked == []


@pytest.mark.parametrize("seconds", [0, -1, 601, float("nan")])
def test_a_duration_out_of_range_is_refused(server: Server, seconds: float) -> None:
    """Nothing is asked."""
    with pytest.raises(ProfileError, match="PRO-181"):
        server.hook().record(seconds=seconds, rate_hz=100)
    assert server.asked == []


def test_the_protocol_file_chooses_the_profiler() -> None:
    """A pprof path asks the service, a pid file watches the process, and neither is an error that says what to add."""
    endpoint = Endpoint("127.0.0.1", 1, "/build", "/metrics")
    allowed = SimpleNamespace(targets=(Target("127.0.0.1", 1),))
    asked = profiler_of(dataclasses.replace(endpoint, pprof_path="/p"), allowed, service="s")  # type: ignore[arg-type]
    watched = profiler_of(dataclasses.replace(endpoint, pid_file="run/s.pid"), allowed, service="s")  # type: ignore[arg-type]
    assert (type(asked), type(watched)) == (PprofHook, ProfilerHook)
    with pytest.raises(PerfproofError, match="PRO-402"):
        profiler_of(endpoint, allowed, service="s")  # type: ignore[arg-type]
