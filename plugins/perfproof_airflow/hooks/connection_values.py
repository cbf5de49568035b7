"""What a hook needs of an Airflow Connection to an HTTP server: address, credentials, headers, trust."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from perfproof.errors import TelemetryError

# What Mimir, Cortex and Loki accept as the name of a tenant; several are joined by |.
TENANT = re.compile(r"[A-Za-z0-9!_.*'()|-]{1,150}")
PARAMETER = re.compile(r"[A-Za-z][A-Za-z0-9_\[\]-]{0,63}")
# What a question itself says cannot also be said by the Connection.
ASKED_BY_THE_HOOK = frozenset({"query", "start", "end", "step", "time"})


@dataclass(frozen=True, slots=True)
class ConnectionValues:
    """`url` has no slash at the end; the token or the login is sent, not both. `parameters` go with every question."""

    url: str
    login: str | None = None
    password: str | None = field(default=None, repr=False)
    bearer_token: str | None = field(default=None, repr=False)
    ca_file: str | None = None
    tenant: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, connection: Any) -> ConnectionValues:
        """The values of a Connection: host with or without scheme, port, and of its extra the keys named as here, scheme and path.

        Raises TelemetryError for what is no address, tenant or mapping of texts.
        """
        where = f"Connection {connection.conn_id}"
        extra: Mapping[str, Any] = connection.extra_dejson or {}
        host = (connection.host or "").strip().rstrip("/")
        scheme, given, rest = host.partition("://")
        if not given:
            scheme, rest = str(extra.get("scheme") or connection.schema or "http"), host
        if scheme not in ("http", "https") or not rest:
            raise TelemetryError(
                275, where=where, what="no usable address", got=f"{scheme}://{rest}", expected="http or https and a host",
                fix="set the host of the Connection",
            )  # fmt: skip
        name, slash, prefix = rest.partition("/")
        port = f":{connection.port}" if connection.port and ":" not in name.rpartition("]")[2] else ""
        path = (slash + prefix).rstrip("/") or ("/" + str(extra.get("path") or "").strip("/")).rstrip("/")
        token = extra.get("bearer_token")
        return cls(
            url=f"{scheme}://{name}{port}{path}",
            login=connection.login or None,
            password=connection.password or None,
            bearer_token=None if token is None else str(token),
            ca_file=None if extra.get("ca_file") is None else str(extra["ca_file"]),
            tenant=_tenant(extra.get("tenant"), where=where),
            parameters=_parameters(extra.get("parameters"), where=where),
        )

    def trust(self, *, where: str) -> ssl.SSLContext:
        """The certificates that the server's is checked against. Loading them takes longer than a small query: keep what this returns.

        Raises TelemetryError for a ca_file that cannot be read.
        """
        if self.url.startswith("http://"):
            return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # Trusts nobody, and nobody asks it: redirects are not followed.
        if self.ca_file is None:
            return httpx.create_ssl_context(trust_env=False)
        try:
            return ssl.create_default_context(cafile=self.ca_file)
        except (OSError, ValueError) as error:
            raise TelemetryError(
                701, where=where, what="the certificates of ca_file cannot be read", got=f"{self.ca_file}: {error}",
                expected="a file with PEM certificates", fix="correct ca_file in the Connection's extra",
            ) from None  # fmt: skip


def _tenant(value: Any, *, where: str) -> str | None:
    if value is None or (isinstance(value, str) and TENANT.fullmatch(value)):
        return value
    raise TelemetryError(
        700, where=where, what="not the name of a tenant", got=value, expected="up to 150 letters, digits and !_.*'()|-",
        fix="correct tenant in the Connection's extra",
    )  # fmt: skip


def _parameters(value: Any, *, where: str) -> Mapping[str, str]:
    given = {} if value is None else value
    if isinstance(given, dict) and all(
        isinstance(key, str) and PARAMETER.fullmatch(key) and key not in ASKED_BY_THE_HOOK and isinstance(text, str)
        for key, text in given.items()
    ):
        return given
    # Values may be keys of an API, so only the names are shown.
    raise TelemetryError(
        700, where=where, what="not parameters of a question", got=list(given) if isinstance(given, dict) else type(given).__name__,
        expected='texts by name, such as {"nocache": "1"}; not query or times',
        fix="correct parameters in the Connection's extra",
    )  # fmt: skip
