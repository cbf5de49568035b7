"""What the preview says of load is what is authorized and what is sent."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from perfproof.config import Protocol, load_protocol
from perfproof.load.authorization import check_authorized, read_authorization
from perfproof.load.journeys import JourneyPlan
from perfproof.parameters import read_parameters
from perfproof.preview import preview
from perfproof.preview.load_sent import load_of_round

DEMO = Path(__file__).parents[4] / "include" / "protocols" / "demo.yaml"
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def read(change: Callable[[dict[str, Any]], None]) -> Protocol:
    """The demo's protocol after `change`."""
    document = yaml.safe_load(DEMO.read_text(encoding="utf-8"))
    change(document)
    return load_protocol(yaml.safe_dump(document).encode(), where="demo.yaml")


def nothing(document: dict[str, Any]) -> None:
    """The file as it is shipped."""


def second_service(document: dict[str, Any]) -> None:
    """A service beside the shop, on the same targets."""
    document["services"].append({**copy.deepcopy(document["services"][0]), "name": "stock"})


def everything(document: dict[str, Any]) -> None:
    """Two services, a ramp, a replay and journeys, and steps that do not divide the budget."""
    second_service(document)
    profile = document["load"]["profiles"]["demo"]
    profile["peak"] |= {"ramp_seconds": 1}
    profile["replay"] = {"curve": [[0, 5], [10, 20]], "factor": 1.5}
    profile["measurement"] |= {"blocks": 5, "step_blocks": 3, "max_blocks": 12}
    profile["journeys"] = {
        "file": "journeys/shop.py", "sha256": "0" * 64, "users": 10, "spawn_rate": 5, "seconds": 10, "max_rate": 50,
    }  # fmt: skip


def one_endpoint(document: dict[str, Any]) -> None:
    """No candidate beside the baseline."""
    del document["services"][0]["endpoints"]["candidate"]


CHANGES = [nothing, second_service, everything, one_endpoint]


def load_of(protocol: Protocol, **raw: Any) -> dict[str, Any]:
    parameters = read_parameters({"protocol": "demo", **raw}, protocol)
    found: dict[str, Any] = preview(protocol, parameters, requester=None, now=NOW)["load"]
    return found


@pytest.mark.parametrize("change", [nothing, second_service, everything])
def test_the_tests_add_up_to_what_the_profile_and_the_sre_lead_are_told(change: Callable[..., None]) -> None:
    """The sum over plans, counted one by one, is the bound that the protocol file is checked with and that people sign."""
    load = load_of(read(change))
    assert {key: load["at_most"][key] for key in ("tests", "seconds")} == load["authorized"]
    told = re.match(r"at most (\d+) in one round", load["authorization"]["planned"]["tests"])
    assert told is not None
    assert int(told[1]) == load["at_most"]["tests"]


@pytest.mark.parametrize("change", CHANGES)
def test_no_test_is_beyond_what_is_authorized(change: Callable[..., None]) -> None:
    """Every plan of the preview passes the check that a run makes before it sends it, up to the last."""
    protocol = read(change)
    sent = load_of_round(protocol, read_parameters({"protocol": "demo"}, protocol))
    authorization = read_authorization(load_of(protocol)["authorization"])
    tests = [test.plan for test in sent.tests for _ in range(test.times_at_most)]
    for number, plan in enumerate(tests):
        check_authorized(plan, authorization=authorization, tests_so_far=number, now=NOW)
    assert not sent.refused
    assert max(plan.highest_rate for plan in tests) == authorization.max_rate
    assert max(plan.duration for plan in tests) == pytest.approx(authorization.max_duration_seconds)


def test_the_figures_of_the_demo_are_those_counted_by_hand() -> None:
    """Peak of 30 requests/s for 2 + 15 s four times, 315 requests/s of steps for 3 s, and so on."""
    load = load_of(read(nothing))
    peaks, stress, failure, block = 4 * 30 * 17, 3 * (20 + 35 + 50 + 60 + 70 + 80) + 2 * 20, 20 * 12, 25 * 7
    assert load["expected"] == {"tests": 22, "seconds": 4 * 17 + 20 + 12 + 16 * 7, "requests": peaks + stress + failure + 16 * block}
    assert load["at_most"] == {"tests": 54, "seconds": 4 * 17 + 20 + 12 + 48 * 7, "requests": peaks + stress + failure + 48 * block}
    assert load["looks"] == [8, 16, 24]
    assert load["rounds_authorized"] == 4
    assert load["left_for_people_seconds"] == 24 * 3600 - load["at_most"]["seconds"]


def test_journeys_are_bounded_by_their_rate() -> None:
    """Users wait for answers, so there is no number of requests, only the most that there can be."""
    protocol = read(everything)
    sent = load_of_round(protocol, read_parameters({"protocol": "demo"}, protocol))
    journeys = [test for test in sent.tests if isinstance(test.plan, JourneyPlan)]
    assert [test.requests for test in journeys] == [50 * (10 + 2)]
    assert "a bound" in journeys[0].about


def test_each_service_is_profiled_twice_and_only_the_chosen_ones() -> None:
    """The authorization of a cycle about one service does not count the other."""
    protocol = read(second_service)
    both, one = load_of(protocol), load_of(protocol, services=["stock"])
    assert both["at_most"]["tests"] == one["at_most"]["tests"] + 2
    assert {test["service"] for test in one["tests"]} == {"stock"}


def test_with_one_endpoint_the_sides_are_measured_one_after_the_other() -> None:
    """One look: the baseline's blocks before the deployment, the candidate's after it, and fresh ones of the candidate at most."""
    load = load_of(read(one_endpoint))
    blocks = [test for test in load["tests"] if test["scenario"] == "measurement"]
    assert [(b["task"], b["times"], b["times_at_most"]) for b in blocks] == [
        ("optimization.measure_before_implementation", 8, 8),
        ("optimization.measure_blocks", 8, 16),
    ]
    assert {b["target"] for b in blocks} == {"127.0.0.1:18101"}
    assert load["looks"] == [8]
    assert load["at_most"]["tests"] <= load["authorized"]["tests"]


def test_a_production_environment_is_told_and_nothing_is_planned() -> None:
    """The run would halt at the first test."""
    protocol = read(lambda document: document["environment"].update(production=True))
    document = preview(protocol, read_parameters({"protocol": "demo"}, protocol), requester=None, now=NOW)
    assert document["load"]["tests"] == []
    assert [m["reason"] for m in document["missing"] if m["kind"] == "environment"] == ["a production environment is not load-tested"]
    assert document["status"] == "incomplete"
