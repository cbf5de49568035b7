"""X-Ray's segment documents, written by hand in the documented form, as spans."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from perfproof.errors import TelemetryError
from perfproof.traces import trace_item
from perfproof.traces.xray import UNKNOWN, Summary, summaries_of, xray_trace, xray_traces

T0 = 1_739_700_000.0
ID = "1-67b1b5e0-012345678901234567890123"


def segment(key: str, start: float, end: float | None, *subsegments: dict[str, Any], name: str = "checkout", **more: Any) -> dict[str, Any]:
    times = {"start_time": T0 + start, **({"in_progress": True} if end is None else {"end_time": T0 + end})}
    return {"id": key, "name": name, "trace_id": ID, **times, **({"subsegments": list(subsegments)} if subsegments else {}), **more}


def item_of(*documents: dict[str, Any]) -> dict[str, Any]:
    return trace_item(xray_trace(ID, [json.dumps(d) for d in documents], where="xray"))


def self_ms(item: dict[str, Any]) -> dict[tuple[str, str], float]:
    return {(row["service"], row["span"]): row["ms"] for row in item["self_time"]}


def test_nested_subsegments_are_spans_of_their_segment() -> None:
    """Time goes to the innermost span; a call's segment of another service lies below the subsegment that made it."""
    request = {"request": {"method": "GET", "url": "https://shop.example/cart?token=secret"}, "response": {"status": 200}}
    front = segment(
        "a1", 0, 1, segment("b1", 0.1, 0.9, segment("c1", 0.2, 0.4, name="parse"), name="## handler"), name="checkout", http=request
    )
    behind = segment("d1", 0.5, 0.7, name="DynamoDB", parent_id="b1", origin="AWS::DynamoDB", inferred=True, fault=True)
    item = item_of(behind, front)
    assert (item["service"], item["transaction"], item["duration_ms"], item["error"]) == ("checkout", "GET /cart", 1000.0, True)
    assert self_ms(item) == {
        ("checkout", "## handler"): 400.0, ("checkout", "GET /cart"): 200.0, ("checkout", "parse"): 200.0, ("DynamoDB", "DynamoDB"): 200.0,
    }  # fmt: skip
    assert "secret" not in json.dumps(item)


def test_a_subsegment_in_a_document_of_its_own_finds_its_service() -> None:
    """Long functions send subsegments early; their parents lead to the segment, also over another such document."""
    front = segment("a1", 0, 1, segment("b1", 0.1, 0.9, name="work"))
    first = segment("c1", 0.2, 0.8, name="step", type="subsegment", parent_id="b1")
    second = segment("d1", 0.3, 0.5, name="inner", type="subsegment", parent_id="c1")
    assert set(self_ms(item_of(second, first, front))) == {("checkout", name) for name in ("checkout", "work", "step", "inner")}


@pytest.mark.parametrize("parent", ["gone", "c1", "d1"])
def test_a_subsegment_whose_segment_is_not_there_has_no_known_service(parent: str) -> None:
    """The parent never came, or parents go in a circle: UNKNOWN, not a guess, and the walk ends."""
    one = segment("c1", 0.2, 0.8, name="step", type="subsegment", parent_id=parent)
    two = segment("d1", 0.3, 0.5, name="inner", type="subsegment", parent_id="c1")
    assert {service for service, _ in self_ms(item_of(one, two))} == {UNKNOWN}


def test_a_segment_in_progress_has_not_ended() -> None:
    """Its duration is not known, and what is below it counts."""
    item = item_of(segment("a1", 0, None, segment("b1", 0.1, 0.3, name="work")))
    assert (item["duration_ms"], item["anomalies"]) == (None, {"not_ended": 1})
    assert self_ms(item) == {("checkout", "work"): 200.0, ("checkout", "checkout"): 100.0}


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{", "null", '"text"', json.dumps({"id": "a1", "name": "x", "start_time": T0}), json.dumps(segment("", 0, 1)),
        json.dumps(segment("a1", 0, 1, name=None)), json.dumps(segment("a1", 0, 1) | {"start_time": T0 * 1000}),  # type: ignore[arg-type]
        json.dumps(segment("a1", 0, 1) | {"end_time": "later"}), json.dumps(segment("a1", 0, 1) | {"subsegments": {}}),
        json.dumps(segment("a1", 0, 1) | {"subsegments": [1]}), '{"id": "a1", "id": "a2"}', "[" * 5000,
    ],
)  # fmt: skip
def test_a_document_of_another_form_is_refused(text: str) -> None:
    """No JSON, no mapping, no end without being in progress, milliseconds, no list: one line."""
    with pytest.raises(TelemetryError, match=r"TEL-730 xray: .* Fix: "):
        xray_trace(ID, [text], where="xray")


def test_deep_nesting_is_no_recursion() -> None:
    """A segment of 64 KiB can nest a thousand subsegments."""
    inner = segment("s0", 0, 1, name="0")
    for number in range(1, 300):
        inner = segment(f"s{number}", 0, 1, inner, name=str(number))
    assert item_of(inner)["spans"] == 300


def test_a_summary_says_how_long_its_caller_waited() -> None:
    """ResponseTime before Duration; neither while the trace runs, which may make it the slowest of all."""
    page = {
        "TraceSummaries": [{"Id": "1", "Duration": 9.0, "ResponseTime": 2.0}, {"Id": "2", "Duration": 3}, {"Id": "3", "IsPartial": True}]
    }
    assert list(summaries_of(page, where="xray")) == [Summary("1", 2.0, False), Summary("2", 3.0, False), Summary("3", math.inf, True)]
    with pytest.raises(TelemetryError, match=r"TEL-730 "):
        list(summaries_of({"TraceSummaries": [{"Duration": 1.0}]}, where="xray"))


def test_a_trace_over_two_pages_is_one_trace() -> None:
    """Its segments are joined; what X-Ray cut, or still expects more of, is incomplete; an id nobody asked for is an error."""
    pages = [
        {"Traces": [{"Id": ID, "Segments": [{"Id": "a1", "Document": json.dumps(segment("a1", 0, 1))}]}]},
        {
            "Traces": [
                {"Id": ID, "LimitExceeded": True, "Segments": [{"Id": "b1", "Document": json.dumps(segment("b1", 0, 0.5, parent_id="a1"))}]}
            ]
        },
    ]
    [trace] = xray_traces(pages, {ID: Summary(ID, 1.0, False)}, where="xray")
    assert (len(trace.spans), trace.incomplete, trace_item(trace)["anomalies"]) == (2, True, {"incomplete": 1})
    assert xray_traces(pages[:1], {ID: Summary(ID, 1.0, True)}, where="xray")[0].incomplete
    with pytest.raises(TelemetryError, match=r"TEL-730 .*not asked for"):
        xray_traces(pages, {}, where="xray")
