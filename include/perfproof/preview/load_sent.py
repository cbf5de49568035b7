"""Every load test that one round of a run sends, from the very plans that are sent, and what the SRE lead authorizes of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from perfproof.config import Endpoint, Failure, LoadProfile, Protocol, Service
from perfproof.errors import LoadError
from perfproof.judging.sequential import Design, design_of
from perfproof.load.authorization import authorization_of
from perfproof.load.journeys import JourneyPlan, journey_plan_for
from perfproof.load.plan import LoadPlan, Scenario, plan_for
from perfproof.parameters import Parameters
from perfproof.preview.subject import candidate_of, chosen_services, target_service

# No figure of a plan depends on it.
SEED = 0
PROFILING, LOAD_TESTS = "diagnostics.profile_transactions", "diagnostics.run_load_tests"
BEFORE, RERUN = "optimization.measure_before_implementation", "optimization.rerun_load_tests"
BLOCKS, COMPARED = "optimization.measure_blocks", "optimization.compare_profiles"
SECONDS_PER_HOUR = 3600


@dataclass(frozen=True, slots=True)
class Sent:
    """One plan and how often a round sends it: `times` if the first look at the blocks decides, `times_at_most` with all of them."""

    phase: int
    task: str
    service: str
    plan: LoadPlan | JourneyPlan
    times: int
    times_at_most: int
    about: str

    @property
    def requests(self) -> int:
        """Requests of one test, warm-up included; of journeys the most that their rate allows."""
        if isinstance(self.plan, JourneyPlan):
            return math.ceil(self.plan.max_rate * self.plan.duration)
        return self.plan.total_requests

    def document(self) -> dict[str, Any]:
        """One row of `load.tests`."""
        plan = self.plan
        return {
            "phase": self.phase,
            "task": self.task,
            "scenario": plan.scenario.value,
            "service": self.service,
            "target": f"{plan.host}:{plan.port}",
            "rates": [plan.max_rate] if isinstance(plan, JourneyPlan) else [stage.rate for stage in plan.stages],
            "highest_rate": plan.highest_rate,
            "warmup_seconds": round(plan.warmup_seconds, 3),
            "measured_seconds": round(plan.measured_seconds, 3),
            "seconds": round(plan.duration, 3),
            "requests": self.requests,
            "times": self.times,
            "times_at_most": self.times_at_most,
            "about": self.about,
        }


@dataclass(frozen=True, slots=True)
class Round:
    """All tests of a round in their order; `refused` says why one of them could never be sent."""

    tests: tuple[Sent, ...]
    refused: tuple[LoadError, ...]
    design: Design

    def total(self, *, at_most: bool) -> dict[str, Any]:
        """{tests, seconds, requests} of the round."""
        counted = [(t.times_at_most if at_most else t.times, t) for t in self.tests]
        return {
            "tests": sum(times for times, _ in counted),
            "seconds": round(math.fsum(times * t.plan.duration for times, t in counted), 3),
            "requests": sum(times * t.requests for times, t in counted),
        }


def load_of_round(protocol: Protocol, parameters: Parameters) -> Round:
    """The tests of one round, in the order in which they are sent."""
    profile, service = protocol.load.profiles[parameters.load_profile], target_service(protocol, parameters)
    alone = service.endpoints.candidate is None
    design = design_of(profile.measurement, confidence=protocol.judge.confidence, one_endpoint=alone)
    tests: list[Sent] = []
    refused: list[LoadError] = []

    def plan_of(scenario: Scenario, service: Service, endpoint: Endpoint) -> LoadPlan | JourneyPlan:
        environment, load = protocol.environment, protocol.load
        if scenario is Scenario.JOURNEYS:
            return journey_plan_for(service=service, endpoint=endpoint, environment=environment, profile=profile, load=load)
        return plan_for(scenario, service=service, endpoint=endpoint, environment=environment, profile=profile, load=load, seed=SEED)

    def add(
        phase: int, task: str, scenario: Scenario, of: Service, at: Endpoint, about: str, *, times: int = 1, most: int | None = None
    ) -> None:
        try:
            plan = plan_of(scenario, of, at)
        except LoadError as error:
            refused.append(error)
            return
        tests.append(Sent(phase, task, of.name, plan, times, times if most is None else most, about))

    services = chosen_services(protocol, parameters)
    for each in services:
        add(2, PROFILING, Scenario.PEAK, each, each.endpoints.baseline, "profiled")
    for scenario in scenarios_of(profile):
        about = fault_in_words(profile.failure) if scenario is Scenario.FAILURE else ""
        about = "a bound: users wait for each answer" if scenario is Scenario.JOURNEYS else about
        add(2, LOAD_TESTS, scenario, service, service.endpoints.baseline, about)
    candidate = candidate_of(service)
    if alone:
        add(3, BEFORE, Scenario.MEASUREMENT, service, candidate, "blocks of the baseline, before the deployment", times=design.first)
    add(3, RERUN, Scenario.PEAK, service, candidate, "the candidate's peak")
    _blocks(add, service, design=design, alone=alone)
    for each in services:
        add(3, COMPARED, Scenario.PEAK, each, candidate_of(each), "profiled after the change")
    return Round(tuple(tests), tuple(refused), design)


def scenarios_of(profile: LoadProfile) -> list[Scenario]:
    """The scenarios of phase 2."""
    more = {Scenario.REPLAY: profile.replay, Scenario.JOURNEYS: profile.journeys}
    return [Scenario.PEAK, Scenario.STRESS, Scenario.FAILURE, *(s for s, asked in more.items() if asked is not None)]


def _blocks(add: Callable[..., None], service: Service, *, design: Design, alone: bool) -> None:
    if alone:
        # There is one look. A regression that it sees is measured again if the budget has room, on the candidate only.
        room = design.most - design.first >= design.confirmation
        most = design.first + (design.confirmation if room else 0)
        add(3, BLOCKS, Scenario.MEASUREMENT, service, candidate_of(service), "blocks of the candidate", times=design.first, most=most)
        return
    for side, endpoint in (("baseline", service.endpoints.baseline), ("candidate", candidate_of(service))):
        about = f"blocks of the {side}, interleaved with the other side's"
        add(3, BLOCKS, Scenario.MEASUREMENT, service, endpoint, about, times=design.first, most=design.most)


def fault_in_words(failure: Failure) -> str:
    """What the failure scenario does and when."""
    lasts = f" for {failure.fault_seconds:g} s" if failure.proxy is not None else ""
    return (
        f"{failure.fault.value} at second {failure.fault_at_second:g}{lasts}, errors must end within {failure.recover_within_seconds:g} s"
    )


def load_document(protocol: Protocol, parameters: Parameters, sent: Round, *, now: datetime) -> dict[str, Any]:
    """The part `load` of the preview. `authorized` is what one round may take at most, as the SRE lead is told."""
    profile, services = protocol.load.profiles[parameters.load_profile], len(parameters.services)
    authorized = {"tests": profile.most_tests(services=services), "seconds": round(profile.most_seconds(services=services), 3)}
    window = protocol.load.window_hours * SECONDS_PER_HOUR
    at_most = sent.total(at_most=True)
    return {
        "tests": [test.document() for test in sent.tests],
        "expected": sent.total(at_most=False),
        "at_most": at_most,
        "authorized": authorized,
        "rounds_authorized": protocol.load.max_tests // authorized["tests"],
        "looks": list(sent.design.sizes),
        "authorization": authorization_of(protocol, services=parameters.services, load_profile=parameters.load_profile, now=now),
        "window_seconds": window,
        "left_for_people_seconds": round(window - at_most["seconds"], 3),
    }


def seconds_by_task(tests: Sequence[Sent]) -> list[dict[str, Any]]:
    """{phase, what, seconds, seconds_at_most} of each task that sends load, in their order."""
    tasks = dict.fromkeys((t.phase, t.task) for t in tests)
    return [
        {
            "phase": phase,
            "what": task,
            "seconds": round(math.fsum(t.times * t.plan.duration for t in tests if t.task == task), 3),
            "seconds_at_most": round(math.fsum(t.times_at_most * t.plan.duration for t in tests if t.task == task), 3),
        }
        for phase, task in tasks
    ]
