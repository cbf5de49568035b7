"""The checker: what evidence.md promises (I1 to I9), asked of an evidence directory and of what the rig itself saw.

It reads and decides; it knows nothing of what was killed. Each finding begins with the invariant that it breaks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from witness import Done, Witness

from perfproof.errors import EvidenceError
from perfproof.evidence import Entry, EntryType, EvidenceStore, LocalBackend
from perfproof.evidence.records import PUBLICATIONS
from perfproof.evidence.trust import TrustRoot
from perfproof.evidence.verdict import Outcome
from perfproof.evidence.verify import verify

GENERATOR_SECONDS = 10.0
# What must have been granted before the first entry of a kind, by the protocol.
GUARDED: Mapping[str, str] = {
    EntryType.LOADTEST_STARTED: "load_test_authorization",
    EntryType.SLO_UPDATED: "slo_updates",
    EntryType.HANDOFF_COMPLETED: "handoff",
}
# Facts of which a cycle that nobody cleared holds one.
ONCE = (EntryType.RUN_OPENED, EntryType.RUN_CLOSED, EntryType.HANDOFF_COMPLETED)
# The decision that lets a cycle past a gate that did not pass.
PASSED_BY = ("waiver",)
LATER = {1: "diagnostics.", 2: "optimization.", 3: "governance.", 4: "governance.hand_off"}


@dataclass(frozen=True, slots=True)
class Scene:
    """All that the checker may ask. `secrets` are values that must be nowhere; `survived` seconds of generators without controller."""

    directory: Path
    witness: Witness
    trust: TrustRoot | None = None
    done: Sequence[Done] = ()
    secrets: Sequence[str] = ()
    survived: Sequence[float] = ()
    places: Sequence[Path] = field(default=())


def findings(scene: Scene, *, ended: bool) -> list[str]:
    """Everything that is wrong; nothing for a sound run. `ended`: the run is over, so what was acknowledged must have its effect."""
    try:
        entries = EvidenceStore(LocalBackend(scene.directory.parent), scene.directory.name).entries()
    except EvidenceError as error:
        return [f"I5 the log cannot be read: {error}"]
    found = [*verifies(scene), *durable(scene, entries), *single(entries), *approved(scene, entries), *guarded(entries)]
    if ended:
        found += answered(scene, entries)
    found += [
        f"I7 a load generator lived {seconds:.0f} s after its controller" for seconds in scene.survived if seconds > GENERATOR_SECONDS
    ]
    return found + [f"I9 {text}" for text in leaked(scene)]


def verifies(scene: Scene) -> Iterator[str]:
    """I5: chain, objects, views, checkpoints with the trust root, and the longest log that was ever seen."""
    result = verify(scene.directory, anchors=scene.witness.anchors, trust=scene.trust)
    yield from (f"I5 {f.where}: {f.what}" for f in result.findings if f.outcome is Outcome.TAMPERED)


def durable(scene: Scene, entries: Sequence[Entry]) -> Iterator[str]:
    """I1: no entry that was read is gone or changed; what a successful task returned is committed under its name."""
    yield from (f"I1 {text}" for text in scene.witness.changed)
    digests = {entry.seq: entry.sha256 for entry in entries}
    yield from (f"I1 entry {seq} is lost" for seq, sha256 in scene.witness.entries.items() if digests.get(seq) != sha256)
    published = {(entry.body["name"], entry.body["sha256"]) for entry in entries if entry.type in PUBLICATIONS}
    for task in scene.done:
        for reference in task.references:
            if reference not in published:
                yield f"I1 {task.task_id}[{task.map_index}] succeeded with {reference[0]}, which is not committed"


def single(entries: Sequence[Entry]) -> Iterator[str]:
    """I6: one live version of a name, no fact twice, one run."""
    live: dict[str, str] = {}
    for entry in entries:
        if entry.type is EntryType.ARTIFACT_PUBLISHED and entry.body["name"] in live:
            yield f"I6 entry {entry.seq} publishes {entry.body['name']} anew without superseding the live version"
        if entry.type in PUBLICATIONS:
            live[entry.body["name"]] = entry.body["sha256"]
    yield from (f"I6 {n} entries for one piece of work" for n in Counter(e.idem for e in entries).values() if n > 1)
    if len({entry.run for entry in entries}) > 1:
        yield "I6 entries of several runs"
    yield from (f"I6 {n} times {kind}" for kind, n in Counter(e.type for e in entries if e.type in ONCE).items() if n > 1)
    answers = Counter((e.body["request_id"], e.body["role"]) for e in entries if e.type is EntryType.APPROVAL_GRANTED)
    yield from (f"I6 {key} is granted {n} times" for key, n in answers.items() if n > 1)


def approved(scene: Scene, entries: Sequence[Entry]) -> Iterator[str]:
    """I3: every record of an approval is a person's act that the rig made, on a request that was logged before."""
    acts = {(mark.request_id, mark.role, mark.person) for mark in scene.witness.marks}
    asked: set[str] = set()
    for entry in entries:
        if entry.type is EntryType.APPROVAL_REQUESTED:
            asked.add(entry.body["request_id"])
        if entry.type is EntryType.APPROVAL_GRANTED:
            act = (entry.body["request_id"], entry.body["role"], entry.body["person"]["id"])
            if act not in acts:
                yield f"I3 entry {entry.seq} records {act}, which nobody did"
            if entry.body["request_id"] not in asked:
                yield f"I3 entry {entry.seq} answers what was never asked"


