"""The trigger and its poll hub: one loop for all, no event too early, none lost."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from perfproof_airflow.triggers import approval
from perfproof_airflow.triggers.approval import MISSING_POLLS, RUNS_PER_CALL, ApprovalTrigger, PollHub, is_answered

POLL = 0.01


class Source:
    """Task states that tests change while the hub polls."""

    def __init__(self) -> None:
        self.states: dict[str, dict[str, str | None]] = {}
        self.calls: list[list[str]] = []
        self.fail = 0

    async def __call__(self, run_ids: Sequence[str]) -> dict[str, dict[str, str | None]]:
        self.calls.append(list(run_ids))
        if self.fail:
            self.fail -= 1
            raise ConnectionError("gone")
        return {run_id: self.states[run_id] for run_id in run_ids if run_id in self.states}

    async def polls(self, number: int) -> None:
        """Returns after that many further calls."""
        target = len(self.calls) + number
        while len(self.calls) < target:
            await asyncio.sleep(POLL / 2)


def test_serialization_rebuilds_an_equal_trigger() -> None:
    """The class path and exactly the constructor's arguments."""
    trigger = ApprovalTrigger(tasks=[("r", 0), ("s", 2)], not_before=1.5, expires_at=9.5, poll_seconds=2.0)
    path, arguments = trigger.serialize()
    assert path == f"{ApprovalTrigger.__module__}.{ApprovalTrigger.__qualname__}"
    assert ApprovalTrigger(**arguments).serialize() == (path, arguments)
    waking = ApprovalTrigger(tasks=[("r", 0)], not_before=1.5, expires_at=9.5, poll_seconds=2.0, wake_at=4.5)
    assert ApprovalTrigger(**waking.serialize()[1]).wake_at == 4.5


def test_a_trigger_that_an_older_version_stored_is_rebuilt() -> None:
    """An upgrade finds waits that began before there were reminders."""
    _, arguments = ApprovalTrigger(tasks=[("r", 0)], not_before=1.5, expires_at=9.5, poll_seconds=2.0).serialize()
    del arguments["wake_at"]
    assert ApprovalTrigger(**arguments).wake_at is None


@pytest.mark.parametrize(
    ("states", "over"),
    [
        ({"approve_1": "success"}, True),
        ({"approve_1": "failed"}, True),
        ({"approve_1": "skipped"}, True),
        ({"approve": "upstream_failed"}, True),
        ({"approve_0": "success", "approve_1": "awaiting_input"}, False),
        ({"approve_1": "up_for_retry"}, False),
        ({"approve_1": "running"}, False),
        ({"approve": None}, False),
        ({"approve_10": "success"}, False),
        ({}, False),
    ],
)
def test_over_means_terminal(states: dict[str, str | None], over: bool) -> None:
    """Of this very task, or of one that can never be expanded."""
    assert is_answered(states, 1) is over


def test_it_fires_when_one_task_is_over_and_not_before() -> None:
    """Two roles are waited for; the first answer wakes the sensor."""

    async def run() -> list[Any]:
        source = Source()
        source.states = {"r": {"approve_0": "awaiting_input", "approve_1": "awaiting_input"}}
        hub = PollHub(source)
        wait = asyncio.create_task(hub.answered([("r", 0), ("r", 1)], poll_seconds=POLL, not_before=0))
        await source.polls(3)
        assert not wait.done()
        source.states["r"]["approve_1"] = "success"
        return await asyncio.wait_for(wait, 5)

    assert asyncio.run(run()) == [("r", 1)]


def test_an_early_answer_waits_until_the_task_has_settled() -> None:
    """It polls at once, since a triggerer's first call is slow, but does not fire (apache/airflow#67287)."""

    async def run() -> bool:
        source = Source()
        source.states = {"r": {"approve_0": "success"}}
        later = asyncio.get_running_loop().time() + 0.2
        wait = asyncio.create_task(PollHub(source).answered([("r", 0)], poll_seconds=POLL, not_before=later))
        await source.polls(2)
        assert not wait.done()
        await asyncio.wait_for(wait, 5)
        return asyncio.get_running_loop().time() >= later

    assert asyncio.run(run())


