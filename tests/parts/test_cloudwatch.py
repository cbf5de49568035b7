"""The CloudWatch hooks against a service that stores what it is sent (ministack), and, for who has an account, against AWS itself.

ministack ignores paging, the unit of a request, limits and metric math; those are tested with botocore's Stubber, which knows the
service's own model.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from perfproof.telemetry import Direction, MetricKind, MetricSpec, Series, Unit
from perfproof_airflow.hooks.aws_sender import client_settings
from perfproof_airflow.hooks.cloudwatch import CloudWatchHook
from perfproof_airflow.hooks.cloudwatch_alarms import CloudWatchAlarmsHook
from perfproof_airflow.hooks.refused import QueryRefused

PROGRAM = os.environ.get("MINISTACK_BIN") or shutil.which("ministack")
stands_in = pytest.mark.skipif(PROGRAM is None, reason="no ministack: install ministack, or name its program in MINISTACK_BIN")
START_SECONDS = 30.0
DIMENSIONS = [{"Name": "service", "Value": "orders"}, {"Name": "host", "Value": "a b"}]
SELECTED = 'Shop ResponseTime{service=$service,host="a b"}'


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A ministack on loopback with nothing stored."""
    home = tmp_path_factory.mktemp("ministack")
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
    surroundings = {
        **os.environ, "BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port), "IOT_MTLS_ENABLED": "0", "SFTP_ENABLED": "0",
        "TMPDIR": str(home),
    }  # fmt: skip
    with (home / "log").open("wb") as log:
        process = subprocess.Popen([str(PROGRAM)], stdout=log, stderr=log, cwd=home, env=surroundings)
        try:
            _wait(f"http://127.0.0.1:{port}", process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(address: str, process: subprocess.Popen[bytes]) -> None:
    client = client_at(address)
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            client.list_metrics()
            return
        except (BotoCoreError, ClientError):
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def client_at(address: str) -> Any:
    # ministack does not unpack what botocore packs from 10 KiB on.
    settings = client_settings().merge(Config(disable_request_compression=True))
    return boto3.client(
        "cloudwatch", region_name="eu-west-1", aws_access_key_id="AK", aws_secret_access_key="SK", endpoint_url=address, config=settings
    )


@pytest.fixture(scope="module")
def stored(address: str) -> tuple[str, datetime]:
    """Two minutes of response times in seconds (1 to 100 hundredths, then 2 to 200), requests and one minute's errors; their end."""
    client = client_at(address)
    end = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=5)
    for back, factor in ((2, 1), (1, 2)):
        begin = end - timedelta(minutes=back)
        data: list[dict[str, Any]] = []
        for number in range(1, 101):
            moment = begin + timedelta(seconds=number % 60)
            data.append({"MetricName": "ResponseTime", "Value": factor * number / 100, "Unit": "Seconds", "Timestamp": moment})
        data.append({"MetricName": "Requests", "Value": 400.0, "Unit": "Count", "Timestamp": begin})
        if back == 1:
            data.append({"MetricName": "Errors", "Value": 6.0, "Unit": "Count", "Timestamp": begin})
        for item in data:
            item["Dimensions"] = DIMENSIONS
        client.put_metric_data(Namespace="Shop", MetricData=data)
        client.put_metric_data(Namespace="Other", MetricData=[{**item, "Value": 1e6} for item in data])
    return address, end


def ask(stored: tuple[str, datetime], query: str, unit: Unit, *, step: float = 60) -> Series:
    address, end = stored
    spec = MetricSpec("m", MetricKind.LATENCY, unit, Direction.LOWER, "cloudwatch", query)
    series, _ = CloudWatchHook(client=client_at(address)).query_range_raw(
        spec, service="orders", instance="i", start=end.timestamp() - 600 + step, end=end.timestamp(), step=step, rate_window=60,
        fetched_at=datetime.now(UTC),
    )  # fmt: skip
    return series


@stands_in
def test_a_percentile_comes_back_as_it_was_put(stored: tuple[str, datetime]) -> None:
    """p95 of 0.01 … 1.00 s lies between its neighbours, in ms, at the ends of the two minutes; other namespaces stay out."""
    series = ask(stored, f"1000 * {SELECTED} p95", Unit.MILLISECONDS)
    end = stored[1].timestamp()
    assert series.times == (end - 60, end)
    assert 950 <= series.values[0] <= 960 and 1900 <= series.values[1] <= 1920


