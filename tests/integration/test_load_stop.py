"""The stop lever: whoever pulls it, and whoever is dead or stands still by then, no request comes after."""

from __future__ import annotations

import argparse
import http.server
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from perfproof.config import Abort, Target, Transaction
from perfproof.errors import LoadError, ParameterError
from perfproof.load.plan import LoadPlan, Scenario, Stage
from perfproof.load.rows import read_rows
from perfproof.load.summary import Outcome
from perfproof.load.verdict import summarise
from perfproof.run_key import run_key
from perfproof.telemetry import document_bytes
from perfproof_airflow import settings
from perfproof_airflow.commands import stop
from perfproof_airflow.hooks.load import LoadHook, LoadRun
from perfproof_airflow.load_engine import stop_lever
from perfproof_airflow.load_steps import send

RUN_ID = "manual__2026-06-01T12:00:00+00:00"
RUN = run_key("performance_optimization", RUN_ID)
PROMISED_SECONDS = 10
CONTROLLER = """
import sys
from pathlib import Path
from perfproof.load.plan import LoadPlan
from perfproof.strict import read_json
from perfproof_airflow.hooks.load import LoadHook
plan = LoadPlan.from_document(read_json(Path(sys.argv[1]).read_bytes(), where="plan"))
LoadHook(Path(sys.argv[2])).run(plan)
"""


