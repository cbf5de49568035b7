"""What a load test may send, and its document."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from perfproof.config import Abort, LoadProfile, Protocol, Replay, Span, Transaction
from perfproof.errors import LoadError
from perfproof.load.plan import LoadPlan, Scenario, Stage, check_plan, plan_for


def from_demo(demo: Protocol, scenario: Scenario, **changes: Any) -> LoadPlan:
    """The demo's plan of `scenario` against its baseline endpoint."""
    service = demo.services[0]
    arguments: dict[str, Any] = {
        "service": service,
        "endpoint": service.endpoints.baseline,
        "environment": demo.environment,
        "profile": demo.load.profiles["demo"],
        "load": demo.load,
        "seed": 1,
    }
    return plan_for(scenario, **{**arguments, **changes})


def with_replay(demo: Protocol) -> LoadProfile:
    """The demo's profile with a ramp and a curve."""
    profile = demo.load.profiles["demo"]
    return replace(
        profile, peak=replace(profile.peak, ramp_seconds=1.0), replay=Replay(((0.0, 10.0), (4.0, 30.0), (10.0, 5.0)), factor=2.0)
    )


@pytest.mark.parametrize("scenario", [s for s in Scenario if s is not Scenario.JOURNEYS])
def test_a_plan_survives_its_document(demo: Protocol, scenario: Scenario) -> None:
    """Written and read back it is the same plan with the same digest."""
    plan = from_demo(demo, scenario, profile=with_replay(demo))
    again = LoadPlan.from_document(plan.document())
    assert again == plan
    assert again.digest == plan.digest


def test_the_stress_plan_has_a_stage_for_each_rate(demo: Protocol) -> None:
    """Its highest rate, length and number of requests are those of the profile and the warm-up."""
    plan = from_demo(demo, Scenario.STRESS)
    stress = demo.load.profiles["demo"].stress
    assert [s.rate for s in plan.stages] == list(stress.rates)
    assert plan.highest_rate == max(stress.rates)
    assert plan.duration == 2 + stress.seconds_each * len(stress.rates)
    assert plan.total_requests == 2 * stress.rates[0] + stress.seconds_each * sum(stress.rates)


def test_a_replay_follows_its_curve_times_its_factor(demo: Protocol) -> None:
    """The highest rate, the length and the number of requests are those of the curve; the warm-up begins at its first rate."""
    plan = from_demo(demo, Scenario.REPLAY, profile=with_replay(demo))
    assert (plan.highest_rate, plan.measured_seconds, plan.warmup_seconds) == (60, 10, 2)
    assert plan.measured_requests == 2 * (4 * 20 + 6 * 17.5)
    assert plan.warmup_requests == 20 // 2 + 20


def test_a_profile_without_a_curve_has_no_replay(demo: Protocol) -> None:
    """It is an error, not an empty test."""
    with pytest.raises(LoadError) as caught:
        from_demo(demo, Scenario.REPLAY)
    assert caught.value.code == "LOD-106"


def test_a_replay_above_the_bounds_is_refused(demo: Protocol) -> None:
    """Its highest point counts, not its mean."""
    with pytest.raises(LoadError) as caught:
        from_demo(demo, Scenario.REPLAY, profile=with_replay(demo), load=replace(demo.load, max_rate=59))
    assert caught.value.code == "LOD-112"


def test_blocks_that_are_compared_have_no_ramp(demo: Protocol) -> None:
    """Their warm-up is their own."""
    assert from_demo(demo, Scenario.MEASUREMENT, profile=with_replay(demo)).ramp_seconds == 0


def test_another_seed_is_another_plan(demo: Protocol) -> None:
    """The digest covers every number."""
    assert from_demo(demo, Scenario.PEAK).digest != from_demo(demo, Scenario.PEAK, seed=2).digest


def test_production_is_never_load_tested(demo: Protocol) -> None:
    """Whatever else is right about the plan."""
    with pytest.raises(LoadError) as caught:
        from_demo(demo, Scenario.PEAK, environment=replace(demo.environment, production=True))
    assert caught.value.code == "LOD-105"


