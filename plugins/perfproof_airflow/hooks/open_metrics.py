"""An endpoint's own metrics as a source: scraped once a step until the window ends, since an endpoint does not remember."""

from __future__ import annotations

import math
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import httpx

from perfproof.answers.query_text import filled
from perfproof.errors import TelemetryError
from perfproof.scrapes.openmetrics_text import Exposition, excerpt, read_exposition
from perfproof.scrapes.query import ScrapeQuery, read_query, unit_of
from perfproof.scrapes.values import Scrape, value_at
from perfproof.telemetry import MetricSpec, Series, sha256_hex
from perfproof_airflow.hooks.connection_values import ConnectionValues
from perfproof_airflow.hooks.exposition_get import ExpositionGet
from perfproof_airflow.hooks.http_answers import Limits, Unreachable
from perfproof_airflow.hooks.http_source import HttpSource
from perfproof_airflow.hooks.refused import QueryRefused

DEFAULT_PATH = "/metrics"
SHORTEST_STEP_SECONDS = 0.2
# What is scraped later than this share of a step would be a sample of another moment.
LATEST_SHARE = 0.25
# A task that waits for longer than this is a store of metrics, and there are better ones.
LONGEST_WAIT_SECONDS = 6 * 3600.0
MAX_SCRAPES = 20_000
# All scrapes of a window, compressed, and what one metric's rows in the evidence may take.
MAX_PACKED_BYTES = 64 << 20
MAX_RAW_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class _Shot:
    """One scrape: the moment of the grid that it is for, when it was made, and its compressed text."""

    moment: float
    at: float
    packed: bytes


