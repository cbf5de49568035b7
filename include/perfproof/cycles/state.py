"""Where a cycle stands, and what each of its gates comes to."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from perfproof.cycles import bodies
from perfproof.cycles.phases import phase_of, started_phase
from perfproof.errors import WaiverError
from perfproof.evidence.inspection import is_closed
from perfproof.evidence.records import Entry, EntryType
from perfproof.gates.result import GATE_NAMES, Outcome
from perfproof.waivers import Waiver, apply_waivers, read_waiver

RETRY, HALT = "retry", "halt"
PASSED, WAIVED = "PASS", "WAIVED"


class State(StrEnum):
    """Where a cycle stands. UNREADABLE: its log is not what was committed, so that nothing is said about it."""

    RUNNING = "running"
    WAITING = "waiting"
    PASSED = "passed"
    WAIVED = "waived"
    HALTED = "halted"
    FAILED = "failed"
    UNREADABLE = "unreadable"


def gate_rows(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """What each of the four gates came to when it was last evaluated; `outcome` is null for one that was not.

    WAIVED: waivers in the log cover every criterion that is not met, as of their grant. When they expire is for whoever has a clock.
    """
    last = last_evaluations(entries)
    waivers = waivers_in(entries)
    rows = []
    for gate, name in GATE_NAMES.items():
        entry = last.get(gate)
        rows.append(
            {
                "gate": gate,
                "name": name,
                "outcome": None if entry is None else _outcome(entry, waivers),
                "evaluated_at": None if entry is None else entry.time,
            }
        )
    return rows


def last_evaluations(entries: Sequence[Entry]) -> dict[int, Entry]:
    """The last evaluation of each gate that has one."""
    found = {}
    for entry in entries:
        gate = bodies.whole(entry.body, "gate") if entry.type is EntryType.GATE_EVALUATED else None
        if gate in GATE_NAMES:
            found[gate] = entry
    return found


def waivers_in(entries: Sequence[Entry]) -> list[Waiver]:
    """The waivers of the log; what is no waiver is left out."""
    found = []
    for entry in entries:
        if entry.type is EntryType.WAIVER_GRANTED:
            try:
                found.append(read_waiver(entry.body))
            except WaiverError:
                continue
    return found


def standing_error(entries: Sequence[Entry]) -> Entry | None:
    """The last error that nothing followed which could not have followed it: the step failed, and nobody cleared it.

    It is over when its own task wrote something else, when a gate was evaluated, when a later phase started, when the run was handed
    over or closed. A retry that people decided ends the task that asked them with an error too; that one says nothing.
    """
    retried = {
        (entry.attempt.task_id, entry.seq + 1)
        for entry in entries
        if entry.type is EntryType.DECISION_RECORDED and entry.body.get("decision") == RETRY and entry.attempt
    }
    open_: dict[tuple[str, int], Entry] = {}
    for entry in entries:
        task = (entry.attempt.task_id, entry.attempt.map_index) if entry.attempt else ("", -1)
        if entry.type is EntryType.ERROR:
            if (task[0], entry.seq) not in retried and entry.body.get("code") != "GAT-305":
                open_[task] = entry
            continue
        open_.pop(task, None)
        if entry.type in (EntryType.GATE_EVALUATED, EntryType.HANDOFF_COMPLETED, EntryType.RUN_CLOSED):
            open_.clear()
        started = started_phase(entry)
        if started is not None:
            open_ = {key: error for key, error in open_.items() if (phase_of(error) or 0) >= started}
    return max(open_.values(), key=lambda error: error.seq, default=None)


def halt_decision(entries: Sequence[Entry]) -> Entry | None:
    """The decision to halt, unless a gate was evaluated after it."""
    found = None
    for entry in entries:
        if entry.type is EntryType.DECISION_RECORDED:
            found = entry if entry.body.get("decision") == HALT else None
        elif entry.type is EntryType.GATE_EVALUATED:
            found = None
    return found


def state_of(entries: Sequence[Entry], *, gates: Sequence[dict[str, Any]], waits: bool) -> State:
    """The state; `gates` are the rows of `gate_rows`, `waits` says whether somebody is waited for.

    A closed run passed only if every gate did: one whose log lacks a gate failed.
    """
    if is_closed(entries):
        outcomes = [row["outcome"] for row in gates]
        if all(outcome in (PASSED, WAIVED) for outcome in outcomes):
            return State.WAIVED if WAIVED in outcomes else State.PASSED
        return State.FAILED
    if halt_decision(entries) is not None:
        return State.HALTED
    if standing_error(entries) is not None:
        return State.FAILED
    return State.WAITING if waits else State.RUNNING


def _outcome(entry: Entry, waivers: Sequence[Waiver]) -> str | None:
    said = entry.body.get("outcome")
    sha256 = bodies.text(entry.body, "result", "sha256")
    if said not in list(Outcome):
        return None
    own = [w for w in waivers if w.gate == entry.body.get("gate") and w.result_sha256 == sha256]
    if said == Outcome.PASS or not own or sha256 is None:
        return str(said)
    granted = min(waiver.granted_at for waiver in own)
    return apply_waivers(result=entry.body, result_sha256=sha256, run=entry.run, waivers=own, now=granted).value
