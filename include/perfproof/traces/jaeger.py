"""Answers of Jaeger's query API (`/api/traces`) as traces. Times are microseconds."""

from __future__ import annotations

from typing import Any

from perfproof.traces.spans import Span, Trace, duration, identity, mapping, nanoseconds, not_a_trace, plain, sequence

MICROSECOND = 1_000


def jaeger_traces(document: Any, *, where: str) -> list[Trace]:
    """The traces of an answer. Raises TelemetryError (730) for what is none of Jaeger's."""
    data = mapping(document, where=where, what="the answer").get("data")
    if not isinstance(data, list):
        raise not_a_trace(where, "an answer without data", data)
    return [_trace(mapping(item, where=where, what="a trace"), where) for item in data]


def _trace(item: dict[str, Any], where: str) -> Trace:
    trace_id = identity(item.get("traceID"), where=where, what="traceID")
    processes = mapping(item.get("processes") or {}, where=where, what="processes")
    services = {key: _service(value, where) for key, value in processes.items()}
    spans = sequence(item.get("spans"), where=where, what="spans")
    return Trace(trace_id, tuple(_span(mapping(s, where=where, what="a span"), services, trace_id, where) for s in spans))


def _service(process: Any, where: str) -> str:
    return plain(mapping(process, where=where, what="a process").get("serviceName"), where=where, what="serviceName")


def _span(span: dict[str, Any], services: dict[str, str], trace_id: str, where: str) -> Span:
    start = nanoseconds(span.get("startTime"), unit_ns=MICROSECOND, where=where, what="startTime")
    process = span.get("processID")
    own = span.get("process")
    service = _service(own, where) if own is not None else services.get(process) if isinstance(process, str) else None
    if service is None:
        raise not_a_trace(where, "a span without its process", process)
    return Span(
        span_id=identity(span.get("spanID"), where=where, what="spanID"),
        parent_id=_parent(span, trace_id, where),
        service=service,
        name=plain(span.get("operationName"), where=where, what="operationName"),
        start_ns=start,
        end_ns=start + duration(span.get("duration"), unit_ns=MICROSECOND, where=where, what="duration"),
        error=any(_says_error(tag) for tag in sequence(span.get("tags"), where=where, what="tags")),
    )


def _parent(span: dict[str, Any], trace_id: str, where: str) -> str | None:
    """The span that waits for this one. FOLLOWS_FROM names a cause that does not wait, and another trace's span is no parent."""
    references = [mapping(r, where=where, what="a reference") for r in sequence(span.get("references"), where=where, what="references")]
    for reference in references:
        if reference.get("refType") == "CHILD_OF" and reference.get("traceID") in (trace_id, None):
            return identity(reference.get("spanID"), where=where, what="spanID of a reference")
    named = span.get("parentSpanID")
    return identity(named, where=where, what="parentSpanID") if named and not references else None


def _says_error(tag: Any) -> bool:
    if not isinstance(tag, dict):
        return False
    key, value = tag.get("key"), tag.get("value")
    return (key == "error" and value in (True, "true")) or (key == "otel.status_code" and value == "ERROR")
