"""User journeys with a real Locust: what they may reach, what ends them, and what their rows say.

`PERFPROOF_LOCUST_PYTHON` names a Python that has locust, if the one of the tests has none.
"""

from __future__ import annotations

import hashlib
import http.server
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from perfproof.config import Abort, JourneyEngine, Target, load_protocol
from perfproof.errors import LoadError
from perfproof.load.journey_results import summarise_journeys
from perfproof.load.journeys import JourneyPlan, journey_plan_for
from perfproof.load.plan import Scenario
from perfproof.load.rows import NoAnswer, Rows, read_rows
from perfproof.load.summary import Outcome
from perfproof.telemetry import document_bytes
from perfproof_airflow.hooks.load import LoadHook, LoadRun
from perfproof_airflow.load_engine import stop_lever
from perfproof_airflow.load_engine_locust import LOCUST_PYTHON
from perfproof_airflow.load_engine_locust.children import environment

PYTHON = os.environ.get(LOCUST_PYTHON) or (sys.executable if importlib.util.find_spec("locust") else "")
pytestmark = pytest.mark.skipif(not PYTHON, reason=f"no Locust: install perfproof[locust], or name a Python that has it in {LOCUST_PYTHON}")

ROOT = Path(__file__).resolve().parents[2]
PROMISED_SECONDS = 10.0
SHOP = """
from locust import FastHttpUser, HttpUser, constant, task

class Browser(HttpUser):
    wait_time = constant(0.01)
    @task
    def goods(self):
        self.client.get("/goods/7", name="/goods/[id]")

class Fast(FastHttpUser):
    wait_time = constant(0.01)
    @task
    def quote(self):
        self.client.get("/quote")
"""
ONE = """
from locust import HttpUser, constant, task
{head}
class Browser(HttpUser):
    wait_time = constant(0.05)
    @task
    def step(self):
        {step}
"""


class Server(http.server.BaseHTTPRequestHandler):
    """Consents at /build, and does what `mode` says for everything else."""

    protocol_version = "HTTP/1.1"
    arrivals: list[float]
    contacts: list[str]
    environment = "test"
    mode = "ok"
    location = ""

    def do_GET(self) -> None:
        """The consent, or load."""
        self.contacts.append(self.path)
        body = json.dumps({"build": "b1", "environment": self.environment}).encode()
        load = self.path != "/build"
        if load:
            self.arrivals.append(time.monotonic())
        if load and self.mode == "hang":
            time.sleep(30)
        self.send_response({"error": 500, "redirect": 302}.get(self.mode, 200) if load else 200)
        if load and self.mode == "redirect":
            self.send_header("Location", self.location)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002  the name of http.server
        """Says nothing."""


class QuietServer(http.server.ThreadingHTTPServer):
    """Whoever is killed leaves half a request behind, which is no error here."""

    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing."""


def serve(address: str = "127.0.0.1", port: int = 0) -> tuple[type[Server], QuietServer]:
    """A server of its own, listening."""
    handler = type("OneServer", (Server,), {"arrivals": [], "contacts": []})
    server = QuietServer((address, port), handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    return handler, server


@pytest.fixture
def target() -> Iterator[tuple[type[Server], int]]:
    """The server on the allow-list, and its port."""
    handler, server = serve()
    yield handler, server.server_address[1]
    server.shutdown()
    server.server_close()


@pytest.fixture
def trap() -> Iterator[tuple[type[Server], int]]:
    """A server that no request may reach."""
    handler, server = serve()
    yield handler, server.server_address[1]
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def locust_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine finds the Locust of these tests."""
    monkeypatch.setenv(LOCUST_PYTHON, PYTHON)


def plan_against(port: int, file: str, **changes: Any) -> JourneyPlan:
    """Six users for 2 s, all of them there after one."""
    plan = JourneyPlan(
        schema_version=1,
        scenario=Scenario.JOURNEYS,
        engine=JourneyEngine.LOCUST,
        host="127.0.0.1",
        port=port,
        build_path="/build",
        environment="test",
        file="journeys/shop.py",
        file_sha256=hashlib.sha256(file.encode()).hexdigest(),
        users=6,
        spawn_rate=6.0,
        seconds=2.0,
        max_rate=60.0,
        processes=1,
        remote_workers=0,
        master_port=5557,
        timeout_seconds=5.0,
        abort=Abort(60.0, 20_000.0, 2.0),
        allow=(Target("127.0.0.1", port),),
    )
    return replace(plan, **changes)


