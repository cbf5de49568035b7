"""The artifacts of a cycle: what is live, what it replaced, who vouches for it, and what it derives from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from perfproof.artifacts import Artifact, gate_result_name
from perfproof.evidence.manifest import verified_by
from perfproof.evidence.names import GATES, SUPPORTING
from perfproof.evidence.records import PUBLICATIONS, Entry
from perfproof.evidence.store import live_entries

_GATE_RESULTS = tuple(map(gate_result_name, GATES))
_THIRTEEN = tuple(member.value for member in Artifact)
_GROUPS = ("artifact", "gate", "supporting", "evidence", "approval")


def artifact_documents(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """Every live artifact: the thirteen in the protocol's order, then gate results, supporting documents, evidence, approvals."""
    live = live_entries(entries)
    versions: dict[str, list[Entry]] = {}
    users: dict[tuple[str, str], list[str]] = {}
    for entry in entries:
        if entry.type in PUBLICATIONS:
            versions.setdefault(entry.body["name"], []).append(entry)
    for name, entry in live.items():
        for item in entry.body["inputs"]:
            users.setdefault((item["name"], item["sha256"]), []).append(name)
    found = [_document(entry, entries, versions[name][:-1], live, users) for name, entry in live.items()]
    return sorted(found, key=lambda one: (_GROUPS.index(one["group"]), _place(one["name"]), one["name"]))


def artifact_document(entries: Sequence[Entry], name: str) -> dict[str, Any] | None:
    """The live artifact `name`, None if there is none."""
    return next((one for one in artifact_documents(entries) if one["name"] == name), None)


def group_of(name: str) -> str:
    """Which kind of artifact `name` is."""
    if name in _THIRTEEN:
        return "artifact"
    if name in _GATE_RESULTS:
        return "gate"
    if name in SUPPORTING:
        return "supporting"
    return "approval" if name.startswith("approvals/") else "evidence"


def _document(
    entry: Entry, entries: Sequence[Entry], earlier: Sequence[Entry], live: dict[str, Entry], users: dict[tuple[str, str], list[str]]
) -> dict[str, Any]:
    body = entry.body
    return {
        "name": body["name"],
        "group": group_of(body["name"]),
        "media_type": body.get("media_type"),
        "size": body["size"],
        "sha256": body["sha256"],
        "published_at": entry.time,
        "seq": entry.seq,
        "task_id": entry.attempt.task_id if entry.attempt else None,
        "verified_by": verified_by(body["sha256"], entries) or body["verified_by"],
        "inputs": [
            {
                "name": item["name"],
                "sha256": item["sha256"],
                "live": item["name"] in live and live[item["name"]].body["sha256"] == item["sha256"],
            }
            for item in body["inputs"]
        ],
        "used_by": sorted(users.get((body["name"], body["sha256"]), [])),
        "superseded": [
            {"sha256": old.body["sha256"], "size": old.body["size"], "published_at": old.time, "seq": old.seq} for old in reversed(earlier)
        ],
    }


def _place(name: str) -> int:
    return _THIRTEEN.index(name) if name in _THIRTEEN else 0
