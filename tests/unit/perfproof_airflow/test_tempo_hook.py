"""Tempo's HTTP API as a source of traces. The answers are written by hand in the documented form; no real Tempo made them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from perfproof.errors import TelemetryError
from perfproof_airflow.hooks.connection_values import ConnectionValues
from perfproof_airflow.hooks.refused import QueryRefused
from perfproof_airflow.hooks.tempo import LIMIT, ROUNDS, TempoHook

NOW = datetime(2025, 2, 16, 11, 0, tzinfo=UTC)
START, END = 1_739_700_000.0, 1_739_703_600.0
T0 = 1_739_700_000 * 10**9
QUERY = '{ resource.service.name = "checkout" }'


def otlp_span(key: str, parent: str | None, start_ms: int, ms: int | None, *, name: str = "GET /cart", **more: Any) -> dict[str, Any]:
    begin = T0 + start_ms * 10**6
    span = {"traceId": "AAAA", "spanId": key, "name": name, "kind": "SPAN_KIND_SERVER", "startTimeUnixNano": str(begin), "attributes": []}
    return span | ({"parentSpanId": parent} if parent else {}) | ({} if ms is None else {"endTimeUnixNano": str(begin + ms * 10**6)}) | more


def group(service: str | None, *spans: dict[str, Any], scope: str = "scopeSpans") -> dict[str, Any]:
    attributes = [{"key": "host.name", "value": {"intValue": "5"}}]
    attributes += [{"key": "service.name", "value": {"stringValue": service}}] if service else []
    return {"resource": {"attributes": attributes}, scope: [{"scope": {"name": "x"}, "spans": list(spans)}]}


GROUPS = [
    group("checkout", otlp_span("a", None, 0, 100), otlp_span("c", "a", 0, 10, name="auth")),
    group("db", otlp_span("b", "a", 10, 60, name="SELECT", status={"code": "STATUS_CODE_ERROR", "message": "x"})),
]


class Tempo:
    """A Tempo with traces id: milliseconds, that finds the first `limit` of those that are long enough, the shortest first."""

    def __init__(self, durations: Mapping[str, int], *, version: int = 2, joins: bool = True) -> None:
        self.durations, self.version, self.joins = durations, version, joins
        self.requests: list[httpx.Request] = []
        self.special: dict[str, httpx.Response] = {}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if request.url.path == "/api/search":
            return self._search(request.url.params)
        version, _, trace_id = request.url.path.removeprefix("/api/").rpartition("traces/")
        if version == "v2/" and self.version == 1:
            return httpx.Response(404, text="404 page not found")
        if trace_id in self.special:
            return self.special[trace_id]
        groups = [group("checkout", otlp_span("a", None, 0, self.durations[trace_id]))]
        return httpx.Response(200, json={"trace": {"resourceSpans": groups}} if version else {"batches": groups})

    def _search(self, parameters: Mapping[str, str]) -> httpx.Response:
        floor = re.search(r"traceDuration >= ([0-9]+)ms", parameters["q"])
        if floor and not self.joins:
            return httpx.Response(400, text="invalid TraceQL query: parse error", headers={"content-type": "text/plain"})
        ids = sorted((ms, key) for key, ms in self.durations.items() if ms >= int(floor[1] if floor else 0))[: int(parameters["limit"])]
        found = [
            {"traceID": key, "rootServiceName": "checkout", "startTimeUnixNano": str(T0)} | ({"durationMs": ms} if ms else {})
            for ms, key in ids
        ]
        return httpx.Response(200, json={"traces": found, "metrics": {"inspectedBytes": "1", "completedJobs": 3, "totalJobs": 3}})


def hook_on(handler: Any, **values: Any) -> TempoHook:
    connection = ConnectionValues("http://tempo.test:3200", **values)
    return TempoHook(source="tempo", connection=connection, transport=httpx.MockTransport(handler), sleep=lambda seconds: None)


def items_of(handler: Any, query: str | None = QUERY) -> list[dict[str, Any]]:
    found, _ = hook_on(handler).items(query=query, start=START, end=END, fetched_at=NOW)
    assert list(found) == ["traces"]
    return found["traces"]


def one(answer: httpx.Response) -> Tempo:
    server = Tempo({"2f3e": 100})
    server.special["2f3e"] = answer
    return server


def test_a_trace_becomes_an_item_and_the_bytes_are_kept() -> None:
    """The item by hand, the parameters that Tempo documents, and the raw answers in their order."""
    server = one(httpx.Response(200, json={"trace": {"resourceSpans": GROUPS}}))
    found, raw = hook_on(server, tenant="shop", login="me", password="pw").items(
        query=QUERY, start=START + 0.5, end=END - 0.5, fetched_at=NOW
    )
    assert found["traces"] == [
        {
            "trace_id": "2f3e", "service": "checkout", "transaction": "GET /cart", "started_at": "2025-02-16T10:00:00Z",
            "duration_ms": 100.0, "error": True, "spans": 3, "self_ms": 100.0, "anomalies": {}, "selection": "slowest",
            "self_time": [
                {"service": "db", "span": "SELECT", "ms": 60.0, "share_percent": 60.0, "count": 1},
                {"service": "checkout", "span": "GET /cart", "ms": 30.0, "share_percent": 30.0, "count": 1},
                {"service": "checkout", "span": "auth", "ms": 10.0, "share_percent": 10.0, "count": 1},
            ],
        }
    ]  # fmt: skip
    search, trace = server.requests
    assert dict(search.url.params) == {"q": QUERY, "limit": str(LIMIT), "start": "1739700000", "end": "1739703600", "spss": "1"}
    assert (trace.url.path, search.headers["x-scope-orgid"]) == ("/api/v2/traces/2f3e", "shop")
    assert search.headers["authorization"].startswith("Basic ")
    assert [sorted(json.loads(line)) for line in raw.split(b"\n")] == [["metrics", "traces"], ["trace"]]


@pytest.mark.parametrize(
    "answer",
    [
        {"batches": GROUPS},
        {"resourceSpans": GROUPS},
        {"trace": {"batches": GROUPS}},
        {"batches": [{**g, "scopeSpans": None, "instrumentationLibrarySpans": g["scopeSpans"]} for g in GROUPS]},
    ],
)
def test_the_forms_of_several_versions_are_read(answer: Any) -> None:
    """`batches` of version 1, `resourceSpans` of OTLP, and the older name of scopeSpans."""
    if answer.get("batches") and answer["batches"][0].get("scopeSpans", 1) is None:
        answer = {"batches": [{k: v for k, v in g.items() if k != "scopeSpans"} for g in answer["batches"]]}
    assert items_of(one(httpx.Response(200, json=answer)))[0]["spans"] == 3


def test_an_older_server_is_asked_by_its_path() -> None:
    """404 for /api/v2/traces is an older Tempo, not a lost trace."""
    assert [item["duration_ms"] for item in items_of(Tempo({"ab": 7}, version=1))] == [7.0]


def test_numbers_for_texts_and_numeric_codes_are_read() -> None:
    """OTLP's JSON allows 64-bit numbers as numbers, and enumerations as numbers."""
    span = otlp_span("a", None, 0, 5) | {"startTimeUnixNano": T0, "endTimeUnixNano": T0 + 5_000_000, "status": {"code": 2}}
    item = items_of(one(httpx.Response(200, json={"batches": [group(None, span)]})))[0]
    assert (item["duration_ms"], item["error"], item["service"]) == (5.0, True, "UNKNOWN")


