"""What the change moved in a service's database: statements called or not, how often, how long, by which plan, with which findings.

Both sides were counted while the same load ran. One run a side: figures, no verdict. No gate reads it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from perfproof.query_plans import FindingKind, StatementRow, nodes
from perfproof.statements import is_data_statement, normalised

SHOWN = 20
REMOVED = ("Rows Removed by Filter", "Rows Removed by Join Filter", "Rows Removed by Index Recheck")
# These rest on counters, not on a plan that was run.
COUNTED = frozenset({FindingKind.REPEATED_STATEMENT.value, FindingKind.DATABASE_TIME.value})


class StatementChange(StrEnum):
    """Whether a statement was called on both sides, on the baseline's only, or on the candidate's only."""

    KEPT = "kept"
    GONE = "gone"
    NEW = "new"


@dataclass(frozen=True, slots=True)
class CountedSide:
    """One side under load: its `requests`, every statement counted meanwhile, and its part of the query plan document."""

    requests: int
    rows: Sequence[StatementRow]
    explained: Mapping[str, Any]


@dataclass(slots=True)
class _Statement:
    """Everything that one normalised text stands for on a side."""

    text: str
    calls: int = 0
    total_ms: float = 0.0
    rows: int = 0
    entries: list[Mapping[str, Any]] = field(default_factory=list)


def service_diff(*, service: str, before: CountedSide, after: CountedSide) -> dict[str, Any]:
    """A service's part of `evidence/query-plan-diff.json`, the statements whose time per request moved most first.

    Statements are matched by their normalised text, else by the id that the database gives them. Times are milliseconds; what
    is per request is None without requests.
    """
    old, new = _statements(before), _statements(after)
    _match_by_id(before, after, old, new)
    compared = [_statement(old.get(key), new.get(key), before.requests, after.requests) for key in old.keys() | new.keys()]
    compared.sort(key=lambda s: (-_moved(s), s["statement"]))
    gone, fresh = _found_between(before.explained["findings"], after.explained["findings"])
    return {
        "service": service,
        "status": "compared",
        "reason": None,
        "requests": {"before": before.requests, "after": after.requests},
        "calls_per_request": _both(old, new, before, after, "calls"),
        "ms_per_request": _both(old, new, before, after, "total_ms"),
        "statements": compared[:SHOWN],
        "left_out": max(0, len(compared) - SHOWN),
        "findings_gone": gone,
        "findings_new": fresh,
    }


def not_compared(*, service: str, reason: str) -> dict[str, Any]:
    """The same where one side was not counted."""
    return {
        "service": service,
        "status": "not compared",
        "reason": reason,
        "requests": None,
        "calls_per_request": None,
        "ms_per_request": None,
        "statements": [],
        "left_out": 0,
        "findings_gone": [],
        "findings_new": [],
    }


def to_explain(rows: Sequence[StatementRow], *, baseline: Mapping[str, Any], heaviest: int) -> list[StatementRow]:
    """The rows of the candidate to explain: the `heaviest`, and those of the statements that the baseline's part has."""
    wanted = {normalised(entry["statement"]) for entry in baseline["statements"]}
    ranked = sorted(rows, key=lambda r: (-r.total_ms, r.query_id))
    return [row for place, row in enumerate(ranked) if place < heaviest or normalised(row.statement) in wanted]


def _statements(side: CountedSide) -> dict[str, _Statement]:
    found: dict[str, _Statement] = {}
    for row in sorted(side.rows, key=lambda r: (-r.total_ms, r.query_id)):
        if not is_data_statement(row.statement):
            continue
        one = found.setdefault(normalised(row.statement), _Statement(row.statement))
        one.calls, one.total_ms, one.rows = one.calls + row.calls, one.total_ms + row.total_ms, one.rows + row.rows
    for entry in side.explained["statements"]:
        key = normalised(entry["statement"])
        if key in found:
            found[key].entries.append(entry)
    return found


def _match_by_id(before: CountedSide, after: CountedSide, old: dict[str, _Statement], new: dict[str, _Statement]) -> None:
    """Gives a statement of `new` the key that the same id has in `old`, where the texts alone do not match."""
    by_id = {row.query_id: normalised(row.statement) for row in before.rows}
    for row in after.rows:
        mine, theirs = normalised(row.statement), by_id.get(row.query_id)
        if mine in new and mine not in old and theirs in old and theirs not in new:
            new[theirs] = new.pop(mine)


def _statement(old: _Statement | None, new: _Statement | None, requests_before: int, requests_after: int) -> dict[str, Any]:
    change = StatementChange.GONE if new is None else StatementChange.NEW if old is None else StatementChange.KEPT
    gone, fresh, unknown = _findings(old, new)
    shown = new or old
    return {
        "statement": "" if shown is None else shown.text,
        "change": change.value,
        "before": _counted(old, requests_before),
        "after": _counted(new, requests_after),
        "plan": _plan_change(old, new),
        "findings_gone": gone,
        "findings_new": fresh,
        "findings_unknown": unknown,
    }


