"""The manifest: an in-toto Statement about a run's artifacts, derived from the log alone, so that anybody can rebuild it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from perfproof.artifacts import Artifact
from perfproof.errors import EvidenceError
from perfproof.evidence.records import Entry, EntryType, entry_time
from perfproof.evidence.store import EvidenceStore, live_entries
from perfproof.strict import read_json

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "urn:perfproof:performance-run/v1"
COVERED = tuple(member.value for member in Artifact if member is not Artifact.MANIFEST)
ASSURANCE = ("A0", "A1", "A2", "A3")
_APPROVAL_KEYS = ("request_id", "step", "map_index", "role", "person", "decision", "channel", "assurance", "evidence")


def build_manifest(store: EvidenceStore, *, time: datetime) -> dict[str, Any]:
    """The Statement over the log as it is now. `time` is when it is built."""
    entries = store.entries()
    if not entries:
        raise EvidenceError(412, where=store.run, what="the run is not open", fix="call open_run first")
    return manifest_of(entries, genesis=genesis_of(store, entries), built_at=entry_time(time))


def genesis_of(store: EvidenceStore, entries: Sequence[Entry]) -> dict[str, Any]:
    """The identity of the run: what `open_run` was given."""
    digest = entries[0].prev
    document = read_json(store.get_object(digest), where=f"{store.run} genesis", error=EvidenceError, number=601)
    if not isinstance(document, dict):
        raise EvidenceError(601, where=f"{store.run} genesis", what="not a mapping", fix="restore it from a copy")
    return document


def manifest_of(entries: Sequence[Entry], *, genesis: Mapping[str, Any], built_at: str) -> dict[str, Any]:
    """The Statement over `entries`. `subject` holds the artifacts other than the manifest itself, whose hash the log has."""
    live = live_entries(entries)
    covered = [(name, live[name]) for name in COVERED if name in live]
    approvals = [_approval(entry) for entry in standing_approvals(entries)]
    return {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": name, "digest": {"sha256": entry.body["sha256"]}} for name, entry in covered],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "run": {**genesis, "key": entries[0].run, "genesis_sha256": entries[0].prev},
            "built_at": built_at,
            "log": {"size": len(entries), "head": entries[-1].sha256},
            "assurance": lowest_assurance(a["assurance"] for a in approvals),
            "artifacts": [_artifact(entry, entries) for _, entry in covered],
            "missing": [name for name in COVERED if name not in live],
            "supporting": [
                {"name": name, "sha256": live[name].body["sha256"]}
                for name in sorted(live)
                if name not in COVERED and name != Artifact.MANIFEST
            ],
            "gates": [_gate(entry) for entry in entries if entry.type is EntryType.GATE_EVALUATED],
            "waivers": [{"seq": entry.seq, **entry.body} for entry in entries if entry.type is EntryType.WAIVER_GRANTED],
            "approvals": approvals,
            "code_changes": [{"seq": entry.seq, **entry.body} for entry in entries if entry.type is EntryType.CODE_CHANGED],
        },
    }


def verified_by(sha256: str, entries: Sequence[Entry]) -> dict[str, Any] | None:
    """Who vouches for the content: the gate that passed on it, else the person who waived that gate or approved the content.

    Otherwise what the publication itself names (a service, a validator), and None when nobody does. `ref` is the log number.
    """
    gates = {str(entry.body.get("gate")): entry for entry in entries if entry.type is EntryType.GATE_EVALUATED}
    judged = sorted((g for g in gates.values() if sha256 in digests_in(g.body.get("evidence"))), key=lambda entry: entry.seq)
    for gate in reversed(judged):
        if gate.body.get("outcome") == "PASS":
            return {"kind": "gate", "id": f"gate-{gate.body['gate']}", "ref": gate.seq, "result": gate.body.get("result")}
    for gate in reversed(judged):
        for waiver in entries[gate.seq + 1 :]:
            if waiver.type is EntryType.WAIVER_GRANTED and waiver.body.get("gate") == gate.body.get("gate"):
                return {"kind": "person", "id": person_of(waiver), "ref": waiver.seq}
    for approval in reversed(standing_approvals(entries)):
        if sha256 in digests_in(approval.body.get("evidence")):
            return {"kind": "person", "id": person_of(approval), "ref": approval.seq}
    return None


def standing_approvals(entries: Sequence[Entry]) -> list[Entry]:
    """The approvals that were granted and not voided since."""
    granted: dict[str, list[Entry]] = {}
    for entry in entries:
        # Text, whatever a forged log holds there.
        request = str(entry.body.get("request_id"))
        if entry.type is EntryType.APPROVAL_GRANTED:
            granted.setdefault(request, []).append(entry)
        elif entry.type is EntryType.APPROVAL_VOID:
            granted.pop(request, None)
    return sorted((entry for group in granted.values() for entry in group), key=lambda entry: entry.seq)


def lowest_assurance(levels: Iterable[object]) -> str:
    """The lowest of the levels that approvals record; A0 if there is no approval, or one whose level is none."""
    return ASSURANCE[min((ASSURANCE.index(str(level)) if level in ASSURANCE else 0 for level in levels), default=0)]


def digests_in(evidence: object) -> set[str]:
    """The digests in a list of `{"name", "sha256"}`."""
    if not isinstance(evidence, list):
        return set()
    return {item["sha256"] for item in evidence if isinstance(item, dict) and isinstance(item.get("sha256"), str)}


def person_of(entry: Entry) -> str:
    """Id of the person whose decision the entry records."""
    person = entry.body.get("person")
    named = person.get("id") if isinstance(person, dict) else None
    return named if isinstance(named, str) else entry.actor.id


def _artifact(entry: Entry, entries: Sequence[Entry]) -> dict[str, Any]:
    body = entry.body
    return {
        "name": body["name"],
        "sha256": body["sha256"],
        "size": body["size"],
        "timestamp": entry.time,
        "verified_by": verified_by(body["sha256"], entries) or body["verified_by"],
        "inputs": body["inputs"],
        "seq": entry.seq,
    }


def _gate(entry: Entry) -> dict[str, Any]:
    body = entry.body
    return {
        "seq": entry.seq,
        "time": entry.time,
        "gate": body.get("gate"),
        "outcome": body.get("outcome"),
        "result": body.get("result"),
        "evidence": body.get("evidence"),
    }


def _approval(entry: Entry) -> dict[str, Any]:
    return {"seq": entry.seq, "time": entry.time, **{key: entry.body.get(key) for key in _APPROVAL_KEYS}}
