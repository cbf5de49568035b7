"""One plain GET ends in time and in size, and half an answer is none."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from perfproof.config import Endpoint
from perfproof.errors import LoadError
from perfproof_airflow.hooks.endpoint import EndpointHook
from perfproof_airflow.hooks.plain_get import TooLarge, Unanswered, plain_get

CUT = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nrequests_total 1\n"
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\nrequests_total 1\n"
REFUSED = b"HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\nno"


@contextmanager
def answering(raw: bytes) -> Iterator[int]:
    """A server that answers one request with these bytes and closes."""

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(raw)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(10)


def ask(raw: bytes, *, limit: int = 1000) -> tuple[int, bytes]:
    with answering(raw) as port:
        return plain_get("127.0.0.1", port, "/", accept="*/*", within=5, limit=limit)


def test_status_and_body_come_back_and_only_200_is_read() -> None:
    """What a refusal says is nothing that anybody measures."""
    assert ask(WHOLE) == (200, b"requests_total 1\n")
    assert ask(REFUSED) == (503, b"")


def test_an_answer_that_ends_early_is_none() -> None:
    """The connection closed before the announced length."""
    with pytest.raises(Unanswered, match="IncompleteRead"):
        ask(CUT)


def test_an_answer_beyond_the_limit_is_not_read_on() -> None:
    """With how much came."""
    with pytest.raises(TooLarge) as caught:
        ask(WHOLE, limit=16)
    assert caught.value.size == 17


def test_metrics_that_were_cut_off_are_no_metrics() -> None:
    """The series that are missing would look as if they did not exist."""
    with answering(CUT) as port:
        endpoint = Endpoint("127.0.0.1", port, build_path="/build", metrics_path="/metrics")
        with pytest.raises(LoadError, match=r"LOD-321 .*does not answer"):
            EndpointHook(endpoint, environment="test").scrape()
