"""The artifacts of a cycle."""

from __future__ import annotations

from typing import Any

from perfproof.cycles.artifacts import artifact_document, artifact_documents
from perfproof.evidence import EntryType, Reference


def names(cycle: Any) -> list[str]:
    return [one["name"] for one in artifact_documents(cycle.entries)]


def test_a_live_artifact_has_what_it_replaced_the_newest_first(cycle: Any) -> None:
    """Each version by digest and size."""
    versions = []
    for number in range(3):
        cycle.round = number
        versions.append(cycle.publish("optimization-plan.json", b"x" * (number + 1)))
    found = artifact_document(cycle.entries, "optimization-plan.json")
    assert found is not None
    assert (found["sha256"], found["size"], found["media_type"]) == (versions[2], 3, "application/json")
    assert [(old["sha256"], old["size"]) for old in found["superseded"]] == [(versions[1], 2), (versions[0], 1)]
    assert found["task_id"] == "intake_and_baseline.build_report"


def test_inputs_are_links_in_both_directions_and_say_whether_they_are_still_live(cycle: Any) -> None:
    """By name and digest: another version of the input is not used by it."""
    old = cycle.publish("baseline-metrics.json")
    cycle.publish("optimization-plan.json", inputs=(Reference("baseline-metrics.json", old, ""),))
    before = artifact_document(cycle.entries, "baseline-metrics.json")
    assert before is not None
    assert before["used_by"] == ["optimization-plan.json"]
    cycle.round = 1
    cycle.publish("baseline-metrics.json")
    plan = artifact_document(cycle.entries, "optimization-plan.json")
    baseline = artifact_document(cycle.entries, "baseline-metrics.json")
    assert plan is not None
    assert baseline is not None
    assert plan["inputs"] == [{"name": "baseline-metrics.json", "sha256": old, "live": False}]
    assert baseline["used_by"] == []


def test_who_vouches_is_the_gate_that_passed_on_it(cycle: Any) -> None:
    """Nobody until then."""
    sha256 = cycle.publish("baseline-metrics.json")
    before = artifact_document(cycle.entries, "baseline-metrics.json")
    assert before is not None
    assert before["verified_by"] is None
    body = {"gate": 1, "outcome": "PASS", "evidence": [{"name": "baseline-metrics.json", "sha256": sha256}], "result": None}
    entry = cycle.add(EntryType.GATE_EVALUATED, body, task="intake_and_baseline.gate_1")
    after = artifact_document(cycle.entries, "baseline-metrics.json")
    assert after is not None
    assert (after["verified_by"]["id"], after["verified_by"]["ref"]) == ("gate-1", entry.seq)


def test_the_thirteen_come_first_in_the_order_of_the_protocol(cycle: Any) -> None:
    """Then gates, supporting documents, evidence and approvals."""
    for name in (
        "approvals/b.json", "evidence/z.json", "evidence/a.json", "gate-1-result.json", "PERFORMANCE-REPORT.md", "baseline-metrics.json",
        "performance-intake-report.json",
    ):  # fmt: skip
        cycle.publish(name)
    assert names(cycle) == [
        "performance-intake-report.json", "PERFORMANCE-REPORT.md", "gate-1-result.json", "baseline-metrics.json", "evidence/a.json",
        "evidence/z.json", "approvals/b.json",
    ]  # fmt: skip
    groups = [one["group"] for one in artifact_documents(cycle.entries)]
    assert groups == ["artifact", "artifact", "gate", "supporting", "evidence", "evidence", "approval"]


def test_a_name_that_was_never_published_is_none(cycle: Any) -> None:
    """Nothing is invented."""
    assert artifact_document(cycle.entries, "optimization-plan.json") is None