def run(plan: JourneyPlan, file: str, workdir: Path) -> tuple[Rows, LoadRun]:
    """The plan run through the hook."""
    result = LoadHook(workdir).run(plan, locustfile=file.encode())
    return read_rows(result.rows, where="rows"), result


def wait_for(reached: Callable[[], object], otherwise: str, *, seconds: float = 25) -> None:
    """Returns when `reached()` holds."""
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.02)


@pytest.mark.parametrize("processes", [1, 2])
def test_every_request_is_a_row_and_the_rate_stays_within_its_bound(
    target: tuple[type[Server], int], tmp_path: Path, processes: int
) -> None:
    """In one process, and with a master and two workers; the document says what a closed model cannot say."""
    handler, port = target
    plan = plan_against(port, SHOP, processes=processes)
    rows, result = run(plan, SHOP, tmp_path)
    assert result.summary.outcome is Outcome.COMPLETED
    assert len(rows) == len(handler.arrivals) > 100
    assert rows.ok.all()
    assert set(rows.transaction.tolist()) == {"GET /goods/[id]", "GET /quote"}
    for second in (0.0, 1.0, 2.0):
        assert len(rows.between(second, second + 1)) <= plan.max_rate * 1.1 + processes
    assert rows.end.max() <= plan.duration + plan.timeout_seconds
    document = summarise_journeys(rows, plan=plan, summary=result.summary, service="shop", endpoint="baseline", rows_reference={})
    assert document["valid"] is True
    assert document["model"] == "closed"
    assert any("coordinated omission" in text for text in document["limitations"])
    assert document["offered_rate"] is None
    assert "locust 2." in document["generator"]["version"]
    assert not list(tmp_path.iterdir())


CLIENTS = """
import _socket, socket, sys
from perfproof_airflow.load_engine_locust.addresses import AddressGuard, Listed
listed, port, host, elsewhere = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
refused = []
AddressGuard([Listed(listed, port), Listed("shop.test", port)], on_refused=refused.append).install()
import locust, gevent.socket
from locust.clients import HttpSession
from locust.contrib.fasthttp import FastHttpSession
if elsewhere:
    import geventhttpclient.connectionpool
    real = gevent.socket.getaddrinfo
    def changed(name, *arguments, **named):
        return real(elsewhere if name in (host, host.encode()) else name, *arguments, **named)
    for module in (socket, gevent.socket, geventhttpclient.connectionpool):
        module.getaddrinfo = changed
base = f"http://{host}:{port}"
def plain():
    HttpSession(base, locust.events.request, None).get("/plain", timeout=2)
def fast():
    FastHttpSession(base, locust.events.request, None, network_timeout=2, connection_timeout=2).get("/fast")
def raw():
    with socket.create_connection((host, port), timeout=2) as made:
        made.sendall(b"GET /raw HTTP/1.0\\r\\n\\r\\n")
        made.recv(10)
def datagram():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.sendto(b"x", (host, port))
def unresolved():
    made = _socket.socket()
    made.connect((host, port))
    made.send(b"GET /unresolved HTTP/1.0\\r\\n\\r\\n")
    made.recv(10)
for client in (plain, fast, raw, datagram, unresolved):
    try:
        client()
    except Exception:
        pass
print(len(refused))
"""
SPELLINGS = [
    "127.0.0.1", "localhost", "LOCALHOST", "LocalHost.", "127.0.0.1.", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7F.1",
    "0x7f.0x0.0x0.0x1", "0177.0.0.1", "0177.1", "017700000001", "[::ffff:127.0.0.1]", "::ffff:7f00:1", "::ffff:127.0.0.1",
    "0:0:0:0:0:ffff:7f00:0001", "[::127.0.0.1]", "１２７.0.0.1", "127。0。0。1", "ｌｏｃａｌｈｏｓｔ", "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ", "xn--localhost-",
    "%6c%6f%63alhost", "listed@127.0.0.1", "127.0.0.1#", "127.0.0.1\t", " 127.0.0.1", "0", "[::]", "127.0.0.1:80", "127.0.0.1/..",
    "0.0.0.0",  # noqa: S104  connects to this machine on Linux
]  # fmt: skip


