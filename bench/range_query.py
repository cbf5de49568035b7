"""What 1,000,000 samples of range queries cost as a table: PrometheusHook, prometheus-api-client, and bare HTTP with orjson.

Canned answers come from a loopback server of its own process, in two shapes: 100 series of 10,000 points in one answer, and one series
in 100 answers. The three ways take turns, so that a busy machine slows all of them. orjson only makes objects of the bytes,
and no table of them. Prints the fastest of each, and ratios: other work on the
machine only ever adds to a time.

    python bench/range_query.py --competitor-python VENV/bin/python     (pip install 'prometheus-api-client[dataframe]' orjson)
"""

from __future__ import annotations

import argparse
import http.server
import json
import random
import resource
import socketserver
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO
from urllib.parse import parse_qs, urlsplit

SERIES, POINTS, STEP, START = 100, 10_000, 15, 1_739_700_000
SHAPES = {"wide": "100 series of 10,000 points", "long": "1 series in 100 answers"}
SEED = 7
MOST_OF_COMPETITOR, MOST_OF_BARE = 1 / 5, 1.5

# What the other client does, in its own environment: a line asks for a shape, a line tells the seconds.
COMPETITOR = """
import sys, time
from datetime import datetime, timezone
from prometheus_api_client import MetricRangeDataFrame, PrometheusConnect
client = PrometheusConnect(url=sys.argv[1])
start, step, points, series = map(int, sys.argv[2:])
moment = lambda second: datetime.fromtimestamp(second, timezone.utc)
for line in sys.stdin:
    shape = line.strip()
    begin = time.perf_counter()
    found = []
    for first in range(start, start + step * points * (1 if shape == "wide" else series), step * points):
        last = first + step * (points - 1)
        found += client.custom_query_range(shape, start_time=moment(first), end_time=moment(last), step=str(step))
    frame = MetricRangeDataFrame(found)
    assert len(frame) == series * points
    print(time.perf_counter() - begin, flush=True)
"""


def main() -> int:
    """Measures and prints; 1 if a ratio is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--competitor-python", type=Path, help="a Python with prometheus-api-client[dataframe]")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve()
        return 0
    with ExitStack() as stack:
        address = stack.enter_context(_server())
        ways: dict[str, Callable[[str], float]] = {"hook": lambda shape: _hook(address, shape), "bare": lambda shape: _bare(address, shape)}
        if given.competitor_python is not None:
            ways["client"] = stack.enter_context(_competitor(given.competitor_python, address))
        for shape in SHAPES:
            _hook(address, shape)
        print(f"peak memory with the hook alone: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MiB")
        return max(_measured(shape, ways, rounds=given.rounds) for shape in SHAPES)


def _measured(shape: str, ways: dict[str, Callable[[str], float]], *, rounds: int) -> int:
    for way in ways.values():
        way(shape)  # Not counted: imports, caches, first connections.
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            seconds[name].append(way(shape))
    fastest = {name: min(found) for name, found in seconds.items()}
    print(f"{SHAPES[shape]}: " + ", ".join(f"{name} {value:.3f} s" for name, value in fastest.items()))
    to_bare = fastest["hook"] / fastest["bare"]
    print(f"  hook / bare HTTP + orjson: {to_bare:.2f} (at most {MOST_OF_BARE})")
    missed = to_bare > MOST_OF_BARE
    if "client" in fastest:
        print(f"  prometheus-api-client / hook: {fastest['client'] / fastest['hook']:.1f} (at least {1 / MOST_OF_COMPETITOR:g})")
        missed = missed or fastest["hook"] > MOST_OF_COMPETITOR * fastest["client"]
    return int(missed)


def _hook(address: str, shape: str) -> float:
    from perfproof_airflow.hooks.prometheus import ConnectionValues, PrometheusHook

    hook = PrometheusHook(connection=ConnectionValues(address))
    end = START + STEP * (POINTS * (1 if shape == "wide" else SERIES) - 1)
    begin = time.perf_counter()
    found = hook.range_frame(shape, start=START, end=end, step=STEP)
    seconds = time.perf_counter() - begin
    if found.samples != SERIES * POINTS or found.frame.isna().to_numpy().any():
        raise SystemExit(f"{found.samples} samples")
    return seconds


def _bare(address: str, shape: str) -> float:
    import httpx
    import orjson

    begin = time.perf_counter()
    answers = []
    with httpx.Client(base_url=address, trust_env=False, verify=False) as client:  # noqa: S501 - plain HTTP on loopback
        for first in range(START, START + STEP * POINTS * (1 if shape == "wide" else SERIES), STEP * POINTS):
            span = {"start": first, "end": first + STEP * (POINTS - 1), "step": STEP}
            answers.append(orjson.loads(client.get("/api/v1/query_range", params={"query": shape, **span}).content))
    seconds = time.perf_counter() - begin
    if sum(len(series["values"]) for answer in answers for series in answer["data"]["result"]) != SERIES * POINTS:
        raise SystemExit("samples are missing")
    return seconds


@contextmanager
def _competitor(python: Path, address: str) -> Iterator[Callable[[str], float]]:
    with _child([str(python), "-c", COMPETITOR, address, *map(str, (START, STEP, POINTS, SERIES))]) as (asks, answers):

        def ask(shape: str) -> float:
            asks.write(f"{shape}\n")
            asks.flush()
            return float(answers.readline())

        yield ask


@contextmanager
def _server() -> Iterator[str]:
    with _child([sys.executable, __file__, "--serve"]) as (_, answers):
        yield f"http://127.0.0.1:{int(answers.readline())}"


@contextmanager
def _child(command: list[str]) -> Iterator[tuple[IO[str], IO[str]]]:
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        if process.stdin is None or process.stdout is None:
            raise SystemExit("no pipes")
        try:
            yield process.stdin, process.stdout
        finally:
            process.terminate()


def serve() -> None:
    """Answers range queries named wide and long until it is ended; prints its port."""
    draw = random.Random(SEED)
    values = [[repr(draw.gammavariate(2, 0.05)) for _ in range(POINTS)] for _ in range(SERIES)]
    wide = _answer({f"10.0.0.{n}:80": (START, values[n]) for n in range(SERIES)})
    long = {START + n * STEP * POINTS: _answer({"10.0.0.1:80": (START + n * STEP * POINTS, values[n])}) for n in range(SERIES)}

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked = parse_qs(urlsplit(self.path).query)
            body = wide if asked["query"] == ["wide"] else long[int(float(asked["start"][0]))]
            head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            self.wfile.write(head.encode() + body)

    class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        print(server.server_address[1], flush=True)
        server.serve_forever()


def _answer(series: dict[str, tuple[int, list[str]]]) -> bytes:
    result = [
        {"metric": {"instance": instance}, "values": [[first + STEP * n, value] for n, value in enumerate(values)]}
        for instance, (first, values) in series.items()
    ]
    return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}}, separators=(",", ":")).encode()


if __name__ == "__main__":
    sys.exit(main())