def _counted(one: _Statement | None, requests: int) -> dict[str, Any] | None:
    if one is None:
        return None
    return {
        "calls": one.calls,
        "calls_per_request": _per(one.calls, requests),
        "mean_ms": _per(one.total_ms, one.calls),
        "ms_per_request": _per(one.total_ms, requests),
        "rows_per_call": _per(one.rows, one.calls),
    }


def _per(amount: float, count: int) -> float | None:
    return round(amount / count, 5) if count else None


def _both(
    old: Mapping[str, _Statement], new: Mapping[str, _Statement], before: CountedSide, after: CountedSide, what: str
) -> dict[str, Any]:
    return {
        "before": _per(sum(getattr(s, what) for s in old.values()), before.requests),
        "after": _per(sum(getattr(s, what) for s in new.values()), after.requests),
    }


def _moved(statement: Mapping[str, Any]) -> float:
    old, new = (float((statement[side] or {}).get("ms_per_request") or 0.0) for side in ("before", "after"))
    return abs(new - old)


def _entry(one: _Statement | None) -> Mapping[str, Any] | None:
    """The entry that stands for the statement: one that was run, before one that was planned only."""
    entries = [] if one is None else [e for e in one.entries if e["plan"]]
    return min(entries, key=lambda e: not e["analyzed"], default=None)


def _plan_change(old: _Statement | None, new: _Statement | None) -> dict[str, Any] | None:
    """How the plan changed; None unless both sides have one. Rows removed are known only of a plan that was run."""
    first, second = _entry(old), _entry(new)
    if first is None or second is None:
        return None
    scans = [_scans(entry["plan"]) for entry in (first, second)]
    kinds = [_kinds(entry["plan"]) for entry in (first, second)]
    removed = [_removed(entry["plan"]) if entry["analyzed"] else None for entry in (first, second)]
    return {
        "scans": [
            {"relation": name, "before": scans[0].get(name, []), "after": scans[1].get(name, [])}
            for name in sorted(scans[0].keys() | scans[1].keys())
            if scans[0].get(name) != scans[1].get(name)
        ],
        "nodes_gone": sorted((kinds[0] - kinds[1]).elements()),
        "nodes_new": sorted((kinds[1] - kinds[0]).elements()),
        "rows_removed": {"before": removed[0], "after": removed[1]},
        "analyzed": {"before": first["analyzed"], "after": second["analyzed"]},
    }


def _scans(plan: Mapping[str, Any]) -> dict[str, list[str]]:
    """By relation, how it is read: the kind of node, and the index."""
    found: dict[str, list[str]] = {}
    heap: list[str] | None = None
    for node in nodes(plan):
        kind, relation, index = (node.raw.get(key) for key in ("Node Type", "Relation Name", "Index Name"))
        if kind == "Bitmap Index Scan" and heap is not None:
            # It stands below the node that reads the relation, and only that one names it.
            heap[-1] += f" using {index}"
        elif relation is not None and str(kind).endswith("Scan"):
            read = found.setdefault(str(relation), [])
            read.append(f"{kind}{f' using {index}' if index else ''}")
            heap = read if kind == "Bitmap Heap Scan" else heap
    return {relation: sorted(read) for relation, read in found.items()}


def _kinds(plan: Mapping[str, Any]) -> Counter[str]:
    return Counter(str(node.raw.get("Node Type", "unknown node")) for node in nodes(plan))


def _removed(plan: Mapping[str, Any]) -> float:
    return round(sum(float(node.raw.get(key) or 0.0) * node.loops for node in nodes(plan) for key in REMOVED), 3)


def _findings(old: _Statement | None, new: _Statement | None) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]]]:
    """Findings that are gone, that are new, and those of which the other side cannot tell, because its plan was not run."""
    had = _of(old)
    has = _of(new)
    ran = [one is None or any(e["analyzed"] for e in one.entries) for one in (old, new)]
    gone, fresh = _found_between(had, has)
    unknown = [f for f in gone if f["kind"] not in COUNTED and not ran[1]] + [f for f in fresh if f["kind"] not in COUNTED and not ran[0]]
    return [f for f in gone if f not in unknown], [f for f in fresh if f not in unknown], unknown


def _of(one: _Statement | None) -> list[Mapping[str, Any]]:
    return [] if one is None else [finding for entry in one.entries for finding in entry["findings"]]


def _found_between(
    before: Iterable[Mapping[str, Any]], after: Iterable[Mapping[str, Any]]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Findings of `before` whose kind is not found of the same relation after, and the other way round; each once."""
    old, new = ({(f["kind"], f.get("about", "")): f for f in findings} for findings in (before, after))
    return [_told(old[key]) for key in old if key not in new], [_told(new[key]) for key in new if key not in old]


def _told(finding: Mapping[str, Any]) -> dict[str, Any]:
    return {"kind": finding["kind"], "text": finding["text"]}