def attempts(workdir: Path, host: str, port: int, *, listed: str, elsewhere: str = "") -> int:
    """How often the guard refused, when each client of a process with Locust tried to reach `host`."""
    done = subprocess.run(
        [PYTHON, "-c", CLIENTS, listed, str(port), host, elsewhere],
        env=environment(workdir),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return int(done.stdout.split()[-1])


@pytest.mark.parametrize("host", SPELLINGS)
def test_no_spelling_of_an_unlisted_host_is_reached_by_any_client(trap: tuple[type[Server], int], host: str, tmp_path: Path) -> None:
    """Locust's two clients, a plain socket, a datagram, and a name that nobody has resolved; and no plan takes such a host."""
    handler, port = trap
    attempts(tmp_path, host, port, listed="127.0.0.2")
    assert handler.contacts == []
    plan = plan_against(port, SHOP, host=host, allow=(Target("127.0.0.2", port),))
    with pytest.raises(LoadError) as refused:
        JourneyPlan.from_document(plan.document())
    assert refused.value.code in ("LOD-101", "LOD-102", "LOD-103")


def test_the_clients_would_have_reached_it(trap: tuple[type[Server], int], tmp_path: Path) -> None:
    """The same attempts with the address listed arrive, but for the name that was not resolved."""
    handler, port = trap
    attempts(tmp_path, "127.0.0.1", port, listed="127.0.0.1")
    assert sorted(handler.contacts) == ["/fast", "/plain", "/raw", "/unresolved"]


def test_a_listed_name_that_resolves_elsewhere_is_not_reached(trap: tuple[type[Server], int], tmp_path: Path) -> None:
    """The resolver of the process says 127.0.0.1, of which only the name is listed."""
    handler, port = trap
    assert attempts(tmp_path, "shop.test", port, listed="127.0.0.2", elsewhere="127.0.0.1") >= 3
    assert handler.contacts == []
    attempts(tmp_path, "shop.test", port, listed="127.0.0.1", elsewhere="127.0.0.1")
    assert {"/plain", "/fast", "/raw"} <= set(handler.contacts)


@pytest.mark.parametrize(
    "step",
    [
        'self.client.get("http://127.0.0.1:{trap}/plain")',
        'import socket; socket.create_connection(("localhost", {trap}))',
        'import socket; socket.socket(socket.AF_UNIX).connect("/run/some.sock")',
        'import subprocess; subprocess.run(["curl", "http://127.0.0.1:{trap}/"])',
        'import os; os.system("true")',
        'import multiprocessing; multiprocessing.get_context("spawn").Process(target=print).start()',
    ],
)
def test_a_journey_that_goes_elsewhere_ends_the_test(
    target: tuple[type[Server], int], trap: tuple[type[Server], int], tmp_path: Path, step: str
) -> None:
    """An address that is not listed, a local socket, or another process, which would have no guard."""
    file = ONE.format(head="", step=step.format(trap=trap[1]))
    began = time.monotonic()
    _, result = run(plan_against(target[1], file, seconds=20.0), file, tmp_path)
    assert time.monotonic() - began < 12
    assert result.summary.outcome is Outcome.STOPPED
    assert "LOD-104" in (result.summary.reason or "") or "start a process" in (result.summary.reason or "")
    assert trap[0].contacts == []


def test_a_name_that_leads_elsewhere_while_journeys_run_ends_the_test(target: tuple[type[Server], int], tmp_path: Path) -> None:
    """The conductor reached the listed address; in the process of Locust the name leads to another one, which sees nothing."""
    _, port = target
    try:
        trapped, server = serve("127.0.0.2", port)
    except OSError:
        pytest.skip("this system has no 127.0.0.2")
    head = (
        "import socket\nreal = socket.getaddrinfo\n"
        "socket.getaddrinfo = lambda host, *a, **n: real('127.0.0.2' if host == 'localhost' else host, *a, **n)"
    )
    file = ONE.format(head=head, step='self.client.get("/goods")')
    try:
        _, result = run(plan_against(port, file, host="localhost", seconds=20.0, allow=(Target("localhost", port),)), file, tmp_path)
    finally:
        server.shutdown()
        server.server_close()
    assert result.summary.outcome is Outcome.STOPPED
    assert "LOD-104" in (result.summary.reason or "")
    assert trapped.contacts == []


def test_a_redirect_is_an_answer_and_never_followed(
    target: tuple[type[Server], int], trap: tuple[type[Server], int], tmp_path: Path
) -> None:
    """By neither client of Locust, whatever the journey asks for: failed requests with 302, and the trap sees none."""
    handler, port = target
    handler.mode, handler.location = "redirect", f"http://127.0.0.1:{trap[1]}/"
    file = SHOP.replace('get("/quote")', 'get("/quote", allow_redirects=True)')
    rows, _ = run(plan_against(port, file, abort=Abort(100.0, 60_000.0, 2.0)), file, tmp_path)
    assert set(rows.status.tolist()) == {302}
    assert not rows.ok.any()
    assert len(rows) == len(handler.arrivals)
    assert trap[0].contacts == []


def test_a_target_of_another_environment_gets_no_load(target: tuple[type[Server], int], tmp_path: Path) -> None:
    """No process of Locust is even started."""
    handler, port = target
    with pytest.raises(LoadError) as caught:
        run(plan_against(port, SHOP, environment="other"), SHOP, tmp_path)
    assert caught.value.code == "LOD-302"
    assert handler.arrivals == []


@pytest.mark.parametrize("processes", [1, 2])
def test_a_burst_of_errors_ends_the_load(target: tuple[type[Server], int], tmp_path: Path, processes: int) -> None:
    """Of a test of a minute, within the promised time; the rows until then are kept."""
    handler, port = target
    results: list[tuple[Rows, LoadRun]] = []
    plan = plan_against(port, SHOP, seconds=60.0, processes=processes)
    thread = threading.Thread(target=lambda: results.append(run(plan, SHOP, tmp_path)))
    thread.start()
    wait_for(lambda: len(handler.arrivals) > 60, "the load did not begin")
    handler.mode = "error"
    burst = time.monotonic()
    thread.join(PROMISED_SECONDS + 5)
    assert handler.arrivals[-1] - burst < PROMISED_SECONDS
    ((rows, result),) = results
    assert result.summary.outcome is Outcome.ABORTED
    assert len(rows) == pytest.approx(len(handler.arrivals), abs=plan.users)
    document = summarise_journeys(rows, plan=plan, summary=result.summary, service="shop", endpoint="baseline", rows_reference={})
    assert document["valid"] is False


@pytest.mark.parametrize("users", [1, 6])
def test_a_service_that_hangs_ends_the_load(target: tuple[type[Server], int], tmp_path: Path, users: int) -> None:
    """Users who wait fail nothing; that they have waited all the time counts."""
    handler, port = target
    handler.mode = "hang"
    began = time.monotonic()
    rows, result = run(plan_against(port, SHOP, seconds=60.0, timeout_seconds=60.0, users=users), SHOP, tmp_path)
    assert time.monotonic() - began < 15
    assert result.summary.outcome is Outcome.ABORTED
    assert set(rows.status.tolist()) == {NoAnswer.STOPPED}
    assert len(rows) == users


def test_a_request_times_out_as_the_plan_says(target: tuple[type[Server], int], tmp_path: Path) -> None:
    """Also one of a client that would wait for ever."""
    handler, port = target
    handler.mode = "hang"
    rows, _ = run(plan_against(port, SHOP, timeout_seconds=0.5, abort=Abort(100.0, 60_000.0, 5.0)), SHOP, tmp_path)
    assert set(rows.status.tolist()) == {NoAnswer.TIMEOUT}
    assert rows.latency_ms.max() < 1500


@pytest.mark.parametrize(
    "step",
    [
        'self.environment.events.request.fire(request_type="X", name="own", response_time=1, response_length=0, exception=None)',
        'import requests; requests.get(self.host + "/own")',
    ],
    ids=["told", "untold"],
)
def test_a_client_that_goes_around_the_bound_of_the_rate_ends_the_test(target: tuple[type[Server], int], tmp_path: Path, step: str) -> None:
    """A client of the journey's own is not held back, but counted: by what it tells Locust, or by its connections."""
    file = ONE.format(head="", step=step).replace("0.05", "0.001")
    began = time.monotonic()
    _, result = run(plan_against(target[1], file, seconds=30.0, max_rate=20.0), file, tmp_path)
    assert time.monotonic() - began < 12
    assert result.summary.outcome is Outcome.STOPPED
    assert "20 allowed" in (result.summary.reason or "")


def test_an_answer_that_the_journey_rejects_is_no_success(target: tuple[type[Server], int], tmp_path: Path) -> None:
    """And one that it accepts against its status is none either."""
    step = 'with self.client.get("/a", catch_response=True) as answer: answer.failure("wrong text")'
    file = ONE.format(head="", step=step)
    rows, _ = run(plan_against(target[1], file, abort=Abort(100.0, 60_000.0, 2.0)), file, tmp_path)
    assert set(rows.status.tolist()) == {NoAnswer.REJECTED}
    target[0].mode = "error"
    file = ONE.format(head="", step='with self.client.get("/a", catch_response=True) as answer: answer.success()')
    rows, _ = run(plan_against(target[1], file, abort=Abort(100.0, 60_000.0, 2.0)), file, tmp_path)
    assert set(rows.status.tolist()) == {500}
    assert not rows.ok.any()


CONTROLLER = """
import sys
from pathlib import Path
from perfproof.load.journeys import JourneyPlan
from perfproof.strict import read_json
from perfproof_airflow.hooks.load import LoadHook
plan = JourneyPlan.from_document(read_json(Path(sys.argv[1]).read_bytes(), where="plan"))
LoadHook(Path(sys.argv[2])).run(plan, locustfile=Path(sys.argv[3]).read_bytes())
"""
SPINNING = ONE.format(
    head="import time", step='self.client.get("/spin"); self.n = getattr(self, "n", 0) + 1; exec("while self.n > 3: pass")'
)


@pytest.fixture
def controller(tmp_path: Path, target: tuple[type[Server], int], request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[bytes]]:
    """A process that runs two workers for a minute, as a task does, once load arrives."""
    handler, port = target
    file, processes = getattr(request, "param", (SHOP, 2))
    (tmp_path / "journeys.py").write_text(file)
    plan = plan_against(port, file, seconds=60.0, processes=processes, abort=Abort(100.0, 60_000.0, 60.0))
    (tmp_path / "plan.json").write_bytes(document_bytes(plan.document()))
    process = subprocess.Popen(
        [sys.executable, "-c", CONTROLLER, str(tmp_path / "plan.json"), str(tmp_path / "work"), str(tmp_path / "journeys.py")],
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'include'}{os.pathsep}{ROOT / 'plugins'}", LOCUST_PYTHON: PYTHON},
    )
    try:
        wait_for(lambda: len(handler.arrivals) > 5, "the load did not begin")
        yield process
    finally:
        process.kill()
        process.wait()
        for one in list(stop_lever.sending(tmp_path / "work")):
            os.killpg(one.pid, signal.SIGKILL)


