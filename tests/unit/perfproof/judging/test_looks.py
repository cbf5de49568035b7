"""What follows from measured blocks look by look: when it stops, what is confirmed, and what no document may claim."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from perfproof.config import Endpoint, Endpoints, Guard, GuardKind, Judge, Limits, Mode, Service, Thresholds, Transaction
from perfproof.errors import ArtifactError
from perfproof.judging.sequential import Design
from perfproof.telemetry import Direction, MetricKind, MetricSpec, Unit, document_bytes
from perfproof.validation import validate_change

LOWER = Direction.LOWER
MEMORY = Guard("memory", GuardKind.GAUGE, Unit.MEBIBYTES, LOWER, margin=0.05, floor=1.0, series="memory")
SHOP = Service(
    name="shop",
    owner="somebody",
    business_impact="Customers wait.",
    critical=True,
    scaling_policy="None.",
    limits=Limits(1, 512),
    endpoints=Endpoints(Endpoint("127.0.0.1", 1, "/build", "/metrics"), Endpoint("127.0.0.1", 2, "/build", "/metrics")),
    slos=(),
    transactions=(Transaction("api", "GET", "/api", 1.0),),
    metrics=(MetricSpec("api_latency_p95", MetricKind.LATENCY, Unit.MILLISECONDS, LOWER, "prometheus", "up"),),
    guards=(MEMORY,),
)
DESIGN = Design(6, 6, 24, 0.95)
REF = {"name": "evidence/x.json", "sha256": "ab" * 32}
Document = dict[str, Any]


def document(*parts: Document, design: Design | None = DESIGN, **other: Any) -> Document:
    """A measurement of these parts, in order."""
    blocks: list[Document] = []
    for part in parts:
        blocks += [{**block, "order": len(blocks) + number} for number, block in enumerate(part["blocks"])]
    named = {"design": design.document()} if design else {}
    return {
        "service": "shop", "builds": {"baseline": "1.0", "candidate": "1.1"}, "interleaved": True, "rate": 25, "block_seconds": 6,
        "blocks": blocks, **named, **other,
    }  # fmt: skip


def part(
    look: int, count: int, *, p95: float, memory: float, noise: float = 0.02, confirmation: bool = False, sides: str = "both", seed: int = 0
) -> Document:
    """`count` blocks a side around 100 ms and 100 MiB, the candidate's around `p95` and `memory`; ABBA."""
    generator = np.random.default_rng(100 * look + 10 * confirmation + seed)
    blocks = []
    for pair in range(count):
        order = ("baseline", "candidate") if pair % 2 == 0 else ("candidate", "baseline")
        for side in order if sides == "both" else (sides,):
            new = side == "candidate"
            value = (p95 if new else 100) * float(generator.lognormal(0, noise))
            used = (memory if new else 100) * float(generator.lognormal(0, noise / 4))
            blocks.append(block(side, look, value, used, confirmation=confirmation))
    return {"blocks": blocks}


def block(side: str, look: int, p95: float, memory: float, *, confirmation: bool) -> Document:
    """One block as the measuring writes it."""
    return {
        "side": side, "look": look, "confirmation": confirmation, "started_at": "2025-02-16T10:00:00Z", "requests": 2000, "errors": 0,
        "valid": True, "invalid_reasons": [], "guards": {"memory": memory}, "rows": REF,
        "by_transaction": {"api": {"requests": 2000, "errors": 0, "p50": 10.0, "p95": p95, "p99": 90.0}},
    }  # fmt: skip


def report(measurement: Document, *, mode: Mode = Mode.PROVED) -> Document:
    """The validation report."""
    cell = {"metric_name": "api_latency_p95", "service": "shop", "value": 100, "unit": "ms", "timestamp": "2025-02-16T10:00:00Z"}
    return validate_change(
        measurement=measurement, baseline_document={"cells": [cell]}, baseline_ref=REF, plan_ref=REF, measurement_ref=REF, service=SHOP,
        target_metric="api_latency_p95", optimization_ids=["OPT-001"], thresholds=Thresholds(), judge=Judge(mode=mode),
        now=datetime(2025, 2, 16, 16, 0, tzinfo=UTC),
    )  # fmt: skip


def guard(found: Document, name: str = "memory") -> Document:
    """The verdict on one guard."""
    return next(g for g in found["guards"] if g["metric"] == name)


GOOD = part(1, 6, p95=50, memory=90)


