"""Prometheus (or whatever speaks its HTTP API) as a source of metrics: range queries become Series, instant queries numbers."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx

from perfproof.errors import TelemetryError
from perfproof.strict import read_json
from perfproof.telemetry import MetricSpec, Series, Unit, sha256_hex
from perfproof_airflow.hooks.http_answers import BoundedGet, Limits
from perfproof_airflow.hooks.refused import QueryRefused

# The server refuses more than 11,000 points a series; whole chunks of this many keep a distance.
CHUNK_POINTS = 10_000
MAX_POINTS = 1_000_000
MAX_QUERY = 8_192
PLACEHOLDER = re.compile(r"\$([a-z_]+)")
SAMPLE = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|Inf)|NaN")
# The base units that names of series end in; None is a unit that no metric here may have.
NAMED_UNITS: Mapping[str, Unit | None] = {
    "seconds": Unit.SECONDS, "milliseconds": Unit.MILLISECONDS, "percent": Unit.PERCENT, "microseconds": None, "bytes": None, "ratio": None,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ConnectionValues:
    """What the hook needs of an Airflow Connection. `url` has no slash at the end; the token or the login is sent, not both."""

    url: str
    login: str | None = None
    password: str | None = field(default=None, repr=False)
    bearer_token: str | None = field(default=None, repr=False)
    ca_file: str | None = None

    @classmethod
    def of(cls, connection: Any) -> ConnectionValues:
        """The values of a Connection: host with or without scheme, port, extra {scheme, path, bearer_token, ca_file}."""
        where = f"Connection {connection.conn_id}"
        extra: Mapping[str, Any] = connection.extra_dejson or {}
        host = (connection.host or "").strip().rstrip("/")
        scheme, given, rest = host.partition("://")
        if not given:
            scheme, rest = str(extra.get("scheme") or connection.schema or "http"), host
        if scheme not in ("http", "https") or not rest:
            raise TelemetryError(
                275, where=where, what="no usable address", got=f"{scheme}://{rest}", expected="http or https and a host",
                fix="set the host of the Connection",
            )  # fmt: skip
        name, slash, prefix = rest.partition("/")
        port = f":{connection.port}" if connection.port and ":" not in name.rpartition("]")[2] else ""
        path = (slash + prefix).rstrip("/") or ("/" + str(extra.get("path") or "").strip("/")).rstrip("/")
        token = extra.get("bearer_token")
        return cls(
            url=f"{scheme}://{name}{port}{path}",
            login=connection.login or None,
            password=connection.password or None,
            bearer_token=None if token is None else str(token),
            ca_file=None if extra.get("ca_file") is None else str(extra["ca_file"]),
        )


class PrometheusHook:
    """Asks the Prometheus HTTP API at an Airflow Connection. Nothing is opened before the first question.

    `connection` and `transport` replace the Connection and the network in tests.
    """

    conn_name_attr = "connection_id"
    default_conn_name = "perfproof_prometheus"
    conn_type = "http"
    hook_name = "Prometheus"

    def __init__(
        self,
        connection_id: str = default_conn_name,
        *,
        source: str = "prometheus",
        connection: ConnectionValues | None = None,
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

    def query_range(
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
    ) -> Series:
        """The samples of `spec` for one instance from `start` to `end` (seconds since the epoch), one every `step`, as received.

        `$instance`, `$service` and `$window` (the span that rates are taken over, `rate_window` seconds) are replaced in the
        query. Longer ranges than the server answers at once are asked in parts. An empty answer is an empty Series. Raises
        TelemetryError for several series, samples out of order or outside the range, and answers that are incomplete.
        """
        series, _ = self.query_range_raw(
            spec, service=service, instance=instance, start=start, end=end, step=step, rate_window=rate_window, fetched_at=fetched_at
        )
        return series

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
        """The Series of `query_range` with the answers' bytes (one line each) that its `raw_sha256` is the digest of."""
        points = self._points(spec, start, end, step)
        query = filled(spec.query, instance=instance, service=service, rate_window=rate_window)
        times: list[float] = []
        values: list[float] = []
        answers: list[bytes] = []
        for first in range(0, points, CHUNK_POINTS):
            last = min(first + CHUNK_POINTS, points) - 1
            span = (start + first * step, start + last * step)
            parameters = {"query": query, "start": f"{span[0]:.3f}", "end": f"{span[1]:.3f}", "step": f"{step:g}"}
            document, body = self._ask("/api/v1/query_range", parameters)
            answers.append(body)
            for moment, value in self._samples(document, spec, span, step):
                times.append(moment)
                values.append(value)
        raw = b"\n".join(answers)
        series = Series(
            metric=spec.name, service=service, unit=spec.unit, source=self.source, query=query, start=start, end=end, step=step,
            times=tuple(times), values=tuple(values), fetched_at=fetched_at.astimezone(UTC), raw_sha256=sha256_hex(raw),
        )  # fmt: skip
        return series, raw

    def instant(self, query: str, *, at: float) -> list[float]:
        """The values of an instant query at `at`, one per series; not finite ones are kept, none is an empty list."""
        return self._vector(query, at)

    def probe(self, query: str, *, at: float) -> int:
        """The number of samples that an instant query returns. Raises TelemetryError if there is none: no access to telemetry."""
        found = self._vector(query, at)
        if not found:
            raise self._wrong("the probe returns no sample", query, "check that the server scrapes the services")
        return len(found)

    def _vector(self, query: str, at: float) -> list[float]:
        document, _ = self._ask("/api/v1/query", {"query": query, "time": f"{at:.3f}"})
        kind, result = document.get("resultType"), document.get("result")
        if kind == "scalar" and isinstance(result, list):
            return [self._sample(result)[1]]
        if kind != "vector" or not isinstance(result, list):
            raise self._wrong("unexpected type of result", kind, "ask for a vector", expected="vector")
        return [self._sample(item.get("value") if isinstance(item, dict) else None)[1] for item in result]

    def _points(self, spec: MetricSpec, start: float, end: float, step: float) -> int:
        if not all(map(math.isfinite, (start, end, step))) or step <= 0 or end < start:
            raise self._wrong("not a range", f"{start} to {end} step {step}", "give start before end and a positive step")
        points = math.floor((end - start) / step + 1e-9) + 1
        if points > MAX_POINTS:
            raise self._wrong(f"too many points for {spec.name}", points, "choose a larger step", expected=f"at most {MAX_POINTS}")
        return points

    def _ask(self, path: str, parameters: Mapping[str, str]) -> tuple[dict[str, Any], bytes]:
        if len(parameters["query"]) > MAX_QUERY:
            raise self._wrong("the query is too long", len(parameters["query"]), "use a recording rule", expected=f"at most {MAX_QUERY}")
        status, body = self._get().json_bytes(path, parameters)
        document = read_json(body, where=self._where, limit=self._limits.answer_bytes, error=QueryRefused, number=276)
        if not isinstance(document, dict) or document.get("status") != "success" or status >= 400:
            told = document.get("error") if isinstance(document, dict) else document
            raise self._wrong(f"{path} refuses the query", f"HTTP {status} {told}", "correct the query in the protocol file", number=277)
        if document.get("warnings"):
            raise self._wrong("the server warns about its answer", document["warnings"], "mend what it warns of", number=278)
        if not isinstance(document.get("data"), dict):
            raise self._wrong("an answer without data", document.get("data"), "check that this is a Prometheus API")
        return document["data"], body

    def _samples(self, data: Mapping[str, Any], spec: MetricSpec, span: tuple[float, float], step: float) -> list[tuple[float, float]]:
        result = data.get("result")
        if data.get("resultType") != "matrix" or not isinstance(result, list):
            raise self._wrong("unexpected type of result", data.get("resultType"), "check that this is a Prometheus API", expected="matrix")
        if len(result) > 1:
            raise self._wrong(f"the query of {spec.name} returns several series", f"{len(result)} series", "aggregate it to one series")
        self._check_unit(result[0] if result else None, spec)
        pairs = result[0].get("values") if result and isinstance(result[0], dict) else []
        if not isinstance(pairs, list):
            raise self._wrong("a series without values", pairs, "check that this is a Prometheus API")
        samples = [self._sample(pair) for pair in pairs]
        previous = -math.inf
        for moment, _ in samples:
            if not span[0] - step / 2 <= moment <= span[1] + step / 2:
                raise self._wrong(
                    f"a sample of {spec.name} outside the asked range", moment, "check the server's clock and units", number=279
                )
            if moment < previous:
                raise self._wrong(f"samples of {spec.name} out of order", moment, "check the server", number=279)
            previous = moment
        return samples

    def _check_unit(self, series: Any, spec: MetricSpec) -> None:
        """A selector's answer still has the series' own name, and its end the unit; a function's has none."""
        labels = series.get("metric") if isinstance(series, dict) else None
        name = labels.get("__name__") if isinstance(labels, dict) else None
        ending = name.rpartition("_")[2] if isinstance(name, str) else ""
        if ending in NAMED_UNITS and NAMED_UNITS[ending] is not spec.unit:
            raise self._wrong(
                f"{spec.name} has another unit in the protocol file than in its series", name, "convert it in the query",
                expected=spec.unit.value, number=282,
            )  # fmt: skip

    def _sample(self, pair: Any) -> tuple[float, float]:
        if not isinstance(pair, list) or len(pair) != 2 or isinstance(pair[0], bool) or not isinstance(pair[0], int | float):
            raise self._wrong("not a sample", pair, "check that this is a Prometheus API", expected='[time, "value"]')
        if not isinstance(pair[1], str) or not SAMPLE.fullmatch(pair[1]):
            raise self._wrong("not a sample value", pair[1], "check that this is a Prometheus API", expected="a number as text")
        return float(pair[0]), float(pair[1])

    def _get(self) -> BoundedGet:
        values = self._connection or self._resolved()
        token = values.bearer_token
        return BoundedGet(
            base_url=values.url,
            headers={"Authorization": f"Bearer {token}"} if token else {},
            auth=(values.login, values.password or "") if values.login and not token else None,
            verify=values.ca_file or True,
            limits=self._limits,
            where=self._where,
            transport=self._transport,
            sleep=self._sleep,
            clock=self._clock,
        )

    def _resolved(self) -> ConnectionValues:
        from airflow.sdk import Connection
        from airflow.sdk.exceptions import AirflowNotFoundException

        try:
            self._connection = ConnectionValues.of(Connection.get(self.connection_id))
        except AirflowNotFoundException:
            raise TelemetryError(
                280, where=f"Connection {self.connection_id}", what="not defined", fix="create it with the address of Prometheus"
            ) from None
        return self._connection

    @property
    def _where(self) -> str:
        return f"{self.source} ({self.connection_id})"

    def _wrong(self, what: str, got: Any, fix: str, *, expected: Any = None, number: int = 276) -> QueryRefused:
        return QueryRefused(number, where=self._where, what=what, got=got, expected=expected, fix=fix)


def filled(query: str, *, instance: str, service: str, rate_window: float) -> str:
    """`query` with `$instance`, `$service` and `$window` replaced. Raises TelemetryError for another placeholder."""
    values = {"instance": _inside_quotes(instance), "service": _inside_quotes(service), "window": f"{max(1, math.ceil(rate_window))}s"}

    def value(match: re.Match[str]) -> str:
        if match[1] not in values:
            raise TelemetryError(
                281, where="query", what="unknown placeholder", got=match[0], expected="$instance $service $window", fix="correct the query"
            )
        return values[match[1]]

    return PLACEHOLDER.sub(value, query)


def _inside_quotes(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
