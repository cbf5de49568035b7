"""Grafana Tempo as a source of traces: a TraceQL search, then the traces that it found."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

from perfproof.errors import TelemetryError
from perfproof.traces import Trace, trace_items
from perfproof.traces.item import MAX_TRACES
from perfproof.traces.slowest import next_floor
from perfproof.traces.tempo import Found, found_traces, otlp_trace
from perfproof_airflow.hooks.refused import QueryRefused
from perfproof_airflow.hooks.trace_store import Questions, TraceStoreHook

SEARCH = "/api/search"
BY_ID = ("/api/v2/traces/", "/api/traces/")
EVERYTHING = "{}"
LIMIT = 200
ROUNDS = 6


class TempoHook(TraceStoreHook):
    """Asks Tempo for the slow traces of a TraceQL query.

    Tempo returns the first traces that it finds up to a limit, not the slowest ones. So when an answer is full, the query is joined with
    `traceDuration >=` the third quartile of what came, until an answer is not full and is therefore all there is.
    """

    default_conn_name = "perfproof_tempo"
    hook_name = "Tempo"
    tenant_header = "X-Scope-OrgID"

    def items(self, *, query: str | None, start: float, end: float, fetched_at: datetime) -> tuple[dict[str, list[dict[str, Any]]], bytes]:
        """{"traces": at most 20, the slowest first} of the window (seconds since the epoch), and the bytes of all answers.

        `query` is TraceQL, `{ resource.service.name = "checkout" && duration > 200ms }`; without one all traces are meant, and no
        trace is an error. A trace that is gone or too large when it is asked for is left out, and the others are then `some`.
        """
        self._check(query, start, end)
        questions = self._questions()
        window = {"start": str(math.floor(start)), "end": str(math.ceil(end)), "spss": "1"}
        found, complete = self._search(questions, query or EVERYTHING, window)
        if not found and query is None:
            raise self._none_found()
        found.sort(key=lambda f: (-f.duration_ms, f.trace_id))
        traces, whole = self._traces(questions, found[:MAX_TRACES])
        return {"traces": trace_items(traces, complete=complete and whole)}, b"\n".join(questions.answers)

    def _search(self, questions: Questions, query: str, window: dict[str, str]) -> tuple[list[Found], bool]:
        floor = 0
        best: list[Found] = []
        for number in range(ROUNDS):
            narrowed = f"({query}) && ({{ traceDuration >= {floor}ms }})" if floor else query
            try:
                found = self._found(questions, {"q": narrowed, "limit": str(LIMIT), **window})
            except QueryRefused:
                # A query that ends in an aggregate cannot be joined with another one.
                if not number:
                    raise
                return best, False
            if len(found) < LIMIT:
                return found, True
            best = found
            higher = next_floor([f.duration_ms for f in found], floor=floor)
            if higher is None:
                break
            floor = higher
        return best, False

    def _found(self, questions: Questions, parameters: dict[str, str]) -> list[Found]:
        try:
            status, document = questions.ask(SEARCH, parameters)
        except TelemetryError as error:
            # Tempo explains a refused query in plain text.
            if _status(error) != 400:
                raise
            raise self._refused(400, error.got) from None
        if status >= 400:
            raise self._refused(status, document)
        return found_traces(document, where=self._where)

    def _traces(self, questions: Questions, found: list[Found]) -> tuple[list[Trace], bool]:
        """The traces that can be had, and whether that is all of `found`. Raises the last error if it is none of them."""
        traces: list[Trace] = []
        missing: TelemetryError | None = None
        for one in found:
            try:
                trace = self._trace(questions, one.trace_id)
            except TelemetryError as error:
                if error.code != "TEL-271" and _status(error) != 404:
                    raise
                missing = error
                continue
            traces.append(trace)
        if missing is not None and not traces:
            raise missing
        return traces, missing is None

    def _trace(self, questions: Questions, trace_id: str) -> Trace:
        for path in BY_ID:
            try:
                status, document = questions.ask(path + trace_id, {})
            except TelemetryError as error:
                # Tempo before 2.7 knows only the second path, and answers 404 in plain text.
                if path == BY_ID[-1] or _status(error) != 404:
                    raise
                continue
            if status == 404 and path != BY_ID[-1]:
                continue
            if status >= 400:
                raise self._gone(status, document)
            return otlp_trace(document, trace_id=trace_id, where=self._where)
        raise AssertionError  # the last path returns or raises

    def _gone(self, status: int, told: Any) -> TelemetryError:
        return QueryRefused(
            731, where=self._where, what="the trace store refuses a trace that it found", got=f"HTTP {status} {told}",
            fix="clear this task; traces may have expired",
        )  # fmt: skip


def _status(error: TelemetryError) -> int | None:
    """The HTTP status that an error of an answer tells of, None if it does not."""
    words = str(error.got or "").split()
    return int(words[1]) if len(words) > 1 and words[0] == "HTTP" and words[1].isdecimal() else None
