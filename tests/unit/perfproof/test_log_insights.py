"""Questions to Logs Insights, and what its rows say. Rows are written by hand in the documented form."""

from __future__ import annotations

from typing import Any

import pytest

from perfproof.answers.log_insights import LogQuestion, log_item, log_queries, log_question
from perfproof.errors import TelemetryError

TEXT = """
log_groups: /aws/ecs/checkout, /aws/ecs/cart
filter: service = "checkout"
error: level = "ERROR" or message like /a|b: c/
latency_ms: request.duration_ms
message: error.type
"""
WINDOW: dict[str, Any] = {"start": 1_739_700_000.0, "end": 1_739_703_600.0, "where": "logs"}
QUESTION = LogQuestion(("/g",), 'level = "ERROR"', latency_ms="ms")


def rows(*given: dict[str, str]) -> list[list[dict[str, str]]]:
    return [[{"field": field, "value": value} for field, value in row.items()] for row in given]


def item(*, totals: Any = None, errors: Any = None, top: Any = None, question: LogQuestion = QUESTION) -> dict[str, Any]:
    totals = rows({"events": "1000", "p50": "12.5", "p95": "80", "p99": "1.2E2"}) if totals is None else totals
    errors = rows({"errors": "30"}) if errors is None else errors
    top = rows({"text": "timeout", "n": "20"}, {"text": "refused", "n": "10"}) if top is None else top
    return log_item(totals=totals, errors=errors, top_errors=top, question=question, **WINDOW)


def test_a_question_becomes_three_queries() -> None:
    """Lines to fields; a condition may hold colons and bars."""
    assert log_queries(log_question(TEXT, where="logs")) == log_queries(
        LogQuestion(
            ("/aws/ecs/checkout", "/aws/ecs/cart"), 'level = "ERROR" or message like /a|b: c/', 'service = "checkout"',
            "request.duration_ms", "error.type",
        )
    )  # fmt: skip
    queries = log_queries(log_question(TEXT, where="logs"))
    assert queries.totals == (
        'filter service = "checkout" | stats count(*) as events, pct(request.duration_ms, 50) as p50, pct(request.duration_ms, 95) as p95, '
        "pct(request.duration_ms, 99) as p99"
    )
    error = 'filter service = "checkout" | filter level = "ERROR" or message like /a|b: c/'
    assert queries.errors == f"{error} | stats count(*) as errors"
    assert queries.top_errors == f"{error} | stats count(*) as n by error.type as text | sort n desc | limit 10"


@pytest.mark.parametrize(
    "text",
    [
        None, "", "log_groups: /a", "error: x = 1", "log_groups:\nerror: x", "log_groups: /a,\nerror: x", "log_groups: /a, /a\nerror: x",
        "log_groups: a b\nerror: x", "log_groups: /a\nerror: x\nerror: y", "log_groups: /a\nerror: x\nlimit: 9", "log_groups /a",
        "log_groups: /a\nerror: x\nlatency_ms: a, 50) as p50 | limit 1", "log_groups: /a\nerror: x\nmessage: a | limit 1",
        "log_groups: /a\nerror: " + "x" * 2001, "log_groups: " + ", ".join(f"/g{i}" for i in range(51)) + "\nerror: x",
    ],
)  # fmt: skip
def test_what_is_no_question_is_refused(text: str | None) -> None:
    """Nothing, a key that is missing, doubled or unknown, a field that is more than a name."""
    with pytest.raises(TelemetryError, match=r"TEL-740 logs: .* Fix: "):
        log_question(text, where="logs")


def test_an_item_says_what_the_rows_say() -> None:
    """All fields, by hand."""
    assert item() == {
        "events": 1000, "errors": 30, "latency_ms": {"p50": 12.5, "p95": 80.0, "p99": 120.0},
        "top_errors": [{"text": "timeout", "count": 20}, {"text": "refused", "count": 10}],
        "window": {"start": "2025-02-16T10:00:00Z", "end": "2025-02-16T11:00:00Z"},
    }  # fmt: skip


def test_no_error_is_no_error_and_no_event_is_no_answer() -> None:
    """Logs Insights answers no row where nothing matches: for errors that is 0, for events a source that is not there."""
    assert (item(errors=[], top=[])["errors"], item(errors=rows({"errors": "0"}), top=[])["top_errors"]) == (0, [])
    for totals in ([], rows({"events": "0"}), rows({})):
        with pytest.raises(TelemetryError, match=r"TEL-744 "):
            item(totals=totals)


def test_a_latency_that_no_event_has_is_unknown() -> None:
    """The field is missing in all events, or was not asked for: null, never 0."""
    assert item(totals=rows({"events": "1000"}))["latency_ms"] is None
    assert item(question=LogQuestion(("/g",), "x"))["latency_ms"] is None


@pytest.mark.parametrize(
    "changes",
    [
        {"totals": rows({"events": "many"})},
        {"totals": rows({"events": "-5"})},
        {"totals": rows({"events": "1.5"})},
        {"totals": rows({"events": "1e999"})},
        {"totals": rows({"events": "NaN"})},
        {"totals": rows({"events": "1000"}, {"events": "1000"})},
        {"totals": rows({"events": "1000", "p50": "90", "p95": "80", "p99": "120"})},
        {"totals": rows({"events": "1000", "p50": "NaN", "p95": "80", "p99": "120"})},
        {"totals": rows({"events": "1000", "p95": "80"})},
        {"totals": rows({"events": "1000", "p50": "-1", "p95": "80", "p99": "120"})},
        {"totals": rows({"events": "29"})},
        {"errors": rows({"errors": "5"})},
        {"errors": [], "top": rows({"text": "a", "n": "1"})},
        {"top": []},
        {"top": rows({"text": "a"})},
        {"totals": {"events": 5}},
        {"totals": "rows"},
    ],
)
def test_rows_that_are_no_answer_are_refused(changes: dict[str, Any]) -> None:
    """Not numbers, percentiles out of order or incomplete, counts that contradict each other."""
    with pytest.raises(TelemetryError, match=r"TEL-743 logs: .* Fix: "):
        item(**changes)


def test_hostile_messages_are_data_of_bounded_length() -> None:
    """Markup passes as it is, length does not; an error without a message is UNKNOWN."""
    top = rows({"text": "<script>\x1b[31m=cmd()", "n": "3"}, {"text": "x" * 5000, "n": "2"}, {"n": "1"})
    assert [error["text"] for error in item(top=top)["top_errors"]] == ["<script>\x1b[31m=cmd()", "x" * 199 + "…", "UNKNOWN"]


def test_no_more_than_ten_errors_are_listed() -> None:
    """The query asks for ten; an answer with more does not grow the document."""
    assert len(item(top=rows(*({"text": str(i), "n": "1"} for i in range(30))))["top_errors"]) == 10
