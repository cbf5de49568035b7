"""Takes the rows of Locust's processes while they send, and stops them for the same reasons as the open-loop engine."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from perfproof.errors import LoadError, quoted
from perfproof.load.journeys import JourneyPlan
from perfproof.load.plan import MAX_REQUESTS
from perfproof.load.rows import Rows, make_rows
from perfproof.load.summary import GENERATOR, GeneratorSummary, Outcome
from perfproof.moments import stamp
from perfproof_airflow.load_engine.lease import renew
from perfproof_airflow.load_engine.stop_conditions import StopConditions
from perfproof_airflow.load_engine.target_check import Guard, ask_consent, build_now, open_session
from perfproof_airflow.load_engine_locust import CONDUCTOR_LEASE, LOCUSTFILE
from perfproof_airflow.load_engine_locust.children import STARTUP_SECONDS, Children

WATCH_SECONDS = 0.25
LEASE_SECONDS = 1.0
# The rate is bounded in each worker; what is faster for so long goes around that.
RATE_SPAN, RATE_SLACK = 3.0, 1.25
# An unlimited set of names would make a table that nobody reads; the rows beyond share one.
MAX_NAMES = 200
OTHER = "other"


class Conductor:
    """Runs one plan once. `stop` may be called from any task of the same loop."""

    def __init__(self, plan: JourneyPlan, directory: Path, *, python: str) -> None:
        self._plan = plan
        self._directory = directory
        self._python = python
        self._rows: list[tuple[float, float, int, str]] = []
        self._names: set[str] = set()
        self._recent: deque[tuple[float, int]] = deque()
        self._open: dict[str, list[float]] = {}
        self._done: set[str] = set()
        self._cpu: dict[str, float] = {}
        self._version = ""
        self._began: float | None = None
        self._on_begin: Callable[[float], None] = lambda _: None
        self._conditions = StopConditions(plan.abort, lowest_rate=min(plan.max_rate, plan.users / plan.abort.over_seconds))
        self._outcome, self._reason = Outcome.COMPLETED, ""
        self._stopped = asyncio.Event()
        self._refusal: LoadError | None = None

    def stop(self, outcome: Outcome, *, reason: str) -> None:
        """Ends the load. The first reason is kept."""
        if not self._stopped.is_set():
            self._outcome, self._reason = outcome, reason
            self._stopped.set()

    async def run(self, *, on_begin: Callable[[float], None]) -> tuple[Rows, GeneratorSummary]:
        """The rows and what the engine says about itself; no process of Locust is left.

        `on_begin` gets the monotonic time of second 0. Raises LoadError 104, 301, 302 if the target was refused, 834 without a
        Locust, 835 for a file that cannot be run, 837 if its processes failed before they sent anything.
        """
        self._on_begin = on_begin
        async with open_session(self._plan, guard=Guard(self._plan, self._refuse)) as session:
            try:
                build = await ask_consent(session, self._plan)
            except LoadError as error:
                raise (self._refusal or error) from None
            started_at = datetime.now(UTC)
            await self._send()
            seconds = time.monotonic() - self._began if self._began is not None else 0.0
            build_after = await build_now(session, self._plan) if self._outcome is Outcome.COMPLETED else None
        rows = self._made_rows()
        return rows, GeneratorSummary(
            outcome=self._outcome,
            reason=self._reason or None,
            started_at=stamp(started_at),
            seconds=round(seconds, 3),
            cpu_percent=max(self._cpu.values(), default=0.0),
            planned=len(rows),
            sent=len(rows),
            dropped=0,
            build=build,
            build_after=build_after,
            plan_sha256=self._plan.digest,
            generator=f"{GENERATOR}, {self._plan.engine.value} {self._version}",
        )

    async def _send(self) -> None:
        renew(self._directory / CONDUCTOR_LEASE, controller=os.getpid(), count=0)
        children = Children(self._plan, self._directory, python=self._python, on_line=self._hear)
        watch = asyncio.create_task(self._watch())
        stopped = asyncio.create_task(self._stopped.wait())
        work = asyncio.create_task(self._work(children))
        try:
            # The watch never ends by itself; were it to fail, nobody would stop the load any more.
            await asyncio.wait({work, watch, stopped}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
            await children.end()
            for task in (watch, stopped):
                task.cancel()
            results = await asyncio.gather(work, watch, stopped, return_exceptions=True)
        failure = next((r for r in results if isinstance(r, Exception)), None)
        if failure is not None:
            raise failure
        if self._refusal is not None and self._began is None:
            raise self._refusal
        if not self._stopped.is_set() and len(self._done) < self._plan.workers:
            if not self._rows:
                raise self._refusal or children.failure()
            self.stop(Outcome.STOPPED, reason=f"{len(self._done)} of {self._plan.workers} workers were there at the end")

    async def _work(self, children: Children) -> None:
        await children.start()
        await children.wait()

    def _hear(self, line: dict[str, Any]) -> None:
        if "bad_file" in line:
            self._refusal = LoadError(
                835, where=self._plan.file, what="cannot be run", got=line["bad_file"], fix="correct the Locust file: users, and no shape"
            )
            self.stop(Outcome.STOPPED, reason=str(self._refusal))
        elif "began" in line:
            self._began, self._version = float(line["began"]), quoted(str(line["version"]), 40)
            self._on_begin(self._began)
        elif "report" in line:
            self._take(str(line["worker"]), line["report"])

    def _take(self, worker: str, report: dict[str, Any]) -> None:
        for start, end, status, name in report["rows"]:
            self._names.add(name) if len(self._names) < MAX_NAMES else None
            self._rows.append((float(start), float(end), int(status), name if name in self._names else OTHER))
            self._conditions.add(at=float(end), latency_ms=1000.0 * (end - start), ok=200 <= int(status) < 300)
        # A client that tells Locust nothing has connections all the same.
        self._recent.append((time.monotonic(), max(len(report["rows"]), int(report["connections"]))))
        self._open[worker] = [float(since) for since in report["open"]]
        self._cpu[worker] = float(report["cpu"])
        if report.get("refusal"):
            self.stop(Outcome.STOPPED, reason=quoted(str(report["refusal"])))
        if report.get("done"):
            self._done.add(worker)
            self._open.pop(worker, None)

    async def _watch(self) -> None:
        count, renewed, begun_by = 0, 0.0, time.monotonic() + STARTUP_SECONDS
        while True:
            now = time.monotonic()
            if now - renewed >= LEASE_SECONDS:
                renewed, count = now, count + 1
                renew(self._directory / CONDUCTOR_LEASE, controller=os.getpid(), count=count)
            if self._began is None and now > begun_by:
                self._refusal = self._refusal or LoadError(
                    837, where="journeys", what="the workers of Locust were not there in time", got=f"{STARTUP_SECONDS:g} s",
                    expected=f"{self._plan.workers} workers", fix="start those of other machines before the test",
                )  # fmt: skip
                self.stop(Outcome.STOPPED, reason=str(self._refusal))
            if self._began is not None:
                self._judge(now, now - self._began)
            await asyncio.sleep(WATCH_SECONDS)

    def _judge(self, now: float, at: float) -> None:
        if at > self._plan.deadline:
            self.stop(Outcome.STOPPED, reason=f"not done {self._plan.deadline:g} s after its begin")
        waiting = [since for of_worker in self._open.values() for since in of_worker]
        reason = self._conditions.reached(now=at, open_since=waiting)
        span = self._plan.abort.over_seconds
        if len(waiting) >= self._plan.users and all(at - since >= span for since in waiting):
            # With few users there are never enough answers to judge by, and nobody is left to ask for more.
            reason = reason or f"all {self._plan.users} users have waited for an answer for {span:g} s"
        if reason:
            self.stop(Outcome.ABORTED, reason=reason)
        while self._recent and self._recent[0][0] < now - RATE_SPAN:
            self._recent.popleft()
        count = sum(number for _, number in self._recent)
        if count > RATE_SLACK * RATE_SPAN * self._plan.max_rate + self._plan.users:
            self.stop(Outcome.STOPPED, reason=f"{count / RATE_SPAN:.0f} requests or connections/s, {self._plan.max_rate:g} allowed")
        if len(self._rows) > MAX_REQUESTS:
            self.stop(Outcome.STOPPED, reason=f"more than {MAX_REQUESTS} requests")

    def _refuse(self, error: LoadError) -> None:
        self._refusal = error
        self.stop(Outcome.STOPPED, reason=str(error))

    def _made_rows(self) -> Rows:
        rows = sorted(self._rows)
        start = [row[0] for row in rows]
        return make_rows(
            intended_start=start,
            start=start,
            end=[max(row[0], row[1]) for row in rows],
            status=[row[2] for row in rows],
            transaction=[row[3] for row in rows],
        )


def locustfile_of(directory: Path) -> bytes:
    """The Locust file that the controller put beside the plan; empty without one."""
    with contextlib.suppress(OSError):
        return (directory / LOCUSTFILE).read_bytes()
    return b""
