"""What is not listed is not reached: a trap counts every byte that arrives, whatever name, redirect or resolver leads to it."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from perfproof.config import Abort, Span, Target, Transaction
from perfproof.errors import LoadError
from perfproof.load.plan import LoadPlan, Scenario, Stage
from perfproof.load.summary import Outcome
from perfproof_airflow.load_engine.generator import Generator

CONSENT = json.dumps({"build": "b", "environment": "test"}).encode()
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"


class Listener:
    """Answers the consent to everything on one address, ends each connection, and counts them."""

    def __init__(self, host: str, port: int = 0) -> None:
        self.connections = 0
        self.received: list[bytes] = []
        self._socket = socket.create_server((host, port), backlog=64)
        self.port: int = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            with connection:
                connection.settimeout(2)
                self.received.append(self._request(connection))
                connection.sendall(HEAD % len(CONSENT) + CONSENT)

    @staticmethod
    def _request(connection: socket.socket) -> bytes:
        """The head, and a body if there is one."""
        data = b""
        while b"\r\n\r\n" not in data or (data.startswith(b"POST") and not data.endswith(b"}")):
            more = connection.recv(65536)
            if not more:
                break
            data += more
        return data

    def close(self) -> None:
        """Stops listening."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


@pytest.fixture
def trap() -> Iterator[Listener]:
    """The server on 127.0.0.1 that no request may reach."""
    listener = Listener("127.0.0.1")
    yield listener
    listener.close()


def plan(host: str, port: int, *, listed: str, seconds: float = 0.5) -> LoadPlan:
    """A test of `host` for whom `listed` is on the allow-list with the same port."""
    return LoadPlan(
        schema_version=1,
        scenario=Scenario.PEAK,
        host=host,
        port=port,
        build_path="/build",
        environment="test",
        stages=(Stage(40, seconds),),
        warmup_seconds=0,
        transactions=(Transaction("a", "GET", "/a", 1),),
        seed=1,
        max_in_flight=50,
        timeout_seconds=2,
        abort=Abort(100, 60_000, 5),
        allow=(Target(listed, port),),
    )


def run(made: LoadPlan) -> Outcome:
    """The outcome of the plan in this process, where a test can change how names are resolved."""
    return asyncio.run(Generator(made).run(on_begin=lambda _: None))[1].outcome


SPELLINGS = [
    "127.0.0.1", "localhost", "LOCALHOST", "LocalHost.", "127.0.0.1.", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7F.1",
    "0x7f.0x0.0x0.0x1", "0177.0.0.1", "0177.1", "017700000001", "[::ffff:127.0.0.1]", "::ffff:7f00:1", "::ffff:127.0.0.1",
    "0:0:0:0:0:ffff:7f00:0001", "[::127.0.0.1]", "１２７.0.0.1", "127。0。0。1", "ｌｏｃａｌｈｏｓｔ", "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ", "xn--localhost-",
    "%6c%6f%63alhost", "listed@127.0.0.1", "127.0.0.1#", "127.0.0.1\t", " 127.0.0.1", "0", "[::]", "127.0.0.1:80", "127.0.0.1/..",
    "0.0.0.0",  # noqa: S104  connects to this machine on Linux
]  # fmt: skip


@pytest.mark.parametrize("host", SPELLINGS)
def test_no_spelling_of_an_unlisted_host_reaches_it(trap: Listener, host: str) -> None:
    """127.0.0.2 is listed with the trap's port. The plan is refused; and if it were not, each connection would be."""
    made = plan(host, trap.port, listed="127.0.0.2")
    with pytest.raises(LoadError) as refused:
        LoadPlan.from_document(made.document())
    assert refused.value.code in ("LOD-101", "LOD-102", "LOD-103")
    with pytest.raises(LoadError) as caught:
        run(made)
    assert caught.value.code in ("LOD-104", "LOD-301")
    assert trap.connections == 0


def test_a_listed_host_is_reached_in_the_same_way(trap: Listener) -> None:
    """The trap would notice: the same plan with the host listed arrives."""
    assert run(plan("localhost", trap.port, listed="127.0.0.1")) is Outcome.COMPLETED
    assert trap.connections >= 20


def test_a_name_that_resolves_elsewhere_while_load_runs_ends_the_test(trap: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    """The listed address answers at first; from half of the test on, the name leads to the trap, which sees nothing."""
    try:
        target = Listener("127.0.0.2", trap.port)
    except OSError:
        pytest.skip("this system has no 127.0.0.2")
    began = time.monotonic()
    resolve = socket.getaddrinfo

    def changing(host: str, *arguments: object, **named: object) -> object:
        address = "127.0.0.2" if time.monotonic() < began + 1.5 else "127.0.0.1"
        return resolve(address if host == "shop.test" else host, *arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", changing)
    made = plan("shop.test", trap.port, listed="shop.test", seconds=20)
    made = replace(made, allow=(*made.allow, Target("127.0.0.2", trap.port)))
    try:
        rows, summary = asyncio.run(Generator(made).run(on_begin=lambda _: None))
    finally:
        target.close()
    assert summary.outcome is Outcome.STOPPED
    assert "LOD-104" in (summary.reason or "")
    assert time.monotonic() - began < 10
    assert 20 < rows.ok.sum() == target.connections - 1
    assert trap.connections == 0


def test_headers_and_body_arrive_as_they_are_written(trap: Listener) -> None:
    """With the target's own name in Host, and the length of the body; the questions for the build carry none of it."""
    headers = {"Content-Type": "application/json", "X-Tenant": "test"}
    order = Transaction("a", "POST", "/a/{id}", 1, parameters={"id": Span(1, 9)}, headers=headers, body='{"id": {id}}')
    made = replace(plan("127.0.0.1", trap.port, listed="127.0.0.1"), transactions=(order,))
    assert run(made) is Outcome.COMPLETED
    consents = [data for data in trap.received if data.startswith(b"GET /build")]
    posts = [data for data in trap.received if data.startswith(b"POST /a/")]
    assert (len(consents), len(posts)) == (2, made.total_requests)
    assert not any(b"X-Tenant" in data for data in consents)
    for data in posts:
        head, _, body = data.partition(b"\r\n\r\n")
        assert f"Host: 127.0.0.1:{trap.port}".encode() in head
        assert b"X-Tenant: test" in head
        assert b"Content-Type: application/json" in head
        assert f"Content-Length: {len(body)}".encode() in head
        assert json.loads(body)["id"] == int(head.split(b" ")[1].rpartition(b"/")[2])


def test_a_request_is_sent_once_even_if_its_connection_is_lost() -> None:
    """A server that ends each kept connection with the second request sees as many requests as there are rows."""
    seen = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            for number in range(2):
                head = await reader.readuntil(b"\r\n\r\n")
                seen.append(head.split(b" ", 2)[1])
                if number == 1 and seen[-1] != b"/build":
                    break
                writer.write(HEAD.replace(b"Connection: close\r\n", b"") % len(CONSENT) + CONSENT)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()

    async def measure() -> tuple[int, int]:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            made = plan("127.0.0.1", server.sockets[0].getsockname()[1], listed="127.0.0.1", seconds=1)
            rows, _ = await Generator(made).run(on_begin=lambda _: None)
        return len(rows), int((~rows.ok).sum())

    count, failed = asyncio.run(measure())
    assert seen.count(b"/a") == count == 40
    assert failed > 0
