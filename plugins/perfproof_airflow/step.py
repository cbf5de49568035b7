"""`@step`: a task of the protocol. It gets its cycle, and turns an error into the specification's halt.

A halt is a failed task that says what is missing and what to do. It is not retried, since a person has to act, and it
is resumed by clearing the task.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from airflow.sdk import get_current_context, task
from airflow.sdk.exceptions import AirflowFailException

from perfproof.errors import PerfproofError
from perfproof_airflow.retrying import RETRYING


def step(function: Callable[..., Any] | None = None, **task_arguments: Any) -> Any:
    """Makes a task of `function(cycle, …)`; its name is the task id. Further arguments go to `@task`."""
    if function is None:
        return functools.partial(step, **task_arguments)

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        from perfproof_airflow.cycle import Cycle

        context = get_current_context()
        try:
            cycle = Cycle.open(context) if task_arguments_open else Cycle.of(context)
        except PerfproofError as error:
            raise AirflowFailException(str(error)) from None
        try:
            return function(cycle, *args, **kwargs)
        except PerfproofError as error:
            cycle.halt(cycle.task_id.rpartition(".")[2], error)
            raise AirflowFailException(str(error)) from None

    task_arguments_open = task_arguments.pop("opens_cycle", False)
    signature = inspect.signature(function)
    run.__signature__ = signature.replace(parameters=list(signature.parameters.values())[1:])  # type: ignore[attr-defined]
    run.__doc__ = function.__doc__
    # Without this a `dict` in the annotation makes Airflow push each key as an XCom of its own.
    arguments = {"multiple_outputs": False, **RETRYING, **task_arguments}
    return task(task_id=function.__name__, **arguments)(run)
