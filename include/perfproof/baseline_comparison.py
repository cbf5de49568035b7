"""This baseline against the one before it, or against the history: is the system we start from worse than the one we left?

Only values of one metric in one unit are compared. A value that is absent on either side is `unknown`, never "no change".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from perfproof.capture_changes import CaptureSeries, capture_series
from perfproof.change_points import Change as LevelChange
from perfproof.change_points import level, stable_reference
from perfproof.change_points.acknowledged import NOTHING_ACKNOWLEDGED, Acknowledged
from perfproof.errors import TelemetryError
from perfproof.telemetry import Direction

# A single earlier capture may itself be an outlier.
MIN_HISTORY = 3
# After a change a few captures may still be settling; of six the median has a 95 % interval.
MIN_AFTER_CHANGE = 6
NOT_STABLE = "baseline not stable"


class Change(StrEnum):
    """How a metric stands against its reference."""

    REGRESSED = "regressed"
    WITHIN_LIMIT = "within_limit"
    UNKNOWN = "unknown"
    INCONCLUSIVE = "inconclusive"


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
    reason: str


def compare_with_previous(
    parts: Sequence[Mapping[str, Any]], *, previous: Mapping[str, Any] | None, limit_percent: float
) -> dict[str, Any]:
    """`evidence/baseline-comparison.json`: each cell of `parts` (documents with `cells`) against the same cell of `previous`.

    `previous` is the baseline document of the cycle before, None if there is none, which makes every finding unknown.
    Regressed means worse by more than the factor 1 + limit/100: at 200, more than three times the latency or less than a
    third of the throughput. So one limit holds for both directions.
    """
    absent = "there is no earlier baseline" if previous is None else "not in the earlier baseline"
    earlier = {(cell["service"], cell["metric_name"]): cell for cell in (previous or {"cells": []})["cells"]}
    findings = [
        _finding(cell, earlier.get((cell["service"], cell["metric_name"])), limit_percent, absent=absent)
        for part in parts
        for cell in part["cells"]
    ]
    against = None if previous is None else f"the baseline of {previous['collected_at']}"
    return _document(findings, against=against, limit_percent=limit_percent)


def compare_with_history(
    current: Mapping[str, Any],
    history: Sequence[Mapping[str, Any]],
    *,
    limit_percent: float,
    acknowledged: Acknowledged = NOTHING_ACKNOWLEDGED,
) -> dict[str, Any]:
    """As `compare_with_previous`, against the median of each cell over its last stable segment in `history` (oldest first).

    Fewer than three values are unknown. "Baseline not stable" is inconclusive, never within the limit: fewer than six values
    since the level changed, or a regression since that is not `acknowledged`. Against the level before such a regression a
    value can still be regressed.
    """
    series = {one.name: one for one in capture_series([*history, current])}
    findings = []
    for cell in current["cells"]:
        one = series[f"{cell['service']}/{cell['metric_name']}"]
        findings.append(_against(cell, one, limit=limit_percent, acknowledged=acknowledged))
    against = f"the median of the last stable part of {len(history)} earlier captures" if history else None
    return _document(findings, against=against, limit_percent=limit_percent)


def _against(cell: Mapping[str, Any], series: CaptureSeries, *, limit: float, acknowledged: Acknowledged) -> Finding:
    # The last one is the capture that is compared.
    values, times = series.values[:-1], series.starts[:-1]

    def accepted(changes: Sequence[int]) -> list[bool]:
        return [entry is not None for entry in acknowledged.of(series.name, changes, times=times)]

    reference = stable_reference(values, direction=series.direction, accepted=accepted)
    middle, count = level(values, reference.segment)
    earlier = None if count < MIN_HISTORY else {**cell, "value": middle}
    finding = _finding(cell, earlier, limit, absent=f"fewer than {MIN_HISTORY} earlier captures have a value")
    if finding.change in (Change.REGRESSED, Change.INCONCLUSIVE) or finding.current is None:
        return finding
    if reference.pending is not None:
        return _unstable(finding, f"{_changed(reference.pending, times)}, which is not acknowledged")
    if reference.since is not None and count < MIN_AFTER_CHANGE:
        return _unstable(finding, f"{_changed(reference.since, times)}, and only {count} captures have a value since")
    return finding


def _unstable(finding: Finding, why: str) -> Finding:
    return replace(finding, change=Change.INCONCLUSIVE, reason=f"{NOT_STABLE}: {why}")


def _changed(change: LevelChange, times: Sequence[str]) -> str:
    return f"{change.kind.value} at {times[change.index]} from {change.before:.6g} to {change.after:.6g}"


def require_no_regression(comparison: Mapping[str, Any]) -> None:
    """Raises TelemetryError with every regressed metric of a comparison document.

    The specification's halt: results show regressions that need mitigation before anything is optimized.
    """
    regressed = [
        f"{f['service']}/{f['metric']} {f['previous']:g} -> {f['current']:g} {f['unit']} ({_times_worse(f)})"
        for f in comparison["findings"]
        if f["change"] == Change.REGRESSED
    ]
    limit = comparison["limit_percent"]
    if regressed:
        raise TelemetryError(
            255, where="baseline", what=f"regressed against {comparison['against']}", got="; ".join(regressed),
            expected=f"at most {1 + limit / 100:g} times worse (regression_limit_percent {limit:g})",
            fix="find what changed since and mitigate it, or raise regression_limit_percent in the protocol file, then start anew",
        )  # fmt: skip


def _times_worse(finding: Mapping[str, Any]) -> str:
    # Less of something and more of something have one scale only as a ratio: a tenth of the throughput is "worse by 90 %".
    low, high = sorted((finding["previous"], finding["current"]))
    return "nothing is left" if low == 0 else f"{high / low:.3g} times worse"


def _document(findings: Sequence[Finding], *, against: str | None, limit_percent: float) -> dict[str, Any]:
    return {
        "against": against,
        "limit_percent": limit_percent,
        "regressed": [f"{f.service}/{f.metric}" for f in findings if f.change is Change.REGRESSED],
        # What is not decided is unknown too: readers of one list must not take it for "within the limit".
        "unknown": [f"{f.service}/{f.metric}: {f.reason}" for f in findings if f.change in (Change.UNKNOWN, Change.INCONCLUSIVE)],
        "inconclusive": [f"{f.service}/{f.metric}: {f.reason}" for f in findings if f.change is Change.INCONCLUSIVE],
        "findings": [
            {
                "service": f.service,
                "metric": f.metric,
                "unit": f.unit,
                "change": f.change.value,
                "previous": f.previous,
                "current": f.current,
                "worsening_percent": f.worsening_percent,
                "reason": f.reason,
            }
            for f in findings
        ],
    }


def _finding(cell: Mapping[str, Any], earlier: Mapping[str, Any] | None, limit: float, *, absent: str) -> Finding:
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
    return Finding(cell["service"], cell["metric_name"], cell["unit"], change, previous, current, worsening, reason)
