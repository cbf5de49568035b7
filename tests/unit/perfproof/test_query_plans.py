"""Findings from EXPLAIN's JSON and from statement statistics."""

from __future__ import annotations

from typing import Any

import pytest

from perfproof.errors import ProfileError
from perfproof.query_plans import (
    Explained,
    FindingKind,
    StatementRow,
    counted_between,
    plan_findings,
    plan_lines,
    plan_of,
    repetition,
    service_statements,
)


def node(
    kind: str, *, planned: float = 10, actual: float | None = 10.0, loops: float = 1, children: tuple[Any, ...] = (), **more: Any
) -> dict[str, Any]:
    ran = {} if actual is None else {"Actual Rows": actual, "Actual Loops": loops, "Actual Total Time": 6.19}
    plans = {"Plans": list(children)} if children else {}
    return {"Node Type": kind, "Plan Rows": planned, **ran, **{k.replace("_", " "): v for k, v in more.items()}, **plans}


def kinds(root: dict[str, Any]) -> list[FindingKind]:
    return [f.kind for f in plan_findings({"Plan": root})]


def scan(*, kept: float, removed: float, loops: float = 1) -> dict[str, Any]:
    return node(
        "Seq Scan",
        planned=kept,
        actual=kept,
        loops=loops,
        Relation_Name="orders",
        Filter="(customer_id = 17)",
        Rows_Removed_by_Filter=removed,
    )


def test_a_scan_that_keeps_few_of_many_rows_is_found() -> None:
    """12 of 120,000 rows: the finding counts both and names table and filter. PostgreSQL 18 gives fractional rows."""
    (finding,) = plan_findings({"Plan": scan(kept=12.0, removed=119988.0)})
    assert finding.kind is FindingKind.SEQUENTIAL_SCAN
    assert finding.text == "Seq Scan on orders reads 120,000 rows and keeps 12 of them, filter (customer_id = 17)"


@pytest.mark.parametrize(("kept", "removed"), [(60_000.0, 60_000.0), (5.0, 500.0), (120_000.0, 0.0)])
def test_a_scan_that_keeps_much_or_reads_little_is_none(kept: float, removed: float) -> None:
    """Reading a whole table for half of it, or a small table, is what a planner should do."""
    assert kinds(scan(kept=kept, removed=removed)) == []


def test_rows_of_loops_are_added_up() -> None:
    """Rows are per loop: 200 loops over 50 rows are 10,000 rows."""
    (finding,) = plan_findings({"Plan": scan(kept=0.5, removed=49.5, loops=200)})
    assert "reads 10,000 rows and keeps 100" in finding.text


def test_a_wrong_estimate_is_found_in_both_directions() -> None:
    """A factor of 10 or more, of at least 100 rows."""
    assert kinds(node("Index Scan", planned=1, actual=5000.0)) == [FindingKind.BAD_ESTIMATE]
    assert kinds(node("Index Scan", planned=5000, actual=1.0)) == [FindingKind.BAD_ESTIMATE]
    assert kinds(node("Index Scan", planned=1, actual=40.0)) == []
    assert kinds(node("Index Scan", planned=1000, actual=300.0)) == []


def test_stopping_early_below_a_limit_is_no_wrong_estimate() -> None:
    """LIMIT 10 over 5,000 planned rows gives 10 rows because nobody asked for more."""
    assert kinds(node("Limit", actual=10.0, children=(node("Index Scan", planned=5000, actual=10.0),))) == []


def test_a_node_that_never_ran_shows_nothing() -> None:
    """The side of a plan that was not needed has no loops, and no finding."""
    assert kinds(node("Index Scan", planned=5000, actual=0.0, loops=0)) == []


def test_spills_to_disk_are_found() -> None:
    """A sort on disk and a hash in batches, also where only a worker spilled."""
    assert kinds(node("Sort", Sort_Space_Type="Disk", Sort_Space_Used=2048)) == [FindingKind.SORT_SPILL]
    assert kinds(node("Sort", Sort_Space_Type="Memory", Sort_Space_Used=2048)) == []
    assert kinds(node("Sort", Workers=[{"Sort Space Type": "Disk", "Sort Space Used": 9}])) == [FindingKind.SORT_SPILL]
    assert kinds(node("Hash", Hash_Batches=4)) == [FindingKind.HASH_SPILL]
    assert kinds(node("Aggregate", HashAgg_Batches=5)) == [FindingKind.HASH_SPILL]
    assert kinds(node("Hash", Hash_Batches=1)) == []


def test_a_plan_that_was_not_run_shows_nothing() -> None:
    """Planned rows are guesses: no finding rests on them."""
    assert kinds(node("Seq Scan", planned=1, actual=None, Relation_Name="orders", Filter="x")) == []


@pytest.mark.parametrize("rows", [float("nan"), float("inf"), -1, "12", None, True])
def test_a_number_that_is_none_is_an_error(rows: Any) -> None:
    """A plan with NaN, text or negative rows is refused, never read as no finding."""
    broken = node("Seq Scan")
    broken["Plan Rows"] = rows
    with pytest.raises(ProfileError, match="Plan Rows"):
        plan_findings({"Plan": broken})


