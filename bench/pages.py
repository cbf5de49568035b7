"""`make bench-pages`: what a page costs with 1,000 cycles of 20 artifacts on local disk.

The cycles are made through the store, in memory, and written out as the local store lays them out. Measured are the reader behind
the pages, first with nothing in memory and then warm, and the pages themselves over HTTP on loopback, with Airflow's login and
rights answered at once. Exit code 1 if the 95th percentile of anything warm is 200 ms or more.
"""

from __future__ import annotations

import argparse
import random
import socket
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from perfproof.approvals import APPROVAL, Asked, Evidence, Question, open_request
from perfproof.approvals.standing import requested_body
from perfproof.artifacts import BASELINE_JSON, Artifact, gate_result_name
from perfproof.config import Person
from perfproof.cycles.view import write_view
from perfproof.evidence import Actor, Attempt, EntryType, EvidenceStore, LocalBackend, MemoryBackend, idempotency
from perfproof.gates.result import GATE_NAMES
from perfproof.run_key import run_key
from perfproof.telemetry import document_bytes
from perfproof_airflow.web.cycles import CycleReader

LIMIT_MS = 200.0
DAG = "performance_optimization"
START = datetime(2025, 2, 16, 10, 0, tzinfo=UTC)
NAMES = (*[m.value for m in Artifact], BASELINE_JSON, *map(gate_result_name, GATE_NAMES), "evidence/measurement.json", "evidence/a.svg")
PEOPLE = (Asked("product_owner", "Product Owner", (Person("ann", "Ann"),)), Asked("sre_lead", "SRE Lead", (Person("sam", "Sam"),)))
Row = tuple[str, float, float, float]
CSV = Artifact.BASELINE_CSV.value
# As long as a page of rows was before pages were measured, and as wide as rows of load tests.
TABLE = "".join(",".join(f"{row * column % 9973}.5" for column in range(1, 11)) + "\n" for row in range(501)).encode()


def make_cycle(number: int, artifacts: int) -> MemoryBackend:
    """One cycle: most are closed, every tenth waits for two people, and of every seventh the view is behind."""
    backend = MemoryBackend()
    run_id = f"manual__{number}"
    store = EvidenceStore(backend, run_key(DAG, run_id))
    task = "optimization.validate"
    by: dict[str, Any] = {"actor": Actor("task", task, "A1"), "attempt": Attempt(DAG, task, -1, 1, "ti")}
    clock = START + timedelta(hours=number)
    genesis = {
        "dag_id": DAG, "run_id": run_id, "triggered_by": "tim",
        "parameters": {"protocol": "demo", "objective": f"Objective {number}", "target_metric": "p95", "services": ["shop"]},
    }  # fmt: skip
    store.open_run(genesis=genesis, time=clock, **by)
    for place, name in enumerate(NAMES[:artifacts]):
        document = {"improvement": {"percentage": number % 50}, "verdict": {"label": "proved"}, "values": list(range(200)), "n": number}
        data = TABLE if name == CSV else document_bytes(document)
        store.publish(name, data, idem=idempotency("a", name, 0, [], place), time=clock, **by)
    for gate, name in GATE_NAMES.items():
        body = {"gate": gate, "name": name, "outcome": "PASS", "criteria": [], "figures": {}, "text": None, "evidence": [], "result": None}
        store.append(type=EntryType.GATE_EVALUATED, body=body, idem=idempotency("g", name, 0, []), time=clock, **by)
    if number % 7 == 0:
        write_view(store)
    if number % 10 == 0:
        size, head = store.head()
        evidence = (Evidence(NAMES[0], "a" * 64),)
        question = Question(store.run, DAG, run_id, "plan", -1, 0, "Approve the plan?", APPROVAL, PEOPLE, evidence, {"n": number})
        request = open_request(
            question, attempt=1, roles=("product_owner", "sre_lead"), log_size=size, log_head=head, now=clock, expires_after_days=90
        )  # fmt: skip
        store.append(
            type=EntryType.APPROVAL_REQUESTED, body=requested_body(request), idem=idempotency("q", "plan", 0, []), time=clock, **by
        )  # fmt: skip
    else:
        store.append(type=EntryType.RUN_CLOSED, body={"outcome": "completed"}, idem=idempotency("c", "x", 0, []), time=clock, **by)
    if number % 7:
        write_view(store)
    return backend


def make_cycles(root: Path, *, cycles: int, artifacts: int) -> None:
    """Writes them below `root`."""
    for number in range(cycles):
        for key, data in make_cycle(number, artifacts).data.items():
            path = root / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)


