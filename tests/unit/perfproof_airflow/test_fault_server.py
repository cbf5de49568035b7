"""The server that misbehaves does so: each mode as its description says, over a real socket."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from fault_server import ANSWERED_AS_GIVEN, JSON, MODES, fault_server

GOOD = (200, JSON, b'{"status":"success"}')


@contextmanager
def asked(address: str, path: str = "/", *, body: bytes | None = None) -> Iterator[http.client.HTTPResponse]:
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=3)
    try:
        connection.request("POST" if body else "GET", path, body=body)
        yield connection.getresponse()
    finally:
        connection.close()


@pytest.mark.parametrize("mode", ANSWERED_AS_GIVEN)
def test_a_given_answer_is_sent_as_it_is(mode: str) -> None:
    """Status, headers and body are the test's own."""
    with fault_server(mode, GOOD) as address, asked(address) as response:
        assert (response.status, response.headers["content-type"], response.read()) == (200, "application/json", GOOD[2])


def test_a_down_server_refuses() -> None:
    """Nothing listens."""
    with fault_server("down") as address, pytest.raises(ConnectionRefusedError), asked(address):
        pass


def test_a_slow_server_sends_a_byte_and_waits() -> None:
    """The head and one byte at once, and no second byte within half a second."""
    with fault_server("slow", GOOD) as address, asked(address) as response:
        assert response.read(1) == b"{"
        before = time.monotonic()
        assert response.read(1) == b'"'
        assert time.monotonic() - before > 0.5


@pytest.mark.parametrize(("mode", "status"), [("http_429", 429), ("http_500", 500), ("redirect", 302), ("html_200", 200)])
def test_a_status_and_its_header(mode: str, status: int) -> None:
    """429 says when to come back, a redirect where to go, a login page that it is HTML."""
    with fault_server(mode, GOOD, retry_after="7") as address, asked(address) as response:
        named = (response.headers["retry-after"], response.headers["location"], response.headers["content-type"])
        assert response.status == status
        assert {"http_429": named[0] == "7", "redirect": named[1] == "/followed", "html_200": named[2] == "text/html"}.get(mode, True)


def test_who_follows_a_redirect_gets_the_good_answer_and_is_seen() -> None:
    """A client that follows would pass, and the test finds its second request."""
    seen: list[bytes] = []
    with fault_server("redirect", GOOD, seen=seen) as address, asked(address, "/followed") as response:
        assert response.read() == GOOD[2]
    assert [request.split()[1] for request in seen] == [b"/followed"]


def test_a_truncated_answer_ends_early() -> None:
    """Half of what was announced."""
    with fault_server("truncated", GOOD) as address, asked(address) as response, pytest.raises(http.client.IncompleteRead):
        response.read()


@pytest.mark.parametrize("mode", ["endless", "gzip_bomb"])
def test_an_endless_answer_goes_on(mode: str) -> None:
    """There is more than a client that reads all of it should ever want."""
    with fault_server(mode, GOOD) as address, asked(address) as response:
        assert len(response.read(1_000_000)) == 1_000_000
        assert (response.headers["content-encoding"] == "gzip") == (mode == "gzip_bomb")


def test_the_good_answer_may_depend_on_the_request() -> None:
    """A function sees head and body, whatever the method."""
    reversing = lambda request: (201, {}, request.partition(b"\r\n\r\n")[2][::-1])  # noqa: E731
    with fault_server("good", reversing) as address, asked(address, body=b"abc" * 100_000) as response:
        assert (response.status, response.read()) == (201, b"cba" * 100_000)


def test_an_unknown_mode_is_an_error() -> None:
    """A misspelt mode is not a good server."""
    with pytest.raises(ValueError, match="no mode sloow"), fault_server("sloow"):
        pass
    assert len(set(MODES)) == len(MODES)
