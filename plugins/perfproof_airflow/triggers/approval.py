"""Waits in the triggerer until a task of a request is answered. One poll loop serves all waits of the process."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from weakref import WeakKeyDictionary

from airflow.triggers.base import BaseTrigger, TriggerEvent

from perfproof.announcements import one_line
from perfproof.approvals.rules import DAG_ID, TASK_ID

log = logging.getLogger(__name__)
RUNS_PER_CALL = 50
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


@dataclass(slots=True)
class _Wait:
    tasks: tuple[Task, ...]
    poll_seconds: float
    not_before: float
    answered: asyncio.Future[list[Task]]
    missing: int = 0


class PollHub:
    """Polls for all waits together: a thousand waits cost one loop and a call per fifty requests."""

    def __init__(self, fetch: Callable[[Sequence[str]], Awaitable[States]]) -> None:
        self._fetch = fetch
        self._waits: dict[int, _Wait] = {}
        self._loop_task: asyncio.Task[None] | None = None

    async def answered(self, tasks: Sequence[Task], *, poll_seconds: float, not_before: float) -> list[Task]:
        """Those of `tasks` that are over, as soon as there is one, but not before that time of the loop's clock.

        A task whose run was deleted counts as over.
        """
        wait = _Wait(tuple(tasks), poll_seconds, not_before, asyncio.get_running_loop().create_future())
        self._waits[id(wait)] = wait
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
        run_ids = sorted({run_id for wait in self._waits.values() for run_id, _ in wait.tasks})
        states: dict[str, Mapping[str, str | None]] = {}
        for start in range(0, len(run_ids), RUNS_PER_CALL):
            states |= await self._fetch(run_ids[start : start + RUNS_PER_CALL])
        asked = set(run_ids)
        for wait in [w for w in self._waits.values() if {run_id for run_id, _ in w.tasks} <= asked]:
            self._settle(wait, states)

    @staticmethod
    def _settle(wait: _Wait, states: States) -> None:
        deleted = [task for task in wait.tasks if task[0] not in states]
        wait.missing = wait.missing + 1 if deleted else 0
        over = [task for task in wait.tasks if task[0] in states and is_answered(states[task[0]], task[1])]
        if wait.missing >= MISSING_POLLS:
            over += deleted
        settled = wait.answered.get_loop().time() >= wait.not_before
        if over and settled and not wait.answered.done():
            wait.answered.set_result(over)


_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, PollHub] = WeakKeyDictionary()


def hub() -> PollHub:
    """The poll hub of the running event loop: the triggerer has one."""
    return _hubs.setdefault(asyncio.get_running_loop(), PollHub(fetch_states))


class ApprovalTrigger(BaseTrigger):
    """Fires when one of `tasks` is over, at `wake_at`, or at `expires_at`.

    :param tasks: pairs of request id and map index.
    :param not_before: seconds since the epoch before which it does not fire. A task that resumes within about two seconds
        after it deferred can be failed by the scheduler (apache/airflow#67287).
    :param expires_at: seconds since the epoch after which nobody can answer.
    :param poll_seconds: time between polls.
    :param wake_at: seconds since the epoch at which the sensor has a reminder to send; None if it has none.
    """

    def __init__(
        self,
        *,
        tasks: Sequence[Sequence[Any]],
        not_before: float,
        expires_at: float,
        poll_seconds: float,
        wake_at: float | None = None,
    ) -> None:
        super().__init__()
        self.tasks: list[Task] = [(str(run_id), int(map_index)) for run_id, map_index in tasks]
        self.not_before = not_before
        self.expires_at = expires_at
        self.poll_seconds = poll_seconds
        self.wake_at = wake_at

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and exactly the constructor's arguments."""
        return (
            "perfproof_airflow.triggers.approval.ApprovalTrigger",
            {
                "tasks": [list(task) for task in self.tasks],
                "not_before": self.not_before,
                "expires_at": self.expires_at,
                "poll_seconds": self.poll_seconds,
                "wake_at": self.wake_at,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """One event: which tasks are over; none at a reminder's time and at the expiry. The sensor looks for itself."""
        # It polls from the start: the first call of a triggerer takes seconds, while it imports the API.
        not_before = asyncio.get_running_loop().time() + self.not_before - _now()
        wanted = self.expires_at if self.wake_at is None else min(self.expires_at, self.wake_at)
        deadline = max(wanted, self.not_before) - _now()
        try:
            async with asyncio.timeout(max(self.poll_seconds, deadline)):
                over = await hub().answered(self.tasks, poll_seconds=self.poll_seconds, not_before=not_before)
        except TimeoutError:
            over = []
        yield TriggerEvent({"answered": [list(task) for task in over]})


def _now() -> float:
    return datetime.now(UTC).timestamp()