@pytest.mark.parametrize("answer", [None, [], [{}], {"Plan": []}, [{"Plan": {}}, {"Plan": {}}], "text"])
def test_what_is_not_explain_json_is_an_error(answer: Any) -> None:
    """Anything but one object with a plan is refused."""
    with pytest.raises(ProfileError, match="PRO-131"):
        plan_of(answer, where="test")


def test_endless_plans_are_refused() -> None:
    """A plan with more nodes than any real one is not read to its end."""
    root = node("Append", children=tuple(node("Result") for _ in range(3000)))
    with pytest.raises(ProfileError, match="too many nodes"):
        plan_findings({"Plan": root})


def row(name: str, calls: int, total: float = 10.0, rows: int | None = None, text: str | None = None) -> StatementRow:
    return StatementRow(name, text or f"select {name}", calls, total, calls if rows is None else rows)


def test_a_statement_repeated_per_request_is_found() -> None:
    """3,000 calls in 100 requests are 30 per request."""
    finding = repetition(row("items", 3000), [], requests=100)
    assert finding is not None
    assert finding.kind is FindingKind.REPEATED_STATEMENT
    assert "30.0 times per request" in finding.text


@pytest.mark.parametrize(("calls", "requests"), [(100, 100), (400, 100), (40, 1)])
def test_a_few_calls_per_request_are_none(calls: int, requests: int) -> None:
    """Under 5 a request, or under 50 calls in all, nothing is claimed."""
    assert repetition(row("items", calls), [], requests=requests) is None


def test_without_requests_the_top_statement_is_the_measure() -> None:
    """The finding says that it compares calls of statements, and with which counts."""
    rows = [row("orders", 100, 900.0), row("items", 3000, 50.0), row("rare", 1, 1.0)]
    finding = repetition(rows[1], rows, requests=None)
    assert finding is not None
    assert "3,000 calls, 100" in finding.text
    assert repetition(rows[0], [rows[0]], requests=None) is None


def test_transaction_control_does_not_count_as_repeated() -> None:
    """BEGIN for each query is no query per row."""
    assert repetition(row("x", 3000, text="BEGIN"), [], requests=100) is None


def test_counters_are_differences() -> None:
    """Only what ran in between is counted; statements without calls are left out; the most time comes first."""
    before = [row("a", 10, 100.0, 10), row("idle", 5)]
    after = [row("a", 30, 160.0, 50), row("idle", 5), row("new", 3, 90.0, 3)]
    counted = counted_between(before, after)
    assert [(r.query_id, r.calls, r.total_ms, r.rows) for r in counted] == [("new", 3, 90.0, 3), ("a", 20, 60.0, 40)]


def test_counters_that_went_back_are_an_error() -> None:
    """A reset in between would otherwise pass for little traffic."""
    with pytest.raises(ProfileError, match="went back"):
        counted_between([row("a", 10)], [row("a", 3)])


def test_the_document_of_a_service_holds_shares_findings_and_errors() -> None:
    """Top statements by time, repeated ones beyond the limit, shares of the total, and why there is no plan."""
    rows = [row("orders", 100, 700.0, 1200), row("items", 3000, 250.0), row("tiny", 100, 50.0)]
    explained = {
        "orders": Explained((("integer", "17"),), {"Plan": scan(kept=12.0, removed=119988.0)}, True, None),
        "items": Explained((), None, False, "no sample value"),
    }
    document = service_statements(service="shop", rows=rows, explained=explained, requests=100, request_ms=1500.0, limit=1)
    first, second = document["statements"]
    assert (first["share_percent"], first["mean_ms"], first["parameters"]) == (70.0, 7.0, [{"type": "integer", "value": "17"}])
    assert [f["kind"] for f in first["findings"]] == ["sequential_scan"]
    assert [f["kind"] for f in second["findings"]] == ["repeated_statement"]
    assert second["error"] == "no sample value"
    assert document["findings"][0]["kind"] == "database_time"
    assert document["findings"][0]["share_percent"] == pytest.approx(66.67)


def test_without_the_time_of_requests_no_database_share_is_claimed() -> None:
    """Unknown stays unknown; and a small share is no finding."""
    rows = [row("orders", 100, 700.0)]
    assert service_statements(service="s", rows=rows, explained={}, requests=None, request_ms=None)["findings"] == []
    assert service_statements(service="s", rows=rows, explained={}, requests=100, request_ms=7000.0)["findings"] == []


def test_a_plan_is_shown_as_a_tree() -> None:
    """One node a line, indented below its parent, with planned and given rows."""
    lines = plan_lines({"Plan": node("Limit", children=(scan(kept=12.0, removed=5.0),))})
    assert lines[0].startswith("Limit (")
    assert lines[1] == "  Seq Scan on orders (12 rows planned, 12 given, 1 loops, 6.190 ms)"
