"""What people decide when a gate did not pass: retry, waiver or halt; and the rollback that follows at gate 3."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowFailException

from perfproof.artifacts import gate_result_name
from perfproof.errors import GateError, LoadError, PerfproofError
from perfproof_airflow.gate import EVALUATED, GATE_TASKS, gate_decision
from perfproof_airflow.sensors.owner_tasks import OwnerTask
from perfproof_airflow.sensors.questions import ProtocolApproval, asked_roles, cycle_of

if TYPE_CHECKING:
    from airflow.sdk import Context

    from perfproof.approvals import Asked, Decision, Evidence
    from perfproof_airflow.cycle import Cycle

# What each gate's failure demands (specification, Gate Failure Handling).
UNMET_FIELDS = ("criterion", "actual", "threshold", "comparison", "reason", "waivable")
REFUSED_BY = "connection refused"
DECIDED = "decided"


class GateDecision(ProtocolApproval):
    """Succeeds at once if gate `gate` passed; else asks for a decision and carries it out.

    :param retry_from: the task that a retry starts from; everything after it runs anew.
    """

    def __init__(self, *, gate: int, retry_from: str, **kwargs: Any) -> None:
        super().__init__(step=f"gate_{gate}_decision", evidence=[gate_result_name(gate)], fresh_each_round=True, **kwargs)
        self.gate = gate
        self.retry_from = retry_from

    def execute(self, context: Context) -> dict[str, Any]:
        """The decision: pass, or waiver. A halt and a retry fail this task."""
        cycle = cycle_of(context)
        try:
            result = self._result(context, cycle)
            if gate_decision(cycle, self.gate).lets_through:
                return {"decision": "pass" if result["outcome"] == "PASS" else "waiver"}
            answer = super().execute(context)
            return self._carry_out(context, cycle, result, answer)
        except PerfproofError as error:
            return self._fail(context, error, None)

    def _result(self, context: Context, cycle: Cycle) -> dict[str, Any]:
        """The result of this very evaluation: an older one says nothing about a gate that could not be evaluated now."""
        ti = context["ti"]
        task_id = GATE_TASKS[self.gate]
        states = ti.get_task_states(dag_id=cycle.dag_id, task_ids=[task_id], run_ids=[cycle.run_id])
        state = states.get(cycle.run_id, {}).get(task_id)
        if state == "upstream_failed":
            # The halted step has said why, in the specification's words; saying it again at each gate would hide it.
            raise AirflowFailException(f"gate {self.gate} was not reached: a step before it halted")
        reference = ti.xcom_pull(task_ids=task_id, key=EVALUATED) if state in ("success", "failed") else None
        if reference is None:
            raise GateError(
                302, where=f"gate {self.gate}", what="the gate was not evaluated", got=state, expected="success or failed",
                fix="see which task before it halted, and clear that one",
            )  # fmt: skip
        document: dict[str, Any] = cycle.document(reference)
        return document

    def roles(self, cycle: Cycle) -> tuple[Asked, ...]:
        """The roles of the protocol file; where a guard regressed or may have, product owner and SRE lead both."""
        from perfproof.waivers.rules import REGRESSION_ROLES

        names = list(cycle.protocol.approvals.steps[self.step])
        figures = cycle.document(gate_result_name(self.gate))["figures"]
        if figures.get("regressions") or figures.get("guards_undecided"):
            names = list(dict.fromkeys([*names, *(role for role in REGRESSION_ROLES if role in cycle.protocol.roles)]))
        return asked_roles(cycle, names)

    def options(self) -> tuple[Decision, ...]:
        """The three options of the specification."""
        from perfproof.approvals import GATE_DECISION

        return GATE_DECISION

    def ask(self, cycle: Cycle) -> tuple[str, dict[str, Any]]:
        """The specification's gate text, and the criteria that are not met."""
        result = cycle.document(gate_result_name(self.gate))
        unmet = [{field: c[field] for field in UNMET_FIELDS} for c in result["criteria"] if c["met"] is not True]
        waiver = "waiver: criterion=<name> expires=<YYYY-MM-DD> [metric=<name> limit=<percent>] <why>"
        return str(result["text"]), {"outcome": result["outcome"], "not met": unmet, "a waiver's note reads": waiver}

    def _carry_out(self, context: Context, cycle: Cycle, result: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        from perfproof.approvals import Decision
        from perfproof.evidence import EntryType
        from perfproof_airflow.hooks.airflow_api import clear_from

        decision = Decision(answer["decision"])
        records = [cycle.document(reference) for reference in answer["records"]]
        if decision is Decision.WAIVER:
            self._waive(context, cycle, result, records)
        reference = cycle.reference(gate_result_name(self.gate))
        cycle.record(
            EntryType.DECISION_RECORDED,
            {"gate": self.gate, "decision": decision.value, "result": cycle.source(reference), "round": cycle.round},
        )
        # For whoever follows the run over REST: this task may fail below, and its result would be lost.
        context["ti"].xcom_push(key=DECIDED, value=decision.value)
        if decision is Decision.WAIVER:
            return answer
        if decision is Decision.RETRY and self.gate != 3:
            # At gate 3 the candidate is rolled back first: await_rollback clears then.
            clear_from(cycle, self.retry_from)
        who = ", ".join(record["person"]["name"] for record in records)
        return self._fail(
            context, GateError(303, where=f"gate {self.gate}", what=f"{decision.value} was decided by {who}", fix=FIXES[decision]), None
        )

    def _waive(self, context: Context, cycle: Cycle, result: dict[str, Any], records: list[dict[str, Any]]) -> None:
        from perfproof.config_checks import TASK_OWNER
        from perfproof.evidence import EntryType
        from perfproof.waivers import apply_waivers, check_waiver
        from perfproof.waivers.claims import claims
        from perfproof.waivers.proof import handed_over
        from perfproof_airflow.cycle import now

        reference = cycle.reference(gate_result_name(self.gate))
        # A regression needs product owner and SRE lead beside these: check_waiver knows.
        required = [role for role in cycle.protocol.approvals.steps[self.step] if role != TASK_OWNER]
        made = claims(records)
        evaluated = cycle.store.live(gate_result_name(self.gate))
        closed = evaluated is not None and handed_over(cycle.store.entries(), evaluated)
        waivers = [
            check_waiver(
                result=result,
                result_sha256=reference["sha256"],
                run=cycle.run,
                fields=claim.fields,
                approvals=claim.records,
                roles=cycle.protocol.roles,
                required=required,
                requester=cycle.triggered_by,
                now=now(),
                closed=closed,
            )
            for claim in made
        ]
        # All are checked before the first is written: half a waiver would be found, and let the gate pass, at the next try.
        if not apply_waivers(result=result, result_sha256=reference["sha256"], run=cycle.run, waivers=waivers, now=now()).lets_through:
            open_ = [c["criterion"] for c in result["criteria"] if c["met"] is not True]
            raise GateError(
                304,
                where=f"gate {self.gate}",
                what="the waivers do not cover every criterion that is not met",
                got=", ".join(open_),
                fix="clear this task and waive each, or decide otherwise",
            )
        for claim, waiver in zip(made, waivers, strict=True):
            cycle.record(EntryType.WAIVER_GRANTED, {**waiver.document(), "person": claim.records[0]["person"]})


FIXES = {
    "retry": "the run goes on from the task that the protocol names; see the newest try",
    "halt": "the run ends here; start a new cycle when the cause is gone",
}


class Rollback(OwnerTask):
    """After a retry or a halt at gate 3: has the candidate rolled back, checks that it is, and then retries if so decided."""

    def __init__(self, *, retry_from: str, **kwargs: Any) -> None:
        super().__init__(step="rollback", evidence=[gate_result_name(3)], **kwargs)
        self.retry_from = retry_from

    def optimization_id(self, cycle: Cycle) -> str:
        """The plan's first item stands for all: they were deployed together."""
        return str(cycle.document("optimization-plan.json")["tasks"][0]["id"])

    def execute(self, context: Context) -> dict[str, Any]:
        """Nothing to do unless gate 3 was decided to be retried or halted."""
        from perfproof.approvals import Decision
        from perfproof_airflow.hooks.airflow_api import clear_from

        cycle = cycle_of(context)
        decision = self._decision(cycle)
        if decision not in (Decision.RETRY, Decision.HALT):
            return {"decision": "nothing to roll back", "records": []}
        answer = super().execute(context)
        try:
            self._require_rolled_back(cycle)
            if decision is Decision.RETRY:
                clear_from(cycle, self.retry_from)
                raise GateError(305, where="rollback", what="rolled back; the run is retried", fix="see the newest try")
        except PerfproofError as error:
            self._fail(context, error, None)
        return answer

    @staticmethod
    def _decision(cycle: Cycle) -> Decision | None:
        from perfproof.approvals import Decision
        from perfproof.evidence import EntryType

        live = cycle.store.live(gate_result_name(3))
        decided = [entry.body for entry in cycle.store.of_type(EntryType.DECISION_RECORDED) if entry.body["gate"] == 3]
        if live is None or not decided or decided[-1]["result"]["sha256"] != live.body["sha256"]:
            return None
        return Decision(decided[-1]["decision"])

    def ask(self, cycle: Cycle) -> tuple[str, dict[str, Any]]:
        """What to roll back to."""
        builds = cycle.document("evidence/measurement.json")["builds"]
        question = "Gate 3 did not pass: roll the candidate back, then mark this task success with the change reference in its note."
        return question, {"candidate now": builds["candidate"], "roll back to": builds["baseline"], "or": "take the candidate down"}

    def bound_to(self, cycle: Cycle) -> tuple[Evidence, ...]:
        """The gate result and the measurement."""
        from perfproof.approvals import Evidence

        names = [*self.evidence, "evidence/measurement.json"]
        return tuple(Evidence(name=r["name"], sha256=r["sha256"]) for r in map(cycle.reference, names))

    @staticmethod
    def _require_rolled_back(cycle: Cycle) -> None:
        """The candidate is gone or answers with the baseline's build."""
        from perfproof_airflow.hooks.endpoint import EndpointHook
        from perfproof_airflow.load_steps import endpoint_of

        measured = cycle.document("evidence/measurement.json")
        candidate = endpoint_of(cycle.protocol.service(measured["service"]), "candidate")
        try:
            found = EndpointHook(candidate, environment=cycle.protocol.environment.name).build().build
        except LoadError as error:
            if error.code == "LOD-301" and REFUSED_BY in str(error).lower():
                return
            raise
        if found != measured["builds"]["baseline"]:
            raise GateError(
                306, where="rollback", what="the candidate is not rolled back", got=found, expected=measured["builds"]["baseline"],
                fix="roll it back, then clear this task: it asks again",
            )  # fmt: skip
