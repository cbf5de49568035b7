"""The HTTP server that a source is asked at: an Airflow Connection, its credentials and certificates, and bounded GETs."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import httpx

from perfproof.errors import TelemetryError
from perfproof_airflow.hooks.connection_values import ConnectionValues
from perfproof_airflow.hooks.http_answers import BoundedGet, Limits

Get = TypeVar("Get", bound=BoundedGet)
TENANT_HEADER = "X-Scope-OrgID"


@dataclass(slots=True)
class HttpSource:
    """One server. Nothing is opened before the first question; `values` and `transport` replace the Connection and the network in tests.

    A Connection that does not exist is TelemetryError `absent`, with "create it with the address of `address_of`" as its fix.
    """

    connection_id: str
    source: str
    absent: int
    address_of: str
    values: ConnectionValues | None = None
    transport: httpx.BaseTransport | None = None
    limits: Limits = field(default_factory=Limits)
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    _trust: ssl.SSLContext | None = field(default=None, repr=False)

    @property
    def where(self) -> str:
        """The source and its Connection, for error lines."""
        return f"{self.source} ({self.connection_id})"

    def connection(self) -> ConnectionValues:
        """The address and credentials. Raises TelemetryError when there is no such Connection."""
        if self.values is None:
            from airflow.sdk import Connection
            from airflow.sdk.exceptions import AirflowNotFoundException

            try:
                self.values = ConnectionValues.of(Connection.get(self.connection_id))
            except AirflowNotFoundException:
                raise TelemetryError(
                    self.absent, where=f"Connection {self.connection_id}", what="not defined",
                    fix=f"create it with the address of {self.address_of}",
                ) from None  # fmt: skip
        return self.values

    def network(self) -> httpx.BaseTransport:
        """What a question goes through, which closes it. One of its own for each; only the certificates are loaded once."""
        if self.transport is not None:
            return self.transport
        if self._trust is None:
            self._trust = self.connection().trust(where=self.where)
        return httpx.HTTPTransport(verify=self._trust, trust_env=False)

    def asking(
        self,
        kind: type[Get],
        *,
        base_url: str | None = None,
        headers: Mapping[str, str] | None = None,
        tenant_header: str | None = TENANT_HEADER,
        limits: Limits | None = None,
    ) -> Get:
        """One question, with the Connection's token or login, or with the credentials in `headers` in place of both."""
        values = self.connection()
        token = values.bearer_token
        sent = dict(headers) if headers is not None else {"Authorization": f"Bearer {token}"} if token else {}
        if tenant_header is not None and values.tenant is not None:
            sent[tenant_header] = values.tenant
        return kind(
            base_url=base_url or values.url, headers=sent,
            auth=(values.login, values.password or "") if values.login and not token and headers is None else None,
            verify=True, limits=limits or self.limits, where=self.where, transport=self.network(), sleep=self.sleep, clock=self.clock,
        )  # fmt: skip
