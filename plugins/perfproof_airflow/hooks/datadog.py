"""Datadog as a source of metrics: timeseries points of one query, in the interval that was asked for or not at all."""

from __future__ import annotations

import math
import re
import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx

from perfproof.answers.datadog import Asked, answering, points_of, series_of
from perfproof.answers.query_text import filled
from perfproof.errors import TelemetryError
from perfproof.evidence.secrets import masked
from perfproof.strict import read_json
from perfproof.telemetry import MetricSpec, Series, sha256_hex
from perfproof_airflow.hooks.connection_values import ConnectionValues
from perfproof_airflow.hooks.datadog_connection import DatadogConnection
from perfproof_airflow.hooks.http_answers import BoundedGet, Limits
from perfproof_airflow.hooks.refused import QueryRefused

PATH = "/api/v1/query"
# A longer range than 1,500 buckets would be rolled up to a larger interval.
CHUNK_POINTS = 1_000
MAX_POINTS = 1_000_000
MAX_QUERY = 8_192
# Integrations that read other clouds report some minutes late.
PROBE_SECONDS = 900
# What may stand in a tag's value: anything else could end the filter that it is put into.
TAG_VALUE = re.compile(r"[\w./:-]{1,200}")
OWN_PLACEHOLDER = re.compile(r"\$(step|window)\b")