@pytest.mark.parametrize(("field", "value", "code"), [("max_rate", 79, "LOD-112"), ("max_duration_seconds", 17, "LOD-113")])
def test_a_plan_stays_within_the_bounds_of_the_protocol(demo: Protocol, field: str, value: float, code: str) -> None:
    """The whole test counts, with its warm-up."""
    with pytest.raises(LoadError) as caught:
        from_demo(demo, Scenario.STRESS, load=replace(demo.load, **{field: value}))
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"stages": ()}, "LOD-111"),
        ({"stages": (Stage(0, 5),)}, "LOD-111"),
        ({"stages": (Stage(5, float("inf")),)}, "LOD-111"),
        ({"stages": (Stage(float("nan"), 5),)}, "LOD-111"),
        ({"stages": (Stage(10, 4, ((0, 5), (4, 9))),)}, "LOD-111"),
        ({"stages": (Stage(10, 5, ((0, 5), (4, 10))),)}, "LOD-111"),
        ({"stages": (Stage(10, 4, ((1, 5), (4, 10))),)}, "LOD-111"),
        ({"stages": (Stage(10, 4, ((0, -5), (4, 10))),)}, "LOD-111"),
        ({"stages": (Stage(0, 4, ((0, 0), (4, 0))),)}, "LOD-111"),
        ({"ramp_seconds": 1.5}, "LOD-114"),
        ({"ramp_seconds": float("nan")}, "LOD-114"),
        ({"warmup_seconds": -1}, "LOD-114"),
        ({"seed": -1}, "LOD-114"),
        ({"stages": (Stage(1e6, 1e6),)}, "LOD-115"),
        ({"max_in_flight": 0}, "LOD-116"),
        ({"max_in_flight": 100_000}, "LOD-116"),
        ({"timeout_seconds": 0}, "LOD-116"),
        ({"abort": Abort(0, 100, 5)}, "LOD-117"),
        ({"abort": Abort(101, 100, 5)}, "LOD-117"),
        ({"abort": Abort(50, float("inf"), 5)}, "LOD-117"),
        ({"abort": Abort(50, 100, 0)}, "LOD-117"),
        ({"environment": ""}, "LOD-118"),
        ({"build_path": "build"}, "LOD-118"),
        ({"build_path": "//elsewhere.test/build"}, "LOD-118"),
        ({"transactions": ()}, "LOD-118"),
        ({"transactions": (Transaction("a", "POST", "/", 1),)}, "LOD-118"),
        ({"transactions": (Transaction("a", "DELETE", "/", 1, body=""),)}, "LOD-118"),
        ({"transactions": (Transaction("a", "GET", "/", 1, headers={"Host": "elsewhere.test"}),)}, "LOD-118"),
        ({"transactions": (Transaction("a", "GET", "/", 1, headers={"Accept": "a\r\nHost: elsewhere.test"}),)}, "LOD-118"),
        ({"transactions": (Transaction("a", "GET", "//elsewhere.test/", 1),)}, "LOD-118"),
        ({"transactions": (Transaction("a", "GET", "/\r\nHost: elsewhere", 1),)}, "LOD-118"),
        ({"transactions": (Transaction("a", "GET", "/{id}", 1),)}, "LOD-118"),
        ({"transactions": (Transaction("a", "GET", "/", 1, parameters={"id": Span(1, 2)}),)}, "LOD-118"),
        ({"transactions": (Transaction("a", "GET", "/{id}", 1, parameters={"id": Span(2, 1)}),)}, "LOD-118"),
        ({"schema_version": 2}, "LOD-119"),
        ({"port": 8002}, "LOD-103"),
        ({"host": "elsewhere.test"}, "LOD-102"),
        ({"host": "2130706433"}, "LOD-101"),
    ],
)
def test_an_unbounded_or_misdirected_plan_is_refused(plan: LoadPlan, changes: dict[str, Any], code: str) -> None:
    """Each bound has its own error."""
    with pytest.raises(LoadError) as caught:
        check_plan(replace(plan, **changes), where="plan")
    assert caught.value.code == code


def test_a_document_without_a_stop_condition_is_refused(plan: LoadPlan) -> None:
    """And so is one with a key that nobody reads."""
    document = plan.document()
    del document["abort"]
    with pytest.raises(LoadError, match="abort"):
        LoadPlan.from_document(document)
    with pytest.raises(LoadError, match="unknown key"):
        LoadPlan.from_document({**plan.document(), "follow_redirects": True})
