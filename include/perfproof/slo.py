"""Service level objectives after an optimization: what to propose, and the record of what people approved.

A target is never tighter than what was measured: it is the upper bound of the candidate's blocks plus headroom,
rounded up. It takes effect only through an approval that is bound to the proposal's digest.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from perfproof.config import Role, Service, Slo
from perfproof.errors import ArtifactError
from perfproof.moments import stamp
from perfproof.slos.captured import MetricHistory
from perfproof.slos.proposal import NO_CAPTURES, alerting_of
from perfproof.slos.targets import daily_variation
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
    if not math.isfinite(value) or value <= 0:
        raise ArtifactError(401, where="SLO target", what="cannot be rounded", got=value, expected="a positive number", fix="measure again")
    power = 10.0 ** math.floor(math.log10(value))
    return float(f"{max(step for step in NICE if step * power <= value * (1 + 1e-12)) * power:.12g}")


def headroom(blocks: Sequence[float], *, daily: float | None = None) -> float:
    """max(5 %, 2 x coefficient of variation), as a share (design, decision 6).

    That of the candidate's blocks, or `daily`, that of the metric from day to day, whichever is larger: blocks are minutes of one
    day, and a target must hold on all days.
    """
    mean = statistics.fmean(blocks)
    spread = statistics.stdev(blocks) / mean if len(blocks) > 1 and mean > 0 else 0.0
    return max(MIN_HEADROOM, 2 * spread, 2 * (daily or 0.0))


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
    *,
    validation: Mapping[str, Any],
    validation_ref: Mapping[str, str],
    candidate_blocks: Sequence[float],
    service: Service,
    now: datetime,
    history: MetricHistory | None = None,
    no_history: str = NO_CAPTURES,
) -> dict[str, Any]:
    """The proposal (CONTRIBUTING, "Shapes"): one update for each SLO of the target metric, or a first SLO if there is none.

    `candidate_blocks` are the metric's values in the candidate's valid blocks, in its unit. `history` are the target metric's
    values in recurring captures; `no_history` says why there is none. Raises ArtifactError if there are too few blocks to bound
    the target.
    """
    metric = str(validation["target_metric"])
    spec = service.metric(metric)
    if spec is None:
        raise ArtifactError(402, where="target_metric", what="not a metric of the service", got=metric, fix="correct the protocol file")
    if len(candidate_blocks) < MIN_BLOCKS:
        raise ArtifactError(
            403,
            where="SLO proposal",
            what="too few measured blocks",
            got=len(candidate_blocks),
            expected=f"{MIN_BLOCKS} or more",
            fix="measure again",
        )
    bad = [value for value in candidate_blocks if not math.isfinite(value) or value < 0]
    if bad:
        raise ArtifactError(
            404,
            where="SLO proposal",
            what="a block is no measurement",
            got=bad[0],
            expected="a finite number, 0 or more",
            fix="measure again",
        )
    daily = daily_variation(history.times, history.values) if history else None
    measured = _measured(candidate_blocks, lower=spec.direction is Direction.LOWER, daily=daily)
    slos = [slo for slo in service.slos if slo.metric == metric]
    gained = achievement(validation["improvement"].get("percentage"))
    updates = [_update(slo, measured, gained, service) for slo in slos] or [_first(metric, spec.unit.value, measured, gained, service)]
    updates = [{**u, **alerting_of(u, service=service, history=history, no_history=no_history)} for u in updates]
    return {"proposal_date": stamp(now), "validation": dict(validation_ref), "service": service.name, "updates": updates}


@dataclass(frozen=True, slots=True)
class _Measured:
    """What the blocks support: the bound of the candidate, the headroom as a share, and the target (None: no target follows)."""

    bound: float
    headroom: float
    target: float | None
    lower: bool


def _measured(blocks: Sequence[float], *, lower: bool, daily: float | None) -> _Measured:
    share = headroom(blocks, daily=daily)
    bound = upper_bound_of_median(blocks) if lower else -upper_bound_of_median([-value for value in blocks])
    if bound <= 0:
        # No requests failed, say: zero plus headroom is still zero, and no service can promise that.
        return _Measured(bound, share, None, lower)
    return _Measured(bound, share, nice_up(bound * (1 + share)) if lower else nice_down(bound / (1 + share)), lower)


def achievement(percentage: Any) -> str:
    """What the optimization brought, in the words of the spec's sample; a change for the worse is not called an improvement."""
    if isinstance(percentage, bool) or not isinstance(percentage, int | float) or not math.isfinite(percentage):
        return "The improvement is unknown"
    if percentage > 0:
        return f"Optimization achieved {percentage:.6g}% improvement"
    return "Optimization achieved no improvement" if percentage == 0 else f"Optimization made it {-percentage:.6g}% worse"


def with_unit(value: float, unit: str) -> str:
    """A target as people write it: `350ms`, `0.5%`, `950 req/s`."""
    short = {"percent": "%"}.get(unit, unit)
    return f"{value:.12g}{short if short in ('ms', 's', '%') else ' ' + short}"


def _update(slo: Slo, measured: _Measured, gained: str, service: Service) -> dict[str, Any]:
    tighter = measured.target is not None and (measured.target < slo.target if measured.lower else measured.target > slo.target)
    new = measured.target if tighter and measured.target is not None else slo.target
    reason = gained if tighter else f"{gained}; the measured bound does not support a tighter target, so the one in force is confirmed"
    return _entry(slo.name, slo.metric, slo.unit.value, slo.target, new, reason, slo.escalation_policy, measured, service)


def _first(metric: str, unit: str, measured: _Measured, gained: str, service: Service) -> dict[str, Any]:
    if measured.target is None:
        raise ArtifactError(
            405, where=f"SLO of {metric}", what="no target follows from a bound of zero", got=measured.bound, expected="a positive bound",
            fix="name an SLO for the metric in the protocol file; it is then confirmed",
        )  # fmt: skip
    reason = f"{gained}; no objective was in force for this metric, this is the first"
    return _entry(metric, metric, unit, None, measured.target, reason, "UNKNOWN", measured, service)


def _entry(
    name: str, metric: str, unit: str, old: float | None, new: float, reason: str, escalation: str, measured: _Measured, service: Service
) -> dict[str, Any]:
    return {
        "slo_name": name,
        "service": service.name,
        "metric": metric,
        "previous_target": "none" if old is None else with_unit(old, unit),
        "new_target": with_unit(new, unit),
        "previous_value": old,
        "new_value": new,
        "unit": unit,
        "justification": reason,
        "measured_bound": round(measured.bound, 3),
        "headroom_percent": round(100 * measured.headroom, 1),
        "alert_thresholds": alert_thresholds(metric, new, unit, lower=measured.lower),
        "escalation_policy": escalation,
    }


# (severity, long window, short window): both must breach, so that an alert is neither hasty nor late to end.
ALERT_WINDOWS = (("page", "1h", "5m"), ("ticket", "6h", "30m"))


def alert_thresholds(metric: str, target: float, unit: str, *, lower: bool) -> list[str]:
    """The alerts of a target in words, one for each pair of windows."""
    word = "above" if lower else "below"
    return [f"{severity}: {metric} {word} {target:.12g} {unit} over {long} and over {short}" for severity, long, short in ALERT_WINDOWS]


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
