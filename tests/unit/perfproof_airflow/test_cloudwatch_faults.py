"""The CloudWatch hooks against a real socket that misbehaves: the outcome of each fault, bounded in time and memory."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from fault_server import Answer, fault_server

from perfproof.errors import TelemetryError
from perfproof.telemetry import Direction, MetricKind, MetricSpec, Series, Unit
from perfproof_airflow.hooks.aws_sender import MOST_VALUES, client_settings
from perfproof_airflow.hooks.cloudwatch import CloudWatchHook
from perfproof_airflow.hooks.cloudwatch_alarms import CloudWatchAlarmsHook
from perfproof_airflow.hooks.http_answers import ATTEMPTS, Limits, Unreachable
from perfproof_airflow.hooks.refused import QueryRefused

END = datetime(2025, 2, 16, 10, 0, tzinfo=UTC)
SPEC = MetricSpec("cpu", MetricKind.UTILIZATION, Unit.PERCENT, Direction.LOWER, "cloudwatch", "N CPU Average Percent")
TEST_SECONDS = 1.0
MOST_MEMORY_KIB = 300 << 10
AWS_JSON = {"Content-Type": "application/x-amz-json-1.0"}


def client_at(address: str) -> Any:
    return boto3.client(
        "cloudwatch", region_name="eu-west-1", aws_access_key_id="AK", aws_secret_access_key="SK", endpoint_url=address,
        config=client_settings(),
    )  # fmt: skip


def ask(address: str, *, seconds: float = TEST_SECONDS) -> Series:
    """Five minutes, with pauses that take no time."""
    hook = CloudWatchHook(client=client_at(address), limits=Limits(total_seconds=seconds), sleep=lambda _: None)
    series, _ = hook.query_range_raw(
        SPEC, service="orders", instance="i", start=END.timestamp() - 240, end=END.timestamp(), step=60, rate_window=60,
        fetched_at=END + timedelta(minutes=5),
    )  # fmt: skip
    return series


def minutes(*back: float, unit: str = "m0", value: Any = 12.5) -> Answer:
    """An answer with a sample for the minute that began so many minutes before the end."""
    stamps = [END.timestamp() - 60 * number for number in back]
    result = {"Id": unit, "Label": "l", "Timestamps": stamps, "Values": [value] * len(stamps), "StatusCode": "Complete"}
    return 200, AWS_JSON, json.dumps({"MetricDataResults": [result]}).encode()


GOOD = minutes(5, 4, 3, 2, 1)


def test_a_good_answer_over_a_socket_is_read() -> None:
    """What the other tests break works, and the request is signed and asks for nothing packed."""
    seen: list[bytes] = []
    with fault_server("good", GOOD, seen=seen) as address:
        series = ask(address)
    assert series.values == (12.5,) * 5
    assert series.times == tuple(END.timestamp() - 60 * back for back in (4, 3, 2, 1, 0))
    head = seen[0].partition(b"\r\n\r\n")[0].lower()
    assert b"\r\nauthorization: aws4-hmac-sha256 credential=ak/" in head
    assert head.count(b"\r\naccept-encoding:") == 1 and b"accept-encoding: identity" in head


@pytest.mark.parametrize(
    ("mode", "error", "words"),
    [
        ("down", Unreachable, "TEL-718 .*ConnectError"),
        ("http_429", Unreachable, "TEL-718 .*HTTP 429"),
        ("http_500", Unreachable, "TEL-718 .*HTTP 500"),
        ("truncated", Unreachable, "TEL-718 .*RemoteProtocolError"),
        ("slow", Unreachable, "TEL-718 .*the total time is used up"),
        ("redirect", TelemetryError, "TEL-715 .*redirects .*HTTP 302"),
        ("html_200", TelemetryError, "TEL-714 .*does not answer as an AWS service .*text/html"),
        ("gzip_bomb", TelemetryError, "TEL-714 .*packs its answer"),
        ("endless", TelemetryError, "TEL-717 .*too large"),
    ],
)
def test_a_fault_has_its_outcome_within_the_total_time(mode: str, error: type[TelemetryError], words: str) -> None:
    """What may pass is Unreachable after its attempts; what no retry mends is said at once; nothing is a measurement."""
    seen: list[bytes] = []
    # Pauses take no time here, but must fit into the total time; only a slow server makes use of it.
    seconds = TEST_SECONDS if mode == "slow" else 10.0
    before = time.monotonic()
    with fault_server(mode, GOOD, seen=seen, retry_after="0") as address, pytest.raises(error, match=words) as caught:
        ask(address, seconds=seconds)
    assert time.monotonic() - before < TEST_SECONDS + 1.5
    assert isinstance(caught.value, Unreachable) is (error is Unreachable)
    attempts = {"down": 0, "http_429": ATTEMPTS, "http_500": ATTEMPTS, "truncated": ATTEMPTS}.get(mode, 1)
    assert len(seen) == attempts
    assert not any(b"/followed" in request.partition(b"\r\n")[0] for request in seen)


@pytest.mark.parametrize(
    ("mode", "answer", "words"),
    [
        ("nan", minutes(5, value="NaN"), "TEL-721 .*is no number|TEL-714"),
        ("duplicates", minutes(5, 4, 4, 3), "TEL-721 .*repeated"),
        ("out_of_order", minutes(5, 3, 4), "TEL-721 .*out of order"),
        ("good", minutes(5, value=None), "TEL-721|TEL-714"),
        ("good", minutes(5, unit="m1"), "TEL-721 .*not asked for"),
        ("good", (200, AWS_JSON, b"{"), "TEL-714|TEL-721"),
        ("good", (200, AWS_JSON, b""), "TEL-714|TEL-721"),
        ("good", (200, AWS_JSON, b"[" * 100_000), "TEL-714"),
        ("good", (200, {"Content-Type": "application/cbor"}, b"\x9f" * 100_000), "TEL-714 .*does not answer as an AWS service"),
        ("good", (200, {"Content-Type": "text/xml"}, b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"), "TEL-714 .*does not answer as"),
        ("good", (200, AWS_JSON, b'{"MetricDataResults":[' + b"{}," * MOST_VALUES + b"{}]}"), "TEL-717 .*at most [0-9]+ values"),
        ("good", (404, AWS_JSON, b'{"__type":"com.amazonaws#UnknownOperation","message":"no"}'), "TEL-719 .*UnknownOperation"),
    ],
)
def test_an_answer_that_is_no_measurement_is_refused(mode: str, answer: Answer, words: str) -> None:
    """Numbers that are none, samples twice or in disorder, bodies of another kind."""
    with fault_server(mode, answer) as address, pytest.raises(TelemetryError, match=words):
        ask(address)


def test_gaps_stay_gaps() -> None:
    """Minutes without a sample are missing in the series: neither filled nor 0."""
    with fault_server("gaps", minutes(5, 2)) as address:
        assert ask(address).times == (END.timestamp() - 240, END.timestamp() - 60)


def test_a_change_of_unit_is_refused() -> None:
    """The metric is published in seconds since, and the query still says nothing about it."""

    def answered(request: bytes) -> Answer:
        if b"getmetricstatistics" in request.lower():
            points = [{"Timestamp": END.timestamp(), "SampleCount": 1.0, "Unit": unit} for unit in ("Seconds", "Milliseconds")]
            return 200, AWS_JSON, json.dumps({"Label": "T", "Datapoints": points}).encode()
        return GOOD

    spec = MetricSpec("p95", MetricKind.LATENCY, Unit.MILLISECONDS, Direction.LOWER, "cloudwatch", "N T p95")
    with fault_server("unit_change", answered) as address:
        hook = CloudWatchHook(client=client_at(address), limits=Limits(total_seconds=TEST_SECONDS))
        with pytest.raises(QueryRefused, match=r"TEL-713 .*several units"):
            hook.query_range_raw(
                spec, service="s", instance="i", start=END.timestamp() - 240, end=END.timestamp(), step=60, rate_window=60,
                fetched_at=END + timedelta(minutes=5),
            )  # fmt: skip


def test_the_alarms_meet_the_same_bounds() -> None:
    """One way to ask for both hooks: a server that is down and one that never ends."""
    for mode, error in (("down", Unreachable), ("endless", TelemetryError)):
        with fault_server(mode, (200, AWS_JSON, b"{")) as address, pytest.raises(error, match=r"TEL-71[78]"):
            hook = CloudWatchAlarmsHook(client=client_at(address), limits=Limits(total_seconds=TEST_SECONDS), sleep=lambda _: None)
            hook.items(query=None, start=END.timestamp() - 600, end=END.timestamp(), fetched_at=END)


PROGRAM = """
import sys
sys.path[:0] = sys.argv[1].split(':')
import test_cloudwatch_faults as tests
from fault_server import fault_server
from perfproof.errors import TelemetryError
# A child inherits the peak that getrusage tells from its parent; this one is its own.
peak = lambda: int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
tests.ask_good_once()
before = peak()
with fault_server(sys.argv[2], tests.DENSE if sys.argv[2] == "good" else tests.GOOD) as address:
    try:
        tests.ask(address, seconds=20)
    except TelemetryError as error:
        print(error.code, before, peak())
