"""The trigger and its poll hub: one loop for all, no event too early, none lost."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import httpx
import pytest

from perfproof_airflow.triggers import approval
from perfproof_airflow.triggers.approval import ApprovalTrigger
from perfproof_airflow.triggers.poll_hub import ADDRESS_BYTES, ANSWERED, FEW_RUNS, MISSING_POLLS, PollHub, is_answered, portions

POLL = 0.01


class Source:
    """Task states that tests change while the hub polls."""

    def __init__(self) -> None:
        self.states: dict[str, dict[str, str | None]] = {}
        self.calls: list[list[str]] = []
        self.counted: list[list[str]] = []
        self.fail = 0

    async def __call__(self, run_ids: Sequence[str]) -> dict[str, dict[str, str | None]]:
        self.calls.append(list(run_ids))
        if self.fail:
            self.fail -= 1
            raise ConnectionError("gone")
        return {run_id: dict(self.states[run_id]) for run_id in run_ids if run_id in self.states}

    async def count(self, run_ids: Sequence[str]) -> int:
        """As Airflow counts them."""
        self.counted.append(list(run_ids))
        return sum(state in ANSWERED for run_id in run_ids for state in self.states.get(run_id, {}).values())

    def hub(self, *, look_seconds: float = 3600.0) -> PollHub:
        """A hub that asks it."""
        return PollHub(self, self.count, look_seconds=look_seconds)

    async def polls(self, number: int) -> None:
        """Returns after that many further questions."""
        target = len(self.calls) + len(self.counted) + number
        while len(self.calls) + len(self.counted) < target:
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
        hub = source.hub()
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
        wait = asyncio.create_task(source.hub().answered([("r", 0)], poll_seconds=POLL, not_before=later))
        await source.polls(2)
        assert not wait.done()
        await asyncio.wait_for(wait, 5)
        return asyncio.get_running_loop().time() >= later

    assert asyncio.run(run())


async def waiting(source: Source, hub: PollHub, count: int) -> dict[str, asyncio.Task[Any]]:
    """That many waits for a run each, all of which were polled once."""
    source.states |= {f"r{n:04}": {"approve_0": "awaiting_input"} for n in range(count)}
    waits = {r: asyncio.create_task(hub.answered([(r, 0)], poll_seconds=POLL, not_before=0)) for r in source.states}
    await source.polls(2)
    return waits


def test_many_waits_share_one_loop_and_are_listed_once_and_then_counted() -> None:
    """400 requests in a poll are one question, and it names no task until the number of answers changes."""

    async def run() -> tuple[list[list[str]], list[list[str]], int]:
        source = Source()
        waits = await waiting(source, source.hub(), 400)
        await source.polls(5)
        listed, counted = list(source.calls), list(source.counted)
        source.states["r0007"]["approve_0"] = "success"
        await asyncio.wait_for(waits["r0007"], 5)
        done = sum(wait.done() for wait in waits.values())
        for states in source.states.values():
            states["approve_0"] = "success"
        await asyncio.wait_for(asyncio.gather(*waits.values()), 5)
        return listed, counted, done

    listed, counted, done = asyncio.run(run())
    assert [len(call) for call in listed] == [400]
    assert {len(call) for call in counted} == {400}
    assert done == 1


def test_a_run_with_an_answer_of_an_earlier_role_is_not_listed_again_and_again() -> None:
    """One of two roles has answered; the wait is for the other, and the count of the run is one from the start."""

    async def run() -> tuple[int, Any]:
        source = Source()
        hub = source.hub()
        source.states["two"] = {"approve_0": "success", "approve_1": "awaiting_input"}
        wait = asyncio.create_task(hub.answered([("two", 1)], poll_seconds=POLL, not_before=0))
        waits = await waiting(source, hub, FEW_RUNS + 5)
        await source.polls(5)
        listed = len(source.calls)
        source.states["two"]["approve_1"] = "failed"
        found = await asyncio.wait_for(wait, 5)
        for other in waits.values():
            other.cancel()
        return listed, found

    listed, found = asyncio.run(run())
    assert listed <= 2
    assert found == [("two", 1)]


def test_an_answer_behind_a_clear_is_seen_though_the_count_is_the_same() -> None:
    """One task is cleared while another is answered: all are listed again before long."""

    async def run() -> Any:
        source = Source()
        source.states["a"] = {"approve_0": "success", "approve_1": "awaiting_input"}
        hub = source.hub(look_seconds=10 * POLL)
        cleared = asyncio.create_task(hub.answered([("a", 1)], poll_seconds=POLL, not_before=0))
        waits = await waiting(source, hub, FEW_RUNS + 5)
        source.states["a"]["approve_0"], source.states["r0003"]["approve_0"] = None, "success"
        found = await asyncio.wait_for(waits["r0003"], 5)
        for other in (cleared, *waits.values()):
            other.cancel()
        return found

    assert asyncio.run(run()) == [("r0003", 0)]


def test_a_deleted_run_among_many_wakes_its_sensor() -> None:
    """No count tells that: it is missing when all are listed."""

    async def run() -> Any:
        source = Source()
        waits = await waiting(source, source.hub(look_seconds=10 * POLL), FEW_RUNS + 5)
        del source.states["r0003"]
        found = await asyncio.wait_for(waits["r0003"], 5)
        still = [wait for run_id, wait in waits.items() if run_id != "r0003"]
        assert not any(wait.done() for wait in still)
        for other in still:
            other.cancel()
        return found

    assert asyncio.run(run()) == [("r0003", 0)]


def test_a_run_that_is_waited_for_anew_is_listed_anew() -> None:
    """It was cleared, and what the hub saw of it before is no answer."""

    async def run() -> bool:
        source = Source()
        hub = source.hub()
        waits = await waiting(source, hub, FEW_RUNS + 5)
        source.states["r0003"]["approve_0"] = "success"
        await asyncio.wait_for(waits["r0003"], 5)
        source.states["r0003"]["approve_0"] = "awaiting_input"
        again = asyncio.create_task(hub.answered([("r0003", 0)], poll_seconds=POLL, not_before=0))
        await source.polls(4)
        early = again.done()
        for other in (again, *waits.values()):
            other.cancel()
        return early

    assert asyncio.run(run()) is False


def test_a_question_is_no_longer_than_servers_take() -> None:
    """Every run id is in one part, in order; ids of the greatest length and ones that are escaped too."""
    short, long = [f"r{n:04}" for n in range(3_000)], ["r" * 249 + str(n) for n in range(300)]
    for run_ids in ([], short, long, [f"{n}+%:~" for n in range(3_000)]):
        parts = portions(run_ids)
        assert [run_id for part in parts for run_id in part] == run_ids
        addresses = [str(httpx.URL("/", params={"run_ids": part})) for part in parts]
        assert max(map(len, addresses), default=0) <= ADDRESS_BYTES + 2
    assert len(portions(short)) < 3


def test_a_connection_that_fails_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    """A wait of days outlives a restart of the api-server."""

    async def run() -> list[Any]:
        source = Source()
        source.fail = 2
        source.states = {"r": {"approve_0": "success"}}
        return await asyncio.wait_for(source.hub().answered([("r", 0)], poll_seconds=POLL, not_before=0), 5)

    assert asyncio.run(run()) == [("r", 0)]


def test_a_deleted_run_wakes_the_sensor_but_a_single_missing_answer_does_not() -> None:
    """The sensor opens it again."""

    async def run() -> tuple[bool, list[Any]]:
        source = Source()
        wait = asyncio.create_task(source.hub().answered([("r", 0)], poll_seconds=POLL, not_before=0))
        await source.polls(MISSING_POLLS - 2)
        early = wait.done()
        return early, await asyncio.wait_for(wait, 5)

    assert asyncio.run(run()) == (False, [("r", 0)])


def test_a_cancelled_wait_leaves_the_others() -> None:
    """Its task was cleared or its triggerer is stopping."""

    async def run() -> list[Any]:
        source = Source()
        source.states = {"r": {"approve_0": "awaiting_input"}, "s": {"approve_0": "awaiting_input"}}
        hub = source.hub()
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
        hub = source.hub()
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
        hub = source.hub()
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
