"""The checklist before the next protocol starts: the six items of the specification, recomputed from the archive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from perfproof.artifacts import Artifact, gate_result_name
from perfproof.config import Role, Thresholds
from perfproof.errors import GateError
from perfproof.gates.documentation import Documentation, documentation
from perfproof.gates.figures import mappings, plain
from perfproof.gates.governance import slo_approvals_missing
from perfproof.gates.result import GATE_NAMES
from perfproof.schemas import validate_artifact
from perfproof.telemetry import sha256_hex
from perfproof.waivers import Decision, Waiver, apply_waivers

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class HandoffState:
    """What the archive of a run holds when the handoff is asked for.

    `results` are the gate results by gate with the digest of their bytes in `result_sha256`; `artifacts` the bytes of those
    of the thirteen that are there; `archived` the digest of each name as the log has it; `roles` those that must approve
    SLO updates.
    """

    run: str
    results: Mapping[int, Document]
    result_sha256: Mapping[int, str]
    waivers: Sequence[Waiver]
    artifacts: Mapping[str, bytes]
    archived: Mapping[str, str]
    slo_record: Document
    approval_records: Sequence[Document]
    proposal_ref: Document
    roles: Mapping[str, Role]
    thresholds: Thresholds
    now: datetime


@dataclass(frozen=True, slots=True)
class Item:
    """One item of the checklist. `missing` says what keeps it open, one line each."""

    number: int
    text: str
    missing: tuple[str, ...]

    @property
    def done(self) -> bool:
        """Whether nothing is missing."""
        return not self.missing

    def line(self) -> str:
        """The item as one line: `[x] 1. …` or `[ ] 1. …: what is missing`."""
        return f"[{'x' if self.done else ' '}] {self.number}. {self.text}{': ' + '; '.join(self.missing) if self.missing else ''}"


class HandoffBlocked(GateError):
    """The handoff is not allowed yet. `lines` hold each open item."""

    def __init__(self, items: Sequence[Item]) -> None:
        self.lines = tuple(item.line() for item in items if not item.done)
        numbers = ", ".join(str(item.number) for item in items if not item.done)
        super().__init__(
            110,
            where="handoff",
            what=f"{len(self.lines)} of {len(items)} items of the checklist are open",
            got=f"open: {numbers}",
            fix="complete what each line names, then clear hand_off",
        )


def checklist(state: HandoffState) -> tuple[Item, ...]:
    """The six items in the specification's order. Nothing is taken over from a declared figure."""
    titles = [word for key, role in state.roles.items() for word in (key, role.label)]
    documented = documentation(state.artifacts, role_words=titles)
    decisions = {gate: _decision(state, gate) for gate in GATE_NAMES}
    threshold = plain(Decimal(str(state.thresholds.documentation_completeness)))
    improvement = plain(Decimal(str(state.thresholds.improvement)))
    texts = (
        ("All quality gates passed (Gate 1-4) or waivers documented", _gates(decisions)),
        (f"{Artifact.PERFORMANCE_REPORT} complete with all evidence", _report(state)),
        (f"{Artifact.VALIDATION_REPORT} shows improvement ≥ {improvement}% or documented justification", _improvement(state)),
        (f"{Artifact.SLO_UPDATE_RECORD} contains approvals captured", _approvals(state)),
        ("All artifacts archived", _archived(state)),
        (f"Documentation completeness ≥ {threshold}%", _documented(documented, state.thresholds)),
    )
    return tuple(Item(i, text, tuple(missing)) for i, (text, missing) in enumerate(texts, start=1))


def require_complete(state: HandoffState) -> tuple[Item, ...]:
    """The checklist, if every item is done. Raises HandoffBlocked with a line for each open item."""
    items = checklist(state)
    if not all(item.done for item in items):
        raise HandoffBlocked(items)
    return items


def _decision(state: HandoffState, gate: int) -> Decision | None:
    if gate not in state.results or gate not in state.result_sha256 or state.results[gate].get("gate") != gate:
        return None
    return apply_waivers(
        result=state.results[gate], result_sha256=state.result_sha256[gate], run=state.run, waivers=state.waivers, now=state.now
    )


def _gates(decisions: Mapping[int, Decision | None]) -> list[str]:
    return [
        f"gate {gate} ({GATE_NAMES[gate]}) {'was not evaluated' if decision is None else 'is ' + decision.value}"
        for gate, decision in decisions.items()
        if decision is None or not decision.lets_through
    ]


def _report(state: HandoffState) -> list[str]:
    name = Artifact.PERFORMANCE_REPORT.value
    if name not in state.artifacts:
        return [f"{name} is missing"]
    missing = validate_artifact(name, state.artifacts[name])
    text = state.artifacts[name].decode("utf-8", "replace")
    cited = [a.value for a in Artifact if a not in (Artifact.PERFORMANCE_REPORT, Artifact.MANIFEST)]
    missing += [f"{a} is not cited with its digest" for a in cited if a in state.artifacts and sha256_hex(state.artifacts[a]) not in text]
    missing += [f"{a} is missing" for a in cited if a not in state.artifacts]
    return missing


def _improvement(state: HandoffState) -> list[str]:
    """The improvement as gate 3 recomputed it, on the very report that is in the archive."""
    result = state.results.get(3)
    report = state.artifacts.get(Artifact.VALIDATION_REPORT.value)
    if result is None or report is None:
        return [f"{gate_result_name(3) if result is None else Artifact.VALIDATION_REPORT} is missing"]
    judged = {str(e.get("sha256")) for e in mappings(result, "evidence") if e.get("name") == Artifact.VALIDATION_REPORT}
    if sha256_hex(report) not in judged:
        return ["gate 3 judged another validation report"]
    criterion = next((c for c in mappings(result, "criteria") if c.get("criterion") == "improvement"), None)
    if criterion is not None and criterion.get("met") is True:
        return []
    held = [
        w
        for w in state.waivers
        if (w.gate, w.criterion, w.run, w.result_sha256) == (3, "improvement", state.run, state.result_sha256.get(3))
        and state.now <= w.expires_at
    ]
    return [] if held else [f"improvement is {criterion.get('actual') if criterion else 'unknown'} and no justification is documented"]


def _approvals(state: HandoffState) -> list[str]:
    missing = slo_approvals_missing(state.slo_record, state.approval_records, proposal_ref=state.proposal_ref, roles=state.roles)
    return missing if mappings(state.slo_record, "updates") else [*missing, "no SLO update is recorded"]


def _archived(state: HandoffState) -> list[str]:
    missing = []
    for name in (a.value for a in Artifact):
        if name not in state.archived:
            missing.append(f"{name} is not archived")
        elif name not in state.artifacts or sha256_hex(state.artifacts[name]) != state.archived[name]:
            missing.append(f"{name} has other bytes than the log recorded")
    return missing


def _documented(documented: Documentation, thresholds: Thresholds) -> list[str]:
    if documented.percentage >= Decimal(str(thresholds.documentation_completeness)):
        return []
    return [f"it is {plain(round(documented.percentage, 1))}%", *documented.lacking]
