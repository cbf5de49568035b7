"""Jaeger's query API as a source of traces. The answers are written by hand in the documented form; no real Jaeger made them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from perfproof.errors import PerfproofError, TelemetryError
from perfproof_airflow.hooks.connection_values import ConnectionValues
from perfproof_airflow.hooks.jaeger import LIMIT, ROUNDS, JaegerHook
from perfproof_airflow.hooks.refused import QueryRefused

NOW = datetime(2025, 2, 16, 11, 0, tzinfo=UTC)
START, END = 1_739_700_000.0, 1_739_703_600.0
T0 = 1_739_700_000_000_000
HOSTILE = "<img src=x onerror=alert(1)>|=cmd()\n[x](javascript:1) \x1b[31m"
Handler = Callable[[httpx.Request], httpx.Response]


def jaeger_span(
    key: str,
    parent: str | None,
    start_ms: int,
    ms: int,
    *,
    process: str = "p1",
    name: str = "GET /cart",
    tags: Any = None,
    trace: str = "t1",
) -> dict[str, Any]:
    reference = [{"refType": "CHILD_OF", "traceID": trace, "spanID": parent}] if parent else []
    return {
        "traceID": trace, "spanID": key, "operationName": name, "references": reference, "startTime": T0 + start_ms * 1000,
        "duration": ms * 1000, "tags": tags or [], "logs": [], "processID": process, "warnings": None,
    }  # fmt: skip


def jaeger_trace(*spans: dict[str, Any], trace: str = "t1") -> dict[str, Any]:
    processes = {"p1": {"serviceName": "checkout", "tags": []}, "p2": {"serviceName": "db", "tags": []}}
    return {"traceID": trace, "spans": list(spans), "processes": processes, "warnings": None}


def answer(*traces: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"data": list(traces), "total": 0, "limit": 0, "offset": 0, "errors": None, **more}


def hook_on(handler: Handler, **values: Any) -> JaegerHook:
    connection = ConnectionValues("http://jaeger.test:16686", **values)
    return JaegerHook(source="jaeger", connection=connection, transport=httpx.MockTransport(handler), sleep=lambda seconds: None)


def items_of(handler: Handler, query: str | None = "service=checkout&minDuration=50ms", **values: Any) -> list[dict[str, Any]]:
    found, _ = hook_on(handler, **values).items(query=query, start=START, end=END, fetched_at=NOW)
    assert list(found) == ["traces"]
    return found["traces"]


def answering(document: Any, status: int = 200) -> Handler:
    # As ASCII, so that halves of characters can be sent.
    body = json.dumps(document).encode()
    return lambda request: httpx.Response(status, content=body, headers={"content-type": "application/json"})


GOOD = answer(
    jaeger_trace(
        jaeger_span("a", None, 0, 100),
        jaeger_span("b", "a", 10, 60, process="p2", name="SELECT", tags=[{"key": "error", "type": "bool", "value": True}]),
        jaeger_span("c", "b", 20, 10, process="p2", name="fetch"),
    )
)


def test_a_trace_becomes_an_item_and_the_bytes_are_kept() -> None:
    """The item by hand, the parameters that Jaeger documents, and the raw answer."""
    body = json.dumps(GOOD).encode()
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, content=body, headers={"content-type": "application/json"})

    hook = hook_on(handler, bearer_token="secret", tenant="shop")
    found, raw = hook.items(query="service=checkout&minDuration=50ms", start=START, end=END, fetched_at=NOW)
    assert raw == body
    assert found["traces"] == [
        {
            "trace_id": "t1", "service": "checkout", "transaction": "GET /cart", "started_at": "2025-02-16T10:00:00Z", "duration_ms": 100.0,
            "error": True, "spans": 3, "self_ms": 100.0, "anomalies": {}, "selection": "slowest",
            "self_time": [
                {"service": "db", "span": "SELECT", "ms": 50.0, "share_percent": 50.0, "count": 1},
                {"service": "checkout", "span": "GET /cart", "ms": 40.0, "share_percent": 40.0, "count": 1},
                {"service": "db", "span": "fetch", "ms": 10.0, "share_percent": 10.0, "count": 1},
            ],
        }
    ]  # fmt: skip
    assert dict(seen[0].url.params) == {
        "service": "checkout", "minDuration": "50ms", "start": "1739700000000000", "end": "1739703600000000", "limit": str(LIMIT),
    }  # fmt: skip
    assert (seen[0].headers["authorization"], seen[0].headers["x-tenant"]) == ("Bearer secret", "shop")


def test_a_large_integer_in_a_tag_is_no_reason_to_refuse_a_trace() -> None:
    """Hashes in tags are 64 bits wide; no figure is computed from them."""
    document = answer(jaeger_trace(jaeger_span("a", None, 0, 5, tags=[{"key": "hash", "type": "int64", "value": 2**63 - 1}])))
    assert items_of(answering(document))[0]["duration_ms"] == 5.0


def test_who_follows_is_not_waited_for() -> None:
    """FOLLOWS_FROM and a parent in another trace are no parents; the old parentSpanID is one."""
    follower = jaeger_span("b", "a", 10, 60)
    follower["references"][0]["refType"] = "FOLLOWS_FROM"
    linked = jaeger_span("c", "a", 10, 60)
    linked["references"][0]["traceID"] = "other"
    old = {**jaeger_span("d", None, 0, 30), "parentSpanID": "a"}
    item = items_of(answering(answer(jaeger_trace(jaeger_span("a", None, 0, 100, name="root"), follower, linked, old))))[0]
    assert (item["transaction"], {row["span"]: row["ms"] for row in item["self_time"]}) == ("root", {"GET /cart": 150.0, "root": 70.0})


def test_hostile_names_are_data_of_bounded_length() -> None:
    """Markup, formulas and escapes pass as they are, cut at 200 characters; half a character becomes a question mark."""
    names = [HOSTILE, "x" * 10_000, "a\ud800b"]
    spans = [jaeger_span(str(i), None, i, 10, name=name) for i, name in enumerate(names)]
    listed = [row["span"] for row in items_of(answering(answer(jaeger_trace(*spans))))[0]["self_time"]]
    assert sorted(listed) == sorted([HOSTILE, "x" * 199 + "…", "a?b"])


class Population:
    """A Jaeger with `count` one-span traces of 1 ms, 2 ms, … that answers any `limit` of those above minDuration: the shortest."""

    def __init__(self, count: int, *, refuses_floor: bool = False) -> None:
        self.count, self.refuses_floor = count, refuses_floor
        self.asked: list[dict[str, str]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        parameters = dict(request.url.params)
        self.asked.append(parameters)
        floor = parameters.get("minDuration", "0us")
        if self.refuses_floor and floor != "0us":
            return httpx.Response(400, json={"data": None, "errors": [{"code": 400, "msg": "Cannot query for tags with minDuration"}]})
        lowest = int(floor.removesuffix("us"))
        chosen = [ms for ms in range(1, self.count + 1) if ms * 1000 >= lowest][: int(parameters["limit"])]
        traces = [jaeger_trace(jaeger_span("a", None, 0, ms, trace=f"t{ms}"), trace=f"t{ms}") for ms in chosen]
        return httpx.Response(200, json=answer(*traces))


def test_a_full_answer_is_narrowed_until_it_holds_the_slowest() -> None:
    """Jaeger gives any twenty; raising the floor to the third quartile ends at what nothing is slower than."""
    server = Population(90)
    items = items_of(server, "service=checkout")
    assert items[0]["duration_ms"] == 90.0
    assert {item["selection"] for item in items} == {"slowest"}
    assert 1 < len(server.asked) <= ROUNDS
    durations = [item["duration_ms"] for item in items]
    assert durations == [float(ms) for ms in range(90, 90 - len(items), -1)]


def test_what_stays_full_is_called_some() -> None:
    """More traces than the rounds can sieve: bounded questions, and no claim."""
    server = Population(100_000)
    items = items_of(server, "service=checkout")
    assert (len(server.asked), {item["selection"] for item in items}) == (ROUNDS, {"some"})


def test_a_storage_that_takes_no_floor_gives_some() -> None:
    """The first answer is kept when the narrowed question is refused."""
    items = items_of(Population(50, refuses_floor=True), 'service=checkout&tags={"env":"prod"}')
    assert (len(items), {item["selection"] for item in items}) == (LIMIT, {"some"})


def test_an_answer_that_is_too_large_is_asked_for_in_fewer_traces() -> None:
    """Twenty traces of many spans may not fit; five may."""
    seen: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        limit = parse_qs(urlsplit(str(request.url)).query)["limit"][0]
        seen.append(limit)
        if limit == str(LIMIT):
            return httpx.Response(200, content=b" " * (9 << 20), headers={"content-type": "application/json"})
        return httpx.Response(200, json=GOOD)

    assert len(items_of(handler)) == 1
    assert seen == ["20", "5"]


def test_no_trace_is_an_error_unless_the_query_leaves_some_out() -> None:
    """No slow trace is a finding; no trace at all is a source that is not there."""
    assert items_of(answering(answer())) == []
    with pytest.raises(TelemetryError, match=r"TEL-734 "):
        items_of(answering(answer()), "service=checkout")


@pytest.mark.parametrize(
    "query",
    [None, "", "minDuration=1s", "service=", "service=a&service=b", "service=a&limit=9", "service=a&start=0", "service=" + "a" * 9000],
)
def test_a_query_is_checked_before_anything_is_asked(query: str | None) -> None:
    """Service is required; limits and times are the hook's."""
    with pytest.raises(TelemetryError, match=r"TEL-732 .* Fix: "):
        items_of(lambda request: pytest.fail("asked"), query)


