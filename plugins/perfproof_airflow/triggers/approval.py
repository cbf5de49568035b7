"""Waits in the triggerer until a task of a request is answered. One poll loop serves all waits of the process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from perfproof_airflow.triggers.poll_hub import Task, hub


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