def test_a_clear_change_is_decided_at_the_first_look() -> None:
    """Six blocks a side of 24, at the confidence of the first look, and it says why it stopped."""
    found = report(document(GOOD))
    course = found["sequential"]
    assert (found["status"], course["used_blocks"], course["most_blocks"]) == ("pass", 6, 24)
    assert course["stopped_because"] == "target and guards are decided"
    assert [look["next"] for look in course["looks"]] == ["stop"]
    assert found["verdict"]["confidence"] == DESIGN.confidence_at(1) > 0.95


def test_an_open_question_asks_for_more_blocks() -> None:
    """A target at the threshold: the rule wants six more; a document that ends there stays open and does not say why."""
    found = report(document(part(1, 6, p95=84, memory=90)))
    look = found["sequential"]["looks"][-1]
    assert (found["status"], look["next"], look["more_blocks"]) == ("inconclusive", "measure", 6)
    assert "does not say why" in found["sequential"]["stopped_because"]


def test_what_ended_the_measuring_from_outside_is_taken_from_the_document() -> None:
    """An authorization that was used up cannot be seen in the blocks."""
    measurement = document(part(1, 6, p95=84, memory=90), looks=[{"next": "stop", "reason": "0 of 60 authorized tests are left"}])
    assert report(measurement)["sequential"]["stopped_because"] == "0 of 60 authorized tests are left"


def test_later_looks_judge_all_blocks_and_the_last_one_counts() -> None:
    """Twelve a side at the second look, with its own confidence."""
    found = report(document(part(1, 6, p95=84, memory=90), part(2, 6, p95=50, memory=90)))
    assert [look["blocks"] for look in found["sequential"]["looks"]] == [6, 12]
    assert found["verdict"]["blocks"] == [12, 12]
    assert found["verdict"]["confidence"] == DESIGN.confidence_at(2)


def test_a_regression_that_fresh_blocks_repeat_is_reported() -> None:
    """Memory 20 % up twice: one regression, confirmed, and the rule stops."""
    found = report(document(part(1, 6, p95=50, memory=120), part(1, 6, p95=50, memory=120, confirmation=True)))
    course = found["sequential"]
    assert (found["status"], found["regression_count"], guard(found)["label"]) == ("fail", 1, "regression")
    assert [look["next"] for look in course["looks"]] == ["confirm", "stop"]
    assert (course["confirmed_regressions"], course["unconfirmed_regressions"], course["used_blocks"]) == (["memory"], [], 12)
    assert "Confirmed, measured again with 6 fresh blocks" in guard(found)["reason"]


def test_a_regression_that_fresh_blocks_do_not_repeat_is_open_and_no_pass() -> None:
    """Both figures are shown; the fresh blocks do not enter the verdict on the target."""
    found = report(document(part(1, 6, p95=50, memory=120), part(1, 6, p95=50, memory=100, confirmation=True)))
    assert (found["status"], found["regression_count"], guard(found)["label"]) == ("inconclusive", 0, "inconclusive")
    assert guard(found)["runs_needed"] == 6 and "seen and not confirmed" in guard(found)["reason"]
    doubt = found["sequential"]["unconfirmed_regressions"][0]
    assert (doubt["metric"], doubt["look"], doubt["seen"]["label"]) == ("memory", 1, "regression")
    assert doubt["seen"]["worsening"] > 15 > abs(doubt["again"]["worsening"])
    assert found["sequential"]["looks"][-1]["next"] == "measure"
    assert found["verdict"]["blocks"] == [6, 6] and found["samples"]["candidate"]["blocks"] == 6


def test_without_fresh_blocks_no_regression_is_reported() -> None:
    """A document that ends where a confirmation was due: open, with the blocks that are missing."""
    found = report(document(part(1, 6, p95=50, memory=120)))
    assert (found["status"], found["regressions"], guard(found)["label"], guard(found)["runs_needed"]) == (
        "inconclusive",
        [],
        "inconclusive",
        6,
    )
    assert found["sequential"]["looks"][-1]["next"] == "confirm"


@pytest.mark.parametrize("mode", list(Mode))
def test_a_budget_without_room_for_a_confirmation_leaves_it_open(mode: Mode) -> None:
    """One look, as by default: seen, never reported, never passed."""
    found = report(document(part(1, 6, p95=50, memory=120), design=Design(6, 6, 6, 0.95)), mode=mode)
    assert (found["status"], found["regression_count"], guard(found)["label"]) == ("inconclusive", 0, "inconclusive")
    assert "of 6 blocks a side too few were left to measure 6 again" in guard(found)["reason"]
    assert found["sequential"]["looks"][-1]["next"] == "stop"


