"""Service level objectives after an optimization: what to propose, and the record of what people approved.

A target is never tighter than what was measured: it is the upper bound of the candidate's blocks plus headroom,
rounded up. It takes effect only through an approval that is bound to the proposal's digest.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from perfproof.config import Role, Service, Slo
from perfproof.errors import ArtifactError
from perfproof.moments import stamp
from perfproof.telemetry import Direction

MIN_HEADROOM = 0.05
NICE = (1.0, 1.2, 1.5, 1.8, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0)
MIN_BLOCKS = 4


def nice_up(value: float) -> float:
    """The smallest round number at or above `value` (1, 1.2, 1.5, … times a power of ten): 336 gives 350."""
    if not math.isfinite(value) or value <= 0:
        raise ArtifactError(401, where="SLO target", what="cannot be rounded", got=value, expected="a positive number", fix="measure again")
    power = 10.0 ** math.floor(math.log10(value))
    for step in NICE:
        if step * power >= value * (1 - 1e-12):
            return float(f"{step * power:.12g}")
    raise AssertionError("NICE ends at 10")  # pragma: no cover


def nice_down(value: float) -> float:
    """The largest round number at or below `value`, for metrics where higher is better."""
    power = 10.0 ** math.floor(math.log10(value))
    return float(f"{max(step for step in NICE if step * power <= value * (1 + 1e-12)) * power:.12g}")


def headroom(blocks: Sequence[float]) -> float:
    """max(5 %, 2 x coefficient of variation) of the candidate's blocks, as a share (design, decision 6)."""
    mean = statistics.fmean(blocks)
    spread = statistics.stdev(blocks) / mean if len(blocks) > 1 and mean > 0 else 0.0
    return max(MIN_HEADROOM, 2 * spread)


def upper_bound_of_median(blocks: Sequence[float]) -> float:
    """Distribution-free one-sided 95 % upper bound of the median (order statistic of the binomial).

    With 4 blocks the largest one bounds the median with 93.75 %, which is the best that 4 can give.
    """
    ordered = sorted(blocks)
    n = len(ordered)
    for k in range(n):
        # P(at least k+1 of n below the median) is what stays above the bound.
        below = sum(math.comb(n, i) for i in range(k + 1)) / 2**n
        if below >= 0.95:
            return ordered[k]
    return ordered[-1]


def propose_updates(
    *, validation: Mapping[str, Any], validation_ref: Mapping[str, str], candidate_blocks: Sequence[float], service: Service, now: datetime
) -> dict[str, Any]:
    """The proposal (CONTRIBUTING, "Shapes"): one update for each SLO of the target metric, or a first SLO if there is none.

    `candidate_blocks` are the metric's values in the candidate's valid blocks, in its unit. Raises ArtifactError if
    there are too few to bound the target.
    """
    metric = str(validation["target_metric"])
    spec = service.metric(metric)
    if spec is None:
        raise ArtifactError(402, where="target_metric", what="not a metric of the service", got=metric, fix="correct the protocol file")
    if len(candidate_blocks) < MIN_BLOCKS:
        raise ArtifactError(
            403, where="SLO proposal", what="too few measured blocks", got=len(candidate_blocks), expected=f"{MIN_BLOCKS} or more", fix="measure again"
        )
    share = headroom(candidate_blocks)
    lower = spec.direction is Direction.LOWER
    if lower:
        bound = upper_bound_of_median(candidate_blocks)
        proved = nice_up(bound * (1 + share))
    else:
        bound = -upper_bound_of_median([-value for value in candidate_blocks])
        proved = nice_down(bound / (1 + share))
    slos = [slo for slo in service.slos if slo.metric == metric]
    updates = [
        _update(slo, spec.unit.value, proved, share, bound, validation, service, lower=lower) for slo in slos or [_first_slo(metric, spec)]
    ]
    return {"proposal_date": stamp(now), "validation": dict(validation_ref), "service": service.name, "updates": updates}


