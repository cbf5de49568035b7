"""PagerDuty in trouble: every fault has its documented outcome, pages are complete, and the token goes nowhere else."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from fault_server import fault_server

from perfproof.errors import TelemetryError
from perfproof_airflow.hooks.connection_values import ConnectionValues
from perfproof_airflow.hooks.http_answers import Limits, Unreachable
from perfproof_airflow.hooks.pagerduty_incidents import PagerDutyIncidentsHook

NOW = datetime(2025, 2, 16, 10, 0, tzinfo=UTC)
JSON = {"Content-Type": "application/json; charset=utf-8"}


def incident(number: int = 1, *, created: Any = "2025-02-16T09:12:00Z", **changes: Any) -> dict[str, Any]:
    return {
        "id": f"P{number:04d}",
        "incident_number": number,
        "title": f"Orders slow {number}",
        "created_at": created,
        "status": "resolved",
        "resolved_at": "2025-02-16T09:40:00Z",
        "last_status_change_at": "2025-02-16T09:40:00Z",
        "urgency": "high",
        "service": {"id": "PSHOP1", "summary": "Shop API"},
    } | changes


def page(*incidents: Any, more: Any = False) -> dict[str, Any]:
    return {"incidents": list(incidents), "limit": 100, "offset": 0, "more": more, "total": None}


def asked(address: str, query: str | None = None, *, seconds: float = 0.6) -> tuple[list[dict[str, Any]], bytes]:
    hook = PagerDutyIncidentsHook(
        connection=ConnectionValues(address, password="a-token"),
        limits=Limits(total_seconds=seconds, answer_bytes=1 << 20),
        sleep=lambda _: None,
    )
    found, raw = hook.items(query=query, start=NOW.timestamp() - 3600, end=NOW.timestamp(), fetched_at=NOW)
    assert set(found) == {"incidents"}
    return found["incidents"], raw


def answered(document: Any, mode: str = "good", query: str | None = None) -> list[dict[str, Any]]:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    with fault_server(mode, (200, JSON, body)) as address:
        return asked(address, query)[0]


def paged(*pages: dict[str, Any]) -> Callable[[bytes], tuple[int, dict[str, str], bytes]]:
    """Answers page after page by the offset that is asked for; pages hold 100 in name only."""
    by_offset: dict[int, dict[str, Any]] = {}
    offset = 0
    for document in pages:
        by_offset[offset] = document
        offset += len(document["incidents"])

    def good(request: bytes) -> tuple[int, dict[str, str], bytes]:
        asked_for = parse_qs(urlsplit(request.split(b" ")[1].decode()).query)
        return 200, JSON, json.dumps(by_offset[int(asked_for["offset"][0])]).encode()

    return good


def test_an_answer_becomes_items() -> None:
    """The contract's shape; the service has the protocol file's name, the impact is not known to PagerDuty."""
    seen: list[bytes] = []
    document = page(incident(priority={"summary": "P1"}))
    with fault_server("good", (200, JSON, json.dumps(document).encode()), seen=seen) as address:
        items, _ = asked(address, "PSHOP1=shop, PMAIL22")
    assert items == [
        {
            "id": "P0001", "title": "Orders slow 1", "started_at": "2025-02-16T09:12:00Z", "ended_at": "2025-02-16T09:40:00Z",
            "severity": "P1", "services": ["shop"], "impact": "UNKNOWN",
        }
    ]  # fmt: skip
    query = parse_qs(urlsplit(seen[0].split(b" ")[1].decode()).query)
    assert query["service_ids[]"] == ["PSHOP1", "PMAIL22"]
    assert (query["since"], query["until"], query["limit"]) == (["2025-02-09T09:00:00Z"], ["2025-02-16T10:00:00Z"], ["100"])
    assert b"authorization: token token=a-token" in seen[0].lower()


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
    """Never an empty list of incidents, in bounded memory, and the token is not in the line."""
    tracemalloc.start()
    try:
        with pytest.raises(error, match=code) as caught:
            answered(page(incident()), mode)
        assert "a-token" not in str(caught.value)
        assert tracemalloc.get_traced_memory()[1] < 300 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("mode", "document", "code"),
    [
        ("nan", b'{"incidents": [], "more": NaN}', "TEL-772"),
        ("gaps", {"incidents": [incident()]}, "TEL-772"),
        ("gaps", page(incident(id=None)), "TEL-772"),
        ("gaps", page(incident(created=None)), "TEL-771"),
        ("gaps", page(incident(resolved_at=None, last_status_change_at=None)), "TEL-771"),
        ("gaps", page(more=True), "TEL-772"),
        ("unit_change", page(incident(created=1739697120)), "TEL-771"),
        ("out_of_order", page(incident(resolved_at="2025-02-16T09:00:00Z")), "TEL-772"),
        ("good", page(incident(status="closed")), "TEL-772"),
        ("good", {"error": {"message": "no"}}, "TEL-772"),
        ("good", [incident()], "TEL-772"),
    ],
)
def test_an_answer_of_another_shape_is_an_error(mode: str, document: Any, code: str) -> None:
    """NaN, missing fields, times in another unit, an end before the beginning, an empty page that announces more."""
    with pytest.raises(TelemetryError, match=code):
        answered(document, mode)


def test_every_page_is_read_and_an_incident_that_moved_on_counts_once() -> None:
    """Pages are asked for by offset until `more` is false; the later word on an incident counts."""
    ongoing = incident(2, status="acknowledged", created="2025-02-16T09:20:00Z", resolved_at=None)
    over = {**ongoing, "status": "resolved", "resolved_at": "2025-02-16T09:50:00Z"}
    with fault_server("good", paged(page(incident(3), ongoing, more=True), page(over, incident(1)))) as address:
        items, raw = asked(address)
    assert [(item["id"], item["ended_at"]) for item in items] == [
        ("P0001", "2025-02-16T09:40:00Z"),
        ("P0003", "2025-02-16T09:40:00Z"),
        ("P0002", "2025-02-16T09:50:00Z"),
    ]
    assert raw.count(b"\n") == 1


def test_pages_without_an_end_are_an_error() -> None:
    """A server that always has more is left after the number that PagerDuty lists at most, or when the time is used up."""
    body = json.dumps(page(*(incident(number) for number in range(100)), more=True)).encode()
    with fault_server("good", (200, JSON, body)) as address, pytest.raises(TelemetryError, match=r"TEL-773|TEL-270"):
        asked(address, seconds=2.0)


def test_incidents_that_touch_the_window_are_told() -> None:
    """One that began hours before and lasts is in it; one that was over is not; without priority the urgency stands."""
    lasts = incident(1, created="2025-02-16T02:00:00Z", status="triggered", resolved_at=None, urgency="low", service=None)
    over = incident(2, created="2025-02-16T02:00:00Z", resolved_at="2025-02-16T03:00:00Z")
    (item,) = answered(page(lasts, over), "out_of_order")
    assert (item["id"], item["ended_at"], item["severity"], item["services"]) == ("P0001", None, "low", [])


@pytest.mark.parametrize("query", ["shop", "PSHOP1=", "PSHOP1=a=b", "", "PSHOP1,,", "P&limit=1"])
def test_a_query_that_names_no_services_is_refused(query: str) -> None:
    """Before anything is sent."""
    with fault_server("good", seen=(seen := [])) as address, pytest.raises(TelemetryError, match="TEL-779"):
        asked(address, query)
    assert seen == []


@pytest.mark.parametrize(
    "values",
    [ConnectionValues("http://api.pagerduty.test", password="a-token"), ConnectionValues("https://api.pagerduty.test")],
)
def test_a_token_is_never_sent_in_the_clear(values: ConnectionValues) -> None:
    """No token, or http to another machine: refused before anything is sent, and the token is not in the line."""
    hook = PagerDutyIncidentsHook(connection=values, limits=Limits(total_seconds=0.1))
    with pytest.raises(TelemetryError, match="TEL-775") as caught:
        hook.items(query=None, start=0, end=1, fetched_at=NOW)
    assert "a-token" not in str(caught.value)
