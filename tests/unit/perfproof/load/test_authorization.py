"""What the SRE lead signs, and what is outside of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from perfproof.config import Abort, Protocol, Replay, Target, Transaction
from perfproof.errors import LoadError
from perfproof.load.authorization import Authorization, authorization_document, check_authorized, read_authorization, why_no_room
from perfproof.load.plan import LoadPlan, Scenario, Stage, plan_for

NOW = datetime(2025, 2, 16, 14, 0, tzinfo=UTC)


@pytest.fixture
def authorization(plan: LoadPlan) -> Authorization:
    """Just what `plan` needs, for an hour and 3 tests."""
    return read_authorization(
        {
            "targets": [{"host": "127.0.0.1", "port": 8001}],
            "max_rate": 40,
            "max_duration_seconds": 11,
            "max_tests": 3,
            "window": {"start": "2025-02-16T14:00:00Z", "end": "2025-02-16T15:00:00Z"},
            "abort": {"error_rate_percent": 50, "p99_ms": 1000, "over_seconds": 5},
            "planned": {"peak": "40 requests/s"},
        }
    )


def test_what_is_signed_covers_every_test_of_the_profile_and_no_more(demo: Protocol) -> None:
    """The demo's own plans are within it; the rate and length it allows are those of the largest of them."""
    profile, service = replace(demo.load.profiles["demo"], replay=Replay(((0, 10), (12, 70)))), demo.services[0]
    document = authorization_document(demo.load, profile=profile, now=NOW)
    authorization = read_authorization(document)
    plans = [
        plan_for(
            scenario,
            service=service,
            endpoint=service.endpoints.baseline,
            environment=demo.environment,
            profile=profile,
            load=demo.load,
            seed=1,
        )
        for scenario in Scenario
        if scenario is not Scenario.JOURNEYS
    ]
    for plan in plans:
        check_authorized(plan, authorization=authorization, tests_so_far=0, now=NOW)
    assert document["max_rate"] == max(p.highest_rate for p in plans) == max(profile.stress.rates)
    assert document["max_duration_seconds"] == max(p.duration for p in plans) == 20
    assert document["planned"]["replay"] == "up to 70 requests/s for 12 s"
    assert document["window"]["end"] == "2025-02-17T14:00:00Z"


def test_a_replay_above_everything_else_raises_what_is_signed(demo: Protocol) -> None:
    """Its highest rate and its length with the warm-up are bounds like those of the other scenarios."""
    profile = replace(demo.load.profiles["demo"], replay=Replay(((0, 10), (40, 50)), factor=2))
    document = authorization_document(demo.load, profile=profile, now=NOW)
    assert (document["max_rate"], document["max_duration_seconds"]) == (100, 42)


def test_requests_that_may_change_data_are_named_to_who_signs(demo: Protocol) -> None:
    """POST is; GET is not worth a word."""
    post = Transaction("search", "POST", "/search", 1, headers={"Content-Type": "text/plain"}, body="x")
    document = authorization_document(
        demo.load, profile=demo.load.profiles["demo"], now=NOW, transactions=[*demo.services[0].transactions, post]
    )
    assert document["planned"]["may change data"] == "search (POST /search)"
    assert "may change data" not in authorization_document(demo.load, profile=demo.load.profiles["demo"], now=NOW)["planned"]


@pytest.mark.parametrize(
    ("changes", "arguments", "code"),
    [
        ({"host": "127.0.0.2"}, {}, "LOD-201"),
        ({"port": 8002}, {}, "LOD-202"),
        ({"stages": (Stage(41, 10),)}, {}, "LOD-203"),
        ({"stages": (Stage(40, 10.5),)}, {}, "LOD-204"),
        ({}, {"now": NOW - timedelta(seconds=1)}, "LOD-205"),
        ({}, {"now": NOW + timedelta(hours=2)}, "LOD-206"),
        ({}, {"now": NOW + timedelta(minutes=59, seconds=50)}, "LOD-206"),
        ({}, {"tests_so_far": 3}, "LOD-207"),
        ({"abort": Abort(100, 1000, 5)}, {}, "LOD-208"),
    ],
)
def test_each_bound_of_the_authorization_has_its_own_refusal(
    plan: LoadPlan, authorization: Authorization, changes: dict[str, Any], arguments: dict[str, Any], code: str
) -> None:
    """Host, port, rate, duration, window and number of tests."""
    with pytest.raises(LoadError) as caught:
        check_authorized(replace(plan, **changes), authorization=authorization, **{"tests_so_far": 0, "now": NOW, **arguments})
    assert caught.value.code == code


def test_the_last_authorized_test_may_run(plan: LoadPlan, authorization: Authorization) -> None:
    """Number 3 of 3, ending with the window; the host in another spelling is the same host."""
    last = NOW + timedelta(minutes=59, seconds=49)
    spelled = replace(authorization, targets=(Target("::ffff:127.0.0.1", 8001),))
    check_authorized(plan, authorization=spelled, tests_so_far=2, now=last)


def test_the_sre_lead_sees_the_most_tests_that_a_round_may_take(demo: Protocol) -> None:
    """Blocks that are added while the verdict is open are authorized before anything is sent."""
    planned = authorization_document(demo.load, profile=demo.load.profiles["demo"], now=NOW)["planned"]
    assert "8 blocks a side" in planned["measurement"] and "at most 24 a side" in planned["measurement"]
    assert planned["tests"] == "at most 54 in one round of the cycle, 48 of them blocks and 2 of them profiled"


def test_without_further_blocks_only_the_first_are_shown(demo: Protocol) -> None:
    """One look is one look."""
    profile = demo.load.profiles["demo"]
    alone = replace(profile, measurement=replace(profile.measurement, max_blocks=None))
    planned = authorization_document(demo.load, profile=alone, now=NOW)["planned"]
    assert planned["measurement"] == "8 blocks a side, each 25 requests/s for 6 s"
    assert planned["tests"].startswith("at most 22 in one round")


@pytest.mark.parametrize(
    ("tests", "so_far", "later", "found"),
    [
        (2, 1, timedelta(0), None),
        (3, 1, timedelta(0), "3 more tests are needed and 2 of 3 authorized ones are left"),
        (2, 5, timedelta(0), "2 more tests are needed and 0 of 3 authorized ones are left"),
        (
            2,
            0,
            timedelta(minutes=59, seconds=30),
            "2 more tests would not end within the authorized window, which closes at 2025-02-16T15:00:00Z",
        ),
        (1, 0, timedelta(minutes=59, seconds=30), None),
    ],
)
def test_room_is_looked_for_before_more_is_measured(
    plan: LoadPlan, authorization: Authorization, tests: int, so_far: int, later: timedelta, found: str | None
) -> None:
    """By number and by time, pauses included: half an authorized measurement would be load for nothing."""
    room = why_no_room(plan, authorization=authorization, tests=tests, pause_seconds=10, tests_so_far=so_far, now=NOW + later)
    assert room == found
