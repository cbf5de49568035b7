"""A server of recorded answers: the two deployments of a service, and the Prometheus that scraped them, on one port each."""

from __future__ import annotations

import http.server
import itertools
import json
import random
import socketserver
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

HOST = "127.0.0.1"


class Recorded(http.server.BaseHTTPRequestHandler):
    """Says nothing about what it answers."""

    protocol_version = "HTTP/1.1"

    def send(self, body: bytes, kind: str) -> None:
        """200 and a body."""
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the name is http.server's
        """Nothing."""


def deployment(build: str) -> type[Recorded]:
    """A deployment whose counters go on by about a second of CPU at each scrape."""
    draw = random.Random(build)
    cpu = itertools.accumulate(0.9 + draw.random() / 50 for _ in itertools.count())

    class Deployment(Recorded):
        def do_GET(self) -> None:
            if self.path == "/build":
                self.send(json.dumps({"build": build, "environment": "test"}).encode(), "application/json")
                return
            memory = 40e6 + 1e5 * draw.random()
            text = f"process_cpu_seconds_total {next(cpu)}\nprocess_resident_memory_bytes {memory}\n"
            self.send(text.encode(), "text/plain; version=0.0.4")

    return Deployment


class Prometheus(Recorded):
    """A series with a value for each moment that is asked for."""

    def do_GET(self) -> None:
        """Answers instant and range queries."""
        self._answer(parse_qs(urlsplit(self.path).query))

    def do_POST(self) -> None:
        """The same, asked in a body."""
        self._answer(parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode()))

    def _answer(self, asked: dict[str, list[str]]) -> None:
        level = 80.0 if "cpu" in asked["query"][0] else 120.0
        if "start" not in asked:
            kind, found = "vector", {"metric": {}, "value": [float(asked["time"][0]), "1"]}
        else:
            start, end, step = (float(asked[name][0]) for name in ("start", "end", "step"))
            draw = random.Random(int(start))
            points = [[start + step * n, str(level + draw.random())] for n in range(int((end - start) / step + 1e-9) + 1)]
            kind, found = "matrix", {"metric": {}, "values": points}
        self.send(json.dumps({"status": "success", "data": {"resultType": kind, "result": [found]}}).encode(), "application/json")


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """One of them."""

    daemon_threads = True


@contextmanager
def recorded_service() -> Iterator[dict[str, int]]:
    """The ports of baseline, candidate and metrics, until the block ends."""
    handlers = {"baseline": deployment("1"), "candidate": deployment("2"), "metrics": Prometheus}
    with ExitStack() as stack:
        servers = {name: stack.enter_context(Server((HOST, 0), handler)) for name, handler in handlers.items()}
        for server in servers.values():
            threading.Thread(target=server.serve_forever, daemon=True).start()
            stack.callback(server.shutdown)
        yield {name: int(server.server_address[1]) for name, server in servers.items()}
