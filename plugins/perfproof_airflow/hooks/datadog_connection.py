"""Datadog's site and keys, out of an Airflow Connection."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from perfproof.errors import TelemetryError
from perfproof_airflow.hooks.loopback import is_loopback

SITE = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,250}[a-z0-9])?(?::[0-9]{1,5})?")
KEY = re.compile(r"[!-~]{8,256}")


@dataclass(frozen=True, slots=True)
class DatadogConnection:
    """What the hook needs of an Airflow Connection: the site's API and both keys, which are shown nowhere."""

    url: str
    api_key: str = field(repr=False)
    application_key: str = field(repr=False)
    ca_file: str | None = None

    @classmethod
    def of(cls, connection: Any) -> DatadogConnection:
        """Host: a site (`datadoghq.eu`) or a whole address. Keys: login and password, or extra {api_key, app_key}; extra {ca_file}."""
        where = f"Connection {connection.conn_id}"
        extra: Mapping[str, Any] = connection.extra_dejson or {}
        keys = [
            _key(extra.get("api_key") or connection.login, "API key", where=where),
            _key(extra.get("app_key") or extra.get("application_key") or connection.password, "application key", where=where),
        ]
        url = _address((connection.host or "").strip().rstrip("/").lower(), connection.port, where=where)
        return cls(url, keys[0], keys[1], None if extra.get("ca_file") is None else str(extra["ca_file"]))


def _key(value: Any, name: str, *, where: str) -> str:
    """A header value that is shown by nobody: an HTTP library's complaint about a bad one would repeat it."""
    if not isinstance(value, str) or not KEY.fullmatch(value.strip()):
        raise TelemetryError(
            750, where=where, what=f"no usable {name}", expected="8 to 256 printable characters without spaces",
            fix="set login to the API key and password to the application key, or both in the extra",
        )  # fmt: skip
    return value.strip()


def _address(host: str, port: int | None, *, where: str) -> str:
    scheme, given, rest = host.partition("://")
    if not given:
        # The site's name is what people know it by; its API has a name of its own.
        site = host.removeprefix("app.").removeprefix("api.")
        scheme, rest = "https", f"api.{site}" if site and not is_loopback(site.partition(":")[0]) else site
    proper = SITE.fullmatch(rest) is not None and scheme in ("http", "https")
    if not proper or (scheme == "http" and not is_loopback(rest.partition(":")[0])):
        raise TelemetryError(
            750, where=where, what="no usable address", expected="a site such as datadoghq.eu, or https and a host",
            fix="set the host of the Connection; keys are sent over TLS only",
        )  # fmt: skip
    return f"{scheme}://{rest}" if port is None or ":" in rest else f"{scheme}://{rest}:{port}"
