"""What query plans and statement statistics say: rows read in vain, wrong estimates, spills, statements repeated per request.

Input is PostgreSQL's own: EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) and rows of pg_stat_statements. A finding states what
was counted; why it is so is for people to say.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from perfproof.errors import ProfileError
from perfproof.statements import is_data_statement

MAX_NODES = 2000
# A scan that reads fewer rows than this is cheap whatever it keeps.
SCAN_ROWS = 1000
SCAN_KEEPS = 0.1
ESTIMATE_FACTOR = 10
ESTIMATE_ROWS = 100
REPEATS = 5
REPEATS_CALLS = 50
MOST_OF_THE_TIME = 0.5


class FindingKind(StrEnum):
    """The closed set of what is looked for."""

    SEQUENTIAL_SCAN = "sequential_scan"
    BAD_ESTIMATE = "bad_estimate"
    SORT_SPILL = "sort_spill"
    HASH_SPILL = "hash_spill"
    REPEATED_STATEMENT = "repeated_statement"
    DATABASE_TIME = "database_time"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was counted, in words. Names in `text` come from the database: escape it where it is shown.

    `about` is the relation, or the kind of node, that it is about; empty where it is about the statement.
    """

    kind: FindingKind
    text: str
    about: str = ""

    def document(self) -> dict[str, str]:
        """As the query plan document holds it."""
        return {"kind": self.kind.value, "text": self.text, "about": self.about}


@dataclass(frozen=True, slots=True)
class StatementRow:
    """Counters of one normalised statement. Times are milliseconds."""

    query_id: str
    statement: str
    calls: int
    total_ms: float
    rows: int


@dataclass(frozen=True, slots=True)
class Explained:
    """The plan of a statement, or why there is none. `parameters` are (SQL type, value); without `analyzed` nothing was run."""

    parameters: tuple[tuple[str, str], ...]
    plan: Mapping[str, Any] | None
    analyzed: bool
    error: str | None


@dataclass(frozen=True, slots=True)
class PlanNode:
    """One node of a plan. Rows are per loop, as PostgreSQL gives them; `actual_rows` is None when the statement was not run."""

    raw: Mapping[str, Any]
    depth: int
    below_limit: bool
    planned_rows: float
    actual_rows: float | None
    loops: float

    @property
    def label(self) -> str:
        """Node type and relation or index, as EXPLAIN's text shows them."""
        name = self.raw.get("Relation Name") or self.raw.get("Index Name") or self.raw.get("CTE Name")
        return f"{self.raw.get('Node Type', 'unknown node')}{f' on {name}' if name else ''}"

    @property
    def about(self) -> str:
        """What stays the same where the way to it changes: the relation, or the kind of node where there is none."""
        return str(self.raw.get("Relation Name") or self.raw.get("CTE Name") or self.raw.get("Node Type", "unknown node"))


def plan_of(explained: Any, *, where: str) -> Mapping[str, Any]:
    """The one plan in EXPLAIN's JSON (a list of one object with "Plan"). Raises ProfileError for anything else."""
    document = explained[0] if isinstance(explained, list) and len(explained) == 1 else explained
    if not isinstance(document, Mapping) or not isinstance(document.get("Plan"), Mapping):
        raise ProfileError(131, where=where, what="not the answer of EXPLAIN (FORMAT JSON)", got=explained, fix="explain it again")
    return document


def nodes(plan: Mapping[str, Any], *, where: str = "plan") -> Iterator[PlanNode]:
    """The nodes of `plan`, a parent before its children. Raises ProfileError for numbers that are none."""
    waiting: list[tuple[Mapping[str, Any], int, bool]] = [(plan_of(plan, where=where)["Plan"], 0, False)]
    seen = 0
    while waiting:
        raw, depth, below = waiting.pop()
        seen += 1
        if seen > MAX_NODES:
            raise ProfileError(132, where=where, what="the plan has too many nodes", expected=f"at most {MAX_NODES}", fix="read it by hand")
        actual = _number(raw, "Actual Rows", where) if "Actual Rows" in raw else None
        yield PlanNode(raw, depth, below, _number(raw, "Plan Rows", where), actual, _number(raw, "Actual Loops", where, 0.0))
        children = raw.get("Plans", [])
        if not isinstance(children, list) or not all(isinstance(child, Mapping) for child in children):
            raise ProfileError(
                133, where=where, what="the children of a plan node are no list of nodes", got=children, fix="explain it again"
            )
        below = below or raw.get("Node Type") == "Limit"
        waiting.extend((child, depth + 1, below) for child in reversed(children))