def test_a_partial_trace_says_so() -> None:
    """Tempo cuts a trace that is too large, and a span without an end is still under way."""
    answer = {"trace": {"resourceSpans": [group("api", otlp_span("a", None, 0, 9), otlp_span("b", "a", 1, None))]}, "status": "PARTIAL"}
    assert items_of(one(httpx.Response(200, json=answer)))[0]["anomalies"] == {"incomplete": 1, "not_ended": 1}


def test_a_full_answer_is_narrowed_until_it_holds_the_slowest() -> None:
    """Tempo finds any two hundred; the query is joined with a floor until nothing slower can be missing."""
    server = Tempo({f"{ms:x}": ms for ms in range(1, 701)})
    items = items_of(server)
    assert [item["duration_ms"] for item in items] == [float(ms) for ms in range(700, 680, -1)]
    assert {item["selection"] for item in items} == {"slowest"}
    queries = [r.url.params["q"] for r in server.requests if r.url.path == "/api/search"]
    assert queries[1] == f"({QUERY}) && ({{ traceDuration >= 151ms }})"
    assert len(queries) <= ROUNDS


def test_a_query_that_cannot_be_joined_gives_some() -> None:
    """The first answer is kept when the narrowed query is refused; without a floor nothing is claimed."""
    items = items_of(Tempo({f"{ms:x}": ms for ms in range(1, 301)}, joins=False))
    assert (len(items), {item["selection"] for item in items}) == (20, {"some"})


def test_equal_durations_end_the_search() -> None:
    """A floor that does not rise narrows nothing."""
    server = Tempo({f"{n:x}": 7 for n in range(300)})
    assert {item["selection"] for item in items_of(server)} == {"some"}
    assert sum(r.url.path == "/api/search" for r in server.requests) == 2


