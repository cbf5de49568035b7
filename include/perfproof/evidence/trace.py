"""Follow what the artifacts say they derive from, by digest: SLO update -> validation -> plan and baseline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from perfproof.artifacts import BASELINE_JSON, Artifact
from perfproof.errors import ArtifactError, EvidenceError
from perfproof.evidence.inspection import is_closed, tampered
from perfproof.evidence.manifest import digests_in
from perfproof.evidence.records import PUBLICATIONS, Entry, EntryType
from perfproof.evidence.store import EvidenceStore, live_entries
from perfproof.evidence.verdict import Finding, Outcome
from perfproof.strict import read_json


@dataclass(frozen=True, slots=True)
class Rule:
    """`child` must name, at `path`, one of `parents` with the digest that is live."""

    child: str
    path: tuple[str, ...]
    parents: tuple[str, ...]


_BASELINES = (BASELINE_JSON, Artifact.BASELINE_CSV.value)
RULES = (
    Rule(Artifact.SLO_UPDATE_RECORD, ("traces_to", "validation"), (Artifact.VALIDATION_REPORT,)),
    Rule(Artifact.VALIDATION_REPORT, ("traces_to", "baseline"), _BASELINES),
    Rule(Artifact.VALIDATION_REPORT, ("traces_to", "plan"), (Artifact.OPTIMIZATION_PLAN,)),
    Rule(Artifact.OPTIMIZATION_PLAN, ("baseline",), _BASELINES),
)


def inspect_traces(store: EvidenceStore, entries: Sequence[Entry]) -> Iterator[Finding]:
    """References that are missing, that name what was never published, or that name a version since superseded."""
    live = live_entries(entries)
    superseded = Outcome.TAMPERED if is_closed(entries) else Outcome.UNFINISHED
    documents: dict[str, Any] = {}
    for rule in RULES:
        if rule.child not in live:
            continue
        if rule.child not in documents:
            documents[rule.child] = _document(store, live[rule.child])
        reference = _at(documents[rule.child], rule.path)
        where = ".".join(rule.path)
        if reference is None or reference.get("name") not in rule.parents:
            yield tampered(rule.child, f"{where} does not name {' or '.join(rule.parents)}")
            continue
        parent = live.get(reference["name"])
        if parent is not None and parent.body["sha256"] == reference.get("sha256"):
            continue
        if (reference["name"], reference.get("sha256")) in _published(entries):
            yield Finding(where=rule.child, what=f"{where} names a version of {reference['name']} since superseded", outcome=superseded)
        else:
            yield tampered(rule.child, f"{where} names content of {reference['name']} that was never published")
    yield from _inspect_inputs(store, entries)


def _inspect_inputs(store: EvidenceStore, entries: Sequence[Entry]) -> Iterator[Finding]:
    """What a publication derives from, or a gate has judged, must be in the evidence."""
    objects = {key.rsplit("/", 1)[1] for key in store.backend.names(f"{store.run}/objects/sha256/")}
    for entry in entries:
        if entry.type in PUBLICATIONS:
            for item in entry.body["inputs"]:
                if item["sha256"] not in objects:
                    yield tampered(entry.body["name"], f"derives from {item['name']}, which is not in the evidence")
        elif entry.type is EntryType.GATE_EVALUATED:
            for digest in sorted(digests_in(entry.body.get("evidence")) - objects):
                yield tampered(f"log/{entry.seq:08d}.json", f"gate {entry.body.get('gate')} judged {digest}, which is not in the evidence")


def _published(entries: Sequence[Entry]) -> set[tuple[str, str]]:
    return {(entry.body["name"], entry.body["sha256"]) for entry in entries if entry.type in PUBLICATIONS}


def _document(store: EvidenceStore, entry: Entry) -> Any:
    try:
        return read_json(store.get_object(entry.body["sha256"]), where=entry.body["name"])
    except (ArtifactError, EvidenceError):
        # The inspection of objects names missing and changed content; what is no JSON names no parent.
        return None


def _at(document: Any, path: Sequence[str]) -> Mapping[str, Any] | None:
    for key in path:
        document = document.get(key) if isinstance(document, dict) else None
    return document if isinstance(document, dict) else None