class DatadogHook:
    """Asks Datadog's API at an Airflow Connection. Nothing is opened before the first question.

    `connection` and `transport` replace the Connection and the network in tests.
    """

    conn_name_attr = "connection_id"
    default_conn_name = "perfproof_datadog"
    conn_type = "http"
    hook_name = "Datadog"
    collection_method = "Datadog timeseries query"

    def __init__(
        self,
        connection_id: str = default_conn_name,
        *,
        source: str = "datadog",
        connection: DatadogConnection | None = None,
        transport: httpx.BaseTransport | None = None,
        limits: Limits | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.connection_id = connection_id
        self.source = source
        self._connection = connection
        self._transport = transport
        self._limits = limits or Limits()
        self._sleep = sleep
        self._clock = clock
        self._trust: ssl.SSLContext | None = None

    def query_range_raw(
        self,
        spec: MetricSpec,
        *,
        service: str,
        instance: str,
        start: float,
        end: float,
        step: float,
        rate_window: float,
        fetched_at: datetime,
    ) -> tuple[Series, bytes]:
        """The samples of `spec` in the buckets of `step` seconds that lie wholly in the span from `start` - `step` to `end`.

        Datadog's buckets begin at multiples of the step; a sample is stamped with the end of its bucket, so that it covers what lies
        before it. `$service`, `$instance`, `$step` and `$window` (both in seconds) are replaced in the query. Also returns the
        answers' bytes, one line each. Raises QueryRefused for another interval or unit, several series, and points out of place.
        """
        first, last, size = self._buckets(spec, start, end, step)
        query = self._filled(spec.query, service=service, instance=instance, step=size, rate_window=rate_window)
        samples: list[tuple[float, float]] = []
        answers: list[bytes] = []
        for begin in range(first, last, CHUNK_POINTS * size):
            asked = Asked(spec, begin, min(begin + CHUNK_POINTS * size, last), size, rate=".as_rate()" in query)
            series, body = self._ask(query, asked.first, asked.last)
            answers.append(body)
            samples += points_of(series, asked, where=self._where, error=QueryRefused)
        raw = b"\n".join(answers)
        series_found = Series(
            metric=spec.name, service=service, unit=spec.unit, source=self.source, query=query, start=start, end=end, step=step,
            times=tuple(moment for moment, _ in samples), values=tuple(value for _, value in samples),
            fetched_at=fetched_at.astimezone(UTC), raw_sha256=sha256_hex(raw),
        )  # fmt: skip
        return series_found, raw

    def probe(self, probe: str, *, at: float) -> int:
        """The number of series that have a value in the 15 minutes before `at`. Raises QueryRefused if there is none."""
        series, _ = self._ask(probe, math.floor(at) - PROBE_SECONDS, math.floor(at))
        found = answering(series, where=self._where, error=QueryRefused)
        if not found:
            raise self._wrong(764, "the probe returns no point", probe, "check that the services report to Datadog")
        return found

    def _buckets(self, spec: MetricSpec, start: float, end: float, step: float) -> tuple[int, int, int]:
        """Begin of the first bucket, end of the last, and their size, in whole seconds."""
        if not all(map(math.isfinite, (start, end, step))) or step < 1 or step != int(step) or end < start:
            raise self._wrong(757, "not a range in whole seconds", f"{start} to {end} step {step}", "give a step of whole seconds")
        size = int(step)
        first, last = math.ceil(start / size - 1) * size, math.floor(end / size) * size
        if (last - first) // size > MAX_POINTS:
            raise self._wrong(757, f"too many points for {spec.name}", (last - first) // size, "choose a larger step")
        return first, last, size

    def _filled(self, query: str, *, service: str, instance: str, step: int, rate_window: float) -> str:
        for name, value in (("service", service), ("instance", instance)):
            if f"${name}" in query and not TAG_VALUE.fullmatch(value):
                raise self._wrong(757, f"the {name} cannot be the value of a tag", value, "write letters, digits and _ . / : - only")
        own = {"step": str(step), "window": str(max(1, math.ceil(rate_window)))}
        return filled(OWN_PLACEHOLDER.sub(lambda match: own[match[1]], query), instance=instance, service=service, rate_window=rate_window)

    def _ask(self, query: str, first: int, last: int) -> tuple[list[dict[str, Any]], bytes]:
        if len(query) > MAX_QUERY:
            raise self._wrong(757, "the query is too long", len(query), "shorten it")
        values = self._connection or self._resolved()
        status, body = self._get(values).json_bytes(PATH, {"from": str(first), "to": str(last), "query": query})
        document = read_json(body, where=self._where, limit=self._limits.answer_bytes, error=QueryRefused, number=751)
        if status >= 400 and isinstance(document, dict):
            document = {"status": "error", "error": f"HTTP {status} {document.get('error') or document.get('errors')}"}
        try:
            return series_of(document, where=self._where, error=QueryRefused), body
        except QueryRefused as refused:
            # What a server says of a request may repeat the request, keys included.
            keys = (values.api_key, values.application_key)
            got = None if refused.got is None else masked(str(refused.got), known=keys)
            number = int(refused.code.partition("-")[2])
            raise self._wrong(number, refused.what, got, refused.fix) from None

    def _get(self, values: DatadogConnection) -> BoundedGet:
        if self._trust is None:
            self._trust = ConnectionValues(values.url, ca_file=values.ca_file).trust(where=self._where)
        return BoundedGet(
            base_url=values.url,
            headers={"DD-API-KEY": values.api_key, "DD-APPLICATION-KEY": values.application_key},
            auth=None,
            verify=True,
            limits=self._limits,
            where=self._where,
            transport=_ResetAsRetryAfter(self._transport or httpx.HTTPTransport(verify=self._trust, trust_env=False)),
            sleep=self._sleep,
            clock=self._clock,
        )

    def _resolved(self) -> DatadogConnection:
        from airflow.sdk import Connection
        from airflow.sdk.exceptions import AirflowNotFoundException
        from airflow.sdk.log import mask_secret

        try:
            found = DatadogConnection.of(Connection.get(self.connection_id))
        except AirflowNotFoundException:
            raise TelemetryError(
                750, where=f"Connection {self.connection_id}", what="not defined", fix="create it with Datadog's site and keys"
            ) from None
        # Airflow masks passwords and extras of known names; a login it takes for a name.
        mask_secret(found.api_key)
        mask_secret(found.application_key)
        self._connection = found
        return found

    @property
    def _where(self) -> str:
        return f"{self.source} ({self.connection_id})"

    def _wrong(self, number: int, what: str, got: Any, fix: str) -> QueryRefused:
        return QueryRefused(number, where=self._where, what=what, got=got, fix=fix)


class _ResetAsRetryAfter(httpx.BaseTransport):
    """Datadog says in a header of its own, in seconds, when the limit of requests is lifted; hands it on under the usual name."""

    def __init__(self, inner: httpx.BaseTransport) -> None:
        self._inner = inner

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self._inner.handle_request(request)
        reset = response.headers.get("x-ratelimit-reset")
        if response.status_code == 429 and reset and "retry-after" not in response.headers:
            response.headers["Retry-After"] = reset
        return response

    def close(self) -> None:
        self._inner.close()