def locust_processes(workdir: Path) -> list[int]:
    """Process ids of everything that was started for a test in `workdir`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            except OSError:
                continue
            if any(word.startswith(str(workdir)) for word in words) and any("load_engine_locust" in word for word in words):
                found.append(int(entry.name))
    return found


def ends(handler: type[Server], workdir: Path, since: float) -> None:
    """Asserts that no request comes 10 s after `since`, and that no process is left."""
    wait_for(lambda: time.monotonic() - handler.arrivals[-1] > 1.0, "the load did not end", seconds=PROMISED_SECONDS + 2)
    assert handler.arrivals[-1] - since < PROMISED_SECONDS
    wait_for(lambda: not [pid for pid in locust_processes(workdir) if not stopped(pid)], "a process is left", seconds=PROMISED_SECONDS)


def stopped(pid: int) -> bool:
    """Whether a process is held by SIGSTOP: it sends nothing, and its end waits for SIGCONT."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "TZ"
    except OSError:
        return True


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
@pytest.mark.parametrize("controller", [(SHOP, 1), (SHOP, 2), (SPINNING, 1)], indirect=True, ids=["one", "two", "spinning"])
def test_traffic_stops_within_ten_seconds_of_losing_the_controller(
    target: tuple[type[Server], int], controller: subprocess.Popen[bytes], tmp_path: Path, number: signal.Signals
) -> None:
    """Killed, or only standing still; with one process of Locust, with a master and workers, and with one that never yields."""
    controller.send_signal(number)
    ends(target[0], tmp_path / "work", time.monotonic())


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_traffic_stops_when_the_conductor_is_lost(
    target: tuple[type[Server], int], controller: subprocess.Popen[bytes], tmp_path: Path, number: signal.Signals
) -> None:
    """Its workers die with it, and end themselves when it stands still."""
    (conductor,) = stop_lever.sending(tmp_path / "work")
    os.kill(conductor.pid, number)
    ends(target[0], tmp_path / "work", time.monotonic())


