"""The JSON API that a source of context is asked through: an address and credentials of a Connection, and bounded GETs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast
from urllib.parse import urlsplit

import httpx

from perfproof_airflow.hooks.connection_values import ConnectionValues
from perfproof_airflow.hooks.http_answers import BoundedGet, Limits
from perfproof_airflow.hooks.http_source import HttpSource
from perfproof_airflow.hooks.loopback import is_loopback
from perfproof_airflow.hooks.refused import QueryRefused


class ContextApi(HttpSource):
    """One API of alerts, incidents or deployments."""

    @classmethod
    def of(
        cls,
        connection_id: str,
        source: str,
        *,
        values: ConnectionValues | None,
        transport: httpx.BaseTransport | None,
        limits: Limits | None,
        sleep: Callable[[float], None],
        clock: Callable[[], float],
    ) -> ContextApi:
        """The API at a Connection; one that does not exist is TelemetryError 781."""
        return cls(connection_id, source, 781, f"what source {source} reads", values, transport, limits or Limits(), sleep, clock)

    def get(self, path: str, parameters: Mapping[str, str | list[str]], *, headers: Mapping[str, str] | None = None) -> bytes:
        """The body of a JSON answer with a status of success.

        `headers` replace the Connection's own credentials. Raises QueryRefused 780 for an answer that refuses the question, and what
        BoundedGet raises.
        """
        asked = {**self.connection().parameters, **parameters}
        # httpx sends a list as one parameter for each of its entries.
        status, body = self.asking(BoundedGet, headers=headers).json_bytes(path, cast(Mapping[str, str], asked))
        if status >= 400:
            raise QueryRefused(
                780, where=self.where, what=f"{path} refuses the question", got=f"HTTP {status} {body[:500].decode('utf-8', 'replace')}",
                fix="correct query of the source in the protocol file",
            )  # fmt: skip
        return body


def in_the_clear(url: str) -> bool:
    """Whether a secret in a request to `url` could be read on the way: plain http to anything but this machine."""
    parts = urlsplit(url)
    return parts.scheme != "https" and not is_loopback(parts.hostname or "")
