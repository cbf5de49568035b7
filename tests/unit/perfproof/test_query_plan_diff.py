"""Query plans before and after: the same statement however it is written, and what changed of its plan, its calls and its findings."""

from __future__ import annotations

from typing import Any

import pytest

from perfproof.query_plan_diff import CountedSide, not_compared, service_diff, to_explain
from perfproof.query_plans import Explained, StatementRow, service_statements
from perfproof.telemetry import document_bytes

ORDERS = "select id from orders where customer_id = $1"
ITEMS = "select id from order_items where order_id = $1"


def row(statement: str, *, calls: int, mean: float, query_id: str | None = None, rows: int = 0) -> StatementRow:
    return StatementRow(query_id or statement, statement, calls, calls * mean, rows)


def node(kind: str, *children: dict[str, Any], relation: str | None = None, index: str | None = None, **more: Any) -> dict[str, Any]:
    found = {
        "Node Type": kind,
        "Plan Rows": 10,
        "Actual Rows": 10.0,
        "Actual Loops": 1,
        **{k.replace("_", " "): v for k, v in more.items()},
    }
    named = {"Relation Name": relation, "Index Name": index}
    return {**found, **{k: v for k, v in named.items() if v}, **({"Plans": list(children)} if children else {})}


SCAN = node("Seq Scan", relation="orders", Filter="(customer_id = 17)", Rows_Removed_by_Filter=119_990.0)
BITMAP = node("Bitmap Heap Scan", node("Bitmap Index Scan", index="orders_by_customer"), relation="orders")


def ran(plan: dict[str, Any] | None, *, analyzed: bool = True, error: str | None = None) -> Explained:
    return Explained((), None if plan is None else {"Plan": plan}, analyzed, error)


def side(*rows: StatementRow, plans: dict[str, Explained] | None = None, requests: int = 100, request_ms: float = 1e6) -> CountedSide:
    explained = {r.query_id: (plans or {}).get(r.statement, ran(None, analyzed=False, error="not explained")) for r in rows}
    return CountedSide(
        requests, rows, service_statements(service="shop", rows=rows, explained=explained, requests=requests, request_ms=request_ms)
    )


def diff(before: CountedSide, after: CountedSide) -> dict[str, Any]:
    found = service_diff(service="shop", before=before, after=after)
    document_bytes(found)
    return found


def only(document: dict[str, Any]) -> dict[str, Any]:
    (statement,) = document["statements"]
    assert isinstance(statement, dict)
    return statement


def test_a_scan_that_became_an_index_scan_is_told_with_its_rows_its_time_and_its_finding() -> None:
    """Oracle: the figures of parts.md, 6.19 ms and 119,990 rows removed before, 0.06 ms and none after."""
    before = side(row(ORDERS, calls=70, mean=6.19, query_id="1"), plans={ORDERS: ran(SCAN)})
    after = side(row(ORDERS, calls=70, mean=0.06, query_id="9"), plans={ORDERS: ran(BITMAP)})
    statement = only(diff(before, after))
    assert statement["change"] == "kept"
    assert statement["plan"]["scans"] == [
        {"relation": "orders", "before": ["Seq Scan"], "after": ["Bitmap Heap Scan using orders_by_customer"]}
    ]
    assert (statement["plan"]["nodes_gone"], statement["plan"]["nodes_new"]) == (["Seq Scan"], ["Bitmap Heap Scan", "Bitmap Index Scan"])
    assert statement["plan"]["rows_removed"] == {"before": 119_990.0, "after": 0.0}
    assert (statement["before"]["mean_ms"], statement["after"]["mean_ms"]) == (6.19, 0.06)
    assert statement["before"]["calls_per_request"] == 0.7
    assert [f["kind"] for f in statement["findings_gone"]] == ["sequential_scan"]
    assert (statement["findings_new"], statement["findings_unknown"]) == ([], [])


