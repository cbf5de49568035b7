"""Whether each protected step of a log was taken only after everybody whom the protocol file names for it had approved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from perfproof.approvals.proof_of_decisions import PLAN, Origin
from perfproof.approvals.request import Decision, Request
from perfproof.approvals.standing import DECISIVE, GRANTED, REQUESTED
from perfproof.artifacts import BASELINE_JSON, Artifact, gate_result_name
from perfproof.config_checks import TASK_OWNER
from perfproof.errors import PerfproofError
from perfproof.evidence.inspection import tampered
from perfproof.evidence.names import GATES
from perfproof.evidence.records import PUBLICATIONS, Entry, EntryType
from perfproof.evidence.store import EvidenceStore
from perfproof.evidence.verdict import Finding
from perfproof.gates.figures import mappings, text_at
from perfproof.load.authorization import check_authorized, read_authorization
from perfproof.load.plan import LoadPlan
from perfproof.strict import read_json
from perfproof.waivers import Decision as GateDecision
from perfproof.waivers import Waiver, apply_waivers, read_waiver

# The clock was read some moments before the entry was written.
MOMENT = timedelta(seconds=5)
# Names of what a step makes, by how they begin, and the step whose approval it needs.
EFFECTS = {
    "evidence/source-": "prioritization",
    BASELINE_JSON: "prioritization",
    Artifact.INTAKE_REPORT.value: "prioritization",
    "evidence/profile-": "profiling_clearance",
    "evidence/statements-": "profiling_clearance",
    "evidence/measurement-before": "plan",
    "evidence/measurement.json": "plan",
    "evidence/load-peak-candidate": "plan",
    Artifact.VALIDATION_REPORT.value: "plan",
    Artifact.SLO_UPDATE_RECORD.value: "slo_updates",
    "evidence/applied-": "slo_updates",
}
IMPLEMENTED = ("evidence/measurement.json", "evidence/load-peak-candidate", Artifact.VALIDATION_REPORT.value)
# Its evidence, the prerequisites, may be verified anew while the first phase goes on.
ONCE = ("prioritization",)


def inspect_steps(store: EvidenceStore, origin: Origin, decisions: Sequence[tuple[Entry, Request]]) -> Iterator[Finding]:
    """Steps that were taken without an approval that holds, before it, or on other evidence. `decisions` are those that hold."""
    walk = _Walk(store, origin, {entry.seq: (entry, request) for entry, request in decisions})
    for entry in store.entries():
        for problem in dict.fromkeys(walk.read(entry)):
            yield tampered(f"log/{entry.seq:08d}.json", problem)


@dataclass(slots=True)
class _Walk:
    """The log as far as it was read: what is live, and who approved what."""

    store: EvidenceStore
    origin: Origin
    decisions: Mapping[int, tuple[Entry, Request]]
    live: dict[str, str] = field(default_factory=dict)
    granted: dict[tuple[str, int, str], tuple[Entry, Request]] = field(default_factory=dict)
    waivers: list[Waiver] = field(default_factory=list)
    tests: int = 0

    def read(self, entry: Entry) -> list[str]:
        """What the next entry lacks."""
        problems = [problem for step, index in self._needs(entry) for problem in self._unapproved(step, index)]
        if entry.type is EntryType.LOADTEST_STARTED:
            problems += self._unauthorized(entry)
            self.tests += 1
        elif entry.type is EntryType.DECISION_RECORDED:
            problems += self._undecided(entry)
        elif entry.type is EntryType.HANDOFF_COMPLETED:
            problems += self._open_gates(entry.moment)
        elif entry.type in PUBLICATIONS:
            self.live[entry.body["name"]] = entry.body["sha256"]
        elif entry.type is EntryType.WAIVER_GRANTED:
            self._waive(entry)
        if entry.type == GRANTED and entry.seq in self.decisions:
            question = self.decisions[entry.seq][1].question
            self.granted[question.step, question.map_index, entry.body["role"]] = self.decisions[entry.seq]
        return problems

    def _needs(self, entry: Entry) -> Iterator[tuple[str, int | None]]:
        """The steps whose approval the entry shows to be needed; the number only where a step has several."""
        if entry.type is EntryType.LOADTEST_STARTED:
            yield "load_test_authorization", None
        elif entry.type is EntryType.SLO_UPDATED:
            yield "slo_updates", None
        elif entry.type in (EntryType.HANDOFF_COMPLETED, EntryType.RUN_CLOSED):
            yield "handoff", None
        elif entry.type == REQUESTED and entry.body.get("step") == "implementation":
            yield "plan", None
        elif entry.type in PUBLICATIONS:
            name = entry.body["name"]
            yield from ((step, None) for start, step in EFFECTS.items() if name.startswith(start))
            if name.startswith(IMPLEMENTED):
                yield from (("implementation", number) for number in range(len(self._plan_tasks())))

    def _plan_tasks(self) -> list[Mapping[str, Any]]:
        return mappings(self._document(PLAN), "tasks")

    def _document(self, name: str) -> Any:
        try:
            return read_json(self.store.get_object(self.live.get(name, "")), where=name)
        except PerfproofError:
            return {}  # The inspection of objects names what is missing or changed.

    def _roles(self, step: str) -> list[str]:
        return [role for role in self.origin.protocol.approvals.steps[step] if role != TASK_OWNER] or [TASK_OWNER]

    def _of(self, step: str, index: int | None, role: str) -> tuple[Entry, Request] | None:
        found = [d for (s, i, r), d in self.granted.items() if (s, r) == (step, role) and index in (None, i)]
        return max(found, key=lambda decision: decision[0].seq, default=None)

    def _unapproved(self, step: str, index: int | None) -> Iterator[str]:
        what = step if index is None else f"{step} of item {index + 1} of the plan"
        for role in self._roles(step):
            decision = self._of(step, index, role)
            if decision is None or decision[0].body["decision"] != Decision.APPROVE:
                yield f"{what} was not approved before this by the role {role}"
            elif step not in ONCE:
                stale = [e.name for e in decision[1].question.evidence if self.live.get(e.name) != e.sha256]
                if stale:
                    yield f"{what} was approved by the role {role} on other evidence than there was: {', '.join(stale)}"

    def _unauthorized(self, entry: Entry) -> Iterator[str]:
        """A test beyond what was authorized: target, rate, duration, window, number, stop conditions."""
        decision = self._of("load_test_authorization", None, self._roles("load_test_authorization")[0])
        if decision is None:
            return  # Said already.
        try:
            allowed = read_authorization(decision[1].question.shown)
            plan = LoadPlan.from_document(entry.body.get("plan"))
            if plan.digest != entry.body.get("plan_sha256"):
                yield "the load plan has another digest than the entry says"
            if not any(self._authorized(plan, allowed, now) for now in (entry.moment, entry.moment - MOMENT)):
                check_authorized(plan, authorization=allowed, tests_so_far=self.tests, now=entry.moment)
        except PerfproofError as error:
            yield f"a load test that was not authorized: {error.code} {error.what}"

    def _authorized(self, plan: LoadPlan, allowed: Any, now: datetime) -> bool:
        try:
            check_authorized(plan, authorization=allowed, tests_so_far=self.tests, now=now)
        except PerfproofError:
            return False
        return True

    def _undecided(self, entry: Entry) -> Iterator[str]:
        """Retry and halt need one person, a waiver everybody whom the protocol file names."""
        step, decision = f"gate_{entry.body.get('gate')}_decision", entry.body.get("decision")
        if step not in self.origin.protocol.approvals.steps:
            yield "a decision about no gate"
            return
        result = text_at(entry.body, "result", "sha256")
        made = {
            role: e.body["decision"]
            for (s, _, role), (e, request) in self.granted.items()
            if s == step and any(evidence.sha256 == result for evidence in request.question.evidence)
        }
        needed = self._roles(step)
        enough = decision in made.values() if decision in tuple(DECISIVE) else all(made.get(role) == decision for role in needed)
        if not enough:
            yield f"{decision} of gate {entry.body.get('gate')} was not decided before this by who has to"

    def _waive(self, entry: Entry) -> None:
        try:
            self.waivers.append(read_waiver(entry.body))
        except PerfproofError:
            return  # perfproof.waivers.proof names it.

    def _open_gates(self, moment: datetime) -> Iterator[str]:
        for gate in GATES:
            name = gate_result_name(gate)
            result = self._document(name)
            try:
                decision = apply_waivers(
                    result=result, result_sha256=self.live.get(name, ""), run=self.store.run, waivers=self.waivers, now=moment - MOMENT
                )
            except (PerfproofError, KeyError, ValueError, TypeError, AttributeError):
                yield f"handed off without a result of gate {gate}"
                continue
            if decision not in (GateDecision.PASS, GateDecision.WAIVED):
                yield f"handed off although gate {gate} is {decision}"
