"""Prove a run from its directory alone: `verify(path)` needs no Airflow, no network and no trust in the writer's own views."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from perfproof.artifacts import Artifact
from perfproof.errors import ArtifactError, EvidenceError, PerfproofError, Tampered
from perfproof.evidence.backend import Backend, Missing
from perfproof.evidence.checkpoints import inspect_checkpoints
from perfproof.evidence.directory import RunDirectory
from perfproof.evidence.inspection import inspect_log, inspect_log_views, inspect_objects, inspect_views, is_closed, tampered
from perfproof.evidence.local import LocalBackend
from perfproof.evidence.manifest import ASSURANCE, COVERED, genesis_of, lowest_assurance, manifest_of, standing_approvals, verified_by
from perfproof.evidence.names import is_run, log_key
from perfproof.evidence.records import Entry, EntryType
from perfproof.evidence.store import EvidenceStore, live_entries
from perfproof.evidence.trace import inspect_traces
from perfproof.evidence.trust import TrustRoot
from perfproof.evidence.verdict import Finding, Outcome, Verification, conclude
from perfproof.run_key import run_key
from perfproof.strict import read_json

Check = Callable[[EvidenceStore], Iterable[Finding]]
# What code that reads documents raises where one has another shape than perfproof writes; those of a forged log may have any.
MISSHAPEN = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError)


def verify(
    directory: Path,
    *,
    anchors: Sequence[tuple[int, str]] = (),
    checks: Sequence[Check] = (),
    minimum_assurance: str = "A0",
    trust: TrustRoot | None = None,
) -> Verification:
    """The verification of the run in `directory`, which may be a copy under any name."""
    try:
        run = run_in(LocalBackend(directory))
        if isinstance(run, Finding):
            return conclude([run], {})
        return verify_run(
            RunDirectory(directory, run), run, anchors=anchors, checks=checks, minimum_assurance=minimum_assurance, trust=trust
        )
    except Missing:
        return conclude([Finding(where=str(directory), what="no such directory", outcome=Outcome.USAGE)], {})


def verify_run(
    backend: Backend,
    run: str,
    *,
    anchors: Sequence[tuple[int, str]] = (),
    checks: Sequence[Check] = (),
    minimum_assurance: str = "A0",
    trust: TrustRoot | None = None,
) -> Verification:
    """The verification of `run` on `backend`.

    `anchors` are (size, head) pairs kept elsewhere, which the log must extend: without one, a log whose tail was cut, or that was
    rewritten whole together with its views, looks sound. `trust` says whose checkpoints count, and demands that they cover the
    log. `checks` add findings (gate figures) when the log is sound.
    """
    try:
        return _verify_run(backend, run, anchors, checks, minimum_assurance, trust)
    except Tampered as error:
        return conclude([tampered(error.where.removeprefix(f"{run}/"), error.what)], {})
    except EvidenceError as error:
        return conclude([Finding(where=error.where, what=error.what, outcome=Outcome.USAGE)], {})
    except MISSHAPEN as error:
        return conclude([tampered("log", f"an entry has another shape than perfproof writes ({type(error).__name__})")], {})


def _verify_run(
    backend: Backend,
    run: str,
    anchors: Sequence[tuple[int, str]],
    checks: Sequence[Check],
    minimum_assurance: str,
    trust: TrustRoot | None,
) -> Verification:
    prefix = f"{run}/"
    names = [key.removeprefix(prefix) for key in backend.names(prefix)]
    entries, findings = inspect_log(backend, run, names)
    whole = len(entries) == sum(name.startswith("log/") for name in names)
    sound = whole and not findings
    findings += inspect_objects(backend, run, names, entries)
    findings += inspect_views(backend, run, names, entries)
    if whole:
        findings += inspect_log_views(backend, run, names, entries)
    findings += _anchored(entries, anchors)
    findings += inspect_checkpoints(backend, run, entries, sound=sound, trust=trust)
    if sound and entries:
        store = EvidenceStore(backend, run)
        findings += _genesis(store, entries)
        findings += _manifest(store, entries)
        findings += inspect_traces(store, entries)
        findings += _standing(entries, minimum_assurance)
        for check in checks:
            findings += _checked(check, store)
    if not is_closed(entries):
        findings.append(Finding(where="log", what="the run is not closed", outcome=Outcome.UNFINISHED))
    return conclude(findings, _figures(names, entries, findings))


def run_in(files: LocalBackend) -> str | Finding:
    """The key of the run that a directory holds, as its entries say; or why there is none."""
    names = files.names("")
    logs = [name for name in names if name.startswith("log/")]
    for name in logs:
        try:
            document = json.loads(files.read(name))
        except (ValueError, EvidenceError):
            continue
        if isinstance(document, dict) and isinstance(document.get("run"), str):
            run = document["run"]
            return run if is_run(run) else tampered(name, "run is not the key of a run")
    if logs:
        return tampered("log", "no entry can be read")
    if not any(name.startswith("objects/sha256/") for name in names):
        return Finding(where=str(files.root), what="not the evidence of a run: no log, no objects", outcome=Outcome.USAGE)
    if all(name.startswith("objects/sha256/") for name in names):
        return Finding(where="log", what="the run was never opened", outcome=Outcome.UNFINISHED)
    return tampered("log", "the log is missing")


def _checked(check: Check, store: EvidenceStore) -> list[Finding]:
    """What a check finds. Evidence on which it cannot run to its end is not what was committed, whatever its digests say."""
    try:
        return list(check(store))
    except PerfproofError as error:
        return [tampered(error.where.removeprefix(f"{store.run}/"), f"cannot be checked: {error.what}")]
    except MISSHAPEN as error:
        return [tampered("objects", f"cannot be checked: a document has another shape than perfproof writes ({type(error).__name__})")]


def _anchored(entries: Sequence[Entry], anchors: Sequence[tuple[int, str]]) -> Iterator[Finding]:
    for size, head in anchors:
        if size > len(entries):
            yield tampered("log", f"an anchor knows {size} entries, there are {len(entries)}: the tail was cut")
        elif size < 1 or entries[size - 1].sha256 != head:
            yield tampered(f"log/{size - 1:08d}.json", "not the entry that an anchor knows")


def _genesis(store: EvidenceStore, entries: Sequence[Entry]) -> Iterator[Finding]:
    try:
        genesis = genesis_of(store, entries)
    except EvidenceError as error:
        yield tampered("genesis", error.what)
        return
    dag_id, run_id = genesis.get("dag_id"), genesis.get("run_id")
    if isinstance(dag_id, str) and isinstance(run_id, str) and run_key(dag_id, run_id) != store.run:
        yield tampered("genesis", "the key of the run does not belong to its dag_id and run_id")


def _manifest(store: EvidenceStore, entries: Sequence[Entry]) -> Iterator[Finding]:
    """The manifest must be what the log said when it was built, and cover what is live now."""
    name = Artifact.MANIFEST.value
    live = live_entries(entries)
    unfinished = Outcome.UNFINISHED
    for missing in (covered for covered in COVERED if covered not in live):
        yield Finding(where=missing, what="the artifact is not published", outcome=unfinished)
    if name not in live:
        yield Finding(where=name, what="the artifact is not published", outcome=unfinished)
        return
    try:
        document = read_json(store.read(name), where=name)
        size, built_at = document["predicate"]["log"]["size"], document["predicate"]["built_at"]
        if not 1 <= size <= live[name].seq:
            raise ValueError(size)
        rebuilt = manifest_of(entries[:size], genesis=genesis_of(store, entries), built_at=built_at)
    except (ArtifactError, EvidenceError, KeyError, TypeError, ValueError):
        yield tampered(name, "not a manifest of this run")
        return
    for key in _differing(document, rebuilt):
        yield tampered(name, f"{key} is not what the log says")
    subjects = {subject["name"]: subject["digest"]["sha256"] for subject in rebuilt["subject"]}
    for covered in COVERED:
        if covered in live and subjects.get(covered) != live[covered].body["sha256"]:
            yield Finding(where=name, what=f"does not cover the live version of {covered}", outcome=unfinished)
    for covered in subjects:
        if verified_by(subjects[covered], entries) is None and live[covered].body["verified_by"] is None:
            yield Finding(where=covered, what="no gate, person or service vouches for it", outcome=unfinished)


def _differing(document: Any, rebuilt: dict[str, Any]) -> list[str]:
    if document == rebuilt:
        return []
    outer = [key for key in rebuilt if key != "predicate" and document.get(key) != rebuilt[key]]
    predicate = document.get("predicate", {})
    return outer + [f"predicate.{key}" for key in rebuilt["predicate"] if predicate.get(key) != rebuilt["predicate"][key]] or ["a key"]


def _standing(entries: Sequence[Entry], minimum_assurance: str) -> Iterator[Finding]:
    for entry in entries:
        where = log_key(entry.run, entry.seq).removeprefix(f"{entry.run}/")
        if entry.type is EntryType.WAIVER_GRANTED:
            yield Finding(where=where, what=f"gate {entry.body.get('gate')} is waived, not passed", outcome=Outcome.WAIVED)
    for entry in standing_approvals(entries):
        level = entry.body.get("assurance")
        if level not in ASSURANCE or ASSURANCE.index(level) < ASSURANCE.index(minimum_assurance):
            where = log_key(entry.run, entry.seq).removeprefix(f"{entry.run}/")
            yield Finding(where=where, what=f"assurance of the approval is below {minimum_assurance}", outcome=Outcome.WAIVED)


def _figures(names: Sequence[str], entries: Sequence[Entry], findings: Sequence[Finding]) -> dict[str, int | str]:
    return {
        "entries": len(entries),
        "head": entries[-1].sha256 if entries else "",
        "artifacts": sum(name in live_entries(entries) for name in Artifact),
        "objects": sum(name.startswith("objects/") for name in names),
        "orphans": sum("orphan" in finding.what for finding in findings),
        "waivers": sum(entry.type is EntryType.WAIVER_GRANTED for entry in entries),
        "approvals": len(standing_approvals(entries)),
        "checkpoints": sum(name.startswith("checkpoints/") for name in names),
        "assurance": lowest_assurance(entry.body.get("assurance") for entry in standing_approvals(entries)),
    }