@pytest.mark.parametrize(
    "written",
    [
        "SELECT id FROM orders WHERE customer_id = $1",
        "select id\n  from orders /* by customer */ where customer_id = $1 -- the rest",
        "select id from orders where customer_id = $4",
    ],
)
def test_a_statement_is_the_same_however_it_is_written(written: str) -> None:
    """Letters, white space, comments and numbers of values are no difference."""
    assert only(diff(side(row(ORDERS, calls=9, mean=1.0)), side(row(written, calls=9, mean=1.0))))["change"] == "kept"


def test_lists_of_values_are_one_statement() -> None:
    """PostgreSQL before 18 counts each length of an IN list by itself; their calls and times are added up."""
    text = "select 1 from orders where id in ({})"
    before = side(row(text.format("$1"), calls=10, mean=1.0), row(text.format("$1, $2, $3"), calls=30, mean=2.0))
    statement = only(diff(before, side(row(text.format("$1 /*, ... */"), calls=40, mean=1.0))))
    assert (statement["before"]["calls"], statement["before"]["mean_ms"]) == (40, pytest.approx(70 / 40))


def test_another_text_with_the_same_id_is_the_same_statement() -> None:
    """The database's own id decides where the texts alone do not."""
    after = row("select o.id from orders o where customer_id = $1", calls=9, mean=1.0, query_id="77")
    assert only(diff(side(row(ORDERS, calls=9, mean=1.0, query_id="77")), side(after)))["change"] == "kept"
    other = side(row("select name from products", calls=9, mean=1.0, query_id="78"))
    assert {s["change"] for s in diff(side(row(ORDERS, calls=9, mean=1.0, query_id="77")), other)["statements"]} == {"gone", "new"}


def test_a_statement_per_row_that_is_gone_takes_its_finding_along() -> None:
    """N+1: 4,000 calls in 100 requests before, one statement for all after."""
    joined = "select i.id from order_items i where i.order_id = any($1)"
    document = diff(side(row(ITEMS, calls=4000, mean=0.01)), side(row(joined, calls=100, mean=0.2)))
    found = {s["change"]: s for s in document["statements"]}
    assert [f["kind"] for f in found["gone"]["findings_gone"]] == ["repeated_statement"]
    assert (found["gone"]["after"], found["new"]["before"]) == (None, None)
    assert document["calls_per_request"] == {"before": 40.0, "after": 1.0}
    assert document["ms_per_request"] == {"before": pytest.approx(0.4), "after": pytest.approx(0.2)}


def test_a_new_finding_is_told() -> None:
    """The index was dropped: the same diff the other way round."""
    before, after = (
        side(row(ORDERS, calls=70, mean=0.1), plans={ORDERS: ran(BITMAP)}),
        side(row(ORDERS, calls=70, mean=6.0), plans={ORDERS: ran(SCAN)}),
    )
    statement = only(diff(before, after))
    assert [f["kind"] for f in statement["findings_new"]] == ["sequential_scan"]
    assert statement["findings_gone"] == []


@pytest.mark.parametrize("plan", [ran(BITMAP, analyzed=False, error="no sample value"), ran(None, analyzed=False, error="gone")])
def test_a_finding_is_not_gone_where_the_other_plan_was_not_run(plan: Explained) -> None:
    """Missing is never good: without a plan that was run nobody knows how many rows are read in vain."""
    before = side(row(ORDERS, calls=70, mean=6.0), plans={ORDERS: ran(SCAN)})
    statement = only(diff(before, side(row(ORDERS, calls=70, mean=0.1), plans={ORDERS: plan})))
    assert statement["findings_gone"] == []
    assert [f["kind"] for f in statement["findings_unknown"]] == ["sequential_scan"]
    if statement["plan"] is not None:
        assert statement["plan"]["rows_removed"] == {"before": 119_990.0, "after": None}


def test_a_scan_of_another_relation_keeps_its_own_finding() -> None:
    """One of two scans became an index scan: one finding is gone, and only that one."""
    other = {**SCAN, "Relation Name": "customers"}
    text = "select 1 from orders, customers"
    before = side(row(text, calls=9, mean=1.0), plans={text: ran(node("Nested Loop", SCAN, other))})
    after = side(row(text, calls=9, mean=1.0), plans={text: ran(node("Nested Loop", BITMAP, other))})
    (gone,) = only(diff(before, after))["findings_gone"]
    assert "Seq Scan on orders" in gone["text"]