@pytest.mark.parametrize("controller", [(SHOP, 2), (SPINNING, 1)], indirect=True, ids=["two", "spinning"])
def test_the_lever_ends_the_journeys(target: tuple[type[Server], int], controller: subprocess.Popen[bytes], tmp_path: Path) -> None:
    """The file alone, also for a journey that never yields."""
    stop_lever.pull(tmp_path / "work", "by a test")
    ends(target[0], tmp_path / "work", time.monotonic())
    assert controller.wait(10) == 0


@pytest.mark.parametrize(
    ("file", "digest", "code"),
    [
        (SHOP, "0" * 64, "LOD-833"),
        ("import nothing_of_that_name\n", None, "LOD-835"),
        ("x = 1\n", None, "LOD-835"),
        (
            SHOP + "\nfrom locust import LoadTestShape\nclass Shape(LoadTestShape):\n    def tick(self): return (10**6, 10**6)\n",
            None,
            "LOD-835",
        ),
    ],
)
def test_a_file_that_is_another_or_cannot_be_run_sends_nothing(
    target: tuple[type[Server], int], tmp_path: Path, file: str, digest: str | None, code: str
) -> None:
    """Another digest than the protocol file's, an error, no user, or a shape that sets its own number of users."""
    plan = plan_against(target[1], file)
    with pytest.raises(LoadError) as caught:
        run(replace(plan, file_sha256=digest or plan.file_sha256), file, tmp_path)
    assert caught.value.code == code
    assert target[0].arrivals == []


