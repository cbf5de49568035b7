"""Open-loop load: every request starts when it is due, whether or not earlier ones are answered.

A closed loop waits for the service and so measures least when the service is worst. Here waiting shows up as latency,
because latency is counted from the moment a request was due.
"""

from __future__ import annotations

import asyncio
import math
import resource
import time
from collections.abc import Callable
from datetime import UTC, datetime

import aiohttp

from perfproof.errors import LoadError
from perfproof.load.arrivals import schedule_of
from perfproof.load.plan import LoadPlan
from perfproof.load.rows import NoAnswer, Rows, make_rows
from perfproof.load.summary import GENERATOR, GeneratorSummary, Outcome
from perfproof.moments import stamp
from perfproof_airflow.load_engine.stop_conditions import StopConditions
from perfproof_airflow.load_engine.target_check import Guard, ask_consent, build_now, open_session, url_of

LEAD_SECONDS = 0.1
WATCH_SECONDS = 0.25
# A generator that was itself stopped must not send the requests of that time in one burst.
STALLED_SECONDS = 3.0
CHUNK = 1 << 16


class Generator:
    """Runs one plan once. `stop` may be called from any task of the same loop."""

    def __init__(self, plan: LoadPlan) -> None:
        self._plan = plan
        self._schedule = schedule_of(plan)
        count = len(self._schedule.due)
        self._start = [math.nan] * count
        self._end = [math.nan] * count
        self._status = [int(NoAnswer.DROPPED)] * count
        self._due = 0
        self._began = 0.0
        self._open: dict[asyncio.Task[None], int] = {}
        self._conditions = StopConditions(plan.abort, lowest_rate=min(s.requests / s.seconds for s in plan.stages))
        self._outcome, self._reason = Outcome.COMPLETED, ""
        self._stopped = asyncio.Event()
        self._refusal: LoadError | None = None
        self._failure: BaseException | None = None

    def stop(self, outcome: Outcome, *, reason: str) -> None:
        """Sends nothing more and gives up open requests. The first reason is kept."""
        if not self._stopped.is_set():
            self._outcome, self._reason = outcome, reason
            self._stopped.set()

    async def run(self, *, on_begin: Callable[[float], None]) -> tuple[Rows, GeneratorSummary]:
        """The rows and what the generator says about itself.

        `on_begin` gets the monotonic time of second 0. Raises LoadError 104, 301 or 302 if the target was refused before
        any load.
        """
        async with open_session(self._plan, guard=Guard(self._plan, self._refuse)) as session:
            try:
                build = await ask_consent(session, self._plan)
            except LoadError as error:
                # An unlisted address looks like a failed connection to whoever asked for it.
                raise (self._refusal or error) from None
            self._began = time.monotonic() + LEAD_SECONDS
            started_at = datetime.now(UTC)
            on_begin(self._began)
            used = _cpu_seconds()
            await self._send_all(session)
            seconds = max(time.monotonic() - self._began, 1e-9)
            cpu = 100.0 * (_cpu_seconds() - used) / seconds
            build_after = await build_now(session, self._plan) if self._outcome is Outcome.COMPLETED else None
        rows = self._rows()
        sent = int(rows.sent.sum())
        return rows, GeneratorSummary(
            outcome=self._outcome,
            reason=self._reason or None,
            started_at=stamp(started_at),
            seconds=round(seconds, 3),
            cpu_percent=round(cpu, 1),
            planned=len(self._schedule.due),
            sent=sent,
            dropped=len(rows) - sent,
            build=build,
            build_after=build_after,
            plan_sha256=self._plan.digest,
            generator=f"{GENERATOR}, aiohttp {aiohttp.__version__}",
        )

    async def _send_all(self, session: aiohttp.ClientSession) -> None:
        """Sends what is due until all is answered or the test is stopped."""
        work = asyncio.create_task(self._dispatch(session))
        watch = asyncio.create_task(self._watch())
        stopped = asyncio.create_task(self._stopped.wait())
        # The watch never ends by itself; were it to fail, nobody would stop the load any more.
        await asyncio.wait({work, watch, stopped}, return_when=asyncio.FIRST_COMPLETED)
        tasks = [work, watch, stopped, *self._open]
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        failure = self._failure or next((r for r in results if isinstance(r, Exception)), None)
        if failure is not None:
            raise failure

    async def _dispatch(self, session: aiohttp.ClientSession) -> None:
        for index, due in enumerate(self._schedule.due.tolist()):
            wait = self._began + due - time.monotonic()
            if wait < -STALLED_SECONDS:
                self.stop(Outcome.STOPPED, reason=f"the generator itself stood still for {-wait:.1f} s")
                return
            # A pause of 0 lets the requests that were just started write before the next one is made.
            await asyncio.sleep(max(0.0, wait))
            self._due = index + 1
            if len(self._open) >= self._plan.max_in_flight:
                self._conditions.add(at=self._now(), latency_ms=0.0, ok=False)
                continue
            task = asyncio.create_task(self._send(session, index))
            self._open[task] = index
            task.add_done_callback(self._close)
        while self._open:
            await asyncio.wait(list(self._open))

    def _close(self, task: asyncio.Task[None]) -> None:
        del self._open[task]
        if not task.cancelled() and task.exception() is not None:
            self._failure = self._failure or task.exception()
            self.stop(Outcome.STOPPED, reason=f"the generator failed: {task.exception()!r}")

    async def _send(self, session: aiohttp.ClientSession, index: int) -> None:
        transaction = self._plan.transactions[int(self._schedule.transaction[index])]
        self._status[index] = NoAnswer.STOPPED
        self._start[index] = self._now()
        try:
            url = url_of(self._plan, self._schedule.paths[index])
            body = self._schedule.bodies[index]
            async with session.request(
                transaction.method, url, allow_redirects=False, headers=transaction.headers or None, data=body
            ) as response:
                async for _ in response.content.iter_chunked(CHUNK):
                    pass
                self._status[index] = response.status
        except TimeoutError:
            self._status[index] = NoAnswer.TIMEOUT
        except (aiohttp.ClientError, OSError):
            self._status[index] = NoAnswer.CONNECTION
        finally:
            self._end[index] = self._now()
        latency = 1000.0 * (self._end[index] - float(self._schedule.due[index]))
        self._conditions.add(at=self._end[index], latency_ms=latency, ok=200 <= self._status[index] < 300)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            now = self._now()
            if now > self._plan.deadline:
                self.stop(Outcome.STOPPED, reason=f"not done {self._plan.deadline:g} s after its begin")
            waiting = [float(self._schedule.due[index]) for index in self._open.values()]
            reason = self._conditions.reached(now=now, open_since=waiting)
            if reason:
                self.stop(Outcome.ABORTED, reason=reason)

    def _refuse(self, error: LoadError) -> None:
        self._refusal = error
        self.stop(Outcome.STOPPED, reason=str(error))

    def _now(self) -> float:
        return time.monotonic() - self._began

    def _rows(self) -> Rows:
        count = self._due
        names = [self._plan.transactions[int(i)].name for i in self._schedule.transaction[:count]]
        return make_rows(
            intended_start=self._schedule.due[:count].tolist(),
            start=self._start[:count],
            end=self._end[:count],
            status=self._status[:count],
            transaction=names,
        )


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