def test_a_confirmed_regression_stays_when_the_target_takes_more_looks() -> None:
    """The memory comes down again at the second look: it was measured twice before."""
    first = part(1, 6, p95=84, memory=120), part(1, 6, p95=84, memory=120, confirmation=True)
    found = report(document(*first, part(2, 6, p95=84, memory=60)))
    assert (found["regression_count"], guard(found)["label"]) == (1, "regression")
    assert found["sequential"]["used_blocks"] == 18


def test_a_later_look_may_clear_what_was_not_confirmed() -> None:
    """Twelve blocks a side within the margin pass; the doubt stays in the report."""
    noisy = part(1, 6, p95=50, memory=107), part(1, 6, p95=50, memory=100, confirmation=True)
    found = report(document(*noisy, part(2, 6, p95=50, memory=80, seed=3), part(3, 6, p95=50, memory=80, seed=4)))
    assert guard(found)["label"] == "no regression"
    assert [doubt["look"] for doubt in found["sequential"]["unconfirmed_regressions"]] == [1]


def test_with_one_endpoint_the_candidate_alone_is_measured_again() -> None:
    """Against the baseline's blocks from before; one look."""
    design = Design(6, 0, 12, 0.95)
    old, new = part(1, 6, p95=50, memory=120, sides="baseline"), part(1, 6, p95=50, memory=120, sides="candidate", seed=1)
    again = part(1, 6, p95=50, memory=120, sides="candidate", confirmation=True)
    found = report(document(old, new, again, design=design, interleaved=False))
    assert (found["regression_count"], found["sequential"]["used_blocks"]) == (1, 12)
    assert "one after the other" in guard(found)["reason"]


def test_a_document_without_a_design_is_one_look_as_before() -> None:
    """The full confidence, and a regression as it is seen."""
    old = document(part(1, 6, p95=50, memory=120), design=None)
    for one in old["blocks"]:
        del one["look"], one["confirmation"]
    found = report(old)
    assert (found["sequential"], found["regression_count"], found["verdict"]["confidence"]) == (None, 1, 0.95)


@pytest.mark.parametrize(
    ("parts", "design", "code"),
    [
        ((part(1, 5, p95=50, memory=90),), DESIGN, "ART-326"),
        ((GOOD, part(2, 12, p95=50, memory=90)), DESIGN, "ART-326"),
        ((GOOD, part(1, 2, p95=50, memory=90, confirmation=True)), DESIGN, "ART-326"),
        ((GOOD, part(3, 6, p95=50, memory=90)), DESIGN, "ART-326"),
        ((GOOD, part(2, 6, p95=50, memory=90)), Design(6, 6, 6, 0.95), "ART-326"),
        ((GOOD, part(1, 6, p95=50, memory=90, confirmation=True)), Design(6, 6, 6, 0.95), "ART-326"),
        ((GOOD,), Design(6, 6, 24, 0.5), "ART-327"),
        ((GOOD,), Design(6, 6, 5, 0.95), "ART-327"),
        ((GOOD,), Design(0, 6, 24, 0.95), "ART-327"),
    ],
)
def test_blocks_that_do_not_fit_the_design_are_refused(parts: tuple[Document, ...], design: Design, code: str) -> None:
    """Else the confidence would be another than the stated one: more looks, smaller looks, more blocks, or a lower confidence."""
    with pytest.raises(ArtifactError, match=code):
        report(document(*parts, design=design))


@pytest.mark.parametrize("field", ["look", "confirmation"])
def test_a_block_that_does_not_say_its_look_is_refused(field: str) -> None:
    """It could be counted where it suits."""
    measurement = document(GOOD)
    del measurement["blocks"][3][field]
    with pytest.raises(ArtifactError, match=f"ART-310.*{field} is missing"):
        report(measurement)


def test_same_blocks_same_bytes() -> None:
    """Whoever has the document recomputes the same looks."""
    measurement = document(part(1, 6, p95=50, memory=120), part(1, 6, p95=50, memory=100, confirmation=True))
    assert document_bytes(report(copy.deepcopy(measurement))) == document_bytes(report(measurement))
