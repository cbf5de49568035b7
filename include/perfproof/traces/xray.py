"""X-Ray's segment documents as traces: a segment per service, with its subsegments inside or in documents of their own.

Times are seconds since the epoch with a fraction. Format: AWS X-Ray segment documents.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from perfproof.traces.spans import Span, Trace, identity, mapping, nanoseconds, not_a_trace, plain, read_answer, sequence

SECOND = 1_000_000_000
UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True)
class Summary:
    """A trace of a window: the seconds that its caller waited, infinite while that is not over, and whether more of it may come."""

    trace_id: str
    seconds: float
    partial: bool


def summaries_of(page: Mapping[str, Any], *, where: str) -> Iterator[Summary]:
    """The summaries in an answer of GetTraceSummaries. ResponseTime is the root's; Duration includes what nobody waited for."""
    for item in sequence(page.get("TraceSummaries"), where=where, what="TraceSummaries"):
        seconds = item.get("ResponseTime", item.get("Duration"))
        known = isinstance(seconds, int | float) and math.isfinite(seconds)
        trace_id = identity(item.get("Id"), where=where, what="Id of a summary")
        yield Summary(trace_id, float(seconds) if known else math.inf, item.get("IsPartial") is True)


def xray_traces(pages: Iterable[Mapping[str, Any]], asked: Mapping[str, Summary], *, where: str) -> list[Trace]:
    """The traces in the answers of BatchGetTraces. One may be spread over pages, and LimitExceeded says that it was cut."""
    documents: dict[str, list[str]] = {}
    cut = {trace_id for trace_id, summary in asked.items() if summary.partial}
    for page in pages:
        for trace in sequence(page.get("Traces"), where=where, what="Traces"):
            trace_id = identity(trace.get("Id"), where=where, what="Id of a trace")
            if trace_id not in asked:
                raise not_a_trace(where, "a trace that was not asked for", trace_id)
            segments = sequence(trace.get("Segments"), where=where, what="Segments")
            documents.setdefault(trace_id, []).extend(str(segment.get("Document") or "") for segment in segments)
            cut |= {trace_id} if trace.get("LimitExceeded") else set()
    found = (xray_trace(trace_id, texts, incomplete=trace_id in cut, where=where) for trace_id, texts in documents.items())
    return [trace for trace in found if trace.spans]


def xray_trace(trace_id: str, documents: Sequence[str], *, incomplete: bool = False, where: str) -> Trace:
    """The spans of the segment `documents` (JSON texts) of one trace.

    A subsegment is a span of the service whose segment holds it; one that came in a document of its own finds its service by its
    parents. Raises TelemetryError (730) for a document that is no segment.
    """
    roots = [mapping(read_answer(text.encode(), where=where), where=where, what="a segment document") for text in documents]
    parents = {d.get("id"): d for d in _all(roots, where)}
    spans = [span for root in roots for span in _spans(root, service=_service_of(root, parents), parent=root.get("parent_id"), where=where)]
    return Trace(identity(trace_id, where=where, what="Id of a trace"), tuple(spans), incomplete=incomplete)


def _all(documents: Sequence[dict[str, Any]], where: str) -> Iterator[dict[str, Any]]:
    """{id, parent_id, holder} of each segment and subsegment; `holder` is the document that it is, or lies in."""
    waiting = [(d, d) for d in documents]
    while waiting:
        document, holder = waiting.pop()
        yield {"id": document.get("id"), "parent_id": document.get("parent_id"), "holder": holder}
        inner = sequence(document.get("subsegments"), where=where, what="subsegments")
        waiting.extend((mapping(d, where=where, what="a subsegment"), holder) for d in inner)


def _service_of(document: dict[str, Any], parents: dict[Any, dict[str, Any]]) -> str | None:
    """The name of the segment that the document is, or that its parents lead to; None if the way ends before."""
    seen: set[Any] = set()
    at: dict[str, Any] | None = document
    while at is not None and at.get("type") == "subsegment":
        above = parents.get(at.get("parent_id"))
        if above is None or above["id"] in seen:
            return None
        seen.add(above["id"])
        at = above["holder"]
    name = at.get("name") if at else None
    return name if isinstance(name, str) else None


def _spans(root: dict[str, Any], *, service: str | None, parent: Any, where: str) -> Iterator[Span]:
    name = UNKNOWN if service is None else plain(service, where=where, what="name of a segment")
    waiting = [(root, parent)]
    while waiting:
        document, above = waiting.pop()
        span = _span(document, name, above, where)
        yield span
        inner = sequence(document.get("subsegments"), where=where, what="subsegments")
        waiting.extend((mapping(d, where=where, what="a subsegment"), span.span_id) for d in inner)


def _span(document: dict[str, Any], service: str, parent: Any, where: str) -> Span:
    start, end = document.get("start_time"), document.get("end_time")
    if end is None and document.get("in_progress") is not True:
        raise not_a_trace(where, "a segment without end_time that is not in progress", document.get("id"))
    return Span(
        span_id=identity(document.get("id"), where=where, what="id of a segment"),
        parent_id=identity(parent, where=where, what="parent_id") if parent is not None else None,
        service=service,
        name=_name(document, where),
        start_ns=nanoseconds(start, unit_ns=SECOND, where=where, what="start_time"),
        end_ns=None if end is None else nanoseconds(end, unit_ns=SECOND, where=where, what="end_time"),
        error=any(document.get(kind) is True for kind in ("error", "fault", "throttle")),
    )


def _name(document: dict[str, Any], where: str) -> str:
    """Method and path for a segment that served a request: X-Ray names it like the service. The query may hold secrets."""
    name = plain(document.get("name"), where=where, what="name of a segment")
    http = document.get("http")
    request = http.get("request") if isinstance(http, dict) else None
    if document.get("type") == "subsegment" or document.get("namespace") is not None or not isinstance(request, dict):
        return name
    method, url = request.get("method"), request.get("url")
    if not isinstance(method, str) or not isinstance(url, str):
        return name
    try:
        path = urlsplit(url).path or "/"
    except ValueError:
        return name
    return plain(f"{method} {path}", where=where, what="request of a segment")