def measured(name: str, work: Callable[[int], object], times: int) -> Row:
    """Median, 95th percentile and maximum of `times` calls, in milliseconds."""
    taken = []
    for number in range(times):
        begun = time.perf_counter()
        work(number)
        taken.append((time.perf_counter() - begun) * 1000)
    taken.sort()
    return name, taken[len(taken) // 2], taken[min(int(len(taken) * 0.95), len(taken) - 1)], taken[-1]


def reader_rows(root: Path, runs: list[str]) -> tuple[list[Row], list[Row]]:
    """Cold rows (each with a new reader, or of a cycle that it has not seen) and warm ones."""

    def new() -> CycleReader:
        return CycleReader(LocalBackend(root))

    last = max(len(runs) // 25, 1)
    warm = new()
    cold = [
        measured("list, new process", lambda _: new().list_cycles(), 5),
        measured("list of waiting, new process", lambda _: new().list_cycles(state="waiting"), 3),
        measured("search without a hit, new process", lambda _: new().list_cycles(text="nothing has this"), 3),
        measured("all that waits, new process", lambda _: new().waiting(), 2),
        measured("trends, new process", lambda _: new().trends(), 3),
    ]
    warm.list_cycles(text="nothing has this")
    rows = [
        measured("list, any page", lambda n: warm.list_cycles(page=1 + n % last), 100),
        measured("list of waiting", lambda n: warm.list_cycles(state="waiting", page=1 + n % 3), 50),
        measured("search without a hit", lambda _: warm.list_cycles(text="nothing has this"), 50),
        measured("one cycle, never seen", lambda n: warm.cycle(runs[n]), 100),
        measured("one cycle, again", lambda _: warm.cycle(runs[7]), 50),
        measured("one artifact", lambda n: warm.artifact(runs[n], NAMES[n % 20]), 100),
    ]
    warm.waiting()
    rows += [measured("all that waits", lambda _: warm.waiting(), 20), measured("trends", lambda _: warm.trends(), 20)]
    return cold, rows


def page_rows(root: Path, runs: list[str]) -> list[Row]:
    """The pages over HTTP."""
    with served(CycleReader(LocalBackend(root))) as address:

        def get(path: str) -> None:
            with urllib.request.urlopen(f"{address}{path}", timeout=30) as answer:  # noqa: S310  our own server
                answer.read()

        pages: list[tuple[str, Callable[[int], str], int]] = [
            ("/", lambda n: f"/?page={1 + n % 20}", 60),
            ("/?state=waiting", lambda _: "/?state=waiting", 30),
            ("/?q=…", lambda n: f"/?q=Objective+{n}", 30),
            ("/cycles/…", lambda n: f"/cycles/{runs[n]}", 60),
            ("/cycles/…/artifacts/…", lambda n: f"/cycles/{runs[n]}/artifacts/optimization-plan.json", 60),
            ("/cycles/…/artifacts/….csv, 500 rows", lambda n: f"/cycles/{runs[n]}/artifacts/{CSV}", 60),
            ("/approvals, 100 waiting", lambda n: f"/approvals?page={1 + n % 4}", 20),
            ("/trends", lambda _: "/trends", 20),
        ]
        rows = []
        for name, path, times in pages:
            try:
                get(path(times))
            except urllib.error.HTTPError as error:
                sys.stderr.write(f"GET {name}: {error.code}, left out\n")
                continue
            rows.append(measured(f"GET {name}", lambda n, path=path: get(path(n)), times))  # type: ignore[misc]
        return rows


@contextmanager
def served(reader: CycleReader) -> Iterator[str]:
    """The address of the application on loopback, whose reader sees everything and whom nobody asks for a login."""
    import uvicorn
    from airflow.api_fastapi.core_api.security import get_user
    from fastapi import FastAPI

    from perfproof_airflow.web import cycles, reading, security
    from perfproof_airflow.web.app import create_app

    app = create_app()
    overrides = app.app.dependency_overrides
    overrides[get_user] = lambda: SimpleNamespace(get_id=lambda: "ann", get_name=lambda: "Ann")
    overrides[security.airflow_rights] = lambda: lambda _user, _method, _entity, _dag: True
    overrides[cycles.cycle_reader] = lambda: reader
    # When the last cycle was made, and everything that waits can still be answered.
    overrides[reading.now] = lambda: START + timedelta(days=45)
    outer = FastAPI()
    outer.mount("/perfproof", app)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(outer, log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        deadline = time.monotonic() + 30
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.02)
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/perfproof"
        finally:
            server.should_exit = True
            thread.join(timeout=10)


def table(rows: list[Row]) -> str:
    """The rows as Markdown."""
    lines = ["| what | p50 ms | p95 ms | max ms |", "|---|---:|---:|---:|"]
    return "\n".join([*lines, *(f"| {name} | {p50:.1f} | {p95:.1f} | {most:.1f} |" for name, p50, p95, most in rows)])


def main() -> int:
    """Makes, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cycles", type=int, default=1000)
    parser.add_argument("--artifacts", type=int, default=20)
    parser.add_argument("--root", type=Path, help="made there if it does not exist, and kept; else in a temporary directory")
    parser.add_argument("--reader-only", action="store_true", help="without the pages over HTTP")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        root = options.root or Path(scratch, "evidence")
        if not root.exists():
            begun = time.perf_counter()
            make_cycles(root, cycles=options.cycles, artifacts=options.artifacts)
            sys.stderr.write(f"made {options.cycles} cycles in {time.perf_counter() - begun:.1f} s\n")
        runs = [one.name for one in sorted(root.iterdir())]
        random.Random(1).shuffle(runs)
        cold, warm = reader_rows(root, runs)
        sys.stdout.write(f"{len(runs)} cycles, nothing in memory\n\n{table(cold)}\n\nWarm\n\n{table(warm)}\n")
        if not options.reader_only:
            pages = page_rows(root, runs)
            sys.stdout.write(f"\nPages\n\n{table(pages)}\n")
            warm += pages
    slow = [name for name, _, p95, _ in warm if p95 >= LIMIT_MS]
    sys.stdout.write(f"\n{'too slow: ' + ', '.join(slow) if slow else f'every p95 is below {LIMIT_MS:.0f} ms'}\n")
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
