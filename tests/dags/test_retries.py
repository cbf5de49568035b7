"""Tries outlast an api-server that is away for a minute: killed in phase 4, it was back when all three tries were gone."""

from __future__ import annotations

from typing import Any

OUTAGE_SECONDS = 60.0


def shortest_wait(task: Any) -> float:
    """Seconds between the first failure of a task, mapped or not, and the start of its last try, if every try fails at once."""
    delay, factor = task.retry_delay.total_seconds(), float(task.retry_exponential_backoff or 1.0)
    longest = task.max_retry_delay.total_seconds() if task.max_retry_delay else float("inf")
    return sum(min(delay * factor**number, longest) for number in range(task.retries))


def test_every_task_of_a_cycle_is_tried_again_after_a_minute(flow: Any) -> None:
    """Steps and waits, mapped or not; and none waits so long after a crash that it looks like a hang."""
    waits = {task.task_id: shortest_wait(task) for task in flow.dag.tasks}
    assert {name: seconds for name, seconds in waits.items() if seconds < OUTAGE_SECONDS} == {}
    assert {task.task_id for task in flow.dag.tasks if task.retry_delay.total_seconds() > 5} == set()
