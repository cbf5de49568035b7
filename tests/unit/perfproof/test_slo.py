"""SLO proposals: never tighter than measured, rounded to numbers people use, and bound to who approved."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from perfproof.config import Protocol, load_protocol
from perfproof.errors import ArtifactError
from perfproof.slo import headroom, nice_down, nice_up, propose_updates, slo_update_record, upper_bound_of_median
from perfproof.slos.captured import MetricHistory

NOW = datetime(2025, 2, 16, 17, 0, tzinfo=UTC)
DEMO = Path(__file__).parents[3] / "include" / "protocols" / "demo.yaml"
REF = {"name": "optimization-validation-report.json", "sha256": "a" * 64}


@pytest.fixture(scope="module")
def protocol() -> Protocol:
    return load_protocol(DEMO.read_bytes(), where="demo.yaml")


def validation(percentage: float = 28.9) -> dict[str, object]:
    return {"target_metric": "orders_latency_p95", "improvement": {"percentage": percentage}}


def test_the_sample_of_the_specification_is_rounded_up_to_350() -> None:
    """320 ms measured with 5 % headroom is 336 ms, and 350 ms is the next round number."""
    assert nice_up(320 * 1.05) == 350


@pytest.mark.parametrize(("value", "up", "down"), [(100, 100, 100), (101, 120, 100), (0.034, 0.035, 0.03), (9.5, 10, 9), (1.0, 1, 1)])
def test_round_numbers_bound_the_value_from_both_sides(value: float, up: float, down: float) -> None:
    """nice_up is at or above, nice_down at or below, and a round number is itself."""
    assert (nice_up(value), nice_down(value)) == (up, down)


@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf])
def test_what_is_no_positive_number_is_not_rounded(value: float) -> None:
    """A target cannot come from nothing."""
    with pytest.raises(ArtifactError, match="ART-401"):
        nice_up(value)


def test_headroom_is_five_percent_or_twice_the_variation() -> None:
    """Constant blocks get 5 %; blocks with CV 10 % get 20 %."""
    assert headroom([100, 100, 100, 100]) == 0.05
    assert headroom([90, 110, 90, 110, 100]) == pytest.approx(2 * 10 / 100, abs=0.01)


def test_the_upper_bound_covers_the_median_in_95_of_100_cases() -> None:
    """Oracle: samples of a known distribution; the bound is above its median at least 95 % of the time (n >= 5)."""
    generator = random.Random(7)
    covered = 0
    for _ in range(4000):
        blocks = [generator.lognormvariate(0, 0.3) for _ in range(8)]
        covered += upper_bound_of_median(blocks) >= 1.0
    assert covered / 4000 >= 0.95


def test_a_better_measurement_tightens_the_target(protocol: Protocol) -> None:
    """250 ms become the rounded bound of the blocks, with alert thresholds and the escalation policy."""
    proposal = propose_updates(
        validation=validation(), validation_ref=REF, candidate_blocks=[50, 52, 51, 53, 50, 52], service=protocol.service("shop"), now=NOW
    )
    update = proposal["updates"][0]
    assert (update["previous_target"], update["new_target"]) == ("250ms", "60ms")
    assert update["justification"] == "Optimization achieved 28.9% improvement"
    assert update["alert_thresholds"] and update["escalation_policy"].startswith("Page the SRE lead")
    assert proposal["validation"] == REF


def test_a_target_is_not_loosened_by_a_measurement(protocol: Protocol) -> None:
    """A candidate that does not support a tighter target confirms the one in force, and says so."""
    proposal = propose_updates(
        validation=validation(), validation_ref=REF, candidate_blocks=[400, 410, 420, 430], service=protocol.service("shop"), now=NOW
    )
    assert proposal["updates"][0]["new_target"] == "250ms"
    assert "confirmed" in proposal["updates"][0]["justification"]


def test_too_few_blocks_support_no_target(protocol: Protocol) -> None:
    """Three blocks bound nothing with 95 %."""
    with pytest.raises(ArtifactError, match="ART-403"):
        propose_updates(validation=validation(), validation_ref=REF, candidate_blocks=[1, 2, 3], service=protocol.service("shop"), now=NOW)


def approval(role: str, person: str) -> dict[str, object]:
    return {
        "role": role, "decision": "approve", "person": {"id": person, "name": f"{person} (demo account)"},
        "decided_at": "2025-02-16T16:45:00Z",
        "request_id": "r", "channel": "mark", "record_sha256": "b" * 64,
    }  # fmt: skip


def test_the_record_counts_only_the_roles_that_approved(protocol: Protocol) -> None:
    """One of two roles is 50 % and pending; both are 100 % and approved."""
    proposal = propose_updates(
        validation=validation(), validation_ref=REF, candidate_blocks=[50, 52, 51, 53], service=protocol.service("shop"), now=NOW
    )
    required = ("product_owner", "sre_lead")
    arguments = {"proposal": proposal, "proposal_ref": REF, "required": required, "roles": protocol.roles, "now": NOW}
    half = slo_update_record(approvals=[approval("product_owner", "demo-owner")], **arguments)
    assert (half["approval_status"], half["approval_percentage"]) == ("pending", 50)
    assert half["updates"][0]["approvers"][1]["approval_status"] == "pending"
    both = slo_update_record(approvals=[approval("product_owner", "demo-owner"), approval("sre_lead", "demo-sre")], **arguments)
    assert (both["approval_status"], both["approval_percentage"]) == ("approved", 100)
    assert both["updates"][0]["approvers"][1]["person_id"] == "demo-sre"


def proposal(protocol: Protocol, metric: str, blocks: list[float], percentage: float | None = 28.9) -> dict[str, object]:
    """The first update of a proposal for that metric of the demo shop."""
    told = {"target_metric": metric, "improvement": {"percentage": percentage}}
    updates = propose_updates(validation=told, validation_ref=REF, candidate_blocks=blocks, service=protocol.service("shop"), now=NOW)[
        "updates"
    ]
    assert len(updates) == 1
    return dict(updates[0])


def test_a_first_objective_is_called_a_first_one(protocol: Protocol) -> None:
    """In both directions: nothing was in force, so nothing is confirmed; the unit is written as people write it."""
    lower = proposal(protocol, "orders_latency_p99", [50, 52, 51, 53])
    higher = proposal(protocol, "throughput", [95, 96, 97, 98])
    assert (lower["previous_target"], lower["new_target"]) == ("none", "60ms")
    assert (higher["previous_target"], higher["new_target"]) == ("none", "90 req/s")
    for update in (lower, higher):
        assert "the first" in str(update["justification"]) and "confirmed" not in str(update["justification"])


@pytest.mark.parametrize(
    ("percentage", "words"),
    [(-6.7, "Optimization made it 6.7% worse"), (None, "The improvement is unknown"), (0.0, "Optimization achieved no")],
)
def test_a_justification_claims_no_improvement_that_was_not_measured(protocol: Protocol, percentage: float | None, words: str) -> None:
    """A waived gate leads here with any figure."""
    assert str(proposal(protocol, "orders_latency_p95", [50, 52, 51, 53], percentage)["justification"]).startswith(words)


def test_a_bound_of_zero_tightens_nothing(protocol: Protocol) -> None:
    """No errors at all support no target of zero: without an SLO in force there is nothing to propose."""
    with pytest.raises(ArtifactError, match="ART-405"):
        proposal(protocol, "error_rate", [0, 0, 0, 0])
    assert "confirmed" in str(proposal(protocol, "orders_latency_p95", [0, 0, 0, 0])["justification"])


@pytest.mark.parametrize("bad", [math.nan, math.inf, -1.0])
def test_what_is_no_measurement_supports_no_target(protocol: Protocol, bad: float) -> None:
    """One such block refuses the proposal."""
    with pytest.raises(ArtifactError, match="ART-404"):
        proposal(protocol, "orders_latency_p95", [50, 52, 51, bad])


@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf])
def test_rounding_down_needs_a_positive_number_too(value: float) -> None:
    """An error of this package, not of the math module."""
    with pytest.raises(ArtifactError, match="ART-401"):
        nice_down(value)


def test_a_metric_that_varies_from_day_to_day_gets_more_headroom(protocol: Protocol) -> None:
    """Blocks are minutes of one day: twice the variation of the daily values, where captures show it, counts if it is more."""
    days = MetricHistory(
        tuple(86_400.0 * day for day in range(1, 11)), tuple(90.0 if day % 2 else 110.0 for day in range(10)), 86_400.0, 0, {"captures": 10}
    )
    steady, moving = (
        propose_updates(
            validation=validation(), validation_ref=REF, candidate_blocks=[50, 50, 50, 50], service=protocol.service("shop"), now=NOW,
            history=history,
        )["updates"][0]
        for history in (None, days)
    )  # fmt: skip
    assert (steady["headroom_percent"], steady["new_value"]) == (5.0, 60)
    assert moving["headroom_percent"] == pytest.approx(21.1, abs=0.1) and moving["new_value"] == 70


def test_a_query_that_cannot_be_wrapped_stops_no_proposal(protocol: Protocol) -> None:
    """The alerts are said to be undefined, and why; the target stands."""
    shop = protocol.service("shop")
    broken = replace(shop, metrics=tuple(replace(m, query="up) or (up") for m in shop.metrics))
    (update,) = propose_updates(validation=validation(), validation_ref=REF, candidate_blocks=[50, 52, 51, 53], service=broken, now=NOW)[
        "updates"
    ]
    assert update["new_target"] == "60ms" and "objective" not in update
    assert "ART-572" in update["burn_rate_alerts"]["left_out"][0] and update["back_test"]["status"] == "not shown"
