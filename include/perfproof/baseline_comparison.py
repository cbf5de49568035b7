"""This baseline against the one before it, or against the history: is the system we start from worse than the one we left?

Only values of one metric in one unit are compared. A value that is absent on either side is `unknown`, never "no change".
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from perfproof.errors import TelemetryError
from perfproof.telemetry import Direction

# A single earlier capture may itself be an outlier.
MIN_HISTORY = 3


class Change(StrEnum):
    """How a metric stands against its reference."""

    REGRESSED = "regressed"
    WITHIN_LIMIT = "within_limit"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """One metric of one service against its reference. `worsening_percent` is positive when it got worse, in percent of the reference."""

    service: str
    metric: str
    unit: str
    change: Change
    previous: float | None
    current: float | None
    worsening_percent: float | None
    limit_percent: float
    reason: str


def compare_baselines(current: Mapping[str, Any], previous: Mapping[str, Any], *, limit_percent: float) -> list[Finding]:
    """A finding for each cell of `current` (a baseline document) against the same cell of `previous`.

    Regressed means worse by more than the factor 1 + limit/100: at 200, more than three times the latency or less than a
    third of the throughput. So one limit holds for both directions.
    """
    earlier = {(cell["service"], cell["metric_name"]): cell for cell in previous["cells"]}
    return [_finding(cell, earlier.get((cell["service"], cell["metric_name"])), limit_percent) for cell in current["cells"]]


def compare_with_history(current: Mapping[str, Any], history: Sequence[Mapping[str, Any]], *, limit_percent: float) -> list[Finding]:
    """A finding for each cell of `current` against the median of its values in `history`, of which at least three are needed."""
    findings = []
    for cell in current["cells"]:
        same = [
            earlier
            for document in history
            for earlier in document["cells"]
            if (earlier["service"], earlier["metric_name"], earlier["unit"]) == (cell["service"], cell["metric_name"], cell["unit"])
            and earlier["value"] is not None
        ]
        reference = {**same[0], "value": statistics.median(e["value"] for e in same)} if len(same) >= MIN_HISTORY else None
        findings.append(_finding(cell, reference, limit_percent, absent=f"fewer than {MIN_HISTORY} earlier captures have a value"))
    return findings


def require_no_regression(findings: Sequence[Finding], *, against: str) -> None:
    """Raises TelemetryError with every regressed metric. `against` names the reference, with its date.

    The specification's halt of phase 2: results show regressions that need mitigation before anything is optimized.
    """
    regressed = [
        f"{f.service}/{f.metric} {f.previous:g} -> {f.current:g} {f.unit} ({f.worsening_percent:+.1f} %)"
        for f in findings
        if f.change is Change.REGRESSED
    ]
    if regressed:
        raise TelemetryError(
            255, where="baseline", what=f"regressed against {against}", got="; ".join(regressed),
            expected=f"worse by at most {findings[0].limit_percent:g} %",
            fix="find what changed since and mitigate it, or raise regression_limit_percent with approval, then clear this task",
        )  # fmt: skip


def comparison_document(findings: Sequence[Finding], *, reference: Mapping[str, str]) -> dict[str, Any]:
    """`evidence/baseline-comparison.json`: {reference, regressed, unknown, findings}. `reference` is {name, sha256} or a description."""
    return {
        "reference": dict(reference),
        "regressed": [f"{f.service}/{f.metric}" for f in findings if f.change is Change.REGRESSED],
        "unknown": [f"{f.service}/{f.metric}: {f.reason}" for f in findings if f.change is Change.UNKNOWN],
        "findings": [
            {
                "service": f.service,
                "metric": f.metric,
                "unit": f.unit,
                "change": f.change.value,
                "previous": f.previous,
                "current": f.current,
                "worsening_percent": f.worsening_percent,
                "limit_percent": f.limit_percent,
                "reason": f.reason,
            }
            for f in findings
        ],
    }


def _finding(
    cell: Mapping[str, Any],
    earlier: Mapping[str, Any] | None,
    limit: float,
    *,
    absent: str = "not in the earlier baseline",
) -> Finding:
    current = cell["value"]
    previous = None if earlier is None else earlier["value"]
    worsening: float | None = None
    change = Change.UNKNOWN
    if current is None:
        reason = "no value now"
    elif earlier is None:
        reason = absent
    elif previous is None:
        reason = "the earlier baseline has no value"
    elif (earlier["unit"], earlier["direction"]) != (cell["unit"], cell["direction"]):
        reason = f"the earlier baseline has {earlier['unit']}, {earlier['direction']}"
    elif previous <= 0 or current < 0:
        reason = "the earlier value is zero, so no share of it can be named" if current != previous else "zero before and now"
        change = Change.WITHIN_LIMIT if current == previous else Change.UNKNOWN
        worsening = 0.0 if current == previous else None
    else:
        sign = Direction(cell["direction"]).sign
        worsening = round(-sign * 100 * (current - previous) / previous, 1)
        factor = 1 + limit / 100
        worse = current > previous * factor if sign < 0 else current * factor < previous
        change = Change.REGRESSED if worse else Change.WITHIN_LIMIT
        reason = f"{'worse' if worsening > 0 else 'better or equal'} by {abs(worsening):g} %"
    return Finding(cell["service"], cell["metric_name"], cell["unit"], change, previous, current, worsening, limit, reason)
