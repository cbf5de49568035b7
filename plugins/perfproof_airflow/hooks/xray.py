"""AWS X-Ray as a source of traces: the summaries of a window, then the segments of the slowest ones."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from perfproof.errors import TelemetryError
from perfproof.traces import Trace, trace_items
from perfproof.traces.item import MAX_TRACES
from perfproof.traces.xray import Summary, summaries_of, xray_traces
from perfproof_airflow.hooks.aws_service import AwsService, Question
from perfproof_airflow.hooks.http_answers import MAX_ANSWER_BYTES, Limits

TOTAL_SECONDS = 120.0
# GetTraceSummaries takes a day at most, BatchGetTraces five ids; X-Ray keeps traces for thirty days.
DAY_SECONDS = 86_400.0
BATCH = 5
MAX_DAYS = 30
# All answers of one question about a window: they are kept until their digest is made.
MAX_ALL_BYTES = 32 << 20


class XRayHook:
    """Asks X-Ray at an Airflow Connection of type aws. `client` replaces the Connection in tests."""

    conn_name_attr = "connection_id"
    default_conn_name = "perfproof_xray"
    conn_type = "aws"
    hook_name = "AWS X-Ray"

    def __init__(
        self,
        connection_id: str = default_conn_name,
        *,
        source: str = "xray",
        client: Any = None,
        limits: Limits | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.connection_id = connection_id
        self.source = source
        limits = limits or Limits(total_seconds=TOTAL_SECONDS, answer_bytes=MAX_ANSWER_BYTES)
        self._service = AwsService("xray", connection_id, source=source, client=client, limits=limits, sleep=sleep, clock=clock)

    def items(self, *, query: str | None, start: float, end: float, fetched_at: datetime) -> tuple[dict[str, list[dict[str, Any]]], bytes]:
        """{"traces": at most 20, the slowest first} of the window (seconds since the epoch), and the answers as lines of JSON.

        `query` is a filter expression of X-Ray, `service("checkout") AND responsetime > 0.2`; without one all traces are meant, and
        no trace is an error. All pages of summaries are read, so the traces are the slowest of those that X-Ray sampled.
        """
        if not (math.isfinite(start) and math.isfinite(end) and 0 <= start < end <= start + MAX_DAYS * DAY_SECONDS):
            raise TelemetryError(
                732, where=self._service.where, what="not a window", got=f"{start} to {end}", fix="correct the window",
                expected=f"seconds since the epoch, start before end, at most {MAX_DAYS} days, which X-Ray keeps",
            )  # fmt: skip
        question = self._service.question()
        found = self._summaries(question, query, start, end)
        if not found and query is None:
            raise TelemetryError(
                734, where=self._service.where, what="no trace in the window, although the query leaves none out",
                fix="check the region, and that the service is traced and sampled",
            )  # fmt: skip
        chosen = sorted(found.values(), key=lambda summary: (-summary.seconds, summary.trace_id))[:MAX_TRACES]
        traces = self._traces(question, chosen)
        return {"traces": trace_items(traces, complete=len(traces) == len(chosen))}, question.raw

    def _summaries(self, question: Question, query: str | None, start: float, end: float) -> dict[str, Summary]:
        found: dict[str, Summary] = {}
        for first, last in _days(start, end):
            parameters: dict[str, Any] = {
                "StartTime": datetime.fromtimestamp(first, UTC),
                "EndTime": datetime.fromtimestamp(last, UTC),
                "Sampling": False,
            }
            if query:
                parameters["FilterExpression"] = query
            for page in self._pages(question, "get_trace_summaries", parameters):
                # A trace at midnight is in the answers for both days.
                found.update((summary.trace_id, summary) for summary in summaries_of(page, where=self._service.where))
        return found

    def _traces(self, question: Question, chosen: Sequence[Summary]) -> list[Trace]:
        """The chosen traces that X-Ray still has."""
        traces: list[Trace] = []
        for place in range(0, len(chosen), BATCH):
            batch = chosen[place : place + BATCH]
            pages = list(self._pages(question, "batch_get_traces", {"TraceIds": [summary.trace_id for summary in batch]}))
            traces += xray_traces(pages, {s.trace_id: s for s in batch}, where=self._service.where)
        return traces

    def _pages(self, question: Question, operation: str, parameters: dict[str, Any]) -> Iterator[dict[str, Any]]:
        for page in question.pages(operation, parameters):
            if sum(map(len, question.answers)) > MAX_ALL_BYTES:
                raise self._service.refused(
                    739,
                    "the answers are too large together",
                    None,
                    "narrow the query or the window",
                    expected=f"at most {MAX_ALL_BYTES} bytes",
                )
            yield page


def _days(start: float, end: float) -> Iterator[tuple[float, float]]:
    while start < end:
        yield start, min(start + DAY_SECONDS, end)
        start += DAY_SECONDS