def _number(raw: Mapping[str, Any], key: str, where: str, default: float | None = None) -> float:
    value = raw.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise ProfileError(134, where=where, what=f"{key!r} of a plan node is not a number of 0 or more", got=value, fix="explain it again")
    return float(value)


def plan_findings(plan: Mapping[str, Any], *, where: str = "plan") -> tuple[Finding, ...]:
    """What `plan` shows, a parent's findings before its children's. A plan that was not run shows nothing: its rows are guesses."""
    findings: list[Finding] = []
    for node in nodes(plan, where=where):
        if node.actual_rows is not None and node.loops > 0:
            findings.extend(f for f in (_scan(node, where), _estimate(node), *_spills(node, where)) if f)
    return tuple(findings)


def _scan(node: PlanNode, where: str) -> Finding | None:
    if node.raw.get("Node Type") != "Seq Scan" or node.actual_rows is None:
        return None
    kept = node.actual_rows * node.loops
    read = kept + _number(node.raw, "Rows Removed by Filter", where, 0.0) * node.loops
    if read < SCAN_ROWS or kept > SCAN_KEEPS * read:
        return None
    condition = node.raw.get("Filter")
    return Finding(
        FindingKind.SEQUENTIAL_SCAN,
        f"{node.label} reads {read:,.0f} rows and keeps {kept:,.0f} of them{f', filter {condition}' if condition else ''}",
        node.about,
    )


def _estimate(node: PlanNode) -> Finding | None:
    """Below a Limit a node stops early, so fewer rows than planned are no error there."""
    actual, planned = max(node.actual_rows or 0.0, 1.0), max(node.planned_rows, 1.0)
    too_many = planned > actual
    factor = planned / actual if too_many else actual / planned
    if factor < ESTIMATE_FACTOR or max(planned, actual) < ESTIMATE_ROWS or (too_many and node.below_limit):
        return None
    text = (
        f"{node.label} was planned for {node.planned_rows:,.0f} rows and gave {node.actual_rows:,.0f}, wrong by a factor of {factor:,.0f}"
    )
    return Finding(FindingKind.BAD_ESTIMATE, text, node.about)


def _spills(node: PlanNode, where: str) -> Iterator[Finding]:
    places = [node.raw, *(w for w in node.raw.get("Workers", []) if isinstance(w, Mapping))]
    sorted_on_disk = sum(_number(p, "Sort Space Used", where, 0.0) for p in places if p.get("Sort Space Type") == "Disk")
    # An incremental sort tells of its groups instead, of each kind the largest.
    groups = [p[kind] for p in places for kind in ("Full-sort Groups", "Pre-sorted Groups") if isinstance(p.get(kind), Mapping)]
    spilled = [group["Sort Space Disk"] for group in groups if isinstance(group.get("Sort Space Disk"), Mapping)]
    sorted_on_disk += max((_number(space, "Peak Sort Space Used", where, 0.0) for space in spilled), default=0.0)
    if sorted_on_disk:
        yield Finding(FindingKind.SORT_SPILL, f"{node.label} sorts {sorted_on_disk:,.0f} kB on disk, beyond work_mem", node.about)
    batches = max(max(_number(p, "Hash Batches", where, 1.0), _number(p, "HashAgg Batches", where, 1.0)) for p in places)
    if batches > 1:
        yield Finding(FindingKind.HASH_SPILL, f"{node.label} hashes in {batches:,.0f} batches on disk, beyond work_mem", node.about)


def counted_between(before: Sequence[StatementRow], after: Sequence[StatementRow]) -> tuple[StatementRow, ...]:
    """What was counted from one reading of the statistics to the next, the largest total time first.

    Raises ProfileError if a counter went back: the statistics were reset or an entry was evicted in between.
    """
    earlier = {row.query_id: row for row in before}
    counted = []
    for row in after:
        old = earlier.get(row.query_id)
        calls = row.calls - (old.calls if old else 0)
        if calls < 0:
            raise ProfileError(
                135, where="pg_stat_statements", what="counters went back", got=row.statement, fix="do not reset them meanwhile"
            )
        if calls:
            spent, rows = (row.total_ms - old.total_ms, row.rows - old.rows) if old else (row.total_ms, row.rows)
            counted.append(StatementRow(row.query_id, row.statement, calls, max(spent, 0.0), max(rows, 0)))
    return tuple(sorted(counted, key=lambda r: (-r.total_ms, r.query_id)))


