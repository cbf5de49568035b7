"""The last guard: a run is green only if every gate passed or was waived and the handoff is recorded."""

from __future__ import annotations

from typing import Any

from airflow.sdk.exceptions import AirflowFailException

from perfproof_airflow.step import step

DAG_LEAF = "completion"


@step(trigger_rule="all_done")
def completion(cycle: Any) -> dict[str, Any]:
    """Fails unless every gate passed or was waived and this round was handed off."""
    from perfproof_airflow.gate import gate_outcomes, handed_off

    outcomes = gate_outcomes(cycle)
    open_gates = [f"gate {number} is {outcome}" for number, outcome in outcomes.items() if outcome not in ("PASS", "WAIVED")]
    if open_gates or not handed_off(cycle):
        reason = ", ".join(open_gates) or "no handoff of the report as it is now"
        raise AirflowFailException(f"the cycle did not complete: {reason}; see the failed task, clear it when its cause is gone")
    return {"outcomes": outcomes}
