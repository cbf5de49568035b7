"""The demo's Prometheus: prombed in a process of its own, behind the part of the HTTP API that perfproof reads.

`python -m perfproof_demo.metrics_server --port 18190 --target 127.0.0.1:18101 ...` scrapes each target once a second.
PROMETHEUS_URL replaces it, and a `prometheus` on PATH or in PROMETHEUS_BIN is used instead of it.
"""

from __future__ import annotations

import argparse
import asyncio
import bisect
import math
import re
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from prombed import InMemoryStorage, LabelMatcher, Prombed, PrombedError, PromQLEngine, ScrapeTarget, StoredSeries

from perfproof_demo.settings import HOST

SCRAPE_SECONDS = 1.0
RETENTION_SECONDS = 3600
LOOKBACK_SECONDS = 10
# The longest range that a query may look back over, e.g. rate(x[5m]).
LONGEST_RANGE_SECONDS = 900
FAMILIES = (
    "shop_request_seconds", "shop_requests_total", "shop_database_queries_total", "shop_database_pool_size",
    "process_cpu_seconds_total", "process_resident_memory_bytes", "process_start_time_seconds",
)  # fmt: skip
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class WindowedStorage:
    """What the query engine sees of a storage: samples near the queried range only.

    The engine walks all samples of a series at every step, which an hour of samples makes slow.
    """

    def __init__(self, storage: InMemoryStorage) -> None:
        self._storage = storage
        self.start_ms = 0
        self.end_ms = 0

    def select(self, matchers: list[LabelMatcher]) -> list[StoredSeries]:
        """The series that match, cut to the window."""
        return [StoredSeries(series.labels, self._cut(series.samples)) for series in self._storage.select(matchers)]

    def _cut(self, samples: list[Any]) -> list[Any]:
        first = bisect.bisect_left(samples, self.start_ms, key=lambda sample: sample.timestamp)
        return samples[first : bisect.bisect_right(samples, self.end_ms, key=lambda sample: sample.timestamp)]


class MetricsServer:
    """Scrapes targets and answers queries; everything runs in one event loop, so nothing is locked."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self._prombed = Prombed(
            targets=[ScrapeTarget(f"http://{address}/metrics", {"job": "shop"}, metric_names=FAMILIES) for address in addresses],
            retention_ms=RETENTION_SECONDS * 1000,
            scrape_timeout_ms=5000,
        )
        self._window = WindowedStorage(self._prombed.storage)
        self._engine = PromQLEngine(self._window, lookback_delta_ms=LOOKBACK_SECONDS * 1000)

    async def scrape_forever(self) -> None:
        """Scrapes every target once a second, each by itself: a slow one does not hold the others up."""
        await asyncio.gather(*(self._scrape(status.target) for status in self._prombed.targets()))

    async def _scrape(self, target: ScrapeTarget) -> None:
        due = time.monotonic()
        while True:
            with suppress(PrombedError):  # `up` is 0 then, which is what a query sees
                await self._prombed.scrape_once(target)
            due = max(due + SCRAPE_SECONDS, time.monotonic())
            await asyncio.sleep(due - time.monotonic())

    def query(self, expression: str, moment: float) -> dict[str, Any]:
        """The answer of /api/v1/query."""
        self._look_at(moment, moment)
        answer: dict[str, Any] = self._engine.query(expression, round(moment * 1000))
        return answer

    def query_range(self, expression: str, *, start: float, end: float, step: float) -> dict[str, Any]:
        """The answer of /api/v1/query_range."""
        self._look_at(start, end)
        answer: dict[str, Any] = self._engine.query_range(expression, round(start * 1000), round(end * 1000), round(step * 1000))
        return answer

    def _look_at(self, start: float, end: float) -> None:
        self._window.start_ms = round((start - LONGEST_RANGE_SECONDS) * 1000)
        self._window.end_ms = round(end * 1000)


def create_app(server: MetricsServer) -> FastAPI:
    """The HTTP API over `server`; it scrapes while the application runs."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(server.scrape_forever())
        yield
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    app = FastAPI(title="demo metrics", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/-/ready")
    @app.get("/-/healthy")
    async def ready() -> Response:
        return PlainTextResponse("The demo's metrics server is Ready.\n")

    @app.api_route("/api/v1/query", methods=["GET", "POST"])
    async def query(request: Request) -> Response:
        try:
            given = await _parameters(request)
            return JSONResponse(server.query(_required(given, "query"), _moment(given.get("time"), now=time.time())))
        except (ValueError, PrombedError) as error:
            return _bad_data(error)

    @app.api_route("/api/v1/query_range", methods=["GET", "POST"])
    async def query_range(request: Request) -> Response:
        try:
            given = await _parameters(request)
            start, end = _moment(_required(given, "start"), now=0), _moment(_required(given, "end"), now=0)
            step = parse_seconds(_required(given, "step"))
            return JSONResponse(server.query_range(_required(given, "query"), start=start, end=end, step=step))
        except (ValueError, PrombedError) as error:
            return _bad_data(error)

    return app


def parse_seconds(text: str) -> float:
    """Seconds from a number or a duration such as 500ms, 15s or 1m30s. Raises ValueError for anything else."""
    if re.fullmatch(r"(?:[0-9]+(?:ms|s|m|h|d))+", text):
        return sum(int(number) * _UNITS[unit] for number, unit in re.findall(r"([0-9]+)(ms|s|m|h|d)", text))
    return _finite(text)


def _moment(text: str | None, *, now: float) -> float:
    if text is None:
        return now
    try:
        return _finite(text)
    except ValueError:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise ValueError(f"{text!r} has no time zone") from None
        return moment.timestamp()


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text!r} is not a finite number")
    return value


async def _parameters(request: Request) -> dict[str, str]:
    text = request.url.query
    if request.method == "POST":
        text += "&" + (await request.body()).decode()
    return {name: values[-1] for name, values in parse_qs(text, keep_blank_values=True).items()}


def _required(given: dict[str, str], name: str) -> str:
    if not given.get(name):
        raise ValueError(f"invalid parameter {name!r}: it is missing")
    return given[name]


def _bad_data(error: Exception) -> Response:
    return JSONResponse({"status": "error", "errorType": "bad_data", "error": str(error)}, status_code=400)


def main(arguments: Sequence[str] | None = None) -> None:
    """Serves until SIGTERM."""
    parser = argparse.ArgumentParser(prog="perfproof_demo.metrics_server", description=main.__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--target", action="append", required=True, help="host:port, may be given more than once")
    parser.add_argument("--demo-process", required=True, help="what the demo knows this process by")
    options = parser.parse_args(arguments)
    app = create_app(MetricsServer(options.target))
    uvicorn.run(app, host=HOST, port=options.port, access_log=False, log_level="warning", timeout_graceful_shutdown=2)


if __name__ == "__main__":
    main()