def repetition(row: StatementRow, rows: Sequence[StatementRow], *, requests: int | None) -> Finding | None:
    """The finding that `row` runs many times per request, which one statement for all could replace.

    Without the number of `requests`, the calls are set against those of the other statement that takes the most time.
    """
    if row.calls < REPEATS_CALLS or not is_data_statement(row.statement):
        return None
    if requests:
        ratio, basis = row.calls / requests, f"request ({row.calls:,} calls, {requests:,} requests)"
    else:
        others = [r for r in rows if r.query_id != row.query_id and is_data_statement(r.statement) and 0 < r.calls < row.calls]
        if not others:
            return None
        driver = max(others, key=lambda r: (r.total_ms, r.query_id))
        ratio, basis = (
            row.calls / driver.calls,
            f"call of the statement that takes the most time beside it ({row.calls:,} calls, {driver.calls:,})",
        )
    if ratio < REPEATS:
        return None
    return Finding(FindingKind.REPEATED_STATEMENT, f"runs {ratio:,.1f} times per {basis}, {row.rows / row.calls:,.1f} rows each")


def service_statements(
    *,
    service: str,
    rows: Sequence[StatementRow],
    explained: Mapping[str, Explained],
    requests: int | None,
    request_ms: float | None,
    limit: int = 10,
) -> dict[str, Any]:
    """A service's part of `evidence/query-plans.json`: its `limit` statements with the most time, the `explained`, the repeated.

    `explained` is by query id; `request_ms` is the time of all `requests` together, for the share that the database takes.
    """
    spent = sum(row.total_ms for row in rows)
    calls = sum(row.calls for row in rows)
    statements = []
    for place, row in enumerate(sorted(rows, key=lambda r: (-r.total_ms, r.query_id))):
        repeated = repetition(row, rows, requests=requests)
        if place >= limit and repeated is None and row.query_id not in explained:
            continue
        answer = explained.get(row.query_id, Explained((), None, False, "not explained"))
        findings = ([repeated] if repeated else []) + (list(plan_findings(answer.plan, where=service)) if answer.plan else [])
        statements.append(
            {
                "query_id": row.query_id,
                "statement": row.statement,
                "calls": row.calls,
                "total_ms": round(row.total_ms, 3),
                "mean_ms": round(row.total_ms / row.calls, 4) if row.calls else None,
                "rows": row.rows,
                "share_percent": round(100 * row.total_ms / spent, 2) if spent else None,
                "calls_share_percent": round(100 * row.calls / calls, 2) if calls else None,
                "parameters": [{"type": kind, "value": value} for kind, value in answer.parameters],
                "analyzed": answer.analyzed,
                "plan": answer.plan,
                "error": answer.error,
                "findings": [f.document() for f in findings],
            }
        )
    return {"service": service, "requests": requests, "statements": statements, "findings": _database_time(spent, request_ms)}


def _database_time(spent: float, request_ms: float | None) -> list[dict[str, Any]]:
    if not request_ms or spent / request_ms < MOST_OF_THE_TIME:
        return []
    share = min(100 * spent / request_ms, 100.0)
    text = f"{share:.0f} percent of the time of the requests is spent in the database"
    return [{"kind": FindingKind.DATABASE_TIME.value, "text": text, "share_percent": round(share, 2)}]


def plan_lines(plan: Mapping[str, Any], *, where: str = "plan") -> list[str]:
    """`plan` as an indented tree, one node a line, with rows planned and given, loops, and milliseconds per loop."""
    lines = []
    for node in nodes(plan, where=where):
        rows = f"{node.planned_rows:,.0f} rows planned"
        if node.actual_rows is not None:
            rows += (
                f", {node.actual_rows:,.0f} given, {node.loops:,.0f} loops, {_number(node.raw, 'Actual Total Time', where, 0.0):,.3f} ms"
            )
        lines.append(f"{'  ' * node.depth}{node.label} ({rows})")
    return lines
