"""Prometheus (or whatever speaks its HTTP API) as a source of metrics: range queries become Series, instant queries numbers."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime

import httpx
import numpy as np
from numpy.typing import NDArray

from perfproof.answers.prometheus import RangeSeries, instant_values, range_series
from perfproof.answers.query_text import decimal
from perfproof.answers.query_text import filled as filled
from perfproof.answers.range_frame import RangeFrame, SeriesTable
from perfproof.answers.refusal import AnswerRefusal
from perfproof.telemetry import MetricSpec, Series, Unit, sha256_hex
from perfproof_airflow.hooks.connection_values import ConnectionValues as ConnectionValues
from perfproof_airflow.hooks.http_answers import BoundedGet, Limits
from perfproof_airflow.hooks.http_source import HttpSource
from perfproof_airflow.hooks.refused import QueryRefused

# The server refuses more than 11,000 points a series; whole chunks of this many keep a distance.
CHUNK_POINTS = 10_000
MAX_POINTS = 1_000_000
MAX_QUERY = 8_192
# 150 series of 10,000 samples with 17 digits; who reads one series needs no more than the usual limit.
FRAME_ANSWER_BYTES = 48 << 20
# The base units that names of series end in; None is a unit that no metric here may have.
NAMED_UNITS: Mapping[str, Unit | None] = {
    "seconds": Unit.SECONDS, "milliseconds": Unit.MILLISECONDS, "percent": Unit.PERCENT, "microseconds": None, "bytes": None, "ratio": None,
}  # fmt: skip


class PrometheusHook:
    """Asks the Prometheus HTTP API at an Airflow Connection. Nothing is opened before the first question.

    `connection` and `transport` replace the Connection and the network in tests.
    """

    conn_name_attr = "connection_id"
    default_conn_name = "perfproof_prometheus"
    conn_type = "http"
    hook_name = "Prometheus"
    collection_method = "Prometheus query_range"

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
        self._limits = limits or Limits()
        self._frame_limits = limits or replace(self._limits, answer_bytes=FRAME_ANSWER_BYTES)
        self._http = HttpSource(connection_id, source, 280, "Prometheus", connection, transport, self._limits, sleep, clock)

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
        points = self._points(start, end, step)
        query = filled(spec.query, instance=instance, service=service, rate_window=rate_window)
        times: list[float] = []
        values: list[float] = []
        answers: list[bytes] = []
        for first, last, series, body in self._parts(query, start=start, step=step, points=points, limits=self._limits):
            answers.append(body)
            if not series:
                continue
            if len(series) > 1:
                what = f"the query of {spec.name} returns several series"
                raise self._refuse(what, f"{len(series)} series", "aggregate it to one series")
            self._check_unit(series[0].labels, spec)
            moments, found = series[0].samples
            self._check_times(moments, spec, span=(start + first * step, start + last * step), step=step)
            times += moments.tolist()
            values += found.tolist()
        raw = b"\n".join(answers)
        whole = Series(
            metric=spec.name, service=service, unit=spec.unit, source=self.source, query=query, start=start, end=end, step=step,
            times=tuple(times), values=tuple(values), fetched_at=fetched_at.astimezone(UTC), raw_sha256=sha256_hex(raw),
        )  # fmt: skip
        return whole, raw

    def range_frame(self, query: str, *, start: float, end: float, step: float) -> RangeFrame:
        """The samples of all series of `query`, sent as it is, at `start`, `start` + `step`, … `end` (seconds since the epoch).

        Raises TelemetryError for what `query_range` does, and for samples at other moments, twice, or more than a table holds.
        """
        points = self._points(start, end, step)
        table = SeriesTable(round(start * 1000), round(step * 1000), points, self._refuse)
        digest = hashlib.sha256()
        for first, last, series, body in self._parts(query, start=start, step=step, points=points, limits=self._frame_limits):
            digest.update(b"\n" + body if first else body)
            table.add(series, first=first, last=last)
        return RangeFrame(
            frame=table.frame(), labels=tuple(table.labels.values()), samples=table.samples, query=query,
            start=start, end=end, step=step, raw_sha256=digest.hexdigest(),
        )  # fmt: skip

    def instant(self, query: str, *, at: float) -> list[float]:
        """The values of an instant query at `at`, one per series; not finite ones are kept, none is an empty list."""
        path = "/api/v1/query"
        status, body = self._ask(path, {"query": query, "time": f"{at:.3f}"}, self._limits)
        return instant_values(body, status=status, path=path, refuse=self._refuse)

    def probe(self, query: str, *, at: float) -> int:
        """The number of samples that an instant query returns. Raises TelemetryError if there is none: no access to telemetry."""
        found = self.instant(query, at=at)
        if not found:
            raise self._refuse("the probe returns no sample", query, "check that the server scrapes the services")
        return len(found)

    def _parts(
        self, query: str, *, start: float, step: float, points: int, limits: Limits
    ) -> Iterator[tuple[int, int, list[RangeSeries], bytes]]:
        """First and last point, series and answer of each part that the range is asked in."""
        path = "/api/v1/query_range"
        for first in range(0, points, CHUNK_POINTS):
            last = min(first + CHUNK_POINTS, points) - 1
            span = {"start": f"{start + first * step:.3f}", "end": f"{start + last * step:.3f}", "step": decimal(step)}
            status, body = self._ask(path, {"query": query, **span}, limits)
            yield first, last, range_series(body, status=status, path=path, refuse=self._refuse), body

    def _points(self, start: float, end: float, step: float) -> int:
        if not all(map(math.isfinite, (start, end, step))) or step <= 0 or end < start:
            raise self._refuse("not a range", f"{start} to {end} step {step}", "give start before end and a positive step")
        if abs(round(step, 3) - step) > 1e-9:
            raise self._refuse("a step of parts of a millisecond", step, "choose a step in whole milliseconds", number=706)
        points = math.floor((end - start) / step + 1e-9) + 1
        if points > MAX_POINTS:
            raise self._refuse("too many points", points, "choose a larger step", expected=f"at most {MAX_POINTS}")
        return points

    def _ask(self, path: str, parameters: Mapping[str, str], limits: Limits) -> tuple[int, bytes]:
        if len(parameters["query"]) > MAX_QUERY:
            raise self._refuse("the query is too long", len(parameters["query"]), "use a recording rule", expected=f"at most {MAX_QUERY}")
        return self._http.asking(BoundedGet, limits=limits).json_bytes(path, {**self._http.connection().parameters, **parameters})

    def _check_times(self, times: NDArray[np.float64], spec: MetricSpec, *, span: tuple[float, float], step: float) -> None:
        outside = ~((times >= span[0] - step / 2) & (times <= span[1] + step / 2))
        if outside.any():
            moment = float(times[outside][0])
            raise self._refuse(f"a sample of {spec.name} outside the asked range", moment, "check the server's clock and units", number=279)
        back = np.diff(times) < 0
        if back.any():
            raise self._refuse(f"samples of {spec.name} out of order", float(times[1:][back][0]), "check the server", number=279)

    def _check_unit(self, labels: Mapping[str, str], spec: MetricSpec) -> None:
        """A selector's answer still has the series' own name, and its end the unit; a function's has none."""
        name = labels.get("__name__", "")
        ending = name.rpartition("_")[2]
        if ending in NAMED_UNITS and NAMED_UNITS[ending] is not spec.unit:
            raise self._refuse(
                f"{spec.name} has another unit in the protocol file than in its series", name, "convert it in the query",
                expected=spec.unit.value, number=282,
            )  # fmt: skip

    @property
    def _where(self) -> str:
        return self._http.where

    @property
    def _refuse(self) -> AnswerRefusal:
        return AnswerRefusal(self._where, QueryRefused)