def test_the_share_of_the_database_in_the_time_of_requests_is_a_finding_of_the_service() -> None:
    """70 of 100 ms before, 7 of 100 after."""
    document = diff(side(row(ORDERS, calls=70, mean=1.0), request_ms=100.0), side(row(ORDERS, calls=70, mean=0.1), request_ms=100.0))
    assert [f["kind"] for f in document["findings_gone"]] == ["database_time"]


def test_statements_come_by_what_they_moved_and_transaction_control_is_none() -> None:
    """Time per request, either way; BEGIN and COMMIT are not the service's questions."""
    before = side(row(ORDERS, calls=100, mean=5.0), row(ITEMS, calls=100, mean=1.0), row("BEGIN", calls=900, mean=0.001))
    after = side(row(ORDERS, calls=100, mean=4.9), row(ITEMS, calls=100, mean=9.0))
    assert [s["statement"] for s in diff(before, after)["statements"]] == [ITEMS, ORDERS]
    assert diff(before, after)["calls_per_request"]["before"] == 2.0


def test_without_requests_nothing_is_per_request() -> None:
    """A division by zero is unknown, not zero."""
    document = diff(side(row(ORDERS, calls=9, mean=1.0), requests=0), side(row(ORDERS, calls=9, mean=1.0)))
    assert document["calls_per_request"] == {"before": None, "after": 0.09}
    assert only(document)["before"]["calls_per_request"] is None


def test_many_statements_are_cut_and_counted() -> None:
    """Twenty are kept, those that moved most."""
    names = [f"select {chr(97 + i)}()" for i in range(25)]
    document = diff(side(*(row(n, calls=10 * (i + 1), mean=1.0) for i, n in enumerate(names))), side())
    assert (len(document["statements"]), document["left_out"]) == (20, 5)
    assert document["statements"][0]["statement"] == names[-1]


def test_the_candidate_explains_its_heaviest_and_what_the_baseline_explained() -> None:
    """A statement that became cheap is the very one whose plan is asked for."""
    rows = [row(f"select {c}()", calls=10, mean=9.0) for c in "abc"] + [row(ORDERS.upper(), calls=10, mean=0.01)]
    baseline = side(row(ORDERS, calls=10, mean=9.0)).explained
    assert [r.statement for r in to_explain(rows, baseline=baseline, heaviest=2)] == ["select a()", "select b()", ORDERS.upper()]


def test_what_was_explained_stands_in_the_document_however_cheap_it_is() -> None:
    """Else its plan could not be compared."""
    rows = [row("select a from t", calls=10, mean=9.0), row(ORDERS, calls=10, mean=0.01)]
    document = service_statements(service="shop", rows=rows, explained={ORDERS: ran(BITMAP)}, requests=10, request_ms=None, limit=1)
    assert [s["statement"] for s in document["statements"]] == ["select a from t", ORDERS]


def test_documents_of_an_earlier_version_are_read() -> None:
    """Their findings do not say what they are about, their statements have no id."""
    before = side(row(ORDERS, calls=70, mean=6.0), plans={ORDERS: ran(SCAN)})
    for statement in before.explained["statements"]:
        del statement["query_id"]
        for finding in statement["findings"]:
            del finding["about"]
    after = side(row(ORDERS, calls=70, mean=0.1), plans={ORDERS: ran(BITMAP)})
    assert [f["kind"] for f in only(diff(before, after))["findings_gone"]] == ["sequential_scan"]


def test_what_was_not_counted_is_said_with_the_same_fields() -> None:
    """Whoever reads one can read the other."""
    missing = not_compared(service="shop", reason="the candidate was not profiled")
    assert missing.keys() == diff(side(), side()).keys()
    assert missing["status"] == "not compared"
