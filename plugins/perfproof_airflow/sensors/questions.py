"""The approvals of the protocol: what each step asks, of whom, and what the answer is bound to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowFailException

from perfproof.announcements import confirmation_prompt
from perfproof.errors import ApprovalError, PerfproofError
from perfproof_airflow.sensors.approval import ApprovalSensor

if TYPE_CHECKING:
    from airflow.sdk import Context

    from perfproof.approvals import Asked, Decision, Evidence, Note, Question, Request
    from perfproof.approvals.reminders import Notice
    from perfproof.approvals.rules import Refused
    from perfproof.evidence import EvidenceStore
    from perfproof_airflow.cycle import Cycle

# The prerequisites' approvals are one mapped task; the position of a step is its map index.
PREREQUISITE_STEPS = ("prioritization", "load_test_authorization", "profiling_clearance")
PREREQUISITE_INDEX = {step: index for index, step in enumerate(PREREQUISITE_STEPS)}
PLAN_FIELDS = ("id", "title", "service", "owner", "risk", "risk_notes", "expected_gain_percent", "finding")


def opened_cycle(context: Context) -> Cycle:
    """The cycle of the task. Raises PerfproofError for evidence that cannot be read."""
    from perfproof_airflow.cycle import Cycle

    return Cycle.of(context)


def cycle_of(context: Context) -> Cycle:
    """The cycle of the task. Evidence that cannot be read fails the task at once: trying again finds the same."""
    try:
        return opened_cycle(context)
    except PerfproofError as error:
        raise AirflowFailException(str(error)) from None


class ProtocolApproval(ApprovalSensor):
    """Waits for the approval of one step of the protocol. `evidence` holds names of live evidence of the cycle."""

    def execute(self, context: Context) -> dict[str, Any]:
        """Asks with the protocol file's expiry, polling and reminders."""
        approvals = cycle_of(context).protocol.approvals
        self.expires_after_days, self.poll_seconds = approvals.expires_after_days, approvals.poll_seconds
        self.remind_after_hours, self.escalate_after_hours = approvals.remind_after_hours, approvals.escalate_after_hours
        return super().execute(context)

    def open_store(self, context: Context) -> EvidenceStore:
        """The evidence of the running cycle."""
        return opened_cycle(context).store

    def build_question(self, context: Context) -> Question:
        """The step's question, bound to the live version of its evidence."""
        from perfproof.approvals import Question

        cycle = opened_cycle(context)
        question, shown = self.ask(cycle)
        return Question(
            run=cycle.run,
            dag_id=cycle.dag_id,
            run_id=cycle.run_id,
            step=self.step,
            map_index=cycle.map_index,
            round=cycle.round,
            question=question,
            options=self.options(),
            roles=self.roles(cycle),
            evidence=self.bound_to(cycle),
            shown=shown,
            note=self.note(),
            forbidden=self.forbidden(cycle),
        )

    def bound_to(self, cycle: Cycle) -> tuple[Evidence, ...]:
        """The live evidence by digest."""
        from perfproof.approvals import Evidence

        references = [cycle.reference(name) for name in self.evidence]
        return tuple(Evidence(name=r["name"], sha256=r["sha256"]) for r in references)

    def options(self) -> tuple[Decision, ...]:
        """What can be answered."""
        from perfproof.approvals import APPROVAL

        return APPROVAL

    def note(self) -> Note:
        """What must stand in the note."""
        from perfproof.approvals import Note

        return Note.OPTIONAL

    def roles(self, cycle: Cycle) -> tuple[Asked, ...]:
        """The roles of the protocol file for this step."""
        return asked_roles(cycle, cycle.protocol.approvals.steps[self.step])

    def forbidden(self, cycle: Cycle) -> tuple[str, ...]:
        """Who may not answer: who triggered the run, and the owners of what a plan proposes."""
        owners: list[str] = []
        if self.step == "plan":
            owners = [str(task["owner"]) for task in cycle.document("optimization-plan.json")["tasks"]]
        return tuple(sorted({cycle.triggered_by, *owners} - {""}))

    def ask(self, cycle: Cycle) -> tuple[str, dict[str, Any]]:
        """The question in words, and everything that is shown with it."""
        return QUESTIONS[self.step](cycle)

    def on_asked(self, context: Context, request: Request) -> None:
        """Tells the notifiers who is waited for, and for what."""
        from perfproof.approvals.request_notifications import waiting
        from perfproof_airflow.notifying.links import request_link

        opened_cycle(context).notify(waiting(request, link=request_link(request)))

    def on_refused(self, context: Context, request: Request, role: str, refused: Refused) -> None:
        """Says why an answer decided nothing."""
        from perfproof.approvals.request_notifications import refused as answer_refused

        cycle = opened_cycle(context)
        cycle.notify(answer_refused(request, role=role, code=refused.code, reason=refused.reason, link=cycle.link))

    def on_noticed(self, context: Context, request: Request, roles: Sequence[str], notice: Notice) -> None:
        """Reminds who is waited for, or tells the role to which the protocol file escalates."""
        from perfproof.approvals.request_notifications import noticed
        from perfproof.config.people import respondents
        from perfproof_airflow.cycle import now
        from perfproof_airflow.notifying.links import request_link

        cycle = opened_cycle(context)
        role = cycle.protocol.roles.get(cycle.protocol.approvals.escalate_to or "")
        told = {who.id: who.name for who in respondents(role.people, role.deputies, start=now(), end=now())} if role else {}
        cycle.notify(noticed(request, roles=roles, notice=notice, now=now(), told=told, link=request_link(request)))

    def on_failed(self, context: Context, error: PerfproofError, record: Mapping[str, Any] | None) -> None:
        """Writes the specification's error line."""
        opened_cycle(context).halt(self.step, error)