@stands_in
def test_seconds_are_not_taken_for_milliseconds(stored: tuple[str, datetime]) -> None:
    """The service says that the metric is published in seconds, so a query without a factor is refused."""
    with pytest.raises(QueryRefused, match=r"TEL-713 .*Seconds does not give ms"):
        ask(stored, f"{SELECTED} p95", Unit.MILLISECONDS)


@stands_in
def test_a_ratio_is_missing_where_a_part_is(stored: tuple[str, datetime]) -> None:
    """Errors were published in one minute only; `or 0` says what the other minute means."""
    errors, requests = (SELECTED.replace("ResponseTime", name) + " Sum" for name in ("Errors", "Requests"))
    assert ask(stored, f"100 * {errors} / {requests}", Unit.PERCENT).values == (1.5,)
    assert ask(stored, f"100 * ({errors} or 0) / {requests}", Unit.PERCENT).values == (0.0, 1.5)
    assert ask(stored, f"{requests} / $period", Unit.PER_SECOND).values == pytest.approx((400 / 60, 400 / 60))


@stands_in
def test_the_probe_counts_and_an_unknown_metric_is_no_access(stored: tuple[str, datetime]) -> None:
    """Two minutes have samples; a name that is not published has none."""
    address, _ = stored
    hook = CloudWatchHook(client=client_at(address))
    query = SELECTED.replace("$service", "orders") + " Average"
    assert hook.probe(query, at=time.time()) == 2
    with pytest.raises(QueryRefused, match=r"TEL-723"):
        hook.probe(query.replace("ResponseTime", "Nothing"), at=time.time())


@stands_in
def test_alarms_and_their_changes_come_back(address: str) -> None:
    """An alarm that went to ALARM and back is a span and a rule."""
    client = client_at(address)
    begin = time.time() - 60
    client.put_metric_alarm(
        AlarmName="orders-slow", Namespace="Shop", MetricName="ResponseTime", Dimensions=DIMENSIONS, ExtendedStatistic="p95", Period=60,
        EvaluationPeriods=2, Threshold=0.5, ComparisonOperator="GreaterThanThreshold",
    )  # fmt: skip
    for state in ("OK", "ALARM", "OK"):
        client.set_alarm_state(AlarmName="orders-slow", StateValue=state, StateReason="test")
    hook = CloudWatchAlarmsHook(client=client_at(address))
    found, raw = hook.items(query="orders-", start=begin, end=time.time() + 1, fetched_at=datetime.now(UTC))
    span, rule = found["alerts"]
    assert (span["name"], span["state"], rule["state"], rule["for"]) == ("orders-slow", "resolved", "rule", "120s")
    assert span["started_at"] is not None and span["ended_at"] is not None
    assert (rule["expression"], rule["service"]) == ("Shop ResponseTime{service=orders,host=a b} p95 > 0.5", "orders")
    assert all(json.loads(line) for line in raw.splitlines())


@pytest.mark.skipif(
    not (os.environ.get("PERFPROOF_LIVE_AWS") and os.environ.get("AWS_PROFILE")),
    reason="an AWS account is needed: set PERFPROOF_LIVE_AWS=1 and AWS_PROFILE. Nobody has run this test yet",
)
def test_aws_itself_answers() -> None:
    """Reads only: the account's own count of API calls (free, in every account that is used) and its alarms."""
    client = boto3.Session(profile_name=os.environ["AWS_PROFILE"]).client("cloudwatch", config=client_settings())
    end = time.time() // 300 * 300
    spec = MetricSpec(
        "calls", MetricKind.THROUGHPUT, Unit.COUNT, Direction.HIGHER, "cloudwatch",
        "AWS/Usage CallCount{Type=API,Resource=GetMetricData,Service=CloudWatch,Class=None} Sum",
    )  # fmt: skip
    hook = CloudWatchHook(client=client)
    series, raw = hook.query_range_raw(
        spec, service="s", instance="i", start=end - 86_400, end=end, step=300, rate_window=300, fetched_at=datetime.now(UTC)
    )
    assert raw and list(series.times) == sorted(series.times)
    assert all(moment % 300 == 0 for moment in series.times)
    found, _ = CloudWatchAlarmsHook(client=client).items(query=None, start=end - 86_400, end=end, fetched_at=datetime.now(UTC))
    assert all(item["state"] in ("firing", "resolved", "rule") for item in found["alerts"])