@pytest.mark.parametrize(("start", "end"), [(END, START), (START, START), (float("nan"), END), (0.0, END), (START * 1000, END * 1000)])
def test_a_window_is_checked_before_anything_is_asked(start: float, end: float) -> None:
    """Reversed, empty, not finite, before 2000, milliseconds."""
    with pytest.raises(TelemetryError, match=r"TEL-732 "):
        hook_on(lambda request: pytest.fail("asked")).items(query="service=a", start=start, end=end, fetched_at=NOW)


def changed(**fields: Any) -> dict[str, Any]:
    return answer(jaeger_trace({**jaeger_span("a", None, 0, 5), **fields}))


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        {"data": {}},
        answer([]),  # type: ignore[arg-type]
        answer({"traceID": "", "spans": []}),
        changed(startTime=1_739_700_000),
        changed(startTime=T0 * 1000),
        changed(startTime="soon"),
        changed(startTime=True),
        changed(duration=None),
        changed(duration=10**30),
        changed(spanID=None),
        changed(spanID="x" * 101),
        changed(operationName=None),
        changed(processID="p9"),
        changed(tags={"error": True}),
        changed(references="a"),
    ],
)
def test_an_answer_of_another_form_is_refused(document: Any) -> None:
    """Seconds or nanoseconds for microseconds, missing ids and names: one line, never a guess."""
    with pytest.raises(TelemetryError, match=r"TEL-730 jaeger \(perfproof_jaeger\).* Fix: "):
        items_of(answering(document))


