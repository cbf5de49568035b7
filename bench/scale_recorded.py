"""A server on loopback that answers range queries as Prometheus does: every series has a sample at every step that is asked for.

    python bench/scale_recorded.py PORT_FILE

writes its port to the file and serves until it is ended. A process of its own, so that what it costs is not counted with who asks.
"""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit


def answer(parameters: dict[str, str]) -> bytes:
    """The matrix of one series over the range, a value from the query's text, so that the same question has the same answer."""
    start, end, step = (float(parameters[key]) for key in ("start", "end", "step"))
    value = repr(150.0 if "0.99" in parameters["query"] else 50.0 + len(parameters["query"]) % 7)
    count = int((end - start) / step + 1e-9) + 1
    values = [[start + number * step, value] for number in range(count)]
    data = {"resultType": "matrix", "result": [{"metric": {}, "values": values}]}
    return json.dumps({"status": "success", "data": data}).encode()


class Recorded(BaseHTTPRequestHandler):
    """Answers /api/v1/query_range, and /counts with how many questions and connections there were."""

    protocol_version = "HTTP/1.1"
    # Head and body in one packet: the second of two would wait for the first's acknowledgement.
    wbufsize = 1 << 16
    disable_nagle_algorithm = True
    counts: ClassVar[dict[str, int]] = {"questions": 0, "connections": 0}

    def setup(self) -> None:
        """A connection."""
        super().setup()
        self.counts["connections"] += 1

    def do_GET(self) -> None:
        """One question."""
        asked = urlsplit(self.path)
        if asked.path == "/counts":
            body = json.dumps(self.counts).encode()
        else:
            self.counts["questions"] += 1
            body = answer({key: values[0] for key, values in parse_qs(asked.query).items()})
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Nothing is logged."""


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Recorded)
    Path(sys.argv[1]).write_text(str(server.server_port))
    server.serve_forever()
