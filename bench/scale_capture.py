"""One capture of many services: the time and the questions of its tasks, against the same questions asked by bare HTTP.

Each mapped task of `baseline_capture` is run as it runs in a worker, one after the other in one process: the protocol file is read,
one service is measured, its part is written. Then the parts are joined. What Airflow adds for each task is the `running` part's
matter. The server is a process of its own on loopback: with `--prometheus PROGRAM` a real Prometheus whose store was filled before it
was started (with the promtool beside the program), else one that answers every question with a sample a step.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode

import httpx
from scale_backfill import backfill
from scale_figures import Timing, quantile, table, took
from scale_protocol import NAME, protocol_document, write_workspace

from perfproof.answers.query_text import filled
from perfproof.baseline import rate_window
from perfproof_airflow.captures import Captures

HERE = Path(__file__).parent
HOUR = timedelta(hours=1)
SIZES = ((1, 20), (10, 20), (100, 20))
MOST_METRICS = 20
INSTANCE = "127.0.0.1:18101"


@dataclass(frozen=True, slots=True)
class CaptureFigures:
    """What one capture took: its tasks, the joining, and the bare questions, in seconds of CPU, and of the clock where it says so.

    `missing` metrics had no samples; `connections` is None of a server that does not count them.
    """

    services: int
    metrics: int
    missing: int
    questions: int
    connections: int | None
    protocol: float
    tasks: tuple[float, ...]
    clock: float
    join: float
    floor: float
    floor_clock: float


@contextmanager
def recorded_server(directory: Path, *, start: datetime, prometheus: str | None) -> Iterator[str]:
    """The address of the server that is asked about the hour from `start`."""
    directory.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        if prometheus is not None:
            sys.path.insert(0, str(HERE.parent / "tests"))
            from prometheus_server import running_prometheus

            promtool = str(Path(prometheus).with_name("promtool"))
            backfill(promtool, directory / "data", instance=INSTANCE, start=start, end=start + HOUR, metrics=MOST_METRICS)
            port = stack.enter_context(running_prometheus(prometheus, directory, configuration=lambda _: "global: {}\n"))
            yield f"http://127.0.0.1:{port}"
            return
        written = directory / "port"
        process = stack.enter_context(subprocess.Popen([sys.executable, str(HERE / "scale_recorded.py"), str(written)]))
        stack.callback(process.kill)
        deadline = time.monotonic() + 300
        while not (written.exists() and written.read_text()):
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError("the server did not start")
            time.sleep(0.05)
        yield f"http://127.0.0.1:{written.read_text()}"


def counts(address: str) -> dict[str, int]:
    """Questions and connections until now; a real Prometheus does not say, and has none of either."""
    answer = httpx.get(f"{address}/counts", trust_env=False, timeout=60)
    none = {"questions": 0, "connections": 0}
    return dict(answer.json()) if answer.status_code == 200 else none


def questions_of(captures: Captures) -> list[dict[str, str]]:
    """The parameters of every range query that the capture asks."""
    window = captures.window
    return [
        {
            "query": filled(
                spec.query, instance=service.endpoints.baseline.instance, service=service.name, rate_window=rate_window(window.step)
            ),
            "start": str(window.start + window.step),
            "end": str(window.end),
            "step": str(window.step),
        }
        for service in captures.protocol.services
        for spec in service.metrics
    ]


def captured(root: Path, address: str, *, start: datetime, services: int, metrics: int) -> CaptureFigures:
    """One capture below `root` of a protocol of that size."""
    write_workspace(root, protocol_document(services=services, metrics=metrics))
    os.environ["AIRFLOW__PERFPROOF__WORKSPACE"] = str(root)
    os.environ["AIRFLOW_CONN_PERFPROOF_PROMETHEUS"] = address

    def opened() -> Captures:
        return Captures.of(NAME, start=start, end=start + HOUR, now=start + 2 * HOUR)

    captures = opened()
    names = [service.name for service in captures.protocol.services]
    # Imports and the Connection: a worker that forks from the scheduler has them.
    captures.capture(names[0], protocol_sha256=captures.protocol.digest)
    protocol = took(opened)
    before, clock, tasks, references = counts(address), time.perf_counter(), [], []
    for name in names:
        begun = time.process_time()
        references.append(opened().capture(name, protocol_sha256=captures.protocol.digest))
        tasks.append(time.process_time() - begun)
    clock = time.perf_counter() - clock
    after = counts(address)
    begun = time.process_time()
    recorded = opened().record(references)
    join = time.process_time() - begun
    floor, floor_clock = bare(address, questions_of(captures))
    # The question for the counts has a connection of its own.
    connections = after["connections"] - before["connections"] - 1 if after["questions"] else None
    missing = len(recorded["missing_metrics"])
    asked = after["questions"] - before["questions"] or services * metrics
    return CaptureFigures(services, metrics, missing, asked, connections, protocol, tuple(tasks), clock, join, floor, floor_clock)


def bare(address: str, questions: Sequence[dict[str, str]]) -> tuple[float, float]:
    """CPU and clock seconds of the same questions, asked one after the other over one connection, the JSON parsed."""
    begun, clock = time.process_time(), time.perf_counter()
    with httpx.Client(base_url=address, trust_env=False, timeout=60) as client:
        for question in questions:
            json.loads(client.get(f"/api/v1/query_range?{urlencode(question)}").content)
    return time.process_time() - begun, time.perf_counter() - clock


def capture_table(figures: Sequence[CaptureFigures]) -> str:
    """Markdown, one row a capture."""
    heads = [
        "services x metrics", "missing", "questions", "connections", "protocol file read (s)",
        "a task p50 (s)", "a task max (s)", "all tasks (s)",
        "joined (s)", "bare questions (s)", "ratio tasks", "tasks by the clock (s)", "bare by the clock (s)", "ratio by the clock",
    ]  # fmt: skip
    rows = []
    for one in figures:
        whole, clock = Timing(one.services, sum(one.tasks), one.floor), Timing(one.services, one.clock, one.floor_clock)
        rows.append(
            [
                f"{one.services} x {one.metrics}", one.missing, one.questions, one.connections or "not told", f"{one.protocol:.2f}",
                f"{quantile(one.tasks, 0.5):.2f}",
                f"{max(one.tasks):.2f}", f"{whole.seconds:.1f}", f"{one.join:.2f}", f"{one.floor:.2f}", f"{whole.ratio:.1f}",
                f"{clock.seconds:.1f}", f"{clock.floor:.1f}", f"{clock.ratio:.1f}",
            ]
        )  # fmt: skip
    return table(heads, rows)


def capture_part(root: Path, *, sizes: Sequence[tuple[int, int]], prometheus: str | None = None) -> str:
    """Captures protocols of each of `sizes`; the table."""
    # Long enough ago to be over, not so long that a Prometheus has dropped it.
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - 3 * HOUR
    found = []
    with recorded_server(root / "server", start=start, prometheus=prometheus) as address:
        for services, metrics in sizes:
            found.append(captured(root / f"{services}x{metrics}", address, start=start, services=services, metrics=metrics))
    return capture_table(found)
