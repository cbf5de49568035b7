"""The demo target for real: a Postgres server, two shops, the metrics server and the traffic, on free ports of loopback."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psycopg
import pytest
import yaml

from perfproof.inputs.monitoring_package import validate_monitoring_package
from perfproof.inputs.reports import validate_deployment_report, validate_incident_report
from perfproof_demo import database, deployment, monitoring, target, traffic
from perfproof_demo.errors import DemoError
from perfproof_demo.http_probe import get, get_json
from perfproof_demo.inputs import write_inputs
from perfproof_demo.processes import read_pid, running_pid, wait_until
from perfproof_demo.settings import DemoSettings, ShopSize, Side

PROTOCOL = Path(__file__).parents[2] / "include" / "protocols" / "demo.yaml"
CUSTOMERS = (1, 17, 300)
QUERIES_OF_A_HISTORY = "select id, customer_id, placed_at, status, total, address from orders where customer_id = 17"


def free_port_base() -> int:
    """A port base whose ports are all free now."""
    for base in range(31_000, 60_000, 100):
        if all(_is_free(base + offset) for offset in (1, 2, 32, 80, 90)):
            return base
    raise AssertionError("no free block of ports")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.fixture(scope="module")
def demo() -> Iterator[DemoSettings]:
    """A small demo, started; stopped and removed at the end.

    Not in tmp_path: every pytest session closes that tree to other accounts, and as root Postgres runs as another one.
    """
    home = Path(tempfile.mkdtemp(prefix="perfproof-demo-"))
    settings = DemoSettings(home=home, port_base=free_port_base(), size=ShopSize(customers=300, products=100, orders=12_000))
    try:
        database.start_database(settings)
        for side in Side:
            deployment.ensure_running(settings, side)
        monitoring.start_metrics(settings)
        yield settings
    finally:
        target.stop_target(settings)
        shutil.rmtree(home)


def bodies(settings: DemoSettings, side: Side) -> list[bytes | None]:
    """Some histories and quotes of one side."""
    url = settings.shop_url(side)
    paths = [f"/customers/{customer}/orders" for customer in CUSTOMERS] + [f"/products/{product}/quote" for product in (1, 100)]
    return [get(url + path, seconds=10) for path in paths]


def counter(settings: DemoSettings, side: Side, name: str) -> float:
    """The sum of a series of one side's own /metrics."""
    text = (get(f"{settings.shop_url(side)}/metrics") or b"").decode()
    lines = [line for line in text.splitlines() if line.startswith((name + " ", name + "{"))]
    assert lines, f"{name} is not exported"
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


def query(settings: DemoSettings, text: str) -> list[dict[str, Any]]:
    """The result of an instant query."""
    answer = get_json(f"{settings.metrics_url}/api/v1/query?{urlencode({'query': text})}", seconds=5)
    assert answer is not None, f"the server refused {text}"
    result: list[dict[str, Any]] = answer["data"]["result"]
    return result


def eventually(condition: Callable[[], bool], *, seconds: float = 10) -> None:
    """Fails if `condition` does not come true in time."""
    try:
        wait_until(condition, seconds=seconds)
    except TimeoutError:
        pytest.fail(f"not within {seconds} s")


def plan(settings: DemoSettings, side: Side) -> str:
    """The plan of the orders query as the reader sees it."""
    with closing(database.connect(database.database_urls(settings, side).reader)) as connection:
        row = connection.execute(f"explain (format json) {QUERIES_OF_A_HISTORY}").fetchone()
    return json.dumps(row)


def test_the_candidate_begins_as_the_baselines_build(demo: DemoSettings) -> None:
    """Before any deployment both sides run one build and answer the same bytes."""
    deployment.rollback(demo)
    builds = [get_json(f"{demo.shop_url(side)}/build") for side in Side]
    assert builds[0] == builds[1]
    assert builds[0] is not None
    assert builds[0]["environment"] == "demo"
    assert bodies(demo, Side.BASELINE) == bodies(demo, Side.CANDIDATE)
    assert None not in bodies(demo, Side.BASELINE)