def asked_roles(cycle: Cycle, names: Sequence[str]) -> tuple[Asked, ...]:
    """The roles with the people who hold them, and their deputies."""
    from perfproof.approvals import Asked

    roles = cycle.protocol.roles
    return tuple(Asked(role=name, label=roles[name].label, people=roles[name].people, deputies=roles[name].deputies) for name in names)


def _prioritization(cycle: Cycle) -> tuple[str, dict[str, Any]]:
    parameters = cycle.parameters
    shown = {
        "objective": parameters.objective,
        "services": list(parameters.services),
        "target metric": parameters.target_metric,
        "environment": parameters.environment,
        "optimizations": list(parameters.optimizations) or "those that the findings support",
    }
    return "Are these the performance objectives to work on in this cycle?", shown


def _load_test_authorization(cycle: Cycle) -> tuple[str, dict[str, Any]]:
    return "May these load tests run in this environment?", load_authorization(cycle)


def load_authorization(cycle: Cycle) -> dict[str, Any]:
    """What the SRE lead authorizes. Its window opens when the prerequisites were verified, so it is the same at each try."""
    from perfproof.load.authorization import authorization_of
    from perfproof.moments import parse_stamp

    entry = cycle.store.live("prerequisites.json")
    if entry is None:
        raise ApprovalError(
            436, where="load_test_authorization", what="the prerequisites are not verified", fix="clear verify_system_state"
        )
    parameters = cycle.parameters
    opened = parse_stamp(entry.time)
    return authorization_of(cycle.protocol, services=parameters.services, load_profile=parameters.load_profile, now=opened)


def _profiling_clearance(cycle: Cycle) -> tuple[str, dict[str, Any]]:
    pairs = [cycle.protocol.service(name).endpoints for name in cycle.parameters.services]
    endpoints = [e for pair in pairs for e in (pair.baseline, pair.candidate) if e is not None]
    ways = {True: "pprof, asked of the running service itself", False: "py-spy on the running process"}
    taken = [ways[over_network] for over_network in (False, True) if over_network in {e.pprof_path is not None for e in endpoints}]
    shown = {
        "services": list(cycle.parameters.services),
        "deployments": ["baseline", "candidate"],
        "profilers": "; ".join([*taken, "statement statistics and plans of its database, read-only"]),
        "what is sampled": "function names and line numbers of call stacks; SQL texts without their values; no request data, no variables",
    }
    return "May these services be profiled and this data be sampled?", shown


def _plan(cycle: Cycle) -> tuple[str, dict[str, Any]]:
    plan = cycle.document("optimization-plan.json")
    shown = {"target metric": plan["target_metric"], "tasks": [{f: item[f] for f in PLAN_FIELDS} for item in plan["tasks"]]}
    return "Do you approve this optimization plan?", shown


def _slo_updates(cycle: Cycle) -> tuple[str, dict[str, Any]]:
    proposal = cycle.document("evidence/slo-proposal.json")
    fields = ("slo_name", "service", "previous_target", "new_target", "justification", "alert_thresholds", "escalation_policy")
    # A cycle that an earlier version began has a proposal without a back-test, and is asked as it was.
    tested = [{"back-test": update["back_test"]["words"]} if "back_test" in update else {} for update in proposal["updates"]]
    shown = [{**{f: update[f] for f in fields}, **words} for update, words in zip(proposal["updates"], tested, strict=True)]
    return "Do you approve these SLO updates?", {"updates": shown}


def _handoff(cycle: Cycle) -> tuple[str, dict[str, Any]]:
    from perfproof_airflow.gate import gate_outcomes

    validation = cycle.document("optimization-validation-report.json")
    record = cycle.document("slo-update-record.json")
    shown = {
        "improvement percent": validation["improvement"]["percentage"],
        "regressions": validation["regression_count"],
        "gates": {f"gate {number}": outcome for number, outcome in gate_outcomes(cycle).items()},
        "SLO updates": [f"{u['slo_name']}: {u['previous_target']} -> {u['new_target']}" for u in record["updates"]],
        "SLO approvals": sorted({f"{a['role']}: {a['name']}" for u in record["updates"] for a in u["approvers"]}),
    }
    return confirmation_prompt(cycle.protocol.labels.next_protocol), shown


QUESTIONS = {
    "prioritization": _prioritization,
    "load_test_authorization": _load_test_authorization,
    "profiling_clearance": _profiling_clearance,
    "plan": _plan,
    "slo_updates": _slo_updates,
    "handoff": _handoff,
}
