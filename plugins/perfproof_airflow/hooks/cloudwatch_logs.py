"""CloudWatch Logs Insights as a source of logs: queries are started, looked at until they are done, and stopped when they are not."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Any

from perfproof.answers.log_insights import log_item, log_queries, log_question
from perfproof.errors import TelemetryError
from perfproof_airflow.hooks.aws_service import AwsService, Question
from perfproof_airflow.hooks.http_answers import MAX_ANSWER_BYTES, Limits, Unreachable

# A query reads a gigabyte in some seconds; the service itself ends it after an hour.
TOTAL_SECONDS = 300.0
FIRST_LOOK_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 5.0
STOP_SECONDS = 5.0
MAX_DAYS = 90
DONE = "Complete"
UNDER_WAY = ("Scheduled", "Running")


class CloudWatchLogsHook:
    """Asks Logs Insights at an Airflow Connection of type aws. `client` replaces the Connection in tests."""

    conn_name_attr = "connection_id"
    default_conn_name = "perfproof_cloudwatch_logs"
    conn_type = "aws"
    hook_name = "CloudWatch Logs Insights"

    def __init__(
        self,
        connection_id: str = default_conn_name,
        *,
        source: str = "cloudwatch_logs",
        client: Any = None,
        limits: Limits | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.connection_id = connection_id
        self.source = source
        limits = limits or Limits(total_seconds=TOTAL_SECONDS, answer_bytes=MAX_ANSWER_BYTES)
        self._service = AwsService("logs", connection_id, source=source, client=client, limits=limits, sleep=sleep, clock=clock)
        self._sleep = sleep
        self._clock = clock

    def items(self, *, query: str | None, start: float, end: float, fetched_at: datetime) -> tuple[dict[str, list[dict[str, Any]]], bytes]:
        """{"logs": [one item]} of the window (whole seconds since the epoch), and the answers as lines of JSON.

        `query` has a line each of `log_groups:`, `error:`, and where wanted `filter:`, `latency_ms:`, `message:`
        (perfproof.answers.log_insights). Only results with the status Complete count; a query that is given up is stopped, since AWS bills
        what it goes on to scan. No event at all is an error.
        """
        where = self._service.where
        asked = log_question(query, where=where)
        if not (math.isfinite(start) and math.isfinite(end) and 0 <= start < end <= start + MAX_DAYS * 86_400):
            raise TelemetryError(
                732, where=where, what="not a window", got=f"{start} to {end}", fix="correct the window",
                expected=f"seconds since the epoch, start before end, at most {MAX_DAYS} days",
            )  # fmt: skip
        first, last = math.floor(start), math.ceil(end)
        window = {"logGroupNames": list(asked.log_groups), "startTime": first, "endTime": last}
        queries = log_queries(asked)
        question = self._service.question()
        running: list[str] = []
        try:
            for text in (queries.totals, queries.errors, queries.top_errors):
                query_id = self._started(question, {**window, "queryString": text})
                running.append(query_id)
            totals, errors, top_errors = (self._result(question, query_id, running) for query_id in tuple(running))
        finally:
            # Whatever went wrong, or nothing: then none is left.
            self._stop(running)
        item = log_item(totals=totals, errors=errors, top_errors=top_errors, question=asked, start=first, end=last, where=where)
        return {"logs": [item]}, question.raw

    def _started(self, question: Question, parameters: dict[str, Any]) -> str:
        query_id = question.call("start_query", parameters).get("queryId")
        if not query_id:
            raise self._service.refused(743, "a query was started without an id", query_id, "check endpoint_url of the Connection")
        return str(query_id)

    def _result(self, question: Question, query_id: str, running: list[str]) -> Any:
        """The rows of a query as soon as it is complete; it is then taken out of `running`."""
        pause = FIRST_LOOK_SECONDS
        while True:
            answer = question.call("get_query_results", {"queryId": query_id})
            status = str(answer.get("status"))
            if status == DONE:
                running.remove(query_id)
                return answer.get("results")
            if status not in UNDER_WAY:
                if status != "Unknown":
                    # Failed, Cancelled and Timeout are ends: there is nothing to stop.
                    running.remove(query_id)
                raise self._service.refused(
                    741,
                    "a query ended without a result",
                    status,
                    "narrow the window or the log groups of the source's query",
                    expected=DONE,
                )
            if self._clock() + pause >= question.deadline:
                raise Unreachable(
                    742, where=self._service.where, what="a query is not done in time and is stopped", got=status,
                    expected=f"{DONE} in {self._service.limits.total_seconds:g} s",
                    fix="narrow the window or the log groups, then clear this task",
                )  # fmt: skip
            self._sleep(pause)
            pause = min(LONGEST_PAUSE_SECONDS, 2 * pause)

    def _stop(self, running: list[str]) -> None:
        for query_id in running:
            # What went wrong before is the error to tell; a query that ended by itself meanwhile cannot be stopped.
            with suppress(TelemetryError):
                self._service.answered("stop_query", {"queryId": query_id}, self._clock() + STOP_SECONDS)