@pytest.mark.parametrize("names", ["index", "batch", "index,batch", "precompile", "cache", "none"])
def test_no_optimization_changes_an_answer(demo: DemoSettings, names: str) -> None:
    """What a request returns is the same bytes, however it is computed; and it is another build."""
    made = deployment.deploy(demo, Side.CANDIDATE, names.split(","))
    assert bodies(demo, Side.CANDIDATE) == bodies(demo, Side.BASELINE)
    assert (get_json(f"{demo.shop_url(Side.CANDIDATE)}/build") or {})["build"] == made.build
    baseline = deployment.current(demo, Side.BASELINE)
    assert baseline is not None
    assert made.build != baseline.build
    assert (made.content == baseline.content) is (names == "none")


def test_the_bottlenecks_are_real_and_the_optimizations_remove_them(demo: DemoSettings) -> None:
    """The missing index is a sequential scan, the N+1 is a statement per item; index and batch end both."""
    before = counter(demo, Side.BASELINE, "shop_database_queries_total")
    body = json.loads(get(f"{demo.shop_url(Side.BASELINE)}/customers/17/orders") or b"")
    items = sum(len(order["items"]) for order in body["orders"])
    assert items > 50
    assert counter(demo, Side.BASELINE, "shop_database_queries_total") - before == 2 + len(body["orders"]) + 2 * items
    assert "Seq Scan" in plan(demo, Side.BASELINE)

    deployment.deploy(demo, Side.CANDIDATE, ["index", "batch"])
    before = counter(demo, Side.CANDIDATE, "shop_database_queries_total")
    assert json.loads(get(f"{demo.shop_url(Side.CANDIDATE)}/customers/17/orders") or b"") == body
    assert counter(demo, Side.CANDIDATE, "shop_database_queries_total") - before == 2
    assert database.INDEX in plan(demo, Side.CANDIDATE)
    assert "Seq Scan" in plan(demo, Side.BASELINE)


def test_the_cache_asks_nothing_and_takes_memory(demo: DemoSettings) -> None:
    """The tempting change: no statement for a history, and more than a fifth more memory."""
    deployment.deploy(demo, Side.CANDIDATE, ["cache"])
    before = counter(demo, Side.CANDIDATE, "shop_database_queries_total")
    assert get(f"{demo.shop_url(Side.CANDIDATE)}/customers/17/orders")
    assert counter(demo, Side.CANDIDATE, "shop_database_queries_total") == before
    memory = [counter(demo, side, "process_resident_memory_bytes") for side in Side]
    assert memory[1] > 1.2 * memory[0]


def test_a_rollback_restores_build_and_plan(demo: DemoSettings) -> None:
    """The candidate has the baseline's build id again, without the index, and the change is written down."""
    deployment.deploy(demo, Side.CANDIDATE, ["index"])
    back = deployment.rollback(demo)
    baseline = deployment.current(demo, Side.BASELINE)
    assert baseline is not None
    assert back.build == baseline.build
    assert (get_json(f"{demo.shop_url(Side.CANDIDATE)}/build") or {})["build"] == baseline.build
    assert "Seq Scan" in plan(demo, Side.CANDIDATE)
    written = json.loads((demo.change_directory / f"{back.change}.json").read_text())
    assert written["build"] == back.build
    assert written["side"] == "candidate"


def test_the_reader_sees_statements_and_cannot_write(demo: DemoSettings) -> None:
    """It sees the shop's statements with their texts, and every way to write is refused, also if it asks for it."""
    assert get(f"{demo.shop_url(Side.BASELINE)}/customers/17/orders")
    with closing(database.connect(database.database_urls(demo, Side.BASELINE).reader)) as connection:
        rows = connection.execute(
            "select query, calls from pg_stat_statements s join pg_database d on d.oid = s.dbid"
            " where datname = current_database() and query like 'select id, sku%'"
        ).fetchall()
        assert rows
        assert "$1" in rows[0][0]
        connection.execute("set default_transaction_read_only = off")
        for statement in ("delete from orders", "update products set price = 0", "create table x (i int)"):
            with pytest.raises(psycopg.Error, match=r"permission denied"):
                connection.execute(statement)


