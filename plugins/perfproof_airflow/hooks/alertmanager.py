"""Alertmanager (or what speaks its API v2: Mimir, Grafana) as a source of alerts."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import httpx

from perfproof.reported.alerts import alert_items
from perfproof.reported.fields import require_window
from perfproof_airflow.hooks.connection_values import ConnectionValues
from perfproof_airflow.hooks.context_api import ContextApi
from perfproof_airflow.hooks.http_answers import Limits

PATH = "/api/v2/alerts"


class AlertmanagerHook:
    """Asks for what fires now, silenced and inhibited alerts with it. `connection` and `transport` replace both in tests."""

    conn_name_attr = "connection_id"
    default_conn_name = "perfproof_alertmanager"
    conn_type = "http"
    hook_name = "Alertmanager"
    collection_method = "Alertmanager API v2"

    def __init__(
        self,
        connection_id: str = default_conn_name,
        *,
        source: str = "alertmanager",
        connection: ConnectionValues | None = None,
        transport: httpx.BaseTransport | None = None,
        limits: Limits | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.source = source
        self._api = ContextApi.of(connection_id, source, values=connection, transport=transport, limits=limits, sleep=sleep, clock=clock)

    def items(self, *, query: str | None, start: float, end: float, fetched_at: datetime) -> tuple[dict[str, list[dict[str, Any]]], bytes]:
        """`{"alerts": […]}` that touch the window (seconds since the epoch), and the answer's bytes.

        `query` is one matcher of labels, as `service=~"shop|cart"`. A silenced alert is one, and says so: whoever silenced it knew of it.
        Raises TelemetryError 770 or 771 for an answer of another shape, QueryRefused 780 for a matcher that is none, Unreachable.
        """
        require_window(start, end, where=self._api.where)
        parameters: dict[str, str | list[str]] = {"active": "true", "silenced": "true", "inhibited": "true", "unprocessed": "true"}
        body = self._api.get(PATH, parameters if query is None else {**parameters, "filter": query})
        found = alert_items(body, source=self.source, start=start, end=end, fetched_at=fetched_at, where=self._api.where)
        return {"alerts": found}, body