"""
# A quarter of the values that one answer may have, all timestamps: botocore makes an object with a time zone of its own of each, which
# takes long, so the test does not take the whole.
DENSE_SHARE = 4
DENSE: Answer = (
    200, AWS_JSON, b'{"MetricDataResults":[{"Id":"m0","Timestamps":[' + b"0," * (MOST_VALUES // DENSE_SHARE) + b'0],"Values":[]}]}'
)  # fmt: skip


def ask_good_once() -> None:
    with fault_server("good", GOOD) as address:
        assert ask(address, seconds=20).values


@pytest.mark.parametrize(("mode", "expected"), [("endless", "TEL-717"), ("good", "TEL-721")])
def test_a_large_answer_takes_less_than_300_mib(mode: str, expected: str) -> None:
    """In a process of its own, with the limits that the hook has by itself: one that never ends, and the densest that is parsed."""
    root = Path(__file__).resolve().parents[3]
    places = ":".join(str(place) for place in (Path(__file__).parent, root / "tests", root / "include", root / "plugins"))
    done = subprocess.run([sys.executable, "-c", PROGRAM, places, mode], capture_output=True, text=True, timeout=60, check=True)
    code, before, peak = done.stdout.split()
    assert code == expected
    grown = int(peak) - int(before)
    assert int(before) + (DENSE_SHARE * grown if mode == "good" else grown) < MOST_MEMORY_KIB


def test_the_connection_of_airflow_gives_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """Address, region and keys come from the Connection; its own retries and the environment's proxy do not count."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    for mode, answer in (("good", GOOD), ("http_500", GOOD)):
        seen: list[bytes] = []
        with fault_server(mode, answer, seen=seen) as address:
            extra = {"region_name": "eu-central-1", "endpoint_url": address, "config_kwargs": {"retries": {"max_attempts": 9}}}
            connection = {"conn_type": "aws", "login": "AKIDEXAMPLE", "password": "SK", "extra": extra}
            monkeypatch.setenv("AIRFLOW_CONN_PERFPROOF_CLOUDWATCH", json.dumps(connection))
            hook = CloudWatchHook(limits=Limits(total_seconds=60), sleep=lambda _: None)
            if mode == "good":
                assert hook.probe("N CPU Average", at=END.timestamp()) == 5
                assert b"/eu-central-1/monitoring/aws4_request" in seen[0] and b"Credential=AKIDEXAMPLE/" in seen[0]
            else:
                with pytest.raises(Unreachable, match=r"TEL-718"):
                    hook.probe("N CPU Average", at=END.timestamp())
                assert len(seen) == ATTEMPTS