def test_the_shop_recovers_from_terminated_connections(demo: DemoSettings) -> None:
    """The failure scenario: all its backends are ended by the reader; a request that meets one fails, and soon none does."""
    side = Side.BASELINE
    path = f"{demo.shop_url(side)}/customers/17/orders"
    pid = running_pid(demo, f"shop-{side}")
    with closing(database.connect(database.database_urls(demo, side).reader)) as connection:
        row = connection.execute(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
        ).fetchone()
    assert row is not None
    assert row[0] >= 4
    eventually(lambda: all(get(path) is not None for _ in range(8)), seconds=2)
    assert running_pid(demo, f"shop-{side}") == pid


def test_every_query_of_the_protocol_file_has_a_value(demo: DemoSettings) -> None:
    """With traffic on the baseline, each metric is one finite number; the error rate is 0, not absent."""
    service = yaml.safe_load(PROTOCOL.read_text())["services"][0]
    instance = f"127.0.0.1:{demo.port('shop-baseline')}"
    queries = {metric["name"]: metric["query"].replace("$instance", instance).replace("$window", "10s") for metric in service["metrics"]}
    deadline = time.monotonic() + 30
    values: dict[str, float] = {}
    while time.monotonic() < deadline:
        assert None not in bodies(demo, Side.BASELINE)
        found = {name: query(demo, text) for name, text in queries.items()}
        values = {name: float(result[0]["value"][1]) for name, result in found.items() if len(result) == 1}
        # Errors of the tests before leave the window after ten seconds.
        if len(values) == len(queries) and all(map(math.isfinite, values.values())) and values["error_rate"] == 0:
            break
    assert set(values) == set(queries)
    assert all(map(math.isfinite, values.values())), values
    assert values["error_rate"] == 0
    assert 0 < values["orders_latency_p95"] < 10_000
    assert values["throughput"] > 0
    assert 0 < values["memory_utilization"] < 100
    assert {(row["metric"]["instance"], row["value"][1]) for row in query(demo, "up")} >= {(instance, "1")}
    assert [row["value"][1] for row in query(demo, f'shop_database_pool_size{{instance="{instance}"}}')] == ["4"]


def test_a_stopped_shop_is_down_and_without_values(demo: DemoSettings) -> None:
    """A gap is a gap: `up` is 0, and its other series are absent, not the last value."""
    instance = f"127.0.0.1:{demo.port('shop-candidate')}"
    deployment.stop(demo, Side.CANDIDATE)
    try:
        eventually(lambda: [row["value"][1] for row in query(demo, f'up{{instance="{instance}"}}')] == ["0"])
        assert query(demo, f'process_resident_memory_bytes{{instance="{instance}"}}') == []
    finally:
        deployment.ensure_running(demo, Side.CANDIDATE)


def test_what_runs_is_kept_and_what_died_is_started_again(demo: DemoSettings) -> None:
    """A second start changes no pid; after SIGKILL the same build comes back."""
    before = target.processes(demo)
    builds = [deployment.ensure_running(demo, side).build for side in Side]
    database.start_database(demo)
    monitoring.start_metrics(demo)
    assert target.processes(demo) == before
    assert all(state.alive for state in before)
    for name in ("shop-baseline", "metrics"):
        os.kill(running_pid(demo, name) or -1, signal.SIGKILL)
    eventually(lambda: not any(s.alive for s in target.processes(demo) if s.name in ("shop-baseline", "metrics")))
    assert [deployment.ensure_running(demo, side).build for side in Side] == builds
    monitoring.start_metrics(demo)
    assert all(state.alive for state in target.processes(demo))
    assert (get_json(f"{demo.shop_url(Side.BASELINE)}/build") or {})["build"] == builds[0]


