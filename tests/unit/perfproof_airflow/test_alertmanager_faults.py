"""Alertmanager in trouble: every fault has its documented outcome, and none passes as "no alerts"."""

from __future__ import annotations

import json
import tracemalloc
from datetime import UTC, datetime
from typing import Any

import pytest
from fault_server import fault_server

from perfproof.errors import TelemetryError
from perfproof.telemetry import sha256_hex
from perfproof_airflow.hooks.alertmanager import AlertmanagerHook
from perfproof_airflow.hooks.connection_values import ConnectionValues
from perfproof_airflow.hooks.http_answers import Limits, Unreachable
from perfproof_airflow.hooks.refused import QueryRefused

NOW = datetime(2025, 2, 16, 10, 0, tzinfo=UTC)
JSON = {"Content-Type": "application/json"}


def alert(name: str = "OrdersSlow", *, starts: Any = "2025-02-16T09:50:00.123456789Z", **changes: Any) -> dict[str, Any]:
    return {
        "annotations": {},
        "endsAt": "2025-02-16T10:04:00Z",
        "fingerprint": f"fp-{name}",
        "receivers": [{"name": "team"}],
        "startsAt": starts,
        "status": {"inhibitedBy": [], "silencedBy": [], "state": "active"},
        "updatedAt": "2025-02-16T09:59:00Z",
        "generatorURL": "http://prometheus:9090/graph?g0.expr=shop%3Ap95+%3E+0.25&g0.tab=1",
        "labels": {"alertname": name, "severity": "page", "service": "shop"},
    } | changes


def hook(address: str) -> AlertmanagerHook:
    return AlertmanagerHook(
        connection=ConnectionValues(address), limits=Limits(total_seconds=0.6, answer_bytes=1 << 20), sleep=lambda _: None
    )


def asked(address: str, query: str | None = None) -> tuple[list[dict[str, Any]], bytes]:
    found, raw = hook(address).items(query=query, start=NOW.timestamp() - 3600, end=NOW.timestamp(), fetched_at=NOW)
    assert set(found) == {"alerts"}
    return found["alerts"], raw


def answered(document: Any, mode: str = "good", query: str | None = None) -> list[dict[str, Any]]:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    with fault_server(mode, (200, JSON, body)) as address:
        return asked(address, query)[0]


def test_an_answer_becomes_items_with_its_digest() -> None:
    """The contract's shape: expression from Prometheus' link, firing while its end is ahead, `for` unknown to Alertmanager."""
    body, seen = json.dumps([alert()]).encode(), list[bytes]()
    with fault_server("good", (200, JSON, body), seen=seen) as address:
        items, raw = asked(address, 'service="shop"')
    assert sha256_hex(raw) == sha256_hex(body)
    assert items == [
        {
            "name": "OrdersSlow", "expression": "shop:p95 > 0.25", "severity": "page", "for": "UNKNOWN", "service": "shop",
            "state": "firing", "started_at": "2025-02-16T09:50:00Z", "ended_at": None, "source": "alertmanager", "silenced": False,
            "inhibited": False, "fingerprint": "fp-OrdersSlow",
        }
    ]  # fmt: skip
    line = seen[0].split(b"\r\n")[0]
    assert line.startswith(b"GET /api/v2/alerts?active=true&silenced=true&inhibited=true")
    assert b"filter=service%3D%22shop%22" in line


