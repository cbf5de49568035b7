"""Answers of Tempo's HTTP API as traces: what a search found, and one trace in the JSON form of OTLP. Times are nanoseconds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from perfproof.traces.spans import Span, Trace, duration, identity, mapping, nanoseconds, plain, sequence

TRACE_ID = re.compile(r"[0-9a-fA-F]{1,32}")
UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True)
class Found:
    """A trace that a search found: its id, safe in a path, and the milliseconds from its first start to its last end."""

    trace_id: str
    duration_ms: int


def found_traces(document: Any, *, where: str) -> list[Found]:
    """The traces of an answer of `/api/search`. Tempo leaves durationMs out when it is 0."""
    items = sequence(mapping(document, where=where, what="the answer").get("traces"), where=where, what="traces")
    return [_found(mapping(item, where=where, what="a trace"), where) for item in items]


def _found(item: dict[str, Any], where: str) -> Found:
    trace_id = identity(item.get("traceID"), where=where, what="traceID")
    if not TRACE_ID.fullmatch(trace_id):
        trace_id = identity(None, where=where, what=f"traceID {trace_id}")
    return Found(trace_id, duration(item.get("durationMs", 0), unit_ns=1, where=where, what="durationMs"))


def otlp_trace(document: Any, *, trace_id: str, where: str) -> Trace:
    """The trace of an answer of `/api/v2/traces/<id>` or `/api/traces/<id>`.

    The second one answers the spans' groups as `batches`, the first as `trace.resourceSpans` with a status, which is PARTIAL for a
    trace that was too large to answer whole.
    """
    answer = mapping(document, where=where, what="the answer")
    inner = mapping(answer.get("trace", answer), where=where, what="trace")
    groups = sequence(inner.get("resourceSpans", inner.get("batches")), where=where, what="resourceSpans")
    spans = tuple(span for group in groups for span in _group(mapping(group, where=where, what="a group of spans"), where))
    return Trace(trace_id, spans, incomplete=answer.get("status") in ("PARTIAL", 1))


def _group(group: dict[str, Any], where: str) -> Iterator[Span]:
    resource = mapping(group.get("resource") or {}, where=where, what="resource")
    name = _attribute(resource.get("attributes"), "service.name", where)
    service = UNKNOWN if name is None else plain(name, where=where, what="service.name")
    # Tempo before 2.0 wrote the older name of the same field.
    for scope in sequence(group.get("scopeSpans", group.get("instrumentationLibrarySpans")), where=where, what="scopeSpans"):
        for span in sequence(mapping(scope, where=where, what="a scope").get("spans"), where=where, what="spans"):
            yield _span(mapping(span, where=where, what="a span"), service, where)


def _span(span: dict[str, Any], service: str, where: str) -> Span:
    parent, end = span.get("parentSpanId"), span.get("endTimeUnixNano")
    status = mapping(span.get("status") or {}, where=where, what="status")
    return Span(
        span_id=identity(span.get("spanId"), where=where, what="spanId"),
        # An empty one is how protobuf writes that there is none.
        parent_id=identity(parent, where=where, what="parentSpanId") if parent else None,
        service=service,
        name=plain(span.get("name", ""), where=where, what="name of a span"),
        start_ns=nanoseconds(span.get("startTimeUnixNano"), unit_ns=1, where=where, what="startTimeUnixNano"),
        end_ns=None if end in (None, 0, "0", "") else nanoseconds(end, unit_ns=1, where=where, what="endTimeUnixNano"),
        error=status.get("code") in ("STATUS_CODE_ERROR", 2),
    )


def _attribute(attributes: Any, key: str, where: str) -> Any:
    for attribute in sequence(attributes, where=where, what="attributes"):
        if isinstance(attribute, dict) and attribute.get("key") == key:
            return mapping(attribute.get("value"), where=where, what=f"value of {key}").get("stringValue")
    return None
