"""Servers on loopback that receive what is sent to people: HTTP requests and e-mails."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Receiver:
    """An HTTP server on loopback that keeps what it receives and answers as `answer` says."""

    def __init__(self) -> None:
        self.received: list[tuple[str, dict[str, str], bytes]] = []
        self.answer: Callable[[BaseHTTPRequestHandler], None] = lambda handler: respond(handler, 200, b"ok")
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.received.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                with suppress(OSError):
                    receiver.answer(self)

            do_GET = do_POST

            def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002  the name in the base class
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def respond(handler: BaseHTTPRequestHandler, status: int, body: bytes = b"", **headers: str) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)


class MailServer(socketserver.ThreadingTCPServer):
    """The least of an SMTP server: it takes every message and keeps envelope and content."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Dialogue)
        self.mails: list[tuple[str, list[str], bytes]] = []
        self.silent = False
        self.refuse = False
        self.refusal = "no mailbox"


class _Dialogue(socketserver.StreamRequestHandler):
    server: MailServer

    def handle(self) -> None:
        sender = ""
        to: list[str] = []
        if self.server.silent:
            self.rfile.readline()
            return
        self.wfile.write(b"220 test\r\n")
        while line := self.rfile.readline():
            word = line[:4].upper()
            if word == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                content = b""
                while (more := self.rfile.readline()) not in (b".\r\n", b""):
                    content += more.removeprefix(b".") if more.startswith(b"..") else more
                self.server.mails.append((sender, to, content))
            elif word == b"MAIL":
                sender = line.decode()
            elif word == b"RCPT":
                to.append(line.decode().strip().lower())
            refused = word == b"RCPT" and self.server.refuse
            self.wfile.write(f"550 {self.server.refusal}\r\n".encode() if refused else b"250 ok\r\n")
