"""Does the load engine send what it promises, and does it see what a closed loop does not?

python bench/load_engine.py [--rate 800] [--seconds 10] [--stall-rate 100] [--stall-seconds 15]

Two tables. Precision: offered rate and start error at a constant rate against a responder that does almost nothing. Stall: a
server that stands still for 1 s in every 5, measured by the engine (open loop) and by a client that waits for each answer.
Everything is on loopback, the responder in a process of its own. It ends with 1 if a limit is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from perfproof.config import Abort, Target, Transaction
from perfproof.load.figures import start_error_p95, started
from perfproof.load.plan import LoadPlan, Scenario, Stage
from perfproof.load.rows import percentile, read_rows
from perfproof_airflow.hooks.load import LoadHook, LoadRun

RATE_LIMIT_PERCENT = 1.0
START_ERROR_LIMIT_MS = 5.0
STALL_P95_LIMIT_MS = 500.0
STALL_EVERY, STALL_FOR = 5.0, 1.0
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"
CONSENT_BODY = b'{"build": "bench", "environment": "bench"}'
CONSENT = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(CONSENT_BODY), CONSENT_BODY)


class Responder(asyncio.Protocol):
    """Answers each request with a fixed text, parsing no more than where it ends; in a stall the answers wait."""

    stalls = False
    began = 0.0

    def __init__(self) -> None:
        self._received = b""
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps the transport."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """One answer for each end of a request's head."""
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head, self._received = self._received[:end], self._received[end + 4 :]
            wait = self._standing_still()
            answer = CONSENT if head.startswith(b"GET /build ") else ANSWER
            if wait > 0:
                self._loop.call_later(wait, self._transport.write, answer)
            else:
                self._transport.write(answer)

    def _standing_still(self) -> float:
        phase = (time.monotonic() - self.began) % STALL_EVERY
        return STALL_FOR - phase if self.stalls and phase < STALL_FOR else 0.0


async def serve(*, stalls: bool) -> None:
    """Serves until it is killed; the port is printed."""
    Responder.stalls, Responder.began = stalls, time.monotonic()
    server = await asyncio.get_running_loop().create_server(Responder, "127.0.0.1", 0)
    write(str(server.sockets[0].getsockname()[1]))
    async with server:
        await server.serve_forever()


@contextmanager
def responder(*, stalls: bool) -> Iterator[int]:
    """The port of a responder that runs in a process of its own."""
    arguments = [sys.executable, __file__, "--serve", *(["--stalls"] if stalls else [])]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None  # noqa: S101
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()


def measure(port: int, *, rate: float, seconds: float) -> tuple[LoadPlan, LoadRun]:
    """The engine's own run, exactly as a cycle starts it."""
    plan = LoadPlan(
        schema_version=1,
        scenario=Scenario.PEAK,
        host="127.0.0.1",
        port=port,
        build_path="/build",
        environment="bench",
        stages=(Stage(rate, seconds),),
        warmup_seconds=2.0,
        transactions=(Transaction("a", "GET", "/a", 0.7), Transaction("b", "GET", "/b", 0.3)),
        seed=1,
        max_in_flight=1000,
        timeout_seconds=10.0,
        abort=Abort(100, 60_000, 5),
        allow=(Target("127.0.0.1", port),),
    )
    with tempfile.TemporaryDirectory() as directory:
        return plan, LoadHook(Path(directory)).run(plan)


async def closed_loop(port: int, *, rate: float, seconds: float) -> list[float]:
    """Latencies in ms of one client that sends the next request when the last is answered, and no faster than `rate`."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    latencies, end = [], time.monotonic() + seconds
    while (began := time.monotonic()) < end:
        writer.write(b"GET /a HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        await reader.readexactly(len(ANSWER))
        took = time.monotonic() - began
        latencies.append(1000 * took)
        await asyncio.sleep(max(0.0, 1 / rate - took))
    writer.close()
    return latencies


def precision(rate: float, seconds: float) -> bool:
    """Prints the table of precision; whether both limits are kept."""
    with responder(stalls=False) as port:
        plan, run = measure(port, rate=rate, seconds=seconds)
    rows = read_rows(run.rows, where="rows").between(plan.warmup_seconds, plan.duration)
    achieved = started(rows, end=plan.duration) / plan.measured_seconds
    off = 100 * abs(achieved / rate - 1)
    late = start_error_p95(rows) or float("inf")
    failed = int((~rows.ok).sum())
    write(f"\n## Precision at {rate:g} requests/s for {seconds:g} s\n\n| figure | measured | limit | ratio |\n|---|---|---|---|")
    write(f"| offered rate, off by | {off:.2f} % | {RATE_LIMIT_PERCENT:g} % | {off / RATE_LIMIT_PERCENT:.2f} |")
    write(f"| start error p95 | {late:.2f} ms | {START_ERROR_LIMIT_MS:g} ms | {late / START_ERROR_LIMIT_MS:.2f} |")
    write(f"| failed requests | {failed} | 0 | |")
    write(f"| generator, of a core | {run.summary.cpu_percent:.0f} % | 80 % | {run.summary.cpu_percent / 80:.2f} |")
    write(f"| latency p50, p95 | {percentile(rows.latency_ms, 50):.2f}, {percentile(rows.latency_ms, 95):.2f} ms | | |")
    return off <= RATE_LIMIT_PERCENT and late <= START_ERROR_LIMIT_MS and not failed


def stall(rate: float, seconds: float) -> bool:
    """Prints the table of the stall test; whether the open loop shows the stall."""
    with responder(stalls=True) as port:
        _, run = measure(port, rate=rate, seconds=seconds)
        closed = asyncio.run(closed_loop(port, rate=rate, seconds=seconds))
    rows = read_rows(run.rows, where="rows")
    opened = percentile(rows.latency_ms[rows.sent], 95) or 0.0
    beside = percentile(np.array(closed), 95) or float("inf")
    write(f"\n## A server that stalls {STALL_FOR:g} s in every {STALL_EVERY:g} s, {rate:g} requests/s\n")
    write("| client | requests | p95 |\n|---|---|---|")
    write(f"| open loop | {len(rows)} | {opened:.0f} ms |\n| closed loop | {len(closed)} | {beside:.2f} ms |")
    write(f"\nThe open loop's p95 is {opened / beside:.0f} times the closed loop's; it must be above {STALL_P95_LIMIT_MS:g} ms.")
    return opened > STALL_P95_LIMIT_MS > beside


def write(text: str) -> None:
    """One piece of the report."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> int:
    """Prints the tables as Markdown."""
    parser = argparse.ArgumentParser(description="Benchmark of the load engine.")
    parser.add_argument("--rate", type=float, default=800.0)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--stall-rate", type=float, default=100.0)
    parser.add_argument("--stall-seconds", type=float, default=15.0)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--stalls", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve(stalls=options.stalls))
    write(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} in the last minute")
    kept = [precision(options.rate, options.seconds), stall(options.stall_rate, options.stall_seconds)]
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
