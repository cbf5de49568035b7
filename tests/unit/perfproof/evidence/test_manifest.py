"""The manifest: derived from the log alone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from perfproof.errors import EvidenceError
from perfproof.evidence import EvidenceStore, MemoryBackend, Reference
from perfproof.evidence.manifest import COVERED, build_manifest, verified_by


def cite(reference: Reference) -> dict[str, str]:
    """A reference as documents cite it."""
    return {"name": reference.name, "sha256": reference.sha256}


def test_it_is_an_in_toto_statement_about_the_other_twelve(finished_run: Path) -> None:
    """Each with digest, timestamp, who vouches for it, and what it derives from; it does not name itself."""
    import json

    document = json.loads((finished_run / "performance-report-manifest.json").read_bytes())
    assert list(document) == ["_type", "subject", "predicateType", "predicate"]
    assert document["_type"] == "https://in-toto.io/Statement/v1"
    assert [subject["name"] for subject in document["subject"]] == list(COVERED)
    assert len(document["subject"]) == 12
    predicate = document["predicate"]
    assert predicate["missing"] == []
    by_name = {artifact["name"]: artifact for artifact in predicate["artifacts"]}
    assert by_name["baseline-metrics.csv"]["verified_by"]["id"] == "gate-1"
    assert by_name["optimization-plan.json"]["verified_by"] == {
        "kind": "person",
        "id": "olivia",
        "ref": by_name["optimization-plan.json"]["seq"] + 1,
    }
    assert all(artifact["verified_by"] and artifact["timestamp"] == "2025-02-16T10:00:00.000Z" for artifact in by_name.values())
    assert [i["name"] for i in by_name["optimization-validation-report.json"]["inputs"]] == [
        "baseline-metrics.json",
        "optimization-plan.json",
    ]
    assert [gate["gate"] for gate in predicate["gates"]] == [1, 2, 3, 4]
    assert (predicate["assurance"], predicate["approvals"][0]["person"]["id"]) == ("A1", "olivia")
    assert predicate["run"]["run_id"] == "manual__1"
    assert {item["name"] for item in predicate["supporting"]} >= {
        "baseline-metrics.json",
        "gate-1-result.json",
        "evidence/profile-checkout.json",
    }


def test_only_the_last_judgement_of_a_gate_vouches(
    memory_store: EvidenceStore, publish: Callable[..., Any], note: Callable[..., Any]
) -> None:
    """A gate that passed and then failed on the same content does not vouch for it; a waiver does, by the name of a person."""
    reference = publish(memory_store, "optimization-plan.json", "x")

    def who() -> Any:
        return verified_by(reference.sha256, memory_store.entries())

    assert who() is None
    note(memory_store, "gate.evaluated", {"gate": 3, "outcome": "PASS", "evidence": [cite(reference)]}, step="first")
    assert who()["id"] == "gate-3"
    note(memory_store, "gate.evaluated", {"gate": 3, "outcome": "FAIL", "evidence": [cite(reference)]}, step="second")
    assert who() is None
    note(memory_store, "waiver.granted", {"gate": 1, "person": {"id": "sam"}}, step="other gate")
    assert who() is None
    note(memory_store, "waiver.granted", {"gate": 3, "person": {"id": "olivia"}}, step="this gate")
    assert who() == {"kind": "person", "id": "olivia", "ref": 5}
    note(memory_store, "gate.evaluated", {"gate": 3, "outcome": "PASS", "evidence": [cite(reference)]}, step="third")
    assert who()["ref"] == 6


def test_a_void_approval_does_not_count(
    memory_store: EvidenceStore, publish: Callable[..., Any], note: Callable[..., Any], now: Any
) -> None:
    """Neither as a voucher nor in the list."""
    reference = publish(memory_store, "optimization-plan.json", "x")
    body = {"request_id": "r-1", "person": {"id": "olivia"}, "assurance": "A1", "evidence": [cite(reference)]}
    note(memory_store, "approval.granted", body)
    assert build_manifest(memory_store, time=now)["predicate"]["artifacts"][0]["verified_by"]["id"] == "olivia"
    note(memory_store, "approval.void", {"request_id": "r-1"})
    predicate = build_manifest(memory_store, time=now)["predicate"]
    assert predicate["artifacts"][0]["verified_by"] is None
    assert (predicate["approvals"], predicate["assurance"]) == ([], "A0")
    assert len(predicate["missing"]) == 11


def test_it_needs_an_open_run(now: datetime) -> None:
    """There is nothing to derive it from."""
    with pytest.raises(EvidenceError, match="EVI-412"):
        build_manifest(EvidenceStore(MemoryBackend(), "run-1"), time=now)
