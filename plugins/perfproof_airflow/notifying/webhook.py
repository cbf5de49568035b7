"""A notification as one POST of JSON to the address of an Airflow Connection: bounded, no redirects, no proxies, no retries."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from perfproof import __version__
from perfproof.channels import Channel
from perfproof.errors import ConfigError, TelemetryError
from perfproof.notifications import Notification
from perfproof_airflow.hooks.connection_values import ConnectionValues
from perfproof_airflow.hooks.loopback import is_loopback
from perfproof_airflow.hooks.time_limit import CutOff, cut_off_after

SECONDS = 10.0


class NotAccepted(Exception):
    """The receiver did not take the notification. The text holds neither address nor credentials."""


def post(channel: Channel, notification: Notification) -> None:
    """Posts `notification.body()`. Raises ConfigError for a Connection that cannot be used, NotAccepted for any answer but 2xx.

    The answer ends with its status: what follows is not read, however long it is.
    """
    from airflow.sdk import BaseHook

    connection = BaseHook.get_connection(channel.target)
    values = _values(channel.target, connection)
    headers = {
        "Content-Type": "application/json", "User-Agent": f"perfproof/{__version__}", "Idempotency-Key": notification.sha256,
    }  # fmt: skip
    token = values.bearer_token or (values.password if values.login is None else None)
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    auth = None if values.login is None or token is not None else (values.login, values.password or "")
    verify = ssl.create_default_context(cafile=values.ca_file)
    with (
        httpx.Client(auth=auth, headers=headers, verify=verify, trust_env=False, follow_redirects=False, timeout=SECONDS) as client,
        cut_off_after(SECONDS) as cut,
    ):
        try:
            with client.stream("POST", values.url, content=notification.body(), extensions={"trace": _watched(cut)}) as response:
                status = response.status_code
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            # The words of some errors quote the address, which may be a secret.
            reason = f"no answer within {SECONDS:g} s" if cut.happened else type(error).__name__
            raise NotAccepted(reason) from None
    if httpx.codes.is_redirect(status):
        raise NotAccepted(f"HTTP {status}: it redirects; name the final address in the Connection")
    if not httpx.codes.is_success(status):
        raise NotAccepted(f"HTTP {status}")


def _values(connection_id: str, connection: Any) -> ConnectionValues:
    where = f"Connection {connection_id}"
    try:
        values = ConnectionValues.of(connection)
        url = httpx.URL(values.url)
    except (TelemetryError, httpx.InvalidURL):
        raise ConfigError(246, where=where, what="no usable address", expected="https and a host", fix="set its host") from None
    allowed = (connection.extra_dejson or {}).get("allow_http") is True
    if url.scheme != "https" and not is_loopback(url.host) and not allowed:
        raise ConfigError(
            247, where=where, what="not https, and another machine", expected="https",
            fix='use https, or set "allow_http": true in its extra',
        )  # fmt: skip
    return values


def _watched(cut: CutOff) -> Callable[[str, Mapping[str, Any]], None]:
    def trace(event: str, details: Mapping[str, Any]) -> None:
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            cut.socket = details["return_value"].get_extra_info("socket")

    return trace