def test_the_database_survives_a_killed_server(demo: DemoSettings) -> None:
    """SIGKILL of the server, a new start, and the shop answers with the rows it had."""
    expected = bodies(demo, Side.BASELINE)
    os.kill(read_pid(demo.home / "pg" / "data" / "postmaster.pid") or -1, signal.SIGKILL)
    database.start_database(demo)
    eventually(lambda: bodies(demo, Side.BASELINE) == expected)


def test_a_demo_on_taken_ports_is_one_clear_error(demo: DemoSettings, tmp_path: Path) -> None:
    """A second demo on the same ports names the port, and does not touch the first."""
    other = DemoSettings(home=tmp_path, port_base=demo.port_base)
    with pytest.raises(DemoError, match=rf"port {demo.port('database')} is taken.*DEMO_PORT_BASE"):
        database.start_database(other)
    with pytest.raises(DemoError, match=rf"port {demo.port('metrics')} is taken.*DEMO_PORT_BASE"):
        monitoring.start_metrics(other)
    assert target.stop_target(other) == []
    assert all(state.alive for state in target.processes(demo))


def test_the_inputs_are_what_the_prerequisites_accept(demo: DemoSettings) -> None:
    """All three files pass their validators and hold the real build and a real measurement."""
    now = datetime.now(UTC).replace(microsecond=0)
    paths = {path.name: path.read_bytes() for path in write_inputs(demo, now=now)}
    assert validate_monitoring_package(paths["MONITORING-PACKAGE.zip"], where="zip").dated == now
    deployments = validate_deployment_report(paths["DEPLOYMENT-REPORT.md"], where="deployments").items["deployments"]
    assert deployments[-1]["build"] == (get_json(f"{demo.shop_url(Side.BASELINE)}/build") or {})["build"]
    (incident,) = validate_incident_report(paths["INCIDENT-REPORT.md"], where="incidents").items["incidents"]
    assert "20 order histories" in incident["impact"]


def test_traffic_flows_steps_aside_and_ends_with_its_lease(demo: DemoSettings) -> None:
    """The demo's users send, stop sending while somebody else loads the shop, and end when nobody holds the lease."""

    def served() -> int:
        return round(counter(demo, Side.BASELINE, "shop_requests_total"))

    traffic.start_traffic(demo, rate=30)
    try:
        first = served()
        eventually(lambda: served() > first + 20)
        came = traffic.undisturbed_since(demo)
        assert came <= time.time()

        def quiet() -> bool:
            for _ in range(5):
                get(f"{demo.shop_url(Side.BASELINE)}/products/1/quote")
            before = served()
            end = time.monotonic() + 0.7
            while time.monotonic() < end:
                if served() != before:
                    return False
            return True

        eventually(quiet, seconds=15)
        assert traffic.undisturbed_since(demo) > time.time() > came
        assert running_pid(demo, "traffic") is not None
    finally:
        (demo.run_directory / "traffic.lease").unlink()
        eventually(lambda: running_pid(demo, "traffic") is None, seconds=15)
        traffic.stop_traffic(demo)


def test_logs_are_json_lines(demo: DemoSettings) -> None:
    """Each request is a line with its time, route, milliseconds and status."""
    lines = (demo.log_directory / "shop-baseline-access.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    assert {record["route"] for record in records} == {"orders", "quote"}
    assert all(record["ms"] > 0 and datetime.fromisoformat(record["time"]).tzinfo for record in records)


def test_stopping_leaves_nothing(demo: DemoSettings) -> None:
    """Last: everything that ran is stopped, every port is free, and a second stop finds nothing."""
    running = {state.name for state in target.processes(demo) if state.alive}
    assert set(target.stop_target(demo)) == running == {"database", "metrics", "shop-baseline", "shop-candidate"}
    assert target.processes(demo) == []
    assert all(_is_free(demo.port(name)) for name in running)
    assert target.stop_target(demo) == []
