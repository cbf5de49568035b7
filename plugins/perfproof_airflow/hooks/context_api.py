"""The JSON API that a source of context is asked through: an address and credentials of a Connection, and bounded GETs."""

from __future__ import annotations

import ipaddress
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlsplit

import httpx

from perfproof.errors import TelemetryError
from perfproof_airflow.hooks.connection_values import ConnectionValues
from perfproof_airflow.hooks.http_answers import BoundedGet, Limits
from perfproof_airflow.hooks.refused import QueryRefused


@dataclass(slots=True)
class ContextApi:
    """One API. `values` and `transport` replace the Connection and the network in tests; nothing is opened before the first question."""

    connection_id: str
    source: str
    values: ConnectionValues | None = None
    transport: httpx.BaseTransport | None = None
    limits: Limits | None = None
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    _trust: ssl.SSLContext | None = field(default=None, repr=False)

    @property
    def where(self) -> str:
        """The source and its Connection, for error lines."""
        return f"{self.source} ({self.connection_id})"

    def connection(self) -> ConnectionValues:
        """The address and credentials. Raises TelemetryError 781 when there is no such Connection."""
        if self.values is None:
            from airflow.sdk import Connection
            from airflow.sdk.exceptions import AirflowNotFoundException

            try:
                self.values = ConnectionValues.of(Connection.get(self.connection_id))
            except AirflowNotFoundException:
                raise TelemetryError(
                    781, where=f"Connection {self.connection_id}", what="not defined",
                    fix=f"create it with the address of what source {self.source} reads",
                ) from None  # fmt: skip
        return self.values

    def network(self) -> httpx.BaseTransport:
        """What a request goes through; who uses it closes it. Certificates are loaded once."""
        if self.transport is not None:
            return self.transport
        if self._trust is None:
            self._trust = self.connection().trust(where=self.where)
        return httpx.HTTPTransport(verify=self._trust, trust_env=False)

    def get(self, path: str, parameters: Mapping[str, str | list[str]], *, headers: Mapping[str, str] | None = None) -> bytes:
        """The body of a JSON answer with a status of success.

        `headers` replace the Connection's own credentials. Raises QueryRefused 780 for an answer that refuses the question, and what
        BoundedGet raises.
        """
        values = self.connection()
        token = values.bearer_token
        own = {"Authorization": f"Bearer {token}"} if token else {}
        login = (values.login, values.password or "") if values.login and not token and headers is None else None
        tenant = {} if values.tenant is None else {"X-Scope-OrgID": values.tenant}
        asked = BoundedGet(
            base_url=values.url, headers={**(own if headers is None else headers), **tenant}, auth=login, verify=True,
            limits=self.limits or Limits(), where=self.where, transport=self.network(), sleep=self.sleep, clock=self.clock,
        )  # fmt: skip
        parameters = {**values.parameters, **parameters}
        # httpx sends a list as one parameter for each of its entries.
        status, body = asked.json_bytes(path, cast(Mapping[str, str], parameters))
        if status >= 400:
            raise QueryRefused(
                780, where=self.where, what=f"{path} refuses the question", got=f"HTTP {status} {body[:500].decode('utf-8', 'replace')}",
                fix="correct query of the source in the protocol file",
            )  # fmt: skip
        return body


def in_the_clear(url: str) -> bool:
    """Whether a secret in a request to `url` could be read on the way: plain http to anything but this machine."""
    parts = urlsplit(url)
    if parts.scheme == "https" or parts.hostname == "localhost":
        return False
    try:
        return not ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return True