@pytest.mark.parametrize(
    "body", [b'{"data": [', b'{"data": NaN}', b'{"data": 1e999}', b'{"a": 1, "a": 2}', b"[" * 100_000, b"\xff", b"9" * 30]
)
def test_what_is_no_json_is_refused(body: bytes) -> None:
    """Cut, not a number, twice the same key, too deep, not UTF-8."""
    with pytest.raises(TelemetryError, match=r"TEL-730 "):
        items_of(lambda request: httpx.Response(200, content=body, headers={"content-type": "application/json"}))


def test_a_refused_query_says_what_jaeger_told() -> None:
    """An error of the first question is the source's error."""
    document = {"data": None, "total": 0, "limit": 0, "offset": 0, "errors": [{"code": 400, "msg": "malformed duration"}]}
    with pytest.raises(QueryRefused, match=r"TEL-731 .*malformed duration"):
        items_of(answering(document, 400))


def test_an_answer_with_errors_beside_data_is_not_complete() -> None:
    """Part of a storage that does not answer makes a part of the traces."""
    with pytest.raises(PerfproofError, match=r"TEL-736 .*shard"):
        items_of(answering({**GOOD, "errors": [{"code": 500, "msg": "shard 3", "traceID": "t1"}]}))


def test_address_and_credentials_come_from_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Host, port, path before the API's own, token, tenant; nothing is asked for before the first question."""
    connection = {
        "conn_type": "http", "host": "https://traces.test", "port": 16686, "login": "me", "password": "pw",
        "extra": {"path": "jaeger", "bearer_token": "t0ken", "tenant": "shop"},
    }  # fmt: skip
    monkeypatch.setenv("AIRFLOW_CONN_PERFPROOF_JAEGER", json.dumps(connection))
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json=GOOD)

    hook = JaegerHook(source="jaeger", transport=httpx.MockTransport(handler))
    hook.items(query="service=checkout", start=START, end=END, fetched_at=NOW)
    assert str(seen[0].url).startswith("https://traces.test:16686/jaeger/api/traces?")
    assert (seen[0].headers["authorization"], seen[0].headers["x-tenant"]) == ("Bearer t0ken", "shop")


def test_a_connection_that_is_not_there_is_named() -> None:
    """One line that says which one to create, and no request."""
    hook = JaegerHook("nowhere", source="jaeger", transport=httpx.MockTransport(lambda request: pytest.fail("asked")))
    with pytest.raises(TelemetryError, match=r"TEL-735 Connection nowhere: .*Jaeger"):
        hook.items(query="service=checkout", start=START, end=END, fetched_at=NOW)
