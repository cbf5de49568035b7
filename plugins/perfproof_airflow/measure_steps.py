"""The measured blocks of phase 3: baseline and candidate interleaved, or one after the other where there is one endpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from perfproof.config import Service
from perfproof.errors import LoadError
from perfproof.load.authorization import Authorization
from perfproof.load.blocks import Side, summarise_block
from perfproof.load.plan import Scenario, plan_for
from perfproof.load.rows import read_rows
from perfproof_airflow.cycle import Cycle
from perfproof_airflow.hooks.endpoint import EndpointHook
from perfproof_airflow.load_steps import authorization, endpoint_of, seed_of, send, target_lock, target_service

MEASUREMENT = "evidence/measurement.json"
BEFORE = "evidence/measurement-before.json"


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

    def build(self, side: str) -> str:
        """The build that answers on a side."""
        return self._hook(side).build().build

    def _hook(self, side: str) -> EndpointHook:
        return EndpointHook(endpoint_of(self.service, side), environment=self.cycle.protocol.environment.name)

    def block(self, side: str, order: int) -> dict[str, Any]:
        """One block of load on a side, with what the endpoint's own metrics say before and after it."""
        cycle, endpoint = self.cycle, endpoint_of(self.service, side)
        plan = plan_for(
            Scenario.MEASUREMENT,
            service=self.service,
            endpoint=endpoint,
            environment=cycle.protocol.environment,
            profile=cycle.profile,
            load=cycle.protocol.load,
            # Both blocks of a pair send the same requests at the same moments.
            seed=seed_of(cycle, "block", order // 2),
        )
        hook = self._hook(side)
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
        after = {side: self.build(side) for side in builds}
        if after != builds:
            raise LoadError(
                403,
                where=self.service.name,
                what="a build changed while it was measured",
                got=after,
                expected=builds,
                fix="clear this task",
            )
        return blocks, builds

    def document(self, blocks: Sequence[Mapping[str, Any]], builds: Mapping[str, str], *, interleaved: bool) -> dict[str, Any]:
        """`evidence/measurement.json` (CONTRIBUTING, "Shapes")."""
        measurement = self.cycle.profile.measurement
        return {
            "service": self.service.name,
            "builds": dict(builds),
            "interleaved": interleaved,
            "started_at": blocks[0]["started_at"],
            "rate": measurement.rate,
            "block_seconds": measurement.block_seconds,
            "blocks": [dict(block) for block in blocks],
        }


def measure_before(cycle: Cycle) -> dict[str, Any] | None:
    """Publishes the baseline's blocks before anything is deployed, if there is one endpoint only; None if there are two."""
    measuring = Measuring.of(cycle)
    if measuring.service.endpoints.candidate is not None:
        return None

    def produce() -> dict[str, Any]:
        blocks, builds = measuring.sides(["baseline"] * cycle.profile.measurement.blocks)
        return measuring.document(blocks, builds, interleaved=False)

    return cycle.publish(BEFORE, produce)


def measure_candidate(cycle: Cycle, *, inputs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Publishes the blocks of both sides: ABBA where both can be reached, so that drift falls on both alike."""
    measuring = Measuring.of(cycle)
    count = cycle.profile.measurement.blocks
    sequential = measuring.service.endpoints.candidate is None

    def interleaved() -> dict[str, Any]:
        blocks, builds = measuring.sides([side for pair in range(count) for side in _pair(pair)])
        return measuring.document(blocks, builds, interleaved=True)

    def one_after_the_other() -> dict[str, Any]:
        before = cycle.document(BEFORE)
        blocks, builds = measuring.sides(["candidate"] * count, first=count)
        return measuring.document([*before["blocks"], *blocks], {**before["builds"], **builds}, interleaved=False)

    cited = [*inputs, cycle.reference(BEFORE)] if sequential else list(inputs)
    return cycle.publish(MEASUREMENT, one_after_the_other if sequential else interleaved, inputs=cited)


def _pair(number: int) -> tuple[str, str]:
    return ("baseline", "candidate") if number % 2 == 0 else ("candidate", "baseline")
