"""The measured blocks of phase 3: baseline and candidate interleaved, or one after the other where there is one endpoint.

Interleaved blocks are looked at while they are measured: more are sent, as far as authorized, until the verdict is decided.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from perfproof.config import Service
from perfproof.errors import LoadError, PerfproofError
from perfproof.evidence import EntryType
from perfproof.judging.looks import Course, follow
from perfproof.judging.measured_blocks import locate, read_blocks
from perfproof.judging.question import Question
from perfproof.judging.sequential import Confirm, Design, Measure, Step, Stop, design_of
from perfproof.load.authorization import Authorization, why_no_room
from perfproof.load.blocks import Side, summarise_block
from perfproof.load.plan import LoadPlan, Scenario, plan_for
from perfproof.load.rows import read_rows
from perfproof_airflow.cycle import Cycle, now
from perfproof_airflow.hooks.endpoint import EndpointHook
from perfproof_airflow.load_steps import authorization, endpoint_of, seed_of, send, target_lock, target_service

log = logging.getLogger(__name__)
MEASUREMENT = "evidence/measurement.json"
BEFORE = "evidence/measurement-before.json"
# What a block takes beside its load: starting the generator, two scrapes, keeping the rows. Measured below 2 s.
PAUSE_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Measuring:
    """What every block of a cycle shares."""

    cycle: Cycle
    service: Service
    allowed: Authorization

    @classmethod
    def of(cls, cycle: Cycle) -> Measuring:
        """For the service whose metric is the target, as far as the SRE lead authorized it."""
        return cls(cycle, target_service(cycle), authorization(cycle))

    @property
    def design(self) -> Design:
        """When the blocks are looked at, and how many there may be."""
        alone = self.service.endpoints.candidate is None
        return design_of(self.cycle.profile.measurement, confidence=self.cycle.protocol.judge.confidence, one_endpoint=alone)

    def build(self, side: str) -> str:
        """The build that answers on a side."""
        return self._hook(side).build().build

    def _hook(self, side: str) -> EndpointHook:
        return EndpointHook(endpoint_of(self.service, side), environment=self.cycle.protocol.environment.name)

    def plan(self, side: str, order: int) -> LoadPlan:
        """What one block sends. Both blocks of a pair send the same requests at the same moments."""
        cycle = self.cycle
        return plan_for(
            Scenario.MEASUREMENT,
            service=self.service,
            endpoint=endpoint_of(self.service, side),
            environment=cycle.protocol.environment,
            profile=cycle.profile,
            load=cycle.protocol.load,
            seed=seed_of(cycle, "block", order // 2),
        )

    def block(self, side: str, order: int) -> dict[str, Any]:
        """One block of load on a side, with what the endpoint's own metrics say before and after it."""
        cycle, endpoint, plan, hook = self.cycle, endpoint_of(self.service, side), self.plan(side, order), self._hook(side)
        with target_lock(endpoint):
            before = hook.scrape()
            run = send(cycle, plan, allowed=self.allowed, endpoint=endpoint)
            after = hook.scrape()
        rows = cycle.publish(f"evidence/block-{order:02d}-{side}-rows.csv.gz", lambda: run.rows, per_try=True)
        return summarise_block(
            read_rows(run.rows, where=f"block {order}"),
            plan=plan,
            summary=run.summary,
            metrics_before=before,
            metrics_after=after,
            guards=self.service.guards,
            side=Side(side),
            order=order,
            rows_reference=cycle.source(rows),
        )

    def sides(self, order: Sequence[str], *, first: int = 0) -> tuple[list[dict[str, Any]], dict[str, str]]:
        """The blocks in this order, and the builds they were sent to. Raises LoadError if a build changed meanwhile."""
        builds = {side: self.build(side) for side in dict.fromkeys(order)}
        blocks = [self.block(side, number) for number, side in enumerate(order, start=first)]
        self.require_builds(builds, {side: self.build(side) for side in builds})
        return blocks, builds

    def require_builds(self, expected: Mapping[str, str], found: Mapping[str, str]) -> None:
        """Raises LoadError unless the builds are still the same."""
        if found != expected:
            raise LoadError(
                403,
                where=self.service.name,
                what="a build changed while it was measured",
                got=dict(found),
                expected=dict(expected),
                fix="clear this task",
            )

    def refusal(self, step: Measure | Confirm, sent: int) -> str | None:
        """Why the authorization has no room for `step`, or None."""
        started = len(self.cycle.store.of_type(EntryType.LOADTEST_STARTED))
        tests = 2 * step.blocks
        return why_no_room(
            self.plan("candidate", sent),
            authorization=self.allowed,
            tests=tests,
            pause_seconds=PAUSE_SECONDS,
            tests_so_far=started,
            now=now(),
        )

    def question(self) -> Question:
        """What the blocks are asked, exactly as the validation asks them."""
        protocol, seconds = self.cycle.protocol, self.cycle.profile.measurement.block_seconds
        target = locate(self.cycle.parameters.target_metric, self.service)
        return Question(self.service, target, protocol.thresholds, protocol.judge, seconds)


