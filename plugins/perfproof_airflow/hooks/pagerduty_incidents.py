"""PagerDuty as a source of incidents, through its REST API."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import httpx

from perfproof.errors import TelemetryError
from perfproof.moments import stamp
from perfproof.reported.fields import require_window
from perfproof.reported.incidents import incident_items, incident_page
from perfproof_airflow.hooks.connection_values import ConnectionValues
from perfproof_airflow.hooks.context_api import ContextApi, in_the_clear
from perfproof_airflow.hooks.http_answers import Limits, Unreachable

PAGE = 100
# PagerDuty answers no page beyond this one.
MAX_INCIDENTS = 10_000
# Incidents are listed by when they began: one that began this long before the window and lasts into it is still found.
LOOK_BACK_SECONDS = 7 * 86_400.0
NAMED = re.compile(r"([A-Z0-9]{4,32})(?:=([^,=]{1,100}))?")


class PagerDutyIncidentsHook:
    """Asks for the incidents of a window. The password of the Connection is a read-only API token."""

    conn_name_attr = "connection_id"
    default_conn_name = "perfproof_pagerduty_incidents"
    conn_type = "http"
    hook_name = "PagerDuty incidents"
    collection_method = "PagerDuty REST API"

    def __init__(
        self,
        connection_id: str = default_conn_name,
        *,
        source: str = "pagerduty",
        connection: ConnectionValues | None = None,
        transport: httpx.BaseTransport | None = None,
        limits: Limits | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.source = source
        self._limits = limits or Limits()
        self._clock = clock
        self._api = ContextApi.of(
            connection_id, source, values=connection, transport=transport, limits=self._limits, sleep=sleep, clock=clock
        )

    def items(self, *, query: str | None, start: float, end: float, fetched_at: datetime) -> tuple[dict[str, list[dict[str, Any]]], bytes]:
        """`{"incidents": […]}` that touch the window (seconds since the epoch), and the pages' bytes, one line each.

        `query` names PagerDuty's services, and what the protocol file calls them: `PABC123=shop,PDEF456`. None is all services. All pages
        together have the time of one answer. Raises TelemetryError 772 or 771 for an answer of another shape, 773 for more incidents
        than are listed, 775 without a safe way for the token, 779 for another query; QueryRefused 780; Unreachable.
        """
        require_window(start, end, where=self._api.where)
        names = self._names(query)
        deadline = self._clock() + self._limits.total_seconds
        entries: list[Mapping[str, Any]] = []
        pages: list[bytes] = []
        more = True
        while more:
            if len(entries) + PAGE > MAX_INCIDENTS:
                raise TelemetryError(
                    773, where=self._api.where, what="more entries than can be listed", got=f"over {len(entries)}",
                    expected=f"at most {MAX_INCIDENTS}", fix="name fewer services in query, or measure a shorter window",
                )  # fmt: skip
            if pages and self._clock() >= deadline:
                raise Unreachable(
                    270, where=self._api.where, what=f"not all pages in {self._limits.total_seconds:g} s", got=f"{len(pages)} pages",
                    fix="name fewer services in query, then clear this task",
                )  # fmt: skip
            parameters: dict[str, str | list[str]] = {
                "since": stamp(datetime.fromtimestamp(max(0.0, start - LOOK_BACK_SECONDS), UTC)),
                "until": stamp(datetime.fromtimestamp(end, UTC)),
                "time_zone": "UTC", "sort_by": "created_at:asc", "limit": str(PAGE), "offset": str(len(entries)),
                **({"service_ids[]": list(names)} if names else {}),
            }  # fmt: skip
            body = self._api.get("/incidents", parameters, headers=self._headers())
            pages.append(body)
            found, more = incident_page(body, where=self._api.where)
            entries += found
        named = {name: called for name, called in names.items() if called}
        return {"incidents": incident_items(entries, names=named, start=start, end=end, where=self._api.where)}, b"\n".join(pages)

    def _headers(self) -> dict[str, str]:
        values = self._api.connection()
        if not values.password or in_the_clear(values.url):
            raise TelemetryError(
                775, where=self._api.where, what="no safe way for the token", expected="a token as password and an address with https",
                got="no password" if not values.password else values.url, fix="correct the Connection",
            )  # fmt: skip
        return {"Authorization": f"Token token={values.password}", "Accept": "application/vnd.pagerduty+json;version=2"}

    def _names(self, query: str | None) -> dict[str, str]:
        if query is None:
            return {}
        found = [NAMED.fullmatch(part.strip()) for part in query.split(",")]
        names = {match[1]: (match[2] or "").strip() for match in found if match}
        if len(names) < len(found):
            raise TelemetryError(
                779, where=self._api.where, what="not a query of this source", got=query, expected="PABC123=shop,PDEF456",
                fix="correct query in the protocol file",
            )  # fmt: skip
        return names
