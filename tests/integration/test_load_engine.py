"""The load generator in its own process, against servers that this test starts on loopback."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from aiohttp import web

from perfproof.config import Abort, Endpoint, Span, Target, Transaction
from perfproof.errors import LoadError
from perfproof.load.plan import LoadPlan, Scenario, Stage
from perfproof.load.recovery import failure_outcome
from perfproof.load.rows import NoAnswer, read_rows
from perfproof.load.summary import Outcome
from perfproof.load.verdict import summarise
from perfproof.telemetry import document_bytes
from perfproof_airflow.hooks.endpoint import EndpointHook
from perfproof_airflow.hooks.load import Injection, LoadHook, LoadRun
from perfproof_airflow.load_engine.generator import Generator


class Server:
    """A small target. `mode` decides what `/goods/…` answers; `arrivals` holds when (monotonic)."""

    def __init__(self) -> None:
        self.mode = "ok"
        self.environment = "test"
        self.location = ""
        self.arrivals: list[float] = []
        self.contacts = 0
        self.stall_from = float("inf")
        self.fail_until = 0.0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self.port = 0
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        assert self._ready.wait(10)

    def _serve(self) -> None:
        self._loop.run_until_complete(self._main())
        self._loop.close()

    async def _main(self) -> None:
        application = web.Application()
        application.router.add_get("/build", self._build)
        application.router.add_get("/metrics", self._metrics)
        application.router.add_get("/{rest:.*}", self._work)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        await web.SockSite(runner, listener).start()
        self._end = asyncio.Event()
        self._ready.set()
        await self._end.wait()
        await runner.cleanup()
        # Requests that the hanging mode still holds.
        held = asyncio.all_tasks() - {asyncio.current_task()}
        for task in held:
            task.cancel()
        await asyncio.gather(*held, return_exceptions=True)

    async def _build(self, _: web.Request) -> web.Response:
        self.contacts += 1
        return web.json_response({"build": "b1", "environment": self.environment})

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(text='# TYPE a counter\na_total{x="1} 2"} 2\na_total{x="3"} 3.5\nb NaN\n')

    async def _work(self, _: web.Request) -> web.Response:
        now = time.monotonic()
        self.contacts += 1
        self.arrivals.append(now)
        if 0 <= now - self.stall_from < 1.0:
            await asyncio.sleep(self.stall_from + 1.0 - now)
        if self.mode == "redirect":
            raise web.HTTPFound(self.location)
        if self.mode == "hang":
            await asyncio.sleep(60)
        if self.mode == "error" or now < self.fail_until:
            return web.Response(status=500)
        return web.Response(text="x" * 100)

    def close(self) -> None:
        """Ends the server and its thread."""
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(10)


@pytest.fixture
def server() -> Iterator[Server]:
    """The target on the allow-list."""
    target = Server()
    yield target
    target.close()


@pytest.fixture
def trap() -> Iterator[Server]:
    """A server that no request may ever reach."""
    target = Server()
    yield target
    target.close()


def plan_against(server: Server, *, rate: float = 50, seconds: float = 2, warmup: float = 0, host: str = "127.0.0.1") -> LoadPlan:
    """A plan with two transactions against `server`."""
    return LoadPlan(
        schema_version=1,
        scenario=Scenario.PEAK,
        host=host,
        port=server.port,
        build_path="/build",
        environment="test",
        stages=(Stage(rate, seconds),),
        warmup_seconds=warmup,
        transactions=(
            Transaction("orders", "GET", "/goods/{id}/orders", 0.7, parameters={"id": Span(1, 9)}),
            Transaction("quote", "GET", "/quotes/cheap", 0.3),
        ),
        seed=7,
        max_in_flight=500,
        timeout_seconds=5,
        abort=Abort(error_rate_percent=100, p99_ms=60_000, over_seconds=2),
        allow=(Target("127.0.0.1", server.port),),
    )


def run(plan: LoadPlan, tmp_path: Path, **arguments: object) -> LoadRun:
    """The plan run through the hook."""
    return LoadHook(tmp_path).run(plan, **arguments)  # type: ignore[arg-type]


def test_offered_rate_is_met_and_every_row_was_a_request(server: Server, tmp_path: Path) -> None:
    """200 requests/s for 3 s arrive within 2 %, in the planned mix, and the rows count what the server counted."""
    plan = plan_against(server, rate=200, seconds=3)
    result = run(plan, tmp_path)
    rows = read_rows(result.rows, where="rows")
    assert result.summary.outcome is Outcome.COMPLETED
    assert len(server.arrivals) == len(rows) == 600
    span = server.arrivals[-1] - server.arrivals[0]
    assert len(server.arrivals) / span == pytest.approx(200, rel=0.02)
    assert rows.ok.all()
    assert (rows.transaction == "orders").sum() == 420
    document = summarise(rows, plan=plan, summary=result.summary, service="shop", endpoint="baseline", rows_reference={})
    assert document["offered_rate"] == 200
    assert document["build"] == "b1"
    assert not list(tmp_path.iterdir())


def test_a_stall_shows_in_the_latency_from_the_intended_start(server: Server, tmp_path: Path) -> None:
    """A server that stands still for 1 s of 4 s has a p95 above 500 ms; a closed loop would show a few milliseconds."""
    server.stall_from = time.monotonic() + 2
    plan = plan_against(server, rate=60, seconds=4)
    result = run(plan, tmp_path)
    rows = read_rows(result.rows, where="rows")
    document = summarise(rows, plan=plan, summary=result.summary, service="shop", endpoint="baseline", rows_reference={})
    assert document["latency"]["p95"] > 500
    assert document["latency"]["p50"] < 200


def test_a_redirect_is_an_answer_and_never_followed(server: Server, trap: Server, tmp_path: Path) -> None:
    """Answers of 302 to another port are failed requests; the other port sees none."""
    server.mode, server.location = "redirect", f"http://127.0.0.1:{trap.port}/goods/1"
    rows = read_rows(run(plan_against(server, seconds=1), tmp_path).rows, where="rows")
    assert set(rows.status.tolist()) == {302}
    assert not rows.ok.any()
    assert trap.contacts == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "LOCALHOST.", "[::ffff:127.0.0.1]", "2130706433"])
def test_an_unlisted_target_is_never_reached_however_it_is_spelled(server: Server, trap: Server, tmp_path: Path, host: str) -> None:
    """The generator itself refuses a plan whose port is not listed, in every spelling of the host."""
    plan = replace(plan_against(trap, host=host), allow=(Target("127.0.0.1", server.port),))
    with pytest.raises(LoadError) as caught:
        run(plan, tmp_path)
    assert caught.value.code in ("LOD-101", "LOD-102", "LOD-103")
    assert trap.contacts == 0


def test_a_listed_name_that_resolves_elsewhere_is_refused(trap: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The address of a connection is checked, not only the name: no request goes to an unlisted address."""
    resolve = socket.getaddrinfo

    def redirected(host: str, *arguments: object, **named: object) -> object:
        return resolve("127.0.0.1" if host == "shop.test" else host, *arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", redirected)
    plan = replace(plan_against(trap, host="shop.test"), allow=(Target("shop.test", trap.port), Target("127.0.0.2", trap.port)))
    with pytest.raises(LoadError) as caught:
        asyncio.run(Generator(plan).run(on_begin=lambda _: None))
    assert caught.value.code == "LOD-104"
    assert trap.contacts == 0


def test_a_target_of_another_environment_gets_no_load(server: Server, tmp_path: Path) -> None:
    """Without the target's own word that it is the test environment nothing is sent."""
    server.environment = "production"
    with pytest.raises(LoadError) as caught:
        run(plan_against(server), tmp_path)
    assert caught.value.code == "LOD-302"
    assert server.arrivals == []


def test_an_error_burst_aborts_the_test(server: Server, tmp_path: Path) -> None:
    """A server that fails everything ends a 20 s test within a few seconds, and the rows are kept."""
    server.mode = "error"
    abort = Abort(error_rate_percent=60, p99_ms=20_000, over_seconds=2)
    began = time.monotonic()
    result = run(replace(plan_against(server, seconds=20), abort=abort), tmp_path)
    assert time.monotonic() - began < 6
    assert result.summary.outcome is Outcome.ABORTED
    assert "failed" in (result.summary.reason or "")
    assert len(read_rows(result.rows, where="rows")) > 10


def test_a_hanging_target_aborts_the_test(server: Server, tmp_path: Path) -> None:
    """Requests that nobody answers count before their time-out does."""
    server.mode = "hang"
    abort = Abort(error_rate_percent=60, p99_ms=20_000, over_seconds=1)
    began = time.monotonic()
    result = run(replace(plan_against(server, seconds=20), abort=abort), tmp_path)
    assert time.monotonic() - began < 6
    rows = read_rows(result.rows, where="rows")
    assert result.summary.outcome is Outcome.ABORTED
    assert set(rows.status.tolist()) == {NoAnswer.STOPPED}


def test_requests_beyond_the_open_limit_are_dropped_and_recorded(server: Server, tmp_path: Path) -> None:
    """A limit of 1 open request against a slow server leaves rows that say so."""
    server.stall_from = time.monotonic()
    server.mode = "hang"
    plan = replace(plan_against(server, rate=30, seconds=1), max_in_flight=1, timeout_seconds=1)
    rows = read_rows(run(plan, tmp_path).rows, where="rows")
    assert len(rows) == 30
    dropped = rows.status == NoAnswer.DROPPED
    assert dropped.sum() >= 27
    assert np.isnan(rows.start[dropped]).all()


def test_what_a_tick_raises_ends_the_load(server: Server, tmp_path: Path) -> None:
    """The safety lever: the controller's exception passes on, and no request comes after it."""

    def pulled() -> None:
        if server.arrivals:
            raise RuntimeError("lever")

    with pytest.raises(RuntimeError, match="lever"):
        run(plan_against(server, seconds=20), tmp_path, on_tick=pulled)
    seen = len(server.arrivals)
    time.sleep(0.3)
    assert len(server.arrivals) == seen
    assert not list(tmp_path.iterdir())


def test_a_fault_is_injected_in_time_and_recovery_is_measured(server: Server, tmp_path: Path) -> None:
    """Errors begin with the injection at second 1 after the warm-up and end with it; the outcome tells both."""

    def fail() -> None:
        server.fail_until = time.monotonic() + 0.6

    plan = plan_against(server, rate=50, seconds=2.5, warmup=0.5)
    result = run(plan, tmp_path, injections=(Injection(1.0, fail),))
    rows = read_rows(result.rows, where="rows")
    outcome = failure_outcome(rows, plan=plan, fault="test", injected_at=result.injected_at[0], recover_within_seconds=2)
    assert outcome["at_second"] == pytest.approx(1.0, abs=0.3)
    assert outcome["errors_during"] > 10
    assert outcome["recovered"] is True
    assert outcome["recovered_after_seconds"] == pytest.approx(0.6, abs=0.3)


CONTROLLER = """
import sys
from pathlib import Path
from perfproof.load.plan import LoadPlan
from perfproof.strict import read_json
from perfproof_airflow.hooks.load import LoadHook
plan = LoadPlan.from_document(read_json(Path(sys.argv[1]).read_bytes(), where="plan"))
LoadHook(Path(sys.argv[2])).run(plan)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_traffic_stops_within_ten_seconds_of_losing_the_controller(server: Server, tmp_path: Path, number: signal.Signals) -> None:
    """A killed controller, and one that only stands still, both end the load."""
    plan_path = tmp_path / "plan.json"
    plan_path.write_bytes(document_bytes(plan_against(server, rate=20, seconds=60).document()))
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "PYTHONPATH": f"{root / 'include'}{os.pathsep}{root / 'plugins'}"}
    controller = subprocess.Popen([sys.executable, "-c", CONTROLLER, str(plan_path), str(tmp_path / "work")], env=environment)
    try:
        deadline = time.monotonic() + 15
        while not server.arrivals:
            assert time.monotonic() < deadline, "the load did not begin"
            time.sleep(0.05)
        controller.send_signal(number)
        lost = time.monotonic()
        while time.monotonic() - server.arrivals[-1] < 1.0:
            assert time.monotonic() < lost + 12, "the load did not end"
            time.sleep(0.05)
        assert server.arrivals[-1] - lost < 10
    finally:
        controller.kill()
        controller.wait()


def test_the_endpoint_tells_its_build_and_its_metrics(server: Server) -> None:
    """Series are summed over labels; a series that is no number is not shown."""
    hook = EndpointHook(Endpoint("127.0.0.1", server.port, "/build", "/metrics"), environment="test")
    assert hook.build().build == "b1"
    assert hook.scrape() == {"a_total": 5.5}


@pytest.mark.parametrize(("environment", "path", "code"), [("other", "/build", "LOD-302"), ("test", "/goods", "LOD-301")])
def test_an_endpoint_that_does_not_consent_is_an_error(server: Server, environment: str, path: str, code: str) -> None:
    """Another environment, or an answer that names none."""
    hook = EndpointHook(Endpoint("127.0.0.1", server.port, path, "/metrics"), environment=environment)
    with pytest.raises(LoadError) as caught:
        hook.build()
    assert caught.value.code == code
