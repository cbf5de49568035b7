"""Gates in Airflow: evaluate, announce, fail red, and what a gate comes to with its waivers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from perfproof.announcements import one_line
from perfproof.artifacts import Artifact, gate_result_name

if TYPE_CHECKING:
    from perfproof.notifications import Notification
    from perfproof.waivers import Decision, Waiver
    from perfproof_airflow.cycle import Cycle

GATE_TASKS = {
    1: "intake_and_baseline.gate_1",
    2: "diagnostics.gate_2",
    3: "optimization.gate_3",
    4: "governance.gate_4",
}
# XCom of a gate's task: the reference to its result, pushed before the task can fail, gone when it runs anew.
EVALUATED = "evaluated"
PROPOSAL = "evidence/slo-proposal.json"


def judge(cycle: Cycle, gate: int, *, inputs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Evaluates a gate, publishes its result, and fails the task unless it passed.

    `inputs` make the task wait for what the gate judges; the gate itself reads the live evidence by digest.
    """
    from airflow.sdk import get_current_context
    from airflow.sdk.exceptions import AirflowFailException

    from perfproof.evidence import EntryType
    from perfproof.expectations import check_frame
    from perfproof.gates.assembly import Facts, evaluate_gate
    from perfproof_airflow.checkpoints import checkpoint
    from perfproof_airflow.cycle import now

    def read(name: str) -> bytes | None:
        return cycle.read(name) if cycle.store.live(name) else None

    def produce() -> dict[str, Any]:
        facts = Facts(
            protocol=cycle.protocol,
            parameters=cycle.parameters,
            approvals=granted(cycle),
            deliveries=[entry.body for entry in cycle.store.of_type(EntryType.NOTIFY_DELIVERED)],
            now=now(),
            check=check_frame,
        )
        return evaluate_gate(gate, read=read, facts=facts).document()

    reference = cycle.publish(gate_result_name(gate), produce, inputs=inputs)
    result = cycle.document(reference)
    facts = {key: result[key] for key in ("gate", "name", "outcome", "criteria", "figures", "text", "evidence")}
    cycle.record(EntryType.GATE_EVALUATED, {**facts, "result": cycle.source(reference)})
    checkpoint(cycle.store)
    get_current_context()["ti"].xcom_push(key=EVALUATED, value=reference)
    if result["outcome"] != "PASS":
        cycle.notify(_not_passed(cycle, result))
        reasons = "; ".join(str(reason) for reason in result["reasons"]) or "see the result"
        raise AirflowFailException(f"gate {gate} ({result['name']}): {result['outcome']}: {reasons}")
    return reference


def _not_passed(cycle: Cycle, result: Mapping[str, Any]) -> Notification:
    """The specification's block, which holds the options, and every reason on a line of its own."""
    from perfproof.notifications import Kind, Notification

    reasons = "".join(f"\n- {one_line(reason)}" for reason in result["reasons"])
    return Notification(
        kind=Kind.GATE_FAILED, title=f"Gate {result['gate']} ({result['name']}): {result['outcome']}",
        text=str(result["text"]) + (f"\nReasons:{reasons}" if reasons else ""), run=cycle.run, step=f"gate_{result['gate']}",
        link=cycle.link, about=f"gate {result['gate']}",
    )  # fmt: skip


def granted(cycle: Cycle) -> list[dict[str, Any]]:
    """The approval records of the cycle that verify now: signed act, person in role, and request."""
    from perfproof_airflow.protected import verified_records

    return verified_records(cycle)


def decision(gate: int, *, retry_from: str) -> Any:
    """The task after a gate: at once if it passed, else a request for retry, waiver or halt."""
    from perfproof_airflow.sensors.decisions import GateDecision

    return GateDecision(task_id=f"gate_{gate}_decision", gate=gate, retry_from=retry_from, trigger_rule="all_done")


def rollback(*, retry_from: str) -> Any:
    """The task after the decision of gate 3."""
    from perfproof_airflow.sensors.decisions import Rollback

    return Rollback(task_id="await_rollback", retry_from=retry_from, trigger_rule="all_done")


def waivers_of(cycle: Cycle) -> list[Waiver]:
    """The waivers in the cycle's log."""
    from perfproof.evidence import EntryType
    from perfproof.waivers import read_waiver

    return [read_waiver(entry.body) for entry in cycle.store.of_type(EntryType.WAIVER_GRANTED)]


def gate_decision(cycle: Cycle, gate: int) -> Decision:
    """What the live result of a gate comes to: PASS, WAIVED, FAIL or INDETERMINATE. Raises EvidenceError if there is none."""
    from perfproof.waivers import apply_waivers
    from perfproof_airflow.cycle import now

    reference = cycle.reference(gate_result_name(gate))
    return apply_waivers(
        result=cycle.document(reference), result_sha256=reference["sha256"], run=cycle.run, waivers=waivers_of(cycle), now=now()
    )


def gate_outcomes(cycle: Cycle) -> dict[int, str]:
    """What each gate comes to; `NOT EVALUATED` where the cycle has no result."""
    return {gate: gate_decision(cycle, gate).value if cycle.store.live(gate_result_name(gate)) else "NOT EVALUATED" for gate in GATE_TASKS}


def handed_off(cycle: Cycle) -> bool:
    """Whether the handoff is recorded for the report as it is now."""
    from perfproof.evidence import EntryType

    live = cycle.store.live(Artifact.PERFORMANCE_REPORT)
    handoffs = cycle.store.of_type(EntryType.HANDOFF_COMPLETED)
    return bool(live and handoffs and handoffs[-1].body["report"]["sha256"] == live.body["sha256"])


def handoff_state(cycle: Cycle) -> Any:
    """What the archive holds, for the specification's checklist."""
    from perfproof.handoff import HandoffState
    from perfproof_airflow.cycle import now

    live = cycle.store.live_all()
    names = [name.value for name in Artifact if name in live]
    gates = [gate for gate in GATE_TASKS if gate_result_name(gate) in live]
    required = cycle.protocol.approvals.steps["slo_updates"]
    return HandoffState(
        run=cycle.run,
        results={gate: cycle.document(gate_result_name(gate)) for gate in gates},
        result_sha256={gate: live[gate_result_name(gate)].body["sha256"] for gate in gates},
        waivers=waivers_of(cycle),
        artifacts={name: cycle.read(name) for name in names},
        archived={name: live[name].body["sha256"] for name in names},
        slo_record=cycle.document(Artifact.SLO_UPDATE_RECORD),
        approval_records=granted(cycle),
        proposal_ref=cycle.source(cycle.reference(PROPOSAL)),
        roles={name: cycle.protocol.roles[name] for name in required},
        thresholds=cycle.protocol.thresholds,
        now=now(),
    )
