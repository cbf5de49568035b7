"""Whether each waiver in a log may have been granted, judged again from the gate's result and the notes of who decided."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from perfproof.artifacts import gate_result_name
from perfproof.config_checks import TASK_OWNER
from perfproof.errors import PerfproofError
from perfproof.evidence.inspection import tampered
from perfproof.evidence.names import GATES
from perfproof.evidence.records import Entry, EntryType
from perfproof.evidence.store import EvidenceStore, live_entries
from perfproof.evidence.verdict import Finding
from perfproof.strict import read_json
from perfproof.waivers.claims import claims
from perfproof.waivers.rules import check_waiver
from perfproof.waivers.waiver import Waiver, read_waiver

if TYPE_CHECKING:
    from perfproof.approvals.proof_of_decisions import Origin
    from perfproof.approvals.request import Request

WAIVER = "waiver"
HANDED_OVER = (EntryType.HANDOFF_COMPLETED, EntryType.RUN_CLOSED)


def inspect_waivers(store: EvidenceStore, origin: Origin, decisions: Sequence[tuple[Entry, Request]]) -> Iterator[Finding]:
    """Waivers that the rules do not give. `decisions` are the decisions that hold, with the requests that they answer."""
    entries = store.entries()
    for entry in entries:
        if entry.type is EntryType.WAIVER_GRANTED:
            for problem in _problems(entry, store, entries[: entry.seq], origin, [d for d in decisions if d[0].seq < entry.seq]):
                yield tampered(f"log/{entry.seq:08d}.json", problem)


def _problems(
    entry: Entry, store: EvidenceStore, before: Sequence[Entry], origin: Origin, decisions: Sequence[tuple[Entry, Request]]
) -> Iterator[str]:
    try:
        granted = read_waiver(entry.body)
        live = live_entries(before).get(gate_result_name(granted.gate)) if granted.gate in GATES else None
        if live is None or granted.run != store.run:
            yield "waives a gate that was not evaluated before in this run"
            return
        digest = live.body["sha256"]
        result = read_json(store.get_object(digest), where=gate_result_name(granted.gate))
        records = _records(granted.gate, digest, decisions)
        allowed = _allowed(granted, result, digest, origin, records, closed=handed_over(before, live))
    except PerfproofError as error:
        yield f"the waiver may not be granted: {error.code} {error.what}"
        return
    if allowed is None:
        yield "nobody who decided about this gate result waived this"
        return
    said = allowed.document()
    wrong = sorted(key for key in said if entry.body.get(key) != said[key])
    if wrong:
        yield f"the waiver says something else than who decided wrote: {', '.join(wrong)}"


def _allowed(
    granted: Waiver, result: Any, digest: str, origin: Origin, records: Sequence[dict[str, Any]], *, closed: bool
) -> Waiver | None:
    """The waiver that the notes of `records` give for the same criterion and metric. Raises WaiverError if it may not be granted."""
    required = [role for role in origin.protocol.approvals.steps[f"gate_{granted.gate}_decision"] if role != TASK_OWNER]
    for claim in claims(records):
        if (claim.fields["criterion"], claim.fields["metric"]) == (granted.criterion, granted.metric):
            return check_waiver(
                result=result,
                result_sha256=digest,
                run=granted.run,
                fields=claim.fields,
                approvals=claim.records,
                roles=origin.protocol.roles,
                required=required,
                requester=origin.triggered_by,
                now=granted.granted_at,
                closed=closed,
            )
    return None


def _records(gate: int, digest: str, decisions: Sequence[tuple[Entry, Request]]) -> list[dict[str, Any]]:
    """The last decision of each role about this very result, in the order in which the roles were asked, if it is a waiver."""
    found: dict[str, dict[str, Any]] = {}
    order: list[str] = []
    for entry, request in decisions:
        question = request.question
        if question.step == f"gate_{gate}_decision" and any(e.sha256 == digest for e in question.evidence):
            found[entry.body["role"]] = entry.body
            order = [asked.role for asked in question.roles]
    return [found[role] for role in order if role in found and found[role]["decision"] == WAIVER]


def handed_over(entries: Sequence[Entry], result: Entry) -> bool:
    """Whether the run was handed over after the gate's `result` was committed: a cycle that is run again is not over."""
    return any(entry.type in HANDED_OVER for entry in entries[result.seq :])
