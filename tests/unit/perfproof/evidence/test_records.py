"""Entries and references as bytes and as JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest

from perfproof.errors import EvidenceError, Tampered
from perfproof.evidence import EvidenceStore, Reference, idempotency
from perfproof.evidence.records import Entry, canonical
from perfproof.telemetry import sha256_hex


def test_an_entry_reads_back_from_its_bytes(memory_store: EvidenceStore, publish: Any) -> None:
    """The keys are those of the format, in canonical order, and its digest is the one of the file."""
    publish(memory_store, "hypothesis-log.md", "x")
    data = memory_store.backend.read(f"{memory_store.run}/log/00000001.json")
    entry = memory_store.entries()[1]
    assert entry.as_bytes() == data
    assert entry.sha256 == sha256_hex(data)
    assert Entry.from_bytes(data, where="test") == entry
    assert list(json.loads(data)) == ["actor", "attempt", "body", "idem", "prev", "run", "seq", "time", "type", "v"]
    assert json.loads(data)["attempt"]["try"] == 1
    assert entry.time == "2025-02-16T10:00:00.000Z"
    assert entry.moment.isoformat() == "2025-02-16T10:00:00+00:00"


@pytest.mark.parametrize(
    "change",
    [
        {"v": 2}, {"v": True}, {"seq": -1}, {"seq": "1"}, {"seq": True}, {"prev": "0" * 63}, {"prev": "A" * 64},
        {"time": "2025-02-16T10:00:00Z"},
        {"time": "2025-02-30T10:00:00.000Z"}, {"type": "gate.passed"}, {"type": []}, {"actor": {}},
        {"actor": {"kind": "x", "id": "y", "auth": "A1"}},
        {"attempt": {}}, {"attempt": []}, {"body": []}, {"idem": "x"}, {"unknown": 1}, {"run": 1}, {"body": {"name": "x"}},
        {"body": {"name": "../x", "sha256": "0" * 64, "size": 1, "inputs": [], "verified_by": None}},
    ],
)  # fmt: skip
def test_a_malformed_entry_is_tampering(memory_store: EvidenceStore, publish: Any, change: dict[str, Any]) -> None:
    """Also when its bytes are canonical."""
    publish(memory_store, "hypothesis-log.md", "x")
    document = json.loads(memory_store.entries()[1].as_bytes()) | change
    with pytest.raises(Tampered, match="EVI-601 here"):
        Entry.from_bytes(canonical(document, where="test"), where="here")


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b'{"v":1,"v":1}', b'{"v":NaN}', b"\xff", b"[" * 10000])
def test_bytes_that_are_no_entry_are_tampering(data: bytes) -> None:
    """Never a traceback of the JSON reader."""
    with pytest.raises(Tampered, match="EVI-601"):
        Entry.from_bytes(data, where="here")


def test_references_pass_between_tasks_as_json() -> None:
    """And what is no reference is refused."""
    reference = Reference(name="optimization-plan.json", sha256="0" * 64, uri="memory:x")
    assert Reference.from_dict(reference.as_dict()) == reference
    for wrong in ({}, {**reference.as_dict(), "sha256": "0" * 63}, {**reference.as_dict(), "uri": None}):
        with pytest.raises(EvidenceError, match="EVI-400"):
            Reference.from_dict(wrong)


def test_the_idempotency_key_tells_work_apart() -> None:
    """Type, step, round, map index and inputs count; the order of inputs does not."""
    key = idempotency("announce", "step", 0, ["a", "b"])
    assert key == idempotency("announce", "step", 0, ["b", "a"])
    others = [
        idempotency("error", "step", 0, ["a", "b"]),
        idempotency("announce", "other", 0, ["a", "b"]),
        idempotency("announce", "step", 1, ["a", "b"]),
        idempotency("announce", "step", 0, ["ab"]),
        idempotency("announce", "step", 0, ["a", "b"], 0),
    ]
    assert len({key, *others}) == 6
