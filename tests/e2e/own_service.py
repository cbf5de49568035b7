"""A service that knows nothing of perfproof but what docs/getting-started.md says, and the stock service that it depends on.

`own_service.py stock --port P` answers how many of an item there are. `own_service.py shop` serves `/orders/{customer}`: it finds the
customer's orders among all, and with `--indexed` in an index that is made once. Both work; nothing sleeps.
"""

from __future__ import annotations

import argparse
import json
import runpy
import socket
import socketserver
import sys
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

HOST = "127.0.0.1"
CUSTOMERS, ORDERS = 9_000, 250_000
STOCK_SECONDS = 2.0


def all_orders() -> list[str]:
    """A line `order customer item pieces` for each order of all customers, in the order in which they were made."""
    return [f"{n} {1 + n * 7919 % CUSTOMERS} {n * 31 % 500} {1 + n % 4}" for n in range(ORDERS)]


def read_order(line: str) -> dict[str, int]:
    """The fields of a line."""
    order, customer, item, pieces = map(int, line.split())
    return {"order": order, "customer": customer, "item": item, "pieces": pieces}


def orders_by_scanning(lines: Sequence[str], customer: int) -> list[dict[str, int]]:
    """The customer's orders, by looking at every line."""
    wanted = str(customer)
    return [read_order(line) for line in lines if line.split()[1] == wanted]


def indexed(lines: Sequence[str]) -> dict[int, list[str]]:
    """The lines by customer."""
    found: dict[int, list[str]] = {}
    for line in lines:
        found.setdefault(int(line.split()[1]), []).append(line)
    return found


def orders_by_index(index: Mapping[int, list[str]], customer: int) -> list[dict[str, int]]:
    """The customer's orders, by looking at his own lines only."""
    return [read_order(line) for line in index.get(customer, ())]


def ask_stock(port: int, item: int) -> int:
    """How many there are of an item, from the service that this one depends on."""
    with socket.create_connection((HOST, port), timeout=STOCK_SECONDS) as connection:
        connection.sendall(f"{item}\n".encode())
        with connection.makefile("rb") as answer:
            return int(answer.readline())


class Stock(socketserver.StreamRequestHandler):
    """One question a connection: the number of an item, a line; the answer is a line too."""

    def handle(self) -> None:
        """Answers."""
        item = int(self.rfile.readline())
        self.wfile.write(f"{item * 37 % 100}\n".encode())


class Server(ThreadingHTTPServer):
    """The shop's server, which keeps what requests share."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, options: argparse.Namespace, offered: dict[str, Any]) -> None:
        super().__init__((HOST, options.port), Shop)
        self.options, self.offered = options, offered
        self.orders = all_orders()
        self.index = indexed(self.orders) if options.indexed else None


class Shop(BaseHTTPRequestHandler):
    """`/orders/{customer}`, and the two pages of the guide."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def do_GET(self) -> None:
        """Answers."""
        server = self.server
        page = server.offered["page"](self.path, server.options.build)
        if page is not None:
            self._send(200, page)
            return
        with server.offered["SECONDS"].labels("orders").time():
            customer = int(self.path.rpartition("/")[2])
            found = orders_by_scanning(server.orders, customer) if server.index is None else orders_by_index(server.index, customer)
            try:
                stock = ask_stock(server.options.stock, found[-1]["item"]) if found else 0
            except (OSError, ValueError):
                self._send(503, b'{"error": "no stock"}')
                return
            self._send(200, json.dumps({"orders": found, "left": stock}).encode())

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json" if body.startswith(b"{") else "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the name is http.server's
        """Says nothing."""


class StockServer(socketserver.ThreadingTCPServer):
    """The stock's server."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128


def main(arguments: Sequence[str] | None = None) -> None:
    """Serves until it is ended."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("what", choices=("shop", "stock"))
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--stock", type=int, default=0)
    parser.add_argument("--offered", type=Path)
    parser.add_argument("--build", default="1")
    parser.add_argument("--pid-file", type=Path)
    parser.add_argument("--indexed", action="store_true")
    options = parser.parse_args(arguments)
    if options.what == "stock":
        StockServer((HOST, options.port), Stock).serve_forever()
        return
    offered = runpy.run_path(str(options.offered))
    # A large list that is scanned by several threads: shorter turns keep the short requests from waiting for long ones.
    sys.setswitchinterval(0.001)
    server = Server(options, offered)
    offered["started"](options.pid_file)
    server.serve_forever()


if __name__ == "__main__":
    main()
