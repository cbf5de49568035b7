"""What the hooks for trace stores with an HTTP API share: the Connection, and questions that have one total time and size together."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import httpx

from perfproof.errors import TelemetryError
from perfproof.traces.spans import read_answer
from perfproof_airflow.hooks.connection_values import ConnectionValues
from perfproof_airflow.hooks.http_answers import BoundedGet, Limits, Unreachable
from perfproof_airflow.hooks.http_source import HttpSource
from perfproof_airflow.hooks.refused import QueryRefused

# All answers of one question about a window: they are kept until their digest is made.
MAX_ALL_BYTES = 32 << 20
MAX_QUERY = 8_192
EARLIEST, LATEST = 946_684_800.0, 7_258_118_400.0


@dataclass(slots=True)
class Questions:
    """Asks a store several times within one total time, with the Connection's parameters each time, and keeps what it answered."""

    store: HttpSource
    tenant_header: str
    answers: list[bytes] = field(default_factory=list)
    _deadline: float = field(init=False)

    def __post_init__(self) -> None:
        self._deadline = self.store.clock() + self.store.limits.total_seconds

    def ask(self, path: str, parameters: Mapping[str, str]) -> tuple[int, Any]:
        """Status and JSON value of an answer. Raises what BoundedGet raises, and TelemetryError (730) for what is no JSON."""
        seconds = self._deadline - self.store.clock()
        left = MAX_ALL_BYTES - sum(map(len, self.answers))
        if seconds <= 0:
            raise Unreachable(
                733, where=self.store.where, what="the questions about one window took too long together",
                expected=f"{self.store.limits.total_seconds:g} s", fix="narrow the query or the window, then clear this task",
            )  # fmt: skip
        limits = Limits(total_seconds=seconds, answer_bytes=max(1, min(left, self.store.limits.answer_bytes)))
        get = self.store.asking(BoundedGet, tenant_header=self.tenant_header, limits=limits)
        status, body = get.json_bytes(path, {**self.store.connection().parameters, **parameters})
        document = read_answer(body, where=self.store.where)
        self.answers.append(body)
        return status, document


class TraceStoreHook:
    """The part of a trace store's hook that is the same for all: Connection, tenant, limits. Nothing is opened before the first question.

    `connection` and `transport` replace the Connection and the network in tests.
    """

    conn_name_attr = "connection_id"
    conn_type = "http"
    hook_name: ClassVar[str]
    default_conn_name: ClassVar[str]
    tenant_header: ClassVar[str]

    def __init__(
        self,
        connection_id: str | None = None,
        *,
        source: str,
        connection: ConnectionValues | None = None,
        transport: httpx.BaseTransport | None = None,
        limits: Limits | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.connection_id = connection_id or self.default_conn_name
        self.source = source
        self._http = HttpSource(self.connection_id, source, 735, self.hook_name, connection, transport, limits or Limits(), sleep, clock)

    @property
    def _where(self) -> str:
        return self._http.where

    def _questions(self) -> Questions:
        return Questions(self._http, self.tenant_header)

    def _check(self, query: str | None, start: float, end: float) -> None:
        """Raises TelemetryError for what is no window or too long a query, before anything is asked."""
        if not (math.isfinite(start) and math.isfinite(end) and EARLIEST <= start < end <= LATEST):
            raise TelemetryError(
                732, where=self._where, what="not a window", got=f"{start} to {end}", expected="seconds since the epoch, start before end",
                fix="correct the window",
            )  # fmt: skip
        if query is not None and len(query) > MAX_QUERY:
            raise TelemetryError(
                732, where=self._where, what="the query is too long", got=len(query), expected=f"at most {MAX_QUERY} characters",
                fix="shorten it",
            )  # fmt: skip

    def _refused(self, status: int, told: Any) -> QueryRefused:
        return QueryRefused(
            731, where=self._where, what="the trace store refuses the query", got=f"HTTP {status} {told}",
            fix="correct the query in the protocol file",
        )  # fmt: skip

    def _none_found(self) -> TelemetryError:
        return TelemetryError(
            734, where=self._where, what="no trace in the window, although the query leaves none out",
            fix="check that the service is traced, and its name",
        )  # fmt: skip
