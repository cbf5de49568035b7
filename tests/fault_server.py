"""A server that misbehaves in one chosen way, on a real socket of loopback: what hooks meet when their source is in trouble."""

from __future__ import annotations

import gzip
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

Answer = tuple[int, Mapping[str, str], bytes]
JSON = {"Content-Type": "application/json"}
GOOD: Answer = (200, JSON, b"{}")
ENDLESS_BYTES = 2 << 30
CHUNK = 1 << 16
# What the five last modes answer is for the test to say: the server sends it like a good answer.
ANSWERED_AS_GIVEN = ("good", "nan", "gaps", "duplicates", "out_of_order", "unit_change")
MODES = ("down", "slow", "http_429", "http_500", "redirect", "html_200", "truncated", "endless", "gzip_bomb", *ANSWERED_AS_GIVEN)


@contextmanager
def fault_server(
    mode: str, good: Answer | Callable[[bytes], Answer] = GOOD, *, retry_after: str = "1", seen: list[bytes] | None = None
) -> Iterator[str]:
    """The address (http://127.0.0.1:port) of a server that answers every request of the block in `mode`.

    `good` is (status, headers, body), or a function of the request's bytes that returns it. Each request, head and body, is
    appended to `seen`. The modes:

    - down: nothing listens at the address. http_429 (with Retry-After), http_500 and html_200 are what they say.
    - slow: the head of the good answer at once, then one byte a second.
    - redirect: 302 to /followed on the same server, which gives the good answer: who follows it is found out.
    - truncated: the good answer's full length announced, half of its body sent, then the end.
    - endless: the good body, then white space without an announced length until 2 GiB are sent or the client is gone.
    - gzip_bomb: 2 GiB of white space as two megabytes of gzip.
    - good, nan, gaps, duplicates, out_of_order, unit_change: the good answer as it is.
    """
    if mode not in MODES:
        raise ValueError(f"no mode {mode}: {', '.join(MODES)}")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        if mode == "down":
            # Bound and not listening: refused, and no other program gets the port meanwhile.
            yield address
            return
        server = _Server(mode, good, retry_after=retry_after, seen=[] if seen is None else seen)
        listener.listen(16)
        accepting = threading.Thread(target=server.accept, args=(listener,), daemon=True)
        accepting.start()
        try:
            yield address
        finally:
            server.stop()
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            accepting.join(timeout=5)


class _Server:
    def __init__(self, mode: str, good: Answer | Callable[[bytes], Answer], *, retry_after: str, seen: list[bytes]) -> None:
        self.mode, self.good, self.retry_after, self.seen = mode, good, retry_after, seen
        self.stopped = threading.Event()
        self.open: set[socket.socket] = set()
        self.lock = threading.Lock()

    def accept(self, listener: socket.socket) -> None:
        while not self.stopped.is_set():
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with self.lock:
                self.open.add(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def stop(self) -> None:
        self.stopped.set()
        with self.lock:
            for client in self.open:
                with suppress(OSError):
                    client.shutdown(socket.SHUT_RDWR)

    def _serve(self, client: socket.socket) -> None:
        # A client that has read enough goes away: that is what most of these modes are for.
        with client, suppress(OSError):
            request = _request(client)
            if request:
                with self.lock:
                    self.seen.append(request)
                self._answer(client, request)
        with self.lock:
            self.open.discard(client)

    def _answer(self, client: socket.socket, request: bytes) -> None:
        status, headers, body = self.good(request) if callable(self.good) else self.good
        match self.mode:
            case "http_429":
                _send(client, 429, {**JSON, "Retry-After": self.retry_after}, b'{"status":"error","error":"too many requests"}')
            case "http_500":
                _send(client, 500, JSON, b'{"status":"error","error":"internal"}')
            case "redirect" if b" /followed" not in request.partition(b"\r\n")[0]:
                _send(client, 302, {"Location": "/followed"}, b"")
            case "html_200":
                _send(client, 200, {"Content-Type": "text/html"}, b"<!doctype html><title>Sign in</title>")
            case "truncated":
                client.sendall(_head(status, {**headers, "Content-Length": str(len(body))}) + body[: len(body) // 2])
            case "slow":
                client.sendall(_head(status, {**headers, "Content-Length": str(len(body))}))
                for byte in body:
                    client.sendall(bytes([byte]))
                    if self.stopped.wait(1.0):
                        return
            case "endless":
                client.sendall(_head(status, headers) + body)
                for _ in range(ENDLESS_BYTES // CHUNK):
                    client.sendall(b" " * CHUNK)
            case "gzip_bomb":
                member = gzip.compress(b" " * (ENDLESS_BYTES >> 5))
                client.sendall(_head(status, {**headers, "Content-Encoding": "gzip"}) + member * 32)
            case _:
                _send(client, status, headers, body)


def _request(client: socket.socket) -> bytes:
    """Head and body of one request; empty when the client went away."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = client.recv(CHUNK)
        if not piece:
            return b""
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    fields = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:] if b":" in line)
    length = int(fields.get(b"content-length", b"0"))
    if fields.get(b"expect", b"").strip() == b"100-continue":
        client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    while len(body) < length:
        piece = client.recv(CHUNK)
        if not piece:
            return b""
        body += piece
    return head + b"\r\n\r\n" + body


def _send(client: socket.socket, status: int, headers: Mapping[str, str], body: bytes) -> None:
    client.sendall(_head(status, {**headers, "Content-Length": str(len(body))}) + body)


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} Fault", *(f"{name}: {value}" for name, value in headers.items()), "Connection: close", "", ""]
    return "\r\n".join(lines).encode()