def _first_slo(metric: str, spec: Any) -> Slo:
    return Slo(
        name=metric, metric=metric, target=math.inf, unit=spec.unit, objective_percent=99.0, sla=None,
        escalation_policy="UNKNOWN", alert_threshold="none",
    )  # fmt: skip


def _update(
    slo: Slo, unit: str, proved: float, share: float, bound: float, validation: Mapping[str, Any], service: Service, *, lower: bool
) -> dict[str, Any]:
    tighter = proved < slo.target if lower else proved > slo.target
    new = proved if tighter or math.isinf(slo.target) else slo.target
    improvement = validation["improvement"]["percentage"]
    reason = f"Optimization achieved {improvement}% improvement"
    if not tighter:
        reason += "; the measured bound does not support a tighter target, so the one in force is confirmed"
    known = math.isfinite(slo.target)
    return {
        "slo_name": slo.name,
        "service": service.name,
        "metric": slo.metric,
        "previous_target": f"{slo.target:g}{unit}" if known else "none",
        "new_target": f"{new:g}{unit}",
        "previous_value": slo.target if known else None,
        "new_value": new,
        "unit": unit,
        "justification": reason,
        "measured_bound": round(bound, 3),
        "headroom_percent": round(100 * share, 1),
        "alert_thresholds": alert_thresholds(slo.metric, new, unit, lower=lower),
        "escalation_policy": slo.escalation_policy,
    }


# (severity, long window, short window): both must breach, so that an alert is neither hasty nor late to end.
ALERT_WINDOWS = (("page", "1h", "5m"), ("ticket", "6h", "30m"))


def alert_thresholds(metric: str, target: float, unit: str, *, lower: bool) -> list[str]:
    """The alerts of a target in words, one for each pair of windows."""
    word = "above" if lower else "below"
    return [f"{severity}: {metric} {word} {target:g} {unit} over {long} and over {short}" for severity, long, short in ALERT_WINDOWS]


def slo_update_record(
    *,
    proposal: Mapping[str, Any],
    proposal_ref: Mapping[str, str],
    approvals: Sequence[Mapping[str, Any]],
    required: Sequence[str],
    roles: Mapping[str, Role],
    now: datetime,
) -> dict[str, Any]:
    """`slo-update-record.json`: the spec's fields, who approved as which person, and what both trace to.

    `approvals` are approval records (CONTRIBUTING, "Shapes") bound to the proposal; a role without one is `pending`.
    """
    approvers = []
    for role in required:
        record = next((r for r in approvals if r["role"] == role and r["decision"] == "approve"), None)
        label = roles[role].label if role in roles else role
        if record is None:
            approvers.append({"name": None, "role": label, "person_id": None, "approval_status": "pending", "approval_timestamp": None})
            continue
        approvers.append(
            {
                "name": record["person"]["name"],
                "role": label,
                "person_id": record["person"]["id"],
                "approval_status": "approved",
                "approval_timestamp": record["decided_at"],
                "request_id": record["request_id"],
                "channel": record["channel"],
                "record_sha256": record.get("record_sha256"),
            }
        )
    approved = sum(1 for approver in approvers if approver["approval_status"] == "approved")
    percentage = 100 * approved / len(approvers) if approvers else 0
    updates = [
        {
            "slo_name": update["slo_name"],
            "service": update["service"],
            "metric": update["metric"],
            "previous_target": update["previous_target"],
            "new_target": update["new_target"],
            "justification": update["justification"],
            "alert_thresholds": update["alert_thresholds"],
            "escalation_policy": update["escalation_policy"],
            "approvers": [dict(approver) for approver in approvers],
        }
        for update in proposal["updates"]
    ]
    return {
        "update_date": stamp(now),
        "updates": updates,
        "approval_status": "approved" if approvers and approved == len(approvers) else "pending",
        "approval_percentage": int(percentage) if percentage == int(percentage) else round(percentage, 1),
        "proposal": dict(proposal_ref),
        "traces_to": {"validation": dict(proposal["validation"])},
    }