@dataclass(slots=True)
class Measured:
    """The blocks so far, and what was decided at each look."""

    measuring: Measuring
    interleaved: bool
    blocks: list[dict[str, Any]] = field(default_factory=list)
    builds: dict[str, str] = field(default_factory=dict)
    looks: list[dict[str, Any]] = field(default_factory=list)

    def add(self, order: Sequence[str], *, look: int, confirmation: bool) -> None:
        """Measures the sides in this order. Raises LoadError if a build is another than at the first block."""
        blocks, builds = self.measuring.sides(order, first=len(self.blocks))
        known = {side: self.builds.get(side, build) for side, build in builds.items()}
        self.measuring.require_builds(known, builds)
        self.builds |= builds
        self.take(blocks, look=look, confirmation=confirmation)

    def take(self, blocks: Sequence[Mapping[str, Any]], *, look: int, confirmation: bool = False) -> None:
        """Adds blocks that were measured for this look."""
        self.blocks += [{**block, "look": look, "confirmation": confirmation} for block in blocks]

    def look(self) -> Step:
        """Looks at everything measured so far, says in the task log what was found, and returns what follows."""
        try:
            design = self.measuring.design
            course = follow(design, read_blocks({"blocks": self.blocks}, where=MEASUREMENT), self.measuring.question(), where=MEASUREMENT)
        except PerfproofError as error:
            # The validation halts with the same line; until then nothing more is sent.
            log.warning("the blocks cannot be judged: %s", error)
            self.looks.append({"next": "stop", "reason": f"the blocks cannot be judged: {error}"})
            return Stop(str(error))
        step = self._within_bounds(course.step)
        entry = course.decisions[-1].document()
        if isinstance(step, Stop):
            entry |= {"next": "stop", "more_blocks": 0, "reason": step.reason}
        self.looks.append(entry)
        for line in in_words(course, step):
            log.info("%s", line)
        return step

    def _within_bounds(self, step: Step) -> Step:
        if isinstance(step, Stop):
            return step
        if len(self.builds) == len(Side) and len(set(self.builds.values())) == 1:
            return Stop("both sides answer with the same build")
        refusal = self.measuring.refusal(step, len(self.blocks))
        return Stop(f"{step.reason}, and {refusal}") if refusal else step

    def document(self) -> dict[str, Any]:
        """`evidence/measurement.json` (CONTRIBUTING, "Shapes")."""
        measurement = self.measuring.cycle.profile.measurement
        return {
            "service": self.measuring.service.name,
            "builds": dict(self.builds),
            "interleaved": self.interleaved,
            "started_at": self.blocks[0]["started_at"],
            "rate": measurement.rate,
            "block_seconds": measurement.block_seconds,
            "design": self.measuring.design.document(),
            "looks": self.looks,
            "blocks": self.blocks,
        }


def in_words(course: Course, step: Step) -> list[str]:
    """What one look found and what follows, for the task log."""
    decision = course.decisions[-1]
    target = decision.answer.target
    fresh = f" and {decision.confirmation} fresh ones" if decision.confirmation else ""
    found = [
        f"look {decision.look} at {decision.blocks} blocks a side{fresh}, at {100 * decision.confidence:.4g} %:",
        f"  target {target.metric} is {target.label}: {target.reason}",
        *(f"  guard {g.metric} is {decision.states[g.metric]}: {g.reason}" for g in decision.answer.guards if g.metric in decision.states),
    ]
    follows = {Measure: "measures {} more blocks a side", Confirm: "measures {} fresh blocks a side"}.get(type(step), "measures no more")
    return [*found, f"  {follows.format(getattr(step, 'blocks', 0))}: {step.reason}"]


def measure_before(cycle: Cycle) -> dict[str, Any] | None:
    """Publishes the baseline's blocks before anything is deployed, if there is one endpoint only; None if there are two."""
    measuring = Measuring.of(cycle)
    if measuring.service.endpoints.candidate is not None:
        return None

    def produce() -> dict[str, Any]:
        measured = Measured(measuring, interleaved=False)
        measured.add(["baseline"] * measuring.design.first, look=1, confirmation=False)
        return measured.document()

    return cycle.publish(BEFORE, produce)


def measure_candidate(cycle: Cycle, *, inputs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Publishes the blocks of both sides: ABBA where both can be reached, so that drift falls on both alike, until it is decided."""
    measuring = Measuring.of(cycle)
    if measuring.service.endpoints.candidate is not None:
        return cycle.publish(MEASUREMENT, lambda: until_decided(measuring), inputs=inputs)
    return cycle.publish(
        MEASUREMENT, lambda: until_decided(measuring, before=cycle.document(BEFORE)), inputs=[*inputs, cycle.reference(BEFORE)]
    )


def until_decided(measuring: Measuring, *, before: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The measurement's document. `before` holds the baseline's blocks if there is one endpoint, which is the candidate now."""
    measured = Measured(measuring, interleaved=before is None)
    if before is not None:
        log.info("one endpoint: the baseline cannot be measured again, so there is one look")
        measured.take(before["blocks"], look=1)
        measured.builds = {"baseline": before["builds"]["baseline"]}
    look = 1
    step: Step = Measure(measuring.design.first, "the first look")
    while not isinstance(step, Stop):
        done = len(measured.blocks) // 2
        pairs = [side for pair in range(done, done + step.blocks) for side in _pair(pair)]
        order = pairs if before is None else ["candidate"] * step.blocks
        measured.add(order, look=look, confirmation=isinstance(step, Confirm))
        step = measured.look()
        look += isinstance(step, Measure)
    return measured.document()


def _pair(number: int) -> tuple[str, str]:
    return ("baseline", "candidate") if number % 2 == 0 else ("candidate", "baseline")
