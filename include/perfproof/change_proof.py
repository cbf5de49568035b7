"""Whether a change is proved: the cycles that were about it, what each came to, and the one answer for a deployment pipeline."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from perfproof.artifacts import Artifact, gate_result_name
from perfproof.errors import PerfproofError
from perfproof.evidence.backend import Backend
from perfproof.evidence.inspection import inspect_log
from perfproof.evidence.manifest import standing_approvals
from perfproof.evidence.names import GATES
from perfproof.evidence.records import Entry, EntryType
from perfproof.evidence.store import EvidenceStore, live_entries
from perfproof.evidence.verdict import Outcome, Verification
from perfproof.moments import stamp
from perfproof.strict import read_json
from perfproof.waivers import Decision, Waiver, apply_waivers, read_waiver

IMPLEMENTATION = "implementation"
# Around a reference in a note: "see PR-482, index" names PR-482, and "PR-4821" does not.
_AROUND = " \t\r\n,;:.!?()[]{}<>\"'`"


class Proof(StrEnum):
    """What a pipeline is told, from good to bad."""

    PASSED = "passed"
    WAIVED = "waived"
    EXPIRED = "expired"
    UNFINISHED = "unfinished"
    NONE = "none"
    TAMPERED = "tampered"

    @property
    def exit_code(self) -> int:
        """0 passed, 4 a waiver is in force, 1 tampered, 2 anything else: not proved."""
        return {Proof.PASSED: 0, Proof.WAIVED: 4, Proof.TAMPERED: 1}.get(self, 2)


@dataclass(frozen=True, slots=True)
class CycleProof:
    """What one cycle says about the change. `builds` are baseline and candidate; `notes` one line each."""

    directory: str
    run: str
    proof: Proof
    references: tuple[str, ...]
    builds: Mapping[str, str]
    waivers: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Subject:
    """A cycle as far as its log can be read: what it says it is about, whoever may have changed it since."""

    run: str
    entries: tuple[Entry, ...]
    references: tuple[str, ...]
    builds: Mapping[str, str]

    def is_about(self, *, change: str | None, build: str | None) -> bool:
        """Whether an implementation approval names the change, and the measured candidate is the build, as far as they are asked."""
        named = change is None or any(change in words_of(text) for text in self.references)
        return named and (build is None or self.builds.get("candidate") == build)


def words_of(text: str) -> set[str]:
    """The words of a note, without the punctuation around them."""
    return {word.strip(_AROUND) for word in text.split()}


def subject_of(backend: Backend, run: str) -> Subject:
    """What the cycle is about, read without trusting that its log is whole."""
    names = [key.removeprefix(f"{run}/") for key in backend.names(f"{run}/log/")]
    entries, _ = inspect_log(backend, run, names)
    comments = tuple(str(body.get("comment")) for body in _implemented(entries))
    document = _document(EvidenceStore(backend, run), entries, Artifact.VALIDATION_REPORT)
    builds = document.get("builds")
    named = {str(k): str(v) for k, v in builds.items()} if isinstance(builds, dict) else {}
    return Subject(run, tuple(entries), comments, named)


def _implemented(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """The approvals of what was measured: of each optimization the last one before the validation.

    After a retry an earlier one stands in the log too, but it is about a change that was rolled back.
    """
    validation = live_entries(entries).get(Artifact.VALIDATION_REPORT)
    last: dict[Any, dict[str, Any]] = {}
    for entry in standing_approvals(entries):
        if entry.body.get("step") == IMPLEMENTATION and (validation is None or entry.seq < validation.seq):
            last[entry.body.get("map_index"), entry.body.get("role")] = entry.body
    return list(last.values())


def prove_cycle(subject: Subject, *, store: EvidenceStore, directory: str, verification: Verification, now: datetime) -> CycleProof:
    """What a cycle comes to: every gate passed or waived with waivers in force at `now`, and the evidence verified and closed."""
    entries = subject.entries
    waivers = [w for w in map(_waiver, entries) if w is not None]
    lines = tuple(_waiver_line(waiver, now) for waiver in waivers)

    def answer(proof: Proof, notes: Iterable[str] = ()) -> CycleProof:
        return CycleProof(directory, subject.run, proof, subject.references, subject.builds, lines, tuple(notes))

    bad = [f"{f.where}: {f.what}" for f in verification.findings if f.outcome is verification.outcome]
    if verification.outcome is Outcome.TAMPERED:
        return answer(Proof.TAMPERED, bad)
    if verification.outcome in (Outcome.UNFINISHED, Outcome.USAGE):
        return answer(Proof.UNFINISHED, bad)
    decisions = {gate: _decision(store, entries, gate, waivers, now) for gate in GATES}
    short = [f"gate {gate} is {decision}" for gate, decision in decisions.items() if decision not in (Decision.PASS, Decision.WAIVED)]
    if short:
        in_force = [replace(waiver, expires_at=now) for waiver in waivers]
        lapsed = all(_decision(store, entries, gate, in_force, now) in (Decision.PASS, Decision.WAIVED) for gate in GATES)
        return answer(Proof.EXPIRED if lapsed else Proof.UNFINISHED, short)
    below = [f"{f.where}: {f.what}" for f in verification.findings if f.outcome is Outcome.WAIVED and not f.what.startswith("gate ")]
    if below:
        return answer(Proof.UNFINISHED, below)
    return answer(Proof.WAIVED if Decision.WAIVED in decisions.values() else Proof.PASSED)


def conclude_change(cycles: Sequence[CycleProof]) -> Proof:
    """The one answer: tampered if any cycle about the change is, else the best that one of them gives, else none."""
    found = {cycle.proof for cycle in cycles}
    if Proof.TAMPERED in found:
        return Proof.TAMPERED
    return next((proof for proof in Proof if proof in found), Proof.NONE)


def prove_change(
    directories: Iterable[Path],
    *,
    open_run: Callable[[Path], tuple[Backend, str] | None],
    check: Callable[[Path], Verification],
    change: str | None,
    build: str | None,
    now: datetime,
) -> list[CycleProof]:
    """Every cycle below `directories` that is about the change, verified by `check`. `open_run` says which run a directory holds."""
    proofs = []
    for directory in directories:
        opened = open_run(directory)
        if opened is None:
            continue
        backend, run = opened
        subject = subject_of(backend, run)
        if subject.is_about(change=change, build=build):
            store = EvidenceStore(backend, run)
            proofs.append(prove_cycle(subject, store=store, directory=str(directory), verification=check(directory), now=now))
    return proofs


def _decision(store: EvidenceStore, entries: Sequence[Entry], gate: int, waivers: Sequence[Waiver], now: datetime) -> str:
    name = gate_result_name(gate)
    live = live_entries(entries).get(name)
    if live is None:
        return "not evaluated"
    result = _document(store, entries, name)
    try:
        return apply_waivers(result=result, result_sha256=live.body["sha256"], run=store.run, waivers=waivers, now=now)
    except (PerfproofError, KeyError, ValueError):
        return "no result"


def _document(store: EvidenceStore, entries: Sequence[Entry], name: str) -> dict[str, Any]:
    entry = live_entries(entries).get(name)
    try:
        document = {} if entry is None else read_json(store.get_object(entry.body["sha256"]), where=name)
    except PerfproofError:
        return {}  # Verification names what is missing or changed; what cannot be read proves nothing.
    return document if isinstance(document, dict) else {}


def _waiver(entry: Entry) -> Waiver | None:
    try:
        return read_waiver(entry.body) if entry.type is EntryType.WAIVER_GRANTED else None
    except PerfproofError:
        return None


def _waiver_line(waiver: Waiver, now: datetime) -> str:
    about = f"{waiver.criterion} of gate {waiver.gate}" + (f", {waiver.metric}" if waiver.metric else "")
    people = ", ".join(approver.name for approver in waiver.approvers)
    state = "EXPIRED" if now > waiver.expires_at else "in force until"
    return f"{about}: {state} {stamp(waiver.expires_at)}, by {people}: {waiver.justification}"