def answered(scene: Scene, entries: Sequence[Entry]) -> Iterator[str]:
    """I4: every mark that Airflow took is in the log: decided, in conflict with what was decided, or refused or voided with a reason."""
    kinds = ("approval.granted", "approval.rejected", "approval.conflict", "approval.refused", "approval.void", "approval.expired")
    told = {(e.body.get("request_id"), e.body.get("role")) for e in entries if e.type.value in kinds}
    for mark in scene.witness.marks:
        if mark.status == 200 and (mark.request_id, mark.role) not in told:
            yield f"I4 the mark of {mark.person} on {mark.request_id} left no trace"


def guarded(entries: Sequence[Entry]) -> Iterator[str]:
    """I2: nothing guarded happened before its approval, and no task after a gate worked unless the gate passed or somebody decided."""
    granted: set[str] = set()
    outcomes: dict[int, str] = {}
    for entry in entries:
        body = entry.body
        if entry.type is EntryType.APPROVAL_GRANTED:
            granted.add(body["step"])
        elif entry.type is EntryType.GATE_EVALUATED:
            outcomes[body["gate"]] = body["outcome"]
        elif entry.type is EntryType.DECISION_RECORDED and body["decision"] in PASSED_BY:
            outcomes[body["gate"]] = "PASS"
        needed = GUARDED.get(entry.type)
        if needed is not None and needed not in granted:
            yield f"I2 entry {entry.seq} {entry.type} without {needed}"
        yield from _after_gates(entry, outcomes)


def _after_gates(entry: Entry, outcomes: Mapping[int, str]) -> Iterator[str]:
    task = entry.attempt.task_id if entry.attempt is not None else ""
    for gate, prefix in LATER.items():
        if entry.type in PUBLICATIONS and task.startswith(prefix) and outcomes.get(gate) != "PASS":
            yield f"I2 entry {entry.seq} of {task}, and gate {gate} is {outcomes.get(gate, 'not evaluated')}"


def leaked(scene: Scene) -> Iterator[str]:
    """I9: no secret of the rig in the evidence or in `places`."""
    secrets = [secret.encode() for secret in scene.secrets if secret]
    for place in (scene.directory, *scene.places):
        for path in sorted(place.rglob("*")):
            if path.is_file() and not path.is_symlink():
                data = path.read_bytes()
                if any(secret in data for secret in secrets):
                    yield f"a secret lies in {path.relative_to(place)}"


def as_done(tasks: Sequence[Mapping[str, Any]], references: Mapping[tuple[str, int], Sequence[tuple[str, str]]]) -> list[Done]:
    """The successful ones of Airflow's task instances, with what they returned."""
    keys = [(task["task_id"], task["map_index"]) for task in tasks if task["state"] == "success"]
    return [Done(task_id, index, tuple(references.get((task_id, index), ()))) for task_id, index in keys]