@pytest.mark.parametrize(
    ("mode", "error", "code"),
    [
        ("down", Unreachable, "TEL-270"),
        ("slow", Unreachable, "TEL-270"),
        ("http_429", Unreachable, "TEL-270"),
        ("http_500", Unreachable, "TEL-270"),
        ("truncated", Unreachable, "TEL-270"),
        ("redirect", TelemetryError, "TEL-272"),
        ("html_200", TelemetryError, "TEL-274"),
        ("endless", TelemetryError, "TEL-271"),
        ("gzip_bomb", TelemetryError, "TEL-271"),
    ],
)
def test_a_fault_of_the_server_is_an_error(mode: str, error: type[Exception], code: str) -> None:
    """Down, slow, overloaded, elsewhere, something else, too much: one line with a code, in bounded memory."""
    tracemalloc.start()
    try:
        with pytest.raises(error, match=code):
            answered([alert()], mode)
        assert tracemalloc.get_traced_memory()[1] < 300 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("mode", "document", "code"),
    [
        ("nan", b'[{"startsAt": NaN}]', "TEL-770"),
        ("gaps", [alert(labels=None)], "TEL-770"),
        ("gaps", [alert(status={})], "TEL-770"),
        ("gaps", [alert(fingerprint=None)], "TEL-770"),
        ("gaps", [alert(starts=None)], "TEL-771"),
        ("duplicates", [alert(), alert(starts="2025-02-16T09:10:00Z")], "TEL-770"),
        ("unit_change", [alert(starts=1739699400000)], "TEL-771"),
        ("unit_change", [alert(starts="2025-02-16T09:50:00")], "TEL-771"),
        ("good", {"status": "success", "data": []}, "TEL-770"),
        ("good", [7], "TEL-770"),
        ("good", b"[1" * 3000, "TEL-770"),
    ],
)
def test_an_answer_of_another_shape_is_an_error(mode: str, document: Any, code: str) -> None:
    """NaN, missing fields, one alert with two contents, times in another unit or without a zone: refused, never guessed."""
    with pytest.raises(TelemetryError, match=code):
        answered(document, mode)


def test_an_alert_listed_twice_counts_once_and_order_does_not_matter() -> None:
    """A cluster of Alertmanagers may list one twice; the oldest comes first whatever the order of the answer."""
    later = alert("Later", starts="2025-02-16T09:55:00Z")
    items = answered([later, alert(), alert()], "out_of_order")
    assert [item["name"] for item in items] == ["OrdersSlow", "Later"]


def test_what_is_over_says_when_and_what_is_outside_the_window_is_left_out() -> None:
    """An end in the past is an end; one before the window, or a start after it, is of another time."""
    over = alert("Over", endsAt="2025-02-16T09:55:00Z")
    before = alert("Before", starts="2025-02-16T07:00:00Z", endsAt="2025-02-16T08:00:00Z")
    after = alert("After", starts="2025-02-16T10:30:00Z")
    unset = alert("Unset", endsAt="0001-01-01T00:00:00Z", generatorURL="", labels={})
    items = answered([over, before, after, unset])
    assert [(item["name"], item["state"], item["ended_at"]) for item in items] == [
        ("Over", "resolved", "2025-02-16T09:55:00Z"),
        ("UNKNOWN", "firing", None),
    ]
    assert (items[1]["expression"], items[1]["severity"], items[1]["service"]) == ("UNKNOWN", "UNKNOWN", None)


def test_a_silenced_alert_is_told_as_silenced() -> None:
    """It fires, and somebody knew."""
    (item,) = answered([alert(status={"inhibitedBy": ["a"], "silencedBy": ["b"], "state": "suppressed"})])
    assert (item["state"], item["silenced"], item["inhibited"]) == ("firing", True, True)


def test_a_matcher_that_is_none_is_refused_as_a_query() -> None:
    """Alertmanager answers 400 with a text in JSON."""
    with fault_server("good", (400, JSON, b'"bad matcher format: {"')) as address, pytest.raises(QueryRefused, match="TEL-780"):
        asked(address, "{")


def test_no_alert_is_an_empty_list() -> None:
    """An empty list is an answer: nothing fires."""
    assert answered([]) == []


def test_the_connection_says_tenant_and_parameters() -> None:
    """Mimir's Alertmanager is one for each tenant; the token goes with every question."""
    seen: list[bytes] = []
    with fault_server("good", (200, JSON, b"[]"), seen=seen) as address:
        values = ConnectionValues(f"{address}/alertmanager", bearer_token="a-token", tenant="team", parameters={"extra": "1"})
        AlertmanagerHook(connection=values).items(query=None, start=0, end=NOW.timestamp(), fetched_at=NOW)
    head = seen[0].lower()
    assert head.startswith(b"get /alertmanager/api/v2/alerts?extra=1&active=true")
    assert b"x-scope-orgid: team" in head
    assert b"authorization: bearer a-token" in head


@pytest.mark.parametrize(("start", "end"), [(2.0, 1.0), (float("nan"), 1.0), (0.0, float("inf")), (-1.0, 1.0), (0.0, 1e18)])
def test_what_is_no_window_is_refused_before_asking(start: float, end: float) -> None:
    """Nothing is sent."""
    with fault_server("good", seen=(seen := [])) as address, pytest.raises(TelemetryError, match="TEL-783"):
        hook(address).items(query=None, start=start, end=end, fetched_at=NOW)
    assert seen == []
