"""The last guard: a run is green only if every gate passed or was waived and the handoff is recorded."""

from __future__ import annotations

from typing import Any

from perfproof.errors import GateError
from perfproof_airflow.step import step

DAG_LEAF = "completion"


@step(trigger_rule="all_done")
def completion(cycle: Any) -> dict[str, Any]:
    """Fails unless every gate passed or was waived and this round was handed off."""
    from perfproof_airflow.gate import gate_outcomes, handed_off

    outcomes = gate_outcomes(cycle)
    open_gates = [f"gate {number} is {outcome}" for number, outcome in outcomes.items() if outcome not in ("PASS", "WAIVED")]
    if open_gates or not handed_off(cycle):
        raise GateError(
            301,
            where="completion",
            what="the cycle did not complete",
            got=", ".join(open_gates) or "no handoff in this round",
            expected="four gates passed or waived, and a handoff",
            fix="see the failed task of the run; clear it when its cause is gone",
        )
    return {"outcomes": outcomes}
