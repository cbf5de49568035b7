"""One GET over plain HTTP: no proxy, no redirect, and an end in time and in size whatever the server does."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Callable

from perfproof_airflow.hooks.time_limit import CutOff, cut_off_after

CHUNK = 1 << 16


class Unanswered(Exception):
    """No whole answer came; the text says why."""


class TooLarge(Exception):
    """The answer has more bytes than are read; `size` is how many came."""

    def __init__(self, size: int) -> None:
        self.size = size
        super().__init__(f"{size} bytes")


def plain_get(
    host: str, port: int, path: str, *, accept: str, within: float, limit: int, on_connected: Callable[[socket.socket], None] | None = None
) -> tuple[int, bytes]:
    """Status and body, which is read for status 200 only and is `limit` bytes at most.

    `on_connected` may refuse the connection before anything is sent. Raises Unanswered, also for an answer that ends before its
    announced length, and TooLarge.
    """
    connection = http.client.HTTPConnection(host, port, timeout=within)
    cut = CutOff()
    try:
        with cut_off_after(within) as cut:
            connection.connect()
            cut.socket = connection.sock
            if on_connected is not None:
                on_connected(connection.sock)
            connection.request("GET", path, headers={"Accept": accept, "Connection": "close"})
            with connection.getresponse() as response:
                status = response.status
                body = _body(response, limit=limit) if status == http.client.OK else b""
        if cut.happened:
            raise TimeoutError
        return status, body
    except (OSError, http.client.HTTPException) as error:
        reason = f"no end of the answer within {within:g} s" if cut.happened else str(error) or type(error).__name__
        raise Unanswered(reason) from None
    finally:
        connection.close()


def _body(response: http.client.HTTPResponse, *, limit: int) -> bytes:
    body = bytearray()
    while chunk := response.read1(CHUNK):
        body += chunk
        if len(body) > limit:
            raise TooLarge(len(body))
    if response.length:
        # Reading piece by piece does not notice it.
        raise http.client.IncompleteRead(bytes(body), response.length)
    return bytes(body)
