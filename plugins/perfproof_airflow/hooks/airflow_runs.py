"""Airflow itself as a source of deployments: the successful runs of the Dag that deploys."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import httpx

from perfproof.errors import TelemetryError
from perfproof.reported.deployments import run_items, run_page
from perfproof.reported.fields import require_window
from perfproof.strict import read_json
from perfproof_airflow.hooks.connection_values import ConnectionValues
from perfproof_airflow.hooks.context_api import ContextApi
from perfproof_airflow.hooks.http_answers import Limits, Unreachable
from perfproof_airflow.hooks.time_limit import cut_off_after

# [api] maximum_page_limit of an Airflow that was not configured otherwise.
PAGE = 100
MAX_RUNS = 5_000
MAX_TOKEN_BYTES = 1 << 16
LOGIN_SECONDS = 20.0


class AirflowRunsHook:
    """Asks Airflow's REST API at the Connection, by its bearer token or by logging in. `service` is what the Dag deploys."""

    conn_name_attr = "connection_id"
    default_conn_name = "perfproof_api"
    conn_type = "http"
    hook_name = "Airflow runs"
    collection_method = "Airflow REST API v2"

    def __init__(
        self,
        connection_id: str = default_conn_name,
        *,
        source: str = "airflow_runs",
        service: str | None = None,
        connection: ConnectionValues | None = None,
        transport: httpx.BaseTransport | None = None,
        limits: Limits | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.source = source
        self.service = service
        self._limits = limits or Limits()
        self._clock = clock
        self._api = ContextApi.of(
            connection_id, source, values=connection, transport=transport, limits=self._limits, sleep=sleep, clock=clock
        )

    def items(self, *, query: str | None, start: float, end: float, fetched_at: datetime) -> tuple[dict[str, list[dict[str, Any]]], bytes]:
        """`{"deployments": […]}` in the window (seconds since the epoch) and the last before it, and the pages' bytes, one line each.

        `query` is the Dag's id. What a run deployed is in its conf or its note: see `run_items`. Raises TelemetryError 777 or 771 for an
        answer of another shape, 773 for too many runs, 779 without a Dag, 782 for a refused login; QueryRefused 780; Unreachable.
        """
        if not query:
            raise TelemetryError(
                779, where=self._api.where, what="not a query of this source", got=query, expected="the id of the Dag that deploys",
                fix="correct query in the protocol file",
            )  # fmt: skip
        require_window(start, end, where=self._api.where)
        path = f"/api/v2/dags/{quote(query, safe='')}/dagRuns"
        headers = {"Authorization": f"Bearer {self._token()}"}
        begins, ends = (datetime.fromtimestamp(moment, UTC).isoformat() for moment in (start, end))
        deadline = self._clock() + self._limits.total_seconds
        before = {"state": "success", "end_date_lt": begins, "order_by": "-end_date", "limit": "1"}
        pages = [self._api.get(path, before, headers=headers)]
        runs = run_page(pages[0], where=self._api.where)[0][:1]
        inside: list[Mapping[str, Any]] = []
        total = 1
        while len(inside) < total:
            if self._clock() >= deadline:
                raise Unreachable(
                    270, where=self._api.where, what=f"not all pages in {self._limits.total_seconds:g} s", got=f"{len(pages)} pages",
                    fix="measure a shorter window, then clear this task",
                )  # fmt: skip
            window = {"end_date_gte": begins, "end_date_lte": ends, "order_by": "end_date", "limit": str(PAGE), "offset": str(len(inside))}
            pages.append(self._api.get(path, {"state": "success", **window}, headers=headers))
            found, total = run_page(pages[-1], where=self._api.where)
            if total > MAX_RUNS:
                raise TelemetryError(
                    773, where=self._api.where, what="more entries than can be listed", got=total, expected=f"at most {MAX_RUNS}",
                    fix="measure a shorter window",
                )  # fmt: skip
            if not found and len(inside) < total:
                raise TelemetryError(
                    777, where=self._api.where, what="an answer of another shape", got=f"{len(inside)} of {total} runs",
                    expected="all of them", fix="check that the Connection names that API",
                )  # fmt: skip
            inside += found
        items = run_items([*runs, *inside], service=self.service, start=start, end=end, where=self._api.where)
        return {"deployments": items}, b"\n".join(pages)

    def _token(self) -> str:
        values = self._api.connection()
        if values.bearer_token:
            return values.bearer_token
        if not values.login:
            raise self._refused_login("no login and no bearer token")
        answer = read_json(self._login(values), where=self._api.where, error=TelemetryError, number=777)
        token = answer.get("access_token") if isinstance(answer, dict) else None
        if not isinstance(token, str) or not token.isascii() or not token.isprintable() or not token:
            raise self._refused_login("an answer without a token")
        return token

    def _login(self, values: ConnectionValues) -> bytes:
        """The bytes of the answer to a login: once, in bounded time and size; a password is not sent to wherever a redirect points."""
        seconds = min(LOGIN_SECONDS, self._limits.total_seconds)
        body = bytearray()
        try:
            with (
                cut_off_after(seconds) as cut,
                httpx.Client(base_url=values.url, transport=self._api.network(), trust_env=False) as client,
            ):

                def watch(event: str, details: Mapping[str, Any]) -> None:
                    if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
                        cut.socket = details["return_value"].get_extra_info("socket")

                with client.stream(
                    "POST", "/auth/token", json={"username": values.login, "password": values.password or ""}, timeout=seconds,
                    headers={"Accept-Encoding": "identity"}, follow_redirects=False, extensions={"trace": watch},
                ) as answer:  # fmt: skip
                    for chunk in answer.iter_raw():
                        body += chunk
                        if len(body) > MAX_TOKEN_BYTES:
                            raise self._refused_login(f"more than {MAX_TOKEN_BYTES} bytes")
                if cut.happened:
                    raise httpx.ReadTimeout("the time is used up")
        except httpx.TransportError as error:
            raise Unreachable(
                270, where=self._api.where, what=f"no answer from /auth/token in {seconds:g} s", got=f"{type(error).__name__}: {error}",
                fix="check that the server is up and that the Connection names it, then clear this task",
            ) from None  # fmt: skip
        if not 200 <= answer.status_code < 300:
            raise self._refused_login(f"HTTP {answer.status_code}")
        return bytes(body)

    def _refused_login(self, got: str) -> TelemetryError:
        return TelemetryError(
            782, where=self._api.where, what="no login at Airflow's API", got=got, expected="a token from /auth/token",
            fix="correct address, login and password, or the bearer token, of the Connection",
        )  # fmt: skip