def test_without_a_locust_it_says_so(target: tuple[type[Server], int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And how to get one."""
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(bare)], check=True)
    for python in (str(bare / "bin" / "python"), str(tmp_path / "absent")):
        monkeypatch.setenv(LOCUST_PYTHON, python)
        with pytest.raises(LoadError) as caught:
            run(plan_against(target[1], SHOP), SHOP, tmp_path / "work")
        assert caught.value.code == "LOD-834"
        assert LOCUST_PYTHON in caught.value.fix


def test_the_processes_get_no_secrets(target: tuple[type[Server], int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the environment of the task nothing is passed on that it does not need."""
    monkeypatch.setenv("AIRFLOW_CONN_SECRET", "s3cret")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    seen = tmp_path / "seen.json"
    head = f"import json, os\nopen({str(seen)!r}, 'w').write(json.dumps(dict(os.environ)))"
    file = ONE.format(head=head, step='self.client.get("/a")')
    rows, _ = run(plan_against(target[1], file), file, tmp_path / "work")
    assert rows.ok.all()
    assert not {"AIRFLOW_CONN_SECRET", "HTTP_PROXY"} & set(json.loads(seen.read_text()))


@pytest.fixture
def other_machine(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts workers as another machine does, from the protocol file."""
    started: list[subprocess.Popen[str]] = []

    def start(protocol: str, *, workspace: Path) -> subprocess.Popen[str]:
        (tmp_path / "protocol.yaml").write_text(protocol)
        command = ["--protocol", str(tmp_path / "protocol.yaml"), "--profile", "demo", "--service", "shop", "--workspace", str(workspace)]
        started.append(
            subprocess.Popen(
                [sys.executable, "-m", "perfproof_airflow.load_engine_locust.remote", *command],
                env={**os.environ, "PYTHONPATH": f"{ROOT / 'include'}{os.pathsep}{ROOT / 'plugins'}", LOCUST_PYTHON: PYTHON},
                stderr=subprocess.PIPE, text=True, start_new_session=True,
            )
        )  # fmt: skip
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def distributed(target_port: int, master_port: int, file: str, **changes: Any) -> tuple[str, JourneyPlan]:
    """The demo's protocol file with journeys of one worker here and one elsewhere, and the plan that follows from it."""
    document = yaml.safe_load((ROOT / "include" / "protocols" / "demo.yaml").read_text(encoding="utf-8"))
    journeys = {
        "file": "shop.py", "sha256": hashlib.sha256(file.encode()).hexdigest(), "users": 6, "spawn_rate": 6, "seconds": 2, "max_rate": 60,
        "processes": 1, "remote_workers": 1, "master_port": master_port, **changes,
    }  # fmt: skip
    document["load"]["profiles"]["demo"]["journeys"] = journeys
    document["load"]["max_tests"] += 1
    document["load"]["max_duration_seconds"] = 90
    document["load"]["allow"].append({"host": "127.0.0.1", "port": target_port})
    document["services"][0]["endpoints"]["baseline"] |= {"host": "127.0.0.1", "port": target_port, "build_path": "/build"}
    text = yaml.safe_dump(document)
    protocol = load_protocol(text.encode(), where="protocol.yaml")
    service = next(service for service in protocol.services if service.name == "shop")
    plan = journey_plan_for(
        service=service, endpoint=service.endpoints.baseline, environment=protocol.environment, profile=protocol.load.profiles["demo"],
        load=protocol.load,
    )  # fmt: skip
    return text, plan


def free_port() -> int:
    """A port that is free now."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


@pytest.fixture
def demo_target(target: tuple[type[Server], int]) -> tuple[type[Server], int]:
    """The target under the name of the demo's environment."""
    document = yaml.safe_load((ROOT / "include" / "protocols" / "demo.yaml").read_text(encoding="utf-8"))
    target[0].environment = document["environment"]["name"]
    return target


def test_a_worker_of_another_machine_sends_its_share(
    demo_target: tuple[type[Server], int], tmp_path: Path, other_machine: Callable[..., subprocess.Popen[str]]
) -> None:
    """Its rows are among those of the test, and it ends with it."""
    handler, port = demo_target
    text, plan = distributed(port, free_port(), SHOP)
    (tmp_path / "shop.py").write_text(SHOP)
    worker = other_machine(text, workspace=tmp_path)
    rows, result = run(plan, SHOP, tmp_path / "work")
    assert result.summary.outcome is Outcome.COMPLETED
    assert len(rows) == len(handler.arrivals) > 60
    assert worker.wait(10) == 0


def test_a_worker_with_another_plan_sends_nothing(
    demo_target: tuple[type[Server], int], tmp_path: Path, other_machine: Callable[..., subprocess.Popen[str]]
) -> None:
    """Its protocol file allows more; the test then ends without having run."""
    _, port = demo_target
    master = free_port()
    _, plan = distributed(port, master, SHOP)
    (tmp_path / "shop.py").write_text(SHOP)
    worker = other_machine(distributed(port, master, SHOP, max_rate=70)[0], workspace=tmp_path)
    _, result = run(plan, SHOP, tmp_path / "work")
    assert result.summary.outcome is Outcome.STOPPED
    assert worker.wait(10) == 1


@pytest.mark.parametrize(("everything", "code"), [(False, 0), (True, 1)], ids=["controller", "everything"])
def test_a_worker_of_another_machine_ends_without_its_controller(
    demo_target: tuple[type[Server], int],
    tmp_path: Path,
    other_machine: Callable[..., subprocess.Popen[str]],
    everything: bool,
    code: int,
) -> None:
    """The master tells it when the controller is killed; when everything here is, the lease that nobody passes on ends it."""
    handler, port = demo_target
    text, plan = distributed(port, free_port(), SHOP, seconds=60)
    (tmp_path / "shop.py").write_text(SHOP)
    worker = other_machine(text, workspace=tmp_path)
    (tmp_path / "plan.json").write_bytes(document_bytes(plan.document()))
    process = subprocess.Popen(
        [sys.executable, "-c", CONTROLLER, str(tmp_path / "plan.json"), str(tmp_path / "work"), str(tmp_path / "shop.py")],
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'include'}{os.pathsep}{ROOT / 'plugins'}", LOCUST_PYTHON: PYTHON},
    )
    try:
        wait_for(lambda: len(handler.arrivals) > 60, "the load did not begin")
        if everything:
            (conductor,) = stop_lever.sending(tmp_path / "work")
            os.killpg(conductor.pid, signal.SIGKILL)
    finally:
        process.kill()
        process.wait()
    ends(handler, tmp_path / "work", time.monotonic())
    assert worker.wait(PROMISED_SECONDS) == code


def test_a_worker_of_another_machine_asks_for_consent_itself(
    target: tuple[type[Server], int], tmp_path: Path, other_machine: Callable[..., subprocess.Popen[str]]
) -> None:
    """The address may be another service over there."""
    text, _ = distributed(target[1], free_port(), SHOP)
    (tmp_path / "shop.py").write_text(SHOP)
    worker = other_machine(text, workspace=tmp_path)
    assert worker.wait(30) == 3
    assert worker.stderr is not None
    assert "LOD-302" in worker.stderr.read()
