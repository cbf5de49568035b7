"""The shop: order histories and quotes over HTTP, in one process. `python -m perfproof_demo.shop --side baseline ...`

How it works is chosen when it starts, as a deployment does, and never changes while it runs.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import uvicorn
from anyio.to_thread import current_default_thread_limiter
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from psycopg_pool import ConnectionPool, PoolTimeout
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from perfproof_demo import order_history, price_rules
from perfproof_demo.order_history import HistoryCache, Session, Work
from perfproof_demo.settings import HOST, Optimization
from perfproof_demo.shop_log import ShopLog
from perfproof_demo.shop_metrics import ShopMetrics

POOL_SIZE = 4
POOL_WAIT_SECONDS = 3.0
PR_SET_PTRACER = 0x59616D61
PR_SET_PTRACER_ANY = ctypes.c_ulong(-1)


@dataclass(slots=True)
class Shop:
    """What the requests share."""

    build: str
    optimizations: frozenset[Optimization]
    pool: ConnectionPool[psycopg.Connection[tuple[Any, ...]]]
    log: ShopLog
    metrics: ShopMetrics = field(default_factory=ShopMetrics)
    cache: HistoryCache | None = None

    def __post_init__(self) -> None:
        self.metrics.pool_size.set(POOL_SIZE)
        self.cache = HistoryCache() if Optimization.CACHE in self.optimizations else None

    def start(self) -> None:
        """Opens the pool and warms the cache up, if there is one."""
        self.pool.open(wait=True, timeout=10)
        if self.cache is not None:
            with self.session(Work()) as session:
                self.cache.warm_up(session)

    @contextmanager
    def session(self, work: Work) -> Iterator[Session]:
        """A session on a connection of the pool. Lost connections are replaced, all of them, at the first that shows.

        The request that shows it fails. The pool's own check before use would wait between attempts, seconds for four.
        """
        try:
            with self.pool.connection() as connection:
                yield Session(connection, work)
        except PoolTimeout:
            raise
        except psycopg.OperationalError:
            self.pool.check()
            raise

    def stop(self) -> None:
        """Closes what `start` opened."""
        self.pool.close(timeout=2)
        self.log.close()


def create_app(shop: Shop) -> FastAPI:
    """The shop's application."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        current_default_thread_limiter().total_tokens = POOL_SIZE
        shop.start()
        yield
        shop.stop()

    app = FastAPI(title="demo shop", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    read = order_history.read_in_batch if Optimization.BATCH in shop.optimizations else order_history.read_one_by_one
    precompiled = Optimization.PRECOMPILE in shop.optimizations
    discount = price_rules.compile_once() if precompiled else price_rules.compile_each_time()

    @app.get("/customers/{customer}/orders")
    def orders(customer: int, request: Request) -> Response:
        work: Work = request.state.work
        body = shop.cache.body(customer) if shop.cache is not None else None
        if body is None:
            with shop.session(work) as session:
                history = read(session, customer)
            body = order_history.render(history, work)
            if shop.cache is not None:
                shop.cache.keep(history, body)
        return Response(body, media_type="application/json")

    @app.get("/products/{product}/quote")
    def quote(product: int, request: Request) -> Response:
        work: Work = request.state.work
        with shop.session(work) as session:
            rows = session.rows(order_history.PRODUCT, product)
        if not rows:
            return JSONResponse({"error": "no such product"}, status_code=404)
        started = time.perf_counter()
        _, sku, name, category, price = rows[0]
        lines = price_rules.quote(sku=sku, category=category, price=price, discount=discount)
        work.render_seconds += time.perf_counter() - started
        return JSONResponse({"sku": sku, "name": name, "prices": lines})

    # Not in the thread pool: a shop whose threads are all busy must still say who it is and how it fares.
    @app.get("/build")
    async def build() -> Response:
        answer = {"build": shop.build, "environment": "demo"}
        return JSONResponse(answer, headers={"x-shop-requests": str(shop.metrics.total)})

    @app.get("/metrics")
    async def metrics() -> Response:
        return PlainTextResponse(shop.metrics.exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def unavailable(_: Request, __: Exception) -> Response:
        return JSONResponse({"error": "the database is not available"}, status_code=503)

    app.add_exception_handler(psycopg.Error, unavailable)
    app.add_exception_handler(PoolTimeout, unavailable)
    app.add_middleware(Observation, shop=shop)
    return app


class Observation:
    """ASGI middleware that times the two routes from the first byte, so that waiting for a thread counts too."""

    def __init__(self, app: ASGIApp, *, shop: Shop) -> None:
        self._app = app
        self._shop = shop

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on and writes down what it cost."""
        route = _route_of(scope["path"]) if scope["type"] == "http" else None
        if route is None:
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        work = Work()
        scope.setdefault("state", {})["work"] = work
        status = 500

        async def note_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, note_status)
        finally:
            seconds = time.perf_counter() - started
            self._shop.metrics.observe(route=route, seconds=seconds, status=status, queries=work.queries)
            self._shop.log.record(
                route=route,
                seconds=seconds,
                status=status,
                queries=work.queries,
                database_seconds=work.database_seconds,
                render_seconds=work.render_seconds,
                now=datetime.now(UTC),
            )


def _route_of(path: str) -> str | None:
    if path.startswith("/customers/"):
        return "orders"
    return "quote" if path.startswith("/products/") else None


def allow_profilers() -> None:
    """Lets any process of this user attach (Linux: Yama's default allows parents only), so py-spy needs no root."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0)


def connection_pool(url: str) -> ConnectionPool[psycopg.Connection[tuple[Any, ...]]]:
    """A closed pool of four connections that commit every statement."""
    return ConnectionPool(
        url,
        min_size=POOL_SIZE,
        max_size=POOL_SIZE,
        kwargs={"autocommit": True, "application_name": "shop"},
        timeout=POOL_WAIT_SECONDS,
        open=False,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Serves one side of the shop until SIGTERM. SHOP_DATABASE_URL names its database."""
    parser = argparse.ArgumentParser(prog="perfproof_demo.shop", description=main.__doc__)
    parser.add_argument("--side", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--build", required=True)
    parser.add_argument("--optimizations", default="", help="comma-separated: index, batch, precompile, cache")
    parser.add_argument("--log-directory", type=Path, required=True)
    parser.add_argument("--demo-process", required=True, help="what the demo knows this process by")
    options = parser.parse_args(arguments)
    allow_profilers()
    logs: Path = options.log_directory
    shop = Shop(
        build=options.build,
        optimizations=frozenset(Optimization(name) for name in options.optimizations.split(",") if name),
        pool=connection_pool(os.environ["SHOP_DATABASE_URL"]),
        log=ShopLog(access=logs / f"shop-{options.side}-access.jsonl", traces=logs / f"shop-{options.side}-traces.jsonl"),
    )
    uvicorn.run(
        create_app(shop), host=HOST, port=options.port, access_log=False, log_level="warning", timeout_graceful_shutdown=2, workers=1
    )


if __name__ == "__main__":
    main()