class OpenMetricsHook:
    """Scrapes the endpoint at an Airflow Connection. Nothing is opened before the first question.

    One hook keeps the scrapes of one window, so that all metrics of the window are read from the same ones: the first question
    waits until the window ends, the others are answered at once. `clock` tells seconds since the epoch; it, `sleep`, `connection`
    and `transport` are replaced in tests.
    """

    conn_name_attr = "connection_id"
    default_conn_name = "perfproof_openmetrics"
    conn_type = "http"
    hook_name = "OpenMetrics endpoint"
    collection_method = "OpenMetrics scrape"

    def __init__(
        self,
        connection_id: str = default_conn_name,
        *,
        source: str = "openmetrics",
        connection: ConnectionValues | None = None,
        transport: httpx.BaseTransport | None = None,
        limits: Limits | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.connection_id = connection_id
        self.source = source
        self._limits = limits or Limits()
        self._sleep = sleep
        self._clock = clock
        self._http = HttpSource(connection_id, source, 763, "the endpoint", connection, transport, self._limits, sleep, clock)
        self._window: tuple[float, float, float] | None = None
        self._shots: list[_Shot] = []

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
        """The samples of `spec` at `start`, `start` + `step`, … `end`, each from the scrape of that moment; waits until `end`.

        The query is one of `perfproof.scrapes.query`; a rate or a quantile is that between two scrapes one step apart, whatever
        `rate_window` is. A scrape that failed or came too late is a gap. The bytes are the lines that the query reads, scrape by
        scrape. Raises QueryRefused for a window that has ended, for several series, and for another unit.
        """
        query = read_query(
            filled(spec.query, instance=instance, service=service, rate_window=rate_window),
            where=self._where, error=QueryRefused, number=760,
        )  # fmt: skip
        # What the names alone say is said before the waiting.
        self._check_unit(spec, query, Exposition((), {}))
        shots = self._scraped(start, end, step)
        times: list[float] = []
        values: list[float] = []
        answers: list[bytes] = []
        before: tuple[float, Scrape] | None = None
        for shot in shots:
            text = excerpt(zlib.decompress(shot.packed), names=query.names)
            answers.append(b"# scraped %.3f\n" % shot.at + text)
            if sum(map(len, answers)) > MAX_RAW_BYTES:
                raise self._wrong(758, f"{spec.name} reads too much", f"more than {MAX_RAW_BYTES} bytes", "name more labels")
            exposition = self._exposition(text, query) if text else Exposition((), {})
            self._check_unit(spec, query, exposition)
            fresh = tuple(sample for sample in exposition.samples if sample.at is None or abs(sample.at - shot.at) <= step)
            now = Scrape(shot.at, fresh)
            adjacent = before[1] if before and abs(shot.moment - before[0] - step) < step / 100 else None
            value = value_at(query, now, before=adjacent, where=self._where, error=QueryRefused)
            before = (shot.moment, now)
            if value is not None and shot.moment > start - step / 2:
                times.append(shot.moment)
                values.append(value)
        raw = b"".join(answers)
        series = Series(
            metric=spec.name, service=service, unit=spec.unit, source=self.source,
            query=filled(spec.query, instance=instance, service=service, rate_window=rate_window), start=start, end=end, step=step,
            times=tuple(times), values=tuple(values), fetched_at=fetched_at.astimezone(UTC), raw_sha256=sha256_hex(raw),
        )  # fmt: skip
        return series, raw

    def probe(self, probe: str, *, at: float) -> int:
        """The number of samples of the probe's series that one scrape shows. Raises QueryRefused if there is none."""
        query = read_query(probe, where=self._where, error=QueryRefused, number=760)
        samples = self._exposition(self._scrape(self._limits.total_seconds), query).samples
        terms = (*query.times, *query.over)
        found = sum(any(term.name == sample.name and set(term.labels) <= set(sample.labels) for term in terms) for sample in samples)
        if not found:
            raise self._wrong(764, "the endpoint shows no sample of the probe", probe, "name a series that it shows")
        return found

    def _scraped(self, start: float, end: float, step: float) -> list[_Shot]:
        if self._window == (start, end, step):
            return self._shots
        if not all(map(math.isfinite, (start, end, step))) or step < SHORTEST_STEP_SECONDS or end < start:
            raise self._wrong(758, "not a range", f"{start} to {end} step {step}", "give start before end and a step of 0.2 s or more")
        now = self._clock()
        if end < now:
            raise self._wrong(
                758, "a scrape cannot see the past, and the window has ended", f"{now - end:.1f} s ago",
                "measure while it lasts; what looks back, such as recurring captures, needs a store of metrics (prometheus)",
            )  # fmt: skip
        points = math.floor((end - start) / step + 1e-9) + 1
        if end - now > LONGEST_WAIT_SECONDS or points > MAX_SCRAPES:
            raise self._wrong(
                758, "a window that is too long to be scraped", f"{end - now:.0f} s, {points} scrapes", "scrape into a store of metrics"
            )
        # One scrape before the first sample, for rates.
        self._shots = self._shoot([start + number * step for number in range(-1, points)], step)
        self._window = (start, end, step)
        return self._shots

    def _shoot(self, moments: list[float], step: float) -> list[_Shot]:
        shots: list[_Shot] = []
        failure: TelemetryError | None = None
        packed = 0
        for moment in moments:
            wait = moment - self._clock()
            if wait > 0:
                self._sleep(wait)
            at = self._clock()
            if at > moment + step * LATEST_SHARE:
                continue
            try:
                body = self._scrape(min(self._limits.total_seconds, step))
                self._exposition(body, None)
            except Unreachable as problem:
                failure = problem
                continue
            except QueryRefused as problem:
                if not shots:
                    raise
                failure = problem
                continue
            shots.append(_Shot(moment, at, zlib.compress(body, 1)))
            packed += len(shots[-1].packed)
            if packed > MAX_PACKED_BYTES:
                raise self._wrong(758, "the scrapes of the window are too large", f"{packed} bytes", "use a larger step, or a store")
        if not shots and failure is not None:
            raise failure
        return shots

    def _scrape(self, within: float) -> bytes:
        values = self._http.connection()
        address = urlsplit(values.url)
        limits = Limits(total_seconds=within, answer_bytes=self._limits.answer_bytes)
        get = self._http.asking(ExpositionGet, base_url=f"{address.scheme}://{address.netloc}", tenant_header=None, limits=limits)
        return get.json_bytes(address.path or DEFAULT_PATH, values.parameters)[1]

    def _exposition(self, body: bytes, query: ScrapeQuery | None) -> Exposition:
        names = query.names if query else ()
        return read_exposition(body, names=names, where=self._where, error=QueryRefused, number=759)

    def _check_unit(self, spec: MetricSpec, query: ScrapeQuery, exposition: Exposition) -> None:
        found = unit_of(query, exposition.units)
        if found is not None and found[1] is not spec.unit:
            given = f"{found[0]} times {query.scale:g}" + (f" = {found[1].value}" if found[1] else "")
            raise QueryRefused(
                762, where=self._where, what=f"{spec.name} has another unit in the protocol file than its series", got=given,
                expected=spec.unit.value, fix="convert it in the query, such as … * 1000",
            )  # fmt: skip

    @property
    def _where(self) -> str:
        return self._http.where

    def _wrong(self, number: int, what: str, got: Any, fix: str) -> QueryRefused:
        return QueryRefused(number, where=self._where, what=what, got=got, fix=fix)
