"""`@step`: an error of ours is a halt that nobody retries; anything else is for Airflow's retries."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from perfproof.errors import ArtifactError, PerfproofError
from perfproof_airflow.retrying import RETRIES, RETRY_DELAY
from perfproof_airflow.step import step


@step
def works(cycle: Any, word: str) -> dict[str, Any]:
    """Says what it was given."""
    return {"word": word, "task": cycle.task_id}


@step
def halts(cycle: Any) -> None:
    """Misses something."""
    raise ArtifactError(391, where="prerequisites", what="no report", fix="supply it")


@step
def crashes(cycle: Any) -> None:
    """Has a bug, or a dying worker."""
    raise ZeroDivisionError


@step(opens_cycle=True, trigger_rule="all_done")  # type: ignore[untyped-decorator]
def opens(cycle: Any) -> str:
    """Opens the cycle."""
    return str(cycle.run)


def test_a_step_gets_its_cycle_and_its_arguments(run: Any) -> None:
    """The cycle is not an argument of the task."""
    assert run.call(works, "group.works", "hello") == {"word": "hello", "task": "group.works"}


def test_an_error_of_ours_fails_the_task_without_retries_and_is_said(run: Any) -> None:
    """Red at once, the message is the error's line, the log has the specification's."""
    with pytest.raises(AirflowFailException, match=r"^ART-391 prerequisites: no report\. Fix: supply it$"):
        run.call(halts, "group.halts")
    assert run.said() == [
        '[RAY ERROR] - "Failed at halts. Reason: ART-391 prerequisites: no report. Fix: supply it. Awaiting instructions."'
    ]


def test_the_failure_shows_no_chained_traceback(run: Any) -> None:
    """One clear line in the task's log."""
    with pytest.raises(AirflowFailException) as caught:
        run.call(halts, "group.halts")
    assert caught.value.__suppress_context__


def test_a_crash_is_left_to_airflows_retries(run: Any) -> None:
    """It is no halt: nobody is asked for instructions."""
    with pytest.raises(ZeroDivisionError):
        run.call(crashes, "group.crashes")
    assert run.said() == []


def test_a_step_of_a_cycle_that_is_not_open_fails_without_retries(unopened: Any) -> None:
    """There is no log to write the halt into."""
    with pytest.raises(AirflowFailException, match="EVI-521"):
        unopened.call(works, "group.works", "x")


def test_the_opening_step_opens_and_refuses_bad_parameters_without_retries(unopened: Any) -> None:
    """The next try would find the same parameters."""
    unopened.params = {"protocol": "demo", "services": ["payment"]}
    with pytest.raises(AirflowFailException, match="PAR-206"):
        unopened.call(opens, "prerequisites.open_cycle")
    unopened.params = {"protocol": "demo"}
    assert unopened.call(opens, "prerequisites.open_cycle") == unopened.cycle().run


def test_a_step_is_a_task_of_its_functions_name_with_retries_for_crashes_only() -> None:
    """Name, documentation, retries; a mapping is one XCom."""
    for made in (works, halts, crashes, opens):
        assert made.kwargs["task_id"] == made.function.__name__
        assert (made.kwargs["retries"], made.kwargs["retry_delay"]) == (RETRIES, RETRY_DELAY)
        assert made.function.__doc__
    assert works.multiple_outputs is False
    assert opens.kwargs["trigger_rule"] == "all_done"


def test_a_halt_that_cannot_be_logged_still_fails_red(run: Any, workspace: Any) -> None:
    """A log that was tampered with keeps nobody from seeing the failure."""
    log = workspace / ".artifacts" / "performance" / run.cycle().run / "log" / "00000000.json"
    log.chmod(0o644)
    log.write_bytes(log.read_bytes().replace(b"run.opened", b"run.closed"))
    with pytest.raises((AirflowFailException, PerfproofError)) as caught:
        run.call(halts, "group.halts")
    assert isinstance(caught.value, AirflowFailException)