@pytest.mark.parametrize(
    "gone",
    [
        httpx.Response(404, text="trace not found"),
        httpx.Response(404, json={"error": "trace not found"}),
        httpx.Response(200, content=b" " * (9 << 20), headers={"content-type": "application/json"}),
    ],
)
def test_a_trace_that_cannot_be_had_is_left_out(gone: httpx.Response) -> None:
    """Expired or too large: the others count, as some; none at all is an error."""
    server = Tempo({"a": 9, "b": 8})
    server.special["a"] = gone
    assert [(item["trace_id"], item["selection"]) for item in items_of(server)] == [("b", "some")]
    with pytest.raises(TelemetryError, match=r"TEL-(274|731|271) "):
        items_of(one(gone))


def test_no_trace_is_an_error_unless_the_query_leaves_some_out() -> None:
    """Without a query all traces are meant, so none is a source that is not there."""
    assert items_of(Tempo({})) == []
    with pytest.raises(TelemetryError, match=r"TEL-734 "):
        items_of(Tempo({}), None)


def test_a_refused_query_says_what_tempo_told() -> None:
    """Plain text with 400, or JSON."""
    with pytest.raises(QueryRefused, match=r"TEL-731 .*HTTP 400"):
        items_of(lambda request: httpx.Response(400, text="invalid TraceQL query: parse error at line 1"))
    with pytest.raises(QueryRefused, match=r"TEL-731 .*parse error"):
        items_of(lambda request: httpx.Response(400, json={"error": "parse error"}))


@pytest.mark.parametrize("trace_id", ["../../admin", "a/b", "xyz", "a" * 33, "", None, 5, "ａ"])
def test_an_id_is_no_path(trace_id: Any) -> None:
    """An id from an answer goes into the next question's path: hexadecimal digits only."""
    seen: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.path)
        return httpx.Response(200, json={"traces": [{"traceID": trace_id, "durationMs": 5}]})

    with pytest.raises(TelemetryError, match=r"TEL-730 "):
        items_of(handler)
    assert seen == ["/api/search"]


@pytest.mark.parametrize(
    "change",
    [
        {"spanId": ""}, {"spanId": None}, {"name": 5}, {"startTimeUnixNano": "0"}, {"startTimeUnixNano": "-1"},
        {"startTimeUnixNano": "1.7e18"},
        {"startTimeUnixNano": None}, {"startTimeUnixNano": str(T0 // 1000)}, {"endTimeUnixNano": "later"}, {"status": "error"},
        {"parentSpanId": 5},
    ],
)  # fmt: skip
def test_a_span_of_another_form_is_refused(change: dict[str, Any]) -> None:
    """Missing ids, microseconds for nanoseconds, no text: one line."""
    with pytest.raises(TelemetryError, match=r"TEL-730 tempo \(perfproof_tempo\).* Fix: "):
        items_of(one(httpx.Response(200, json={"batches": [group("api", otlp_span("a", None, 0, 5) | change)]})))


@pytest.mark.parametrize("answer", [[], {"traces": {}}, {"traces": [5]}, {"traces": [{"traceID": "a", "durationMs": "long"}]}])
def test_a_search_of_another_form_is_refused(answer: Any) -> None:
    """A list, a mapping, a number where Tempo answers something else."""
    with pytest.raises(TelemetryError, match=r"TEL-730 "):
        items_of(lambda request: httpx.Response(200, json=answer))


def test_the_questions_share_one_total_time() -> None:
    """Twenty traces at 9 s each are not twenty times the limit."""
    clock = [0.0]
    server = Tempo({f"{n:x}": n for n in range(1, 21)})

    def slow(request: httpx.Request) -> httpx.Response:
        clock[0] += 9.0
        return server(request)

    hook = TempoHook(
        source="tempo", connection=ConnectionValues("http://tempo.test"), transport=httpx.MockTransport(slow), clock=lambda: clock[0],
        sleep=lambda seconds: None,
    )  # fmt: skip
    with pytest.raises(TelemetryError, match=r"TEL-(270|733) "):
        hook.items(query=QUERY, start=START, end=END, fetched_at=NOW)
    assert clock[0] <= 72.0


def test_a_query_too_long_for_an_address_is_not_asked() -> None:
    """8,192 characters are enough for a query."""
    with pytest.raises(TelemetryError, match=r"TEL-732 "):
        items_of(lambda request: pytest.fail("asked"), "{" + " " * 9000 + "}")