def test_many_waits_share_one_loop_and_few_calls() -> None:
    """120 requests in a poll are three calls, not 120."""

    async def run() -> list[list[str]]:
        source = Source()
        source.states = {f"r{n:03}": {"approve_0": "awaiting_input"} for n in range(120)}
        hub = PollHub(source)
        waits = [asyncio.create_task(hub.answered([(r, 0)], poll_seconds=POLL, not_before=0)) for r in source.states]
        await source.polls(3)
        first = source.calls[:3]
        for states in source.states.values():
            states["approve_0"] = "success"
        await asyncio.wait_for(asyncio.gather(*waits), 5)
        return first

    calls = asyncio.run(run())
    assert [len(call) for call in calls] == [RUNS_PER_CALL, RUNS_PER_CALL, 20]
    assert len({run_id for call in calls for run_id in call}) == 120


def test_a_connection_that_fails_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    """A wait of days outlives a restart of the api-server."""

    async def run() -> list[Any]:
        source = Source()
        source.fail = 2
        source.states = {"r": {"approve_0": "success"}}
        return await asyncio.wait_for(PollHub(source).answered([("r", 0)], poll_seconds=POLL, not_before=0), 5)

    assert asyncio.run(run()) == [("r", 0)]


def test_a_deleted_run_wakes_the_sensor_but_a_single_missing_answer_does_not() -> None:
    """The sensor opens it again."""

    async def run() -> tuple[bool, list[Any]]:
        source = Source()
        wait = asyncio.create_task(PollHub(source).answered([("r", 0)], poll_seconds=POLL, not_before=0))
        await source.polls(MISSING_POLLS - 2)
        early = wait.done()
        return early, await asyncio.wait_for(wait, 5)

    assert asyncio.run(run()) == (False, [("r", 0)])


def test_a_cancelled_wait_leaves_the_others() -> None:
    """Its task was cleared or its triggerer is stopping."""

    async def run() -> list[Any]:
        source = Source()
        source.states = {"r": {"approve_0": "awaiting_input"}, "s": {"approve_0": "awaiting_input"}}
        hub = PollHub(source)
        gone = asyncio.create_task(hub.answered([("r", 0)], poll_seconds=POLL, not_before=0))
        stays = asyncio.create_task(hub.answered([("s", 0)], poll_seconds=POLL, not_before=0))
        await source.polls(1)
        gone.cancel()
        await source.polls(2)
        assert source.calls[-1] == ["s"]
        source.states["s"]["approve_0"] = "failed"
        return await asyncio.wait_for(stays, 5)

    assert asyncio.run(run()) == [("s", 0)]


def test_the_trigger_yields_one_event_and_an_empty_one_at_expiry(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sensor looks for itself either way."""

    async def events(answer: bool) -> list[Any]:
        source = Source()
        source.states = {"r": {"approve_0": "success" if answer else "awaiting_input"}}
        hub = PollHub(source)
        monkeypatch.setattr(approval, "hub", lambda: hub)
        now = approval._now()
        trigger = ApprovalTrigger(tasks=[("r", 0)], not_before=now, expires_at=now + (60 if answer else 0.05), poll_seconds=POLL)
        return [event.payload async for event in trigger.run()]

    assert asyncio.run(events(True)) == [{"answered": [["r", 0]]}]
    assert asyncio.run(events(False)) == [{"answered": []}]


@pytest.mark.parametrize(
    ("wake_at", "expires_at", "not_before", "least"),
    [(0.05, 60.0, 0.0, 0.04), (60.0, 0.05, 0.0, 0.04), (-100.0, 60.0, 0.2, 0.19)],
    ids=["reminder", "expiry before it", "overslept"],
)
def test_it_wakes_the_sensor_for_a_reminder_but_never_before_it_has_settled(
    monkeypatch: pytest.MonkeyPatch, wake_at: float, expires_at: float, not_before: float, least: float
) -> None:
    """The earlier of reminder and expiry, and 5 s after the deferral at the earliest (apache/airflow#67287)."""

    async def seconds() -> float:
        source = Source()
        source.states = {"r": {"approve_0": "awaiting_input"}}
        hub = PollHub(source)
        monkeypatch.setattr(approval, "hub", lambda: hub)
        now, loop = approval._now(), asyncio.get_running_loop()
        trigger = ApprovalTrigger(
            tasks=[("r", 0)], not_before=now + not_before, expires_at=now + expires_at, poll_seconds=POLL, wake_at=now + wake_at
        )
        began = loop.time()
        assert [event.payload async for event in trigger.run()] == [{"answered": []}]
        return loop.time() - began

    assert least <= asyncio.run(asyncio.wait_for(seconds(), 5))


def test_each_event_loop_has_one_hub() -> None:
    """And keeps it."""

    async def same() -> bool:
        return approval.hub() is approval.hub()

    assert asyncio.run(same())