class Target_(http.server.BaseHTTPRequestHandler):
    """Consents, answers, and notes when load arrived."""

    protocol_version = "HTTP/1.1"
    arrivals: list[float]
    status = 200

    def do_GET(self) -> None:
        """Consent at /build; everything else is load."""
        body = b'{"build": "b1", "environment": "test"}'
        if self.path != "/build":
            self.arrivals.append(time.monotonic())
        self.send_response(200 if self.path == "/build" else self.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002  the name of http.server
        """Says nothing."""


@pytest.fixture
def target() -> Iterator[tuple[type[Target_], LoadPlan]]:
    """A server, and a plan of a minute against it."""
    handler = type("TheTarget", (Target_,), {"arrivals": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    port = server.server_address[1]
    plan = LoadPlan(
        schema_version=1,
        scenario=Scenario.PEAK,
        host="127.0.0.1",
        port=port,
        build_path="/build",
        environment="test",
        stages=(Stage(25, 60),),
        warmup_seconds=0,
        transactions=(Transaction("a", "GET", "/a", 1),),
        seed=1,
        max_in_flight=100,
        timeout_seconds=5,
        abort=Abort(60, 20_000, 3),
        allow=(Target("127.0.0.1", port),),
    )
    yield handler, plan
    server.shutdown()
    thread.join(10)
    server.server_close()


@pytest.fixture
def controller(tmp_path: Path, target: tuple[type[Target_], LoadPlan]) -> Iterator[subprocess.Popen[bytes]]:
    """A process that sends the plan as a task of the run does, once its load has begun."""
    handler, plan = target
    path = tmp_path / "plan.json"
    path.write_bytes(document_bytes(plan.document()))
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "PYTHONPATH": f"{root / 'include'}{os.pathsep}{root / 'plugins'}"}
    directory = stop_lever.run_directory(tmp_path, RUN)
    process = subprocess.Popen([sys.executable, "-c", CONTROLLER, str(path), str(directory)], env=environment)
    try:
        wait_for(lambda: len(handler.arrivals) > 5, "the load did not begin")
        yield process
    finally:
        process.kill()
        process.wait()
        for one in list(stop_lever.sending(directory)):
            os.killpg(one.pid, signal.SIGKILL)


def wait_for(reached: Any, otherwise: str, *, seconds: float = 20) -> None:
    """Returns when `reached()` holds."""
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.02)


def pull(workspace: Path, *, run: str = RUN_ID, release: bool = False) -> int:
    """The command, in this process."""
    return stop.run(argparse.Namespace(run=run, workspace=workspace, reason="disk is full", release=release))


def silent(handler: type[Target_], since: float) -> None:
    """Asserts that the last request came within the promised time, and that none comes any more."""
    count = len(handler.arrivals)
    time.sleep(0.5)
    assert len(handler.arrivals) == count
    assert handler.arrivals[-1] - since < PROMISED_SECONDS


def test_the_lever_ends_a_test_which_is_then_no_measurement(target: tuple[type[Target_], LoadPlan], tmp_path: Path) -> None:
    """The rows until then are kept, the reason is in the summary, and the run can send nothing more."""
    handler, plan = target
    results: list[LoadRun] = []
    thread = threading.Thread(target=lambda: results.append(LoadHook(tmp_path).run(plan)))
    thread.start()
    wait_for(lambda: len(handler.arrivals) > 5, "the load did not begin")
    pulled = time.monotonic()
    stop_lever.pull(tmp_path, "by a test\nin two lines")
    thread.join(PROMISED_SECONDS)
    silent(handler, pulled)
    (result,) = results
    assert result.summary.outcome is Outcome.STOPPED
    assert result.summary.reason == "the load of the run was stopped: by a test\\nin two lines"
    rows = read_rows(result.rows, where="rows")
    document = summarise(rows, plan=plan, summary=result.summary, service="shop", endpoint="baseline", rows_reference={})
    assert document["valid"] is False
    assert document["aborted"]
    seen = len(handler.arrivals)
    with pytest.raises(LoadError) as caught:
        LoadHook(tmp_path).run(plan)
    assert caught.value.code == "LOD-304"
    assert len(handler.arrivals) == seen


def test_the_command_ends_the_load_of_another_process(
    target: tuple[type[Target_], LoadPlan], controller: subprocess.Popen[bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says what it ended, and returns when nothing sends any more."""
    handler, plan = target
    pulled = time.monotonic()
    assert pull(tmp_path) == stop.Exit.DONE
    assert time.monotonic() - pulled < PROMISED_SECONDS
    silent(handler, pulled)
    printed = capsys.readouterr().out
    assert f"peak on 127.0.0.1:{plan.port}" in printed
    assert "ended after" in printed
    assert controller.wait(10) == 0


def test_it_also_works_when_the_controller_stands_still(
    target: tuple[type[Target_], LoadPlan], controller: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    """The generator looks for the lever itself, long before its lease lapses."""
    handler, _ = target
    controller.send_signal(signal.SIGSTOP)
    pulled = time.monotonic()
    assert pull(tmp_path) == stop.Exit.DONE
    assert time.monotonic() - pulled < 5
    silent(handler, pulled)


def test_a_generator_that_does_not_react_is_killed(
    target: tuple[type[Target_], LoadPlan], controller: subprocess.Popen[bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Stopped by a signal, and its controller dead: no one else could end it."""
    handler, _ = target
    monkeypatch.setattr(stop, "KILL_AFTER_SECONDS", 1.0)
    (one,) = stop_lever.sending(stop_lever.run_directory(tmp_path, RUN))
    os.kill(one.pid, signal.SIGSTOP)
    controller.send_signal(signal.SIGSTOP)
    assert pull(tmp_path) == stop.Exit.DONE
    assert "by force" in capsys.readouterr().out
    assert one.ended
    silent(handler, time.monotonic())


def test_after_a_killed_controller_nothing_is_left_to_end(
    target: tuple[type[Target_], LoadPlan], controller: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    """Its generator has died with it; the directory that it left behind is no load."""
    handler, _ = target
    controller.kill()
    killed = time.monotonic()
    wait_for(
        lambda: not list(stop_lever.sending(stop_lever.run_directory(tmp_path, RUN))), "the generator lives on", seconds=PROMISED_SECONDS
    )
    silent(handler, killed)
    assert pull(tmp_path) == stop.Exit.DONE


def test_a_burst_of_errors_after_a_good_beginning_ends_the_load(target: tuple[type[Target_], LoadPlan], tmp_path: Path) -> None:
    """The good answers before it do not hide it: the span of the stop condition moves on."""
    handler, plan = target
    results: list[LoadRun] = []
    thread = threading.Thread(target=lambda: results.append(LoadHook(tmp_path).run(plan)))
    thread.start()
    wait_for(lambda: len(handler.arrivals) > 75, "the load did not begin")
    handler.status = 500
    burst = time.monotonic()
    thread.join(PROMISED_SECONDS + 5)
    silent(handler, burst)
    assert results[0].summary.outcome is Outcome.ABORTED


def test_a_task_of_a_stopped_run_sends_nothing_and_records_nothing(
    target: tuple[type[Target_], LoadPlan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even that a test has started: the log says what happened."""
    handler, plan = target
    monkeypatch.setattr(settings, "workspace_root", lambda: tmp_path)
    stop_lever.pull(stop_lever.run_directory(tmp_path, RUN), "by a test")
    cycle: Any = SimpleNamespace(run=RUN, record=pytest.fail, store=None)
    with pytest.raises(LoadError) as caught:
        send(cycle, plan, allowed=Any, endpoint=Any)  # type: ignore[arg-type]
    assert caught.value.code == "LOD-304"
    assert handler.arrivals == []


def test_an_unknown_run_is_stopped_all_the_same_and_said_to_be_unknown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A slip in its name must not look like success."""
    assert pull(tmp_path, run="manual__slip") == stop.Exit.UNKNOWN_RUN
    assert "nothing is known of such a run" in capsys.readouterr().out
    directory = stop_lever.run_directory(tmp_path, run_key("performance_optimization", "manual__slip"))
    assert "disk is full" in (stop_lever.reason_of(directory) or "")


def test_a_run_is_named_by_its_id_or_by_its_directory(tmp_path: Path) -> None:
    """Both lead to the same lever; a released run may send again."""
    (tmp_path / ".artifacts" / "performance" / RUN).mkdir(parents=True)
    directory = stop_lever.run_directory(tmp_path, RUN)
    for name in (RUN, RUN_ID):
        assert pull(tmp_path, run=name) == stop.Exit.DONE
        assert stop_lever.reason_of(directory) is not None
        assert pull(tmp_path, run=name, release=True) == stop.Exit.DONE
        assert stop_lever.reason_of(directory) is None
    assert pull(tmp_path, release=True) == stop.Exit.UNKNOWN_RUN
    stop_lever.require_not_pulled(directory)


@pytest.mark.parametrize("name", ["../../etc", "..", "", "/", "a/../b"])
def test_no_name_leads_out_of_the_workspace(tmp_path: Path, name: str) -> None:
    """Whatever is typed, the lever is below the workspace's directory of runs."""
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    assert pull(workspace, run=name) == stop.Exit.UNKNOWN_RUN
    assert [path.name for path in tmp_path.iterdir()] == ["workspace"]
    (only,) = (workspace / stop_lever.RUNS).iterdir()
    assert (only / stop_lever.LEVER).is_file()


def test_without_a_workspace_it_says_so(tmp_path: Path) -> None:
    """A lever that nobody looks at would be worse than none."""
    with pytest.raises(ParameterError) as caught:
        pull(tmp_path / "absent")
    assert caught.value.code == "PAR-261"


def test_a_lever_that_cannot_be_read_is_pulled(tmp_path: Path) -> None:
    """In doubt no load: a directory, or an empty file."""
    (tmp_path / stop_lever.LEVER).mkdir()
    assert stop_lever.reason_of(tmp_path)
    (tmp_path / stop_lever.LEVER).rmdir()
    (tmp_path / stop_lever.LEVER).touch()
    assert stop_lever.reason_of(tmp_path) == "no reason given"
