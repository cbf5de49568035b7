"""What plans promised and what validations found, over cycles: for each optimization, and for each cause as a class of them.

A record is one validated change. It is kept in `performance-intake-backlog.json`, which every cycle hands to the next, so the
history needs no access to earlier runs and is covered by the digest of that file. Optimizations that were measured together have
one gain together: their promise is the combined one, and it says nothing about each.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from perfproof.moments import stamp
from perfproof.telemetry import Direction

MAX_RECORDS = 500
TOGETHER = "several causes"


class Kept(StrEnum):
    """A promise against the interval of what was realized."""

    KEPT = "kept"
    SHORT = "short"
    UNDECIDED = "undecided"
    UNKNOWN = "unknown"


def gain_record(
    *, plan: Mapping[str, Any], validation: Mapping[str, Any], validation_sha256: str, run: str, direction: Direction = Direction.LOWER
) -> dict[str, Any] | None:
    """One record of a validated change, None if no task of the plan is among its optimizations.

    `promised_percent` is what the plan expected within its bound, `stated_percent` what owners said. Percentages are of the target
    metric, positive is better. `direction` says whether gains are of a time (1 - product of 1 - g) or of a rate (product of 1 + g).
    """
    done = [str(o) for o in validation.get("optimizations") or [validation.get("optimization_id")]]
    tasks = [task for task in plan.get("tasks") or () if task["id"] in done]
    if not tasks:
        return None
    verdict = validation.get("verdict") or {}
    realized = _number(validation["improvement"].get("percentage"))
    promised = _together([_number(t.get("expected_gain_percent")) for t in tasks], direction)
    low, high = _number(verdict.get("ci_low")), _number(verdict.get("ci_high"))
    causes = sorted({str(t.get("cause") or "unknown") for t in tasks})
    return {
        "run": run,
        "validated_at": str(validation.get("validation_date") or ""),
        "validation_sha256": validation_sha256,
        "service": str(validation.get("service") or tasks[0].get("service") or ""),
        "target_metric": str(validation.get("target_metric") or ""),
        "optimizations": [
            {"id": str(t["id"]), "title": str(t.get("title") or ""), "cause": str(t.get("cause") or "unknown")} for t in tasks
        ],
        "cause": causes[0] if len(causes) == 1 else TOGETHER,
        "promised_percent": promised,
        "stated_percent": _together([_number(t.get("stated_gain_percent")) for t in tasks], direction),
        "bounded": any(t.get("gain_bound_percent") is not None for t in tasks),
        "realized_percent": realized,
        "realized_low": low,
        "realized_high": high,
        "ratio": _ratio(realized, promised),
        "kept": _kept(promised, realized, low, high).value,
        "status": str(validation.get("status") or "unknown"),
    }


def promised_gains(
    *, earlier: Sequence[Mapping[str, Any]], own: Sequence[Mapping[str, Any]], plan: Mapping[str, Any], run: str, now: datetime,
    carried_from: Mapping[str, str] | None, reason: str | None,
) -> dict[str, Any]:  # fmt: skip
    """`evidence/promised-gains.json`: all records, oldest first, and what they come to per optimization and per cause.

    `earlier` are the records of the backlog that the cycle began with (`carried_from` is its name and digest, `reason` why there is
    none), `own` those of this cycle. A record of the same validation counts once.
    """
    records = carried(earlier, own)
    done = {o["id"] for record in own for o in record["optimizations"]}
    return {
        "written_at": stamp(now),
        "run": run,
        "records": records,
        "by_optimization": _by_optimization(records),
        "by_cause": gains_by_cause(records),
        "not_implemented": [
            {"id": task["id"], "title": task.get("title"), "promised_percent": task.get("expected_gain_percent")}
            for task in plan.get("tasks") or ()
            if task["id"] not in done
        ],
        "carried_from": dict(carried_from) if carried_from else None,
        "not_carried": reason,
    }


def gains_by_cause(records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What the records come to for each cause, by its name."""
    causes = sorted({r["cause"] for r in records})
    return [{"cause": name, **_sums([r for r in records if r["cause"] == name])} for name in causes]


def _by_optimization(records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Figures of what was measured alone, and how often each was measured together with others, which says nothing of it."""
    entries = []
    titles = {o["id"]: o["title"] for r in records for o in r["optimizations"]}
    for name, title in sorted(titles.items()):
        own = [r for r in records if any(o["id"] == name for o in r["optimizations"])]
        alone = [r for r in own if len(r["optimizations"]) == 1]
        entries.append({"id": name, "title": title, **_sums(alone), "measured_together": len(own) - len(alone)})
    return entries


def carried(earlier: Sequence[Mapping[str, Any]], own: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The records to hand on: each validation once, oldest first, the newest 500."""
    found = {str(record["validation_sha256"]): dict(record) for record in (*earlier, *own)}
    return list(found.values())[-MAX_RECORDS:]


def gain_lines(document: Mapping[str, Any]) -> list[str]:
    """The history in sentences, for the improvement notes: this class of change kept so much of what it promised."""
    lines = [f"{_words(entry['cause'])}: {_said(entry)}" for entry in document["by_cause"]]
    return lines or ["No validated change is recorded yet, so nothing is known of how well promises are kept."]


def _words(cause: str) -> str:
    return str(cause).replace("_", " ")


def _said(entry: Mapping[str, Any]) -> str:
    count = "1 validated change" if entry["validated"] == 1 else f"{entry['validated']} validated changes"
    if entry["ratio"] is None:
        return f"{count}; how much of the promised gain came is unknown."
    return (
        f"{count}, promised {entry['promised_percent']:g} % and realized {entry['realized_percent']:g} % on average, "
        f"{entry['ratio']:.2f} of the promise; {entry['kept']} kept, {entry['short']} short, {entry['undecided']} undecided."
    )


def _sums(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Counts, averages over the records that have both figures, and realized over promised of these together."""
    both = [(r["promised_percent"], r["realized_percent"]) for r in records if r["promised_percent"] and r["realized_percent"] is not None]
    promised, realized = (math.fsum(pair[side] for pair in both) for side in (0, 1))
    count = {kept.value: sum(r["kept"] == kept for r in records) for kept in Kept}
    return {
        "validated": len(records),
        "promised_percent": round(promised / len(both), 2) if both else None,
        "realized_percent": round(realized / len(both), 2) + 0.0 if both else None,
        "ratio": _ratio(realized, promised) if both else None,
        **count,
    }


def _together(gains: Iterable[float | None], direction: Direction) -> float | None:
    known = list(gains)
    shares = [gain / 100 for gain in known if gain is not None]
    if len(shares) < len(known):
        return None
    if direction is Direction.LOWER:
        return round(100 * (1 - math.prod(1 - share for share in shares)), 2)
    return round(100 * (math.prod(1 + share for share in shares) - 1), 2)


def _ratio(realized: float | None, promised: float | None) -> float | None:
    return round(realized / promised, 3) + 0.0 if realized is not None and promised else None


def _kept(promised: float | None, realized: float | None, low: float | None, high: float | None) -> Kept:
    if promised is None or realized is None:
        return Kept.UNKNOWN
    if low is not None and low >= promised:
        return Kept.KEPT
    if high is not None and high < promised:
        return Kept.SHORT
    return Kept.UNDECIDED


def _number(value: Any) -> float | None:
    known = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if known else None
