"""One cycle in one document: what it is about, where it stands, what its gates came to, and who is waited for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from perfproof.artifacts import Artifact
from perfproof.cycles import bodies
from perfproof.cycles.phases import NAMES, last_phase
from perfproof.cycles.state import State, gate_rows, halt_decision, last_evaluations, standing_error, state_of
from perfproof.cycles.waiting import open_requests, waiting_document
from perfproof.errors import PerfproofError
from perfproof.evidence.inspection import is_closed
from perfproof.evidence.manifest import lowest_assurance, standing_approvals
from perfproof.evidence.records import Entry, EntryType
from perfproof.evidence.store import EvidenceStore, live_entries
from perfproof.strict import read_json

WAIVER_FIELDS = ("criterion", "metric", "reason", "approver", "granted_at", "expires_at")


def cycle_summary(entries: Sequence[Entry], *, genesis: Any = None, validation: Any = None) -> dict[str, Any]:
    """The summary of a run from its log, of one entry at least, and from two documents that the log commits, where there are any.

    `genesis` is the document that the first entry hangs on: it says what the cycle is about. `validation` is the live validation
    report: it says how much was gained, and the verdict.
    """
    parameters = genesis.get("parameters") if isinstance(genesis, dict) else None
    waiting = [waiting_document(one) for one in open_requests(entries)]
    gates = gate_rows(entries)
    state = state_of(entries, gates=gates, waits=bool(waiting))
    error = standing_error(entries)
    phase = last_phase(entries)
    approvals = standing_approvals(entries)
    return {
        "run": entries[0].run,
        "dag_id": bodies.text(genesis, "dag_id"),
        "run_id": bodies.text(genesis, "run_id"),
        "protocol": bodies.text(parameters, "protocol"),
        "objective": bodies.text(parameters, "objective"),
        "target_metric": bodies.text(parameters, "target_metric"),
        "services": bodies.texts(parameters, "services"),
        "environment": bodies.text(parameters, "environment"),
        "triggered_by": bodies.text(genesis, "triggered_by"),
        "state": state.value,
        "phase": phase,
        "phase_name": None if phase is None else NAMES[phase],
        "started_at": entries[0].time,
        "updated_at": entries[-1].time,
        "ended_at": _ended_at(entries),
        "gates": gates,
        "improvement_percent": bodies.figure(validation, "improvement", "percentage"),
        "verdict": bodies.text(validation, "verdict", "label"),
        "waiting": waiting,
        "waivers": _waivers(entries),
        "error": None if error is None else error_document(error),
        "assurance": lowest_assurance(entry.body.get("assurance") for entry in approvals) if approvals else None,
        "artifacts": len(live_entries(entries)),
        "entries": len(entries),
        "head": entries[-1].sha256,
        "problem": None,
    }


def store_summary(store: EvidenceStore) -> dict[str, Any] | None:
    """The summary of the run that `store` holds, None if it was never opened. Raises Tampered for a log that is not what was committed."""
    entries = store.entries()
    return summary_of(store, entries) if entries else None


def summary_of(store: EvidenceStore, entries: Sequence[Entry]) -> dict[str, Any]:
    """The summary after `entries`, which may be the beginning of the log only."""
    report = live_entries(entries).get(Artifact.VALIDATION_REPORT)
    validation = None if report is None else committed(store, report.body["sha256"])
    return cycle_summary(entries, genesis=committed(store, entries[0].prev), validation=validation)


def unreadable_summary(run: str, problem: str) -> dict[str, Any]:
    """The summary of a run whose log cannot be read: nothing but why."""
    nothing: dict[str, Any] = dict.fromkeys(
        (
            "dag_id", "run_id", "protocol", "objective", "target_metric", "environment", "triggered_by", "phase", "phase_name",
            "started_at", "updated_at", "ended_at", "improvement_percent", "verdict", "error", "assurance", "artifacts", "entries", "head",
        )
    )  # fmt: skip
    lists: dict[str, Any] = {name: [] for name in ("services", "gates", "waiting", "waivers")}
    return {"run": run, "state": State.UNREADABLE.value, **nothing, **lists, "problem": problem}


def error_document(entry: Entry) -> dict[str, Any]:
    """An `error` entry: which step, and the specification's line."""
    body = entry.body
    return {"seq": entry.seq, "at": entry.time, **{key: bodies.text(body, key) for key in ("step", "code", "text")}}


def committed(store: EvidenceStore, sha256: str) -> Any:
    """The JSON document with this digest, None where the store cannot give one: what it would have said stays unknown."""
    try:
        return read_json(store.get_object(sha256), where=sha256)
    except PerfproofError:
        return None


def _ended_at(entries: Sequence[Entry]) -> str | None:
    if is_closed(entries):
        return next(entry.time for entry in reversed(entries) if entry.type is EntryType.RUN_CLOSED)
    halted = halt_decision(entries)
    return None if halted is None else halted.time


def _waivers(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    results = {gate: bodies.text(entry.body, "result", "sha256") for gate, entry in last_evaluations(entries).items()}
    found = []
    for entry in entries:
        if entry.type is EntryType.WAIVER_GRANTED:
            gate, sha256 = bodies.whole(entry.body, "gate"), bodies.text(entry.body, "result_sha256")
            words = {key: bodies.text(entry.body, key) for key in WAIVER_FIELDS}
            in_use = gate in results and sha256 is not None and results[gate] == sha256
            found.append({"gate": gate, **words, "limit": bodies.figure(entry.body, "limit"), "in_use": in_use, "seq": entry.seq})
    return found
