"""One poll loop for all approvals that wait in a triggerer: a poll of a thousand is a few questions, and most of them only count.

What a question costs a triggerer was measured with 900 waits (docs/scale.md): 8 ms however little it asks, as much again for the round
of the triggerer's own that each answer takes, and a tenth of a ms for each task whose state is listed. A count lists none.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote
from weakref import WeakKeyDictionary

from perfproof.announcements import one_line
from perfproof.approvals.rules import DAG_ID, TASK_ID

log = logging.getLogger(__name__)
# A question is a GET with every run id in its address, and httpx and servers refuse addresses beyond 64 KiB.
ADDRESS_BYTES = 32_000
PARAMETER = "&run_ids="
# Listing so few costs no more than counting them.
FEW_RUNS = 20
# However often the count stays the same, all are listed once in this time: one task may be cleared while another is answered.
LOOK_SECONDS = 30.0
# A run that is not listed in this many polls in a row was deleted.
MISSING_POLLS = 5
SLOWEST_RETRY_SECONDS = 30.0
ANSWERED = frozenset(("success", "failed", "skipped", "upstream_failed", "removed"))
Task = tuple[str, int]
States = Mapping[str, Mapping[str, str | None]]


def is_answered(states: Mapping[str, str | None], map_index: int) -> bool:
    """Whether the task at `map_index` of a run is over, by the states of the run's tasks as Airflow reports them."""
    # An unexpanded mapped task carries the bare name: it is over for every index when it can never be expanded.
    return states.get(f"{TASK_ID}_{map_index}") in ANSWERED or states.get(TASK_ID) in ANSWERED


async def fetch_states(run_ids: Sequence[str]) -> States:
    """States of the tasks of these requests, through the triggerer's own connection to the api-server."""
    from airflow.sdk.execution_time import task_runner
    from airflow.sdk.execution_time.comms import GetTaskStates, TaskStatesResult

    answer = await task_runner.SUPERVISOR_COMMS.asend(GetTaskStates(dag_id=DAG_ID, task_ids=[TASK_ID], run_ids=list(run_ids)))
    if not isinstance(answer, TaskStatesResult):
        raise ConnectionError(f"no task states: {answer}")
    return answer.task_states


async def count_answered(run_ids: Sequence[str]) -> int:
    """How many tasks of these requests are over, through the same connection."""
    from airflow.sdk.execution_time import task_runner
    from airflow.sdk.execution_time.comms import GetTICount, TICount

    question = GetTICount(dag_id=DAG_ID, task_ids=[TASK_ID], run_ids=list(run_ids), states=sorted(ANSWERED))
    answer = await task_runner.SUPERVISOR_COMMS.asend(question)
    if not isinstance(answer, TICount):
        raise ConnectionError(f"no number of tasks: {answer}")
    return answer.count


def portions(run_ids: Sequence[str]) -> list[list[str]]:
    """`run_ids` in their order, in as few parts as one question each can carry."""
    found: list[list[str]] = []
    taken = ADDRESS_BYTES
    for run_id in run_ids:
        size = len(PARAMETER) + len(quote(run_id, safe=""))
        if taken + size > ADDRESS_BYTES:
            found.append([])
            taken = 0
        found[-1].append(run_id)
        taken += size
    return found


@dataclass(slots=True)
class _Wait:
    tasks: tuple[Task, ...]
    poll_seconds: float
    not_before: float
    answered: asyncio.Future[list[Task]]
    missing: int = 0


class PollHub:
    """Polls for all waits together. `fetch` lists the states of runs, `count` says how many of their tasks are over.

    A part of the runs is listed again when the count says that something is over which was not when it was listed last.
    """

    def __init__(
        self,
        fetch: Callable[[Sequence[str]], Awaitable[States]],
        count: Callable[[Sequence[str]], Awaitable[int]],
        *,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self._fetch = fetch
        self._count = count
        self._look_seconds = look_seconds
        self._looked = 0.0
        self._waits: dict[int, _Wait] = {}
        self._states: dict[str, Mapping[str, str | None]] = {}
        self._loop_task: asyncio.Task[None] | None = None

    async def answered(self, tasks: Sequence[Task], *, poll_seconds: float, not_before: float) -> list[Task]:
        """Those of `tasks` that are over, as soon as there is one, but not before that time of the loop's clock.

        A task whose run was deleted counts as over.
        """
        wait = _Wait(tuple(tasks), poll_seconds, not_before, asyncio.get_running_loop().create_future())
        self._waits[id(wait)] = wait
        # What an earlier wait for the same run saw is not what this one waits for: the run may have been cleared since.
        for run_id, _ in wait.tasks:
            self._states.pop(run_id, None)
        if self._loop_task is None or self._loop_task.done():
            self._loop_task = asyncio.create_task(self._serve())
        try:
            return await wait.answered
        finally:
            del self._waits[id(wait)]

    async def _serve(self) -> None:
        failures = 0
        while self._waits:
            pause = min(wait.poll_seconds for wait in self._waits.values())
            try:
                await self._poll()
                failures = 0
            except Exception as error:  # whatever the connection raises: a wait of days outlives it
                failures += 1
                pause = min(pause * 2**failures, SLOWEST_RETRY_SECONDS)
                log.warning("approval requests could not be polled (%s: %s); again in %.1f s", type(error).__name__, one_line(error), pause)
            await asyncio.sleep(pause)

    async def _poll(self) -> None:
        waits = list(self._waits.values())
        run_ids = sorted({run_id for wait in waits for run_id, _ in wait.tasks})
        now = asyncio.get_running_loop().time()
        if now >= self._looked + self._look_seconds:
            self._states.clear()
            self._looked = now
        for part in portions(run_ids):
            if len(part) <= FEW_RUNS or await self._differs(part):
                found = await self._fetch(part)
                for run_id in part:
                    self._states.pop(run_id, None)
                self._states |= found
        for wait in waits:
            self._settle(wait)
        self._states = {run_id: self._states[run_id] for run_id in run_ids if run_id in self._states}

    async def _differs(self, part: Sequence[str]) -> bool:
        """Whether one of these runs was never listed, or their tasks are not over as when they were."""
        if not self._states.keys() >= set(part):
            return True
        known = sum(state in ANSWERED for run_id in part for state in self._states[run_id].values())
        return await self._count(part) != known

    def _settle(self, wait: _Wait) -> None:
        deleted = [task for task in wait.tasks if task[0] not in self._states]
        wait.missing = wait.missing + 1 if deleted else 0
        over = [task for task in wait.tasks if task[0] in self._states and is_answered(self._states[task[0]], task[1])]
        if wait.missing >= MISSING_POLLS:
            over += deleted
        settled = wait.answered.get_loop().time() >= wait.not_before
        if over and settled and not wait.answered.done():
            wait.answered.set_result(over)


_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, PollHub] = WeakKeyDictionary()


def hub() -> PollHub:
    """The poll hub of the running event loop: the triggerer has one."""
    return _hubs.setdefault(asyncio.get_running_loop(), PollHub(fetch_states, count_answered))
