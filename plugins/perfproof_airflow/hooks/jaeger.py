"""Jaeger (or what speaks its query API, `/api/traces`) as a source of traces."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

from perfproof.errors import TelemetryError
from perfproof.traces import Trace, trace_items
from perfproof.traces.jaeger import MICROSECOND, jaeger_traces
from perfproof.traces.slowest import next_floor
from perfproof_airflow.hooks.refused import QueryRefused
from perfproof_airflow.hooks.trace_store import Questions, TraceStoreHook

PATH = "/api/traces"
KEYS = ("service", "operation", "tags", "minDuration", "maxDuration")
LIMIT = 20
# Where twenty traces are too large for one answer, a few may do.
SMALL_LIMIT = 5
ROUNDS = 6


class JaegerHook(TraceStoreHook):
    """Asks Jaeger for the slow traces of one service.

    Jaeger returns any traces up to a limit, not the slowest ones, and its minDuration is of a span. So when an answer is full,
    minDuration is raised to the third quartile of what came, until an answer is not full and is therefore all there is.
    """

    default_conn_name = "perfproof_jaeger"
    hook_name = "Jaeger"
    tenant_header = "x-tenant"

    def items(self, *, query: str | None, start: float, end: float, fetched_at: datetime) -> tuple[dict[str, list[dict[str, Any]]], bytes]:
        """{"traces": at most 20, the slowest first} of the window (seconds since the epoch), and the bytes of all answers.

        `query` is written as in Jaeger's own URL: `service=checkout&minDuration=200ms`; service is required; operation, tags (JSON),
        minDuration, maxDuration are known. No trace is an error unless the query could leave all of them out.
        """
        self._check(query, start, end)
        asked = self._parameters(query or "")
        window = {"start": str(round(start * 1e6)), "end": str(round(end * 1e6))}
        questions = self._questions()
        traces, complete = self._slowest(questions, {**asked, **window})
        if not traces and set(asked) <= {"service"}:
            raise self._none_found()
        return {"traces": trace_items(traces, complete=complete)}, b"\n".join(questions.answers)

    def _parameters(self, query: str) -> dict[str, str]:
        pairs = parse_qsl(query, keep_blank_values=True)
        found = dict(pairs)
        if not found.get("service") or len(found) != len(pairs) or not set(found) <= set(KEYS) or not all(found.values()):
            raise TelemetryError(
                732, where=self._where, what="not a query for Jaeger", got=query, expected=f"service=NAME, and any of {' '.join(KEYS[1:])}",
                fix="correct the query of the source",
            )  # fmt: skip
        return found

    def _slowest(self, questions: Questions, parameters: dict[str, str]) -> tuple[list[Trace], bool]:
        limit, floor = LIMIT, 0
        traces: list[Trace] = []
        for number in range(ROUNDS):
            raised = {"minDuration": f"{floor // MICROSECOND}us"} if floor else {}
            try:
                found = self._asked(questions, parameters | raised | {"limit": str(limit)})
            except QueryRefused:
                # Some storages take no minDuration beside tags.
                if not number:
                    raise
                return traces, False
            except TelemetryError as error:
                if error.code != "TEL-271" or limit == SMALL_LIMIT:
                    raise
                limit = SMALL_LIMIT
                continue
            if len(found) < limit:
                return found, True
            traces = found
            higher = next_floor([_longest(trace, parameters) for trace in found], floor=floor)
            if higher is None:
                break
            floor = higher
        return traces, False

    def _asked(self, questions: Questions, parameters: dict[str, str]) -> list[Trace]:
        status, document = questions.ask(PATH, parameters)
        told = document.get("errors") if isinstance(document, dict) else document
        if status >= 400:
            raise self._refused(status, told)
        if told:
            raise TelemetryError(
                736, where=self._where, what="the answer is not complete", got=told, fix="check Jaeger's storage, then clear this task"
            )
        return jaeger_traces(document, where=self._where)


def _longest(trace: Trace, parameters: dict[str, str]) -> int:
    """Nanoseconds of the longest span that Jaeger compares with minDuration: of the asked service, and operation."""
    operation = parameters.get("operation")
    return max(
        (s.end_ns - s.start_ns for s in trace.spans if s.end_ns is not None and s.service == parameters["service"]
         and operation in (None, s.name)),
        default=0,
    )  # fmt: skip
