"""Self times of spans against a brute-force time line, and what becomes of traces that are not as they should be."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfproof.traces import Span, Trace, slowest_spans, trace_item, trace_items
from perfproof.traces.item import MAX_SPANS, MAX_TRACES
from perfproof.traces.self_time import Anomaly, timed
from perfproof.traces.slowest import next_floor

# 2025-02-16T10:00:00Z
T0 = 1_739_700_000 * 10**9
MS = 10**6


def span(
    key: str, parent: str | None, start: float, end: float | None, *, service: str = "api", name: str | None = None, error: bool = False
) -> Span:
    """A span whose times are milliseconds after T0."""
    return Span(key, parent, service, name or key, T0 + round(start * MS), None if end is None else T0 + round(end * MS), error)


def own(*spans: Span) -> dict[str, float]:
    """Milliseconds of self time by span id."""
    timing = timed(spans)
    return {s.span_id: ns / MS for s, ns in zip(timing.spans, timing.self_ns, strict=True)}


def anomalies(*spans: Span) -> dict[str, int]:
    return timed(spans).anomalies


def by_the_tick(spans: list[Span], children: dict[str, list[Span]]) -> dict[str, int]:
    """The oracle: every nanosecond of every span, and whether any child ran in it."""
    return {
        s.span_id: sum(
            1 for tick in range(s.start_ns, s.end_ns or 0) if not any(c.start_ns <= tick < (c.end_ns or 0) for c in children[s.span_id])
        )
        for s in spans
    }


@st.composite
def trees(draw: st.DrawFn) -> list[Span]:
    """Up to 12 spans, each the child of an earlier one or a root, anywhere in 40 ns: inside, beside or across its parent."""
    spans = []
    for index in range(draw(st.integers(1, 12))):
        start = draw(st.integers(0, 40))
        end = start + draw(st.integers(0, 40 - start)) if start < 40 else start
        parent = draw(st.sampled_from([None, *[s.span_id for s in spans]]))
        spans.append(Span(f"s{index}", parent, "api", f"s{index}", T0 + start, T0 + end))
    return draw(st.permutations(spans))


@given(trees())
def test_self_times_are_those_of_the_time_line(spans: list[Span]) -> None:
    """Nested, overlapping, adjacent and protruding children: the union is what a tick-by-tick count finds."""
    children = {s.span_id: [c for c in spans if c.parent_id == s.span_id] for s in spans}
    timing = timed(spans)
    assert dict(zip([s.span_id for s in timing.spans], timing.self_ns, strict=True)) == by_the_tick(spans, children)


names = st.sampled_from(["a", "b", "c", "d", "e"])
any_span = st.builds(
    Span,
    names,
    st.none() | names,
    st.sampled_from(["x", "y"]),
    names,
    st.integers(T0, T0 + 30),
    st.none() | st.integers(T0, T0 + 30),
    st.booleans(),
)


@given(st.lists(any_span, min_size=1, max_size=14), st.randoms())
def test_any_tangle_of_spans_has_one_outcome(spans: list[Span], random: Any) -> None:
    """Shared ids, cycles, unfinished and reversed spans at random: no self time below 0 or above the whole, and no order matters."""
    item = trace_item(Trace("t", tuple(spans)))
    ends = [s.end_ns for s in spans if s.end_ns is not None] + [s.start_ns for s in spans]
    extent = max(ends) - min(s.start_ns for s in spans)
    assert all(0 <= ns <= extent for ns in timed(spans).self_ns)
    assert sum(row["share_percent"] for row in item["self_time"]) <= 100.5
    shuffled = spans[:]
    random.shuffle(shuffled)
    assert trace_item(Trace("t", tuple(shuffled))) == item


def test_parallel_children_count_once_against_their_parent() -> None:
    """Two calls side by side: the parent waited for their union, and each took its own time."""
    assert own(span("r", None, 0, 100), span("a", "r", 10, 60), span("b", "r", 40, 90)) == {"r": 20, "a": 50, "b": 50}


def test_a_child_beyond_its_parent_is_clamped() -> None:
    """Clock skew: only what lies within the parent is subtracted from it, and the child keeps its own time."""
    spans = (span("r", None, 0, 100), span("early", "r", -30, 20), span("late", "r", 150, 180))
    assert own(*spans) == {"early": 50, "r": 80, "late": 30}
    assert anomalies(*spans) == {Anomaly.OUTSIDE: 2}


def test_a_span_with_a_missing_parent_is_a_root_of_its_own() -> None:
    """Its time stays its own, the real root names the transaction, and the loss is counted."""
    item = trace_item(Trace("t", (span("lost", "gone", 0, 90), span("r", None, 10, 60), span("c", "lost", 0, 30))))
    assert (item["transaction"], item["duration_ms"], item["anomalies"]) == ("r", 50.0, {"missing_parent": 1})
    assert [(row["span"], row["ms"]) for row in item["self_time"]] == [("lost", 60.0), ("r", 50.0), ("c", 30.0)]


def test_without_a_root_the_earliest_orphan_stands_for_it() -> None:
    """A trace whose root never came still has a beginning."""
    assert trace_item(Trace("t", (span("b", "gone", 5, 10), span("a", "gone", 1, 4))))["transaction"] == "a"


def test_a_repeated_span_counts_once() -> None:
    """A retried export delivers a span twice."""
    spans = (span("r", None, 0, 100), span("a", "r", 0, 40), span("a", "r", 0, 40))
    assert (own(*spans), anomalies(*spans)) == ({"r": 60, "a": 40}, {Anomaly.REPEATED: 1})


def test_spans_that_share_an_id_are_a_chain() -> None:
    """Client and server of one call with one id: the server is the client's child, and the server's calls are its own."""
    timing = timed(
        [
            span("r", None, 0, 100),
            span("x", "r", 10, 90, service="web", name="client"),
            span("x", "r", 20, 80, service="shop", name="server"),
            span("db", "x", 30, 70, service="shop"),
        ]
    )
    found = {s.name: ns / MS for s, ns in zip(timing.spans, timing.self_ns, strict=True)}
    assert found == {"r": 20, "client": 20, "server": 20, "db": 40}
    assert timing.anomalies == {Anomaly.SHARED_ID: 1}


def test_a_negative_duration_takes_no_time() -> None:
    """It is neither subtracted from anything nor a time of its own, and it is counted."""
    spans = (span("r", None, 0, 100), span("a", "r", 60, 20))
    assert (own(*spans), anomalies(*spans)) == ({"r": 100, "a": 0}, {Anomaly.NEGATIVE: 1})
    assert trace_item(Trace("t", (span("r", None, 60, 20),)))["duration_ms"] == 0.0


@pytest.mark.parametrize(
    ("spans", "root"),
    [
        ((span("a", "a", 0, 10),), "a"),
        ((span("b", "a", 0, 10), span("a", "b", 5, 8)), "b"),
        ((span("a", "c", 2, 10), span("b", "a", 3, 9), span("c", "b", 4, 8), span("d", "c", 5, 6)), "a"),
    ],
)
def test_a_cycle_is_cut_at_its_earliest_span(spans: tuple[Span, ...], root: str) -> None:
    """Parents in a circle: the walk ends, the earliest one is the root, and no time is lost."""
    item = trace_item(Trace("t", spans))
    assert (item["transaction"], item["anomalies"]["cycle"]) == (root, 1)
    assert item["self_ms"] == item["duration_ms"]


def test_a_chain_deeper_than_the_stack_is_walked() -> None:
    """10,000 nested calls are no recursion."""
    spans = [span(str(i), str(i - 1) if i else None, i / 100, 200 - i / 100) for i in range(10_000)]
    assert sum(timed(spans).self_ns) == 200 * MS


def test_a_span_that_has_not_ended_lasts_as_long_as_what_is_below_it() -> None:
    """Its own time is what was surely its own; how long the request takes is not known."""
    spans = (span("r", None, 0, None), span("a", "r", 10, None), span("b", "a", 20, 50))
    assert own(*spans) == {"r": 10, "a": 10, "b": 30}
    item = trace_item(Trace("t", spans))
    assert (item["duration_ms"], item["anomalies"]) == (None, {"not_ended": 2})


def test_an_item_says_what_the_contract_says() -> None:
    """All fields of a plain trace, by hand."""
    item = trace_item(
        Trace(
            "abc",
            (
                span("r", None, 0, 100, name="GET /cart"),
                span("a", "r", 10, 40, service="db", name="SELECT", error=True),
                span("b", "r", 50, 80, service="db", name="SELECT"),
            ),
        )
    )
    assert item == {
        "trace_id": "abc", "service": "api", "transaction": "GET /cart", "started_at": "2025-02-16T10:00:00Z", "duration_ms": 100.0,
        "error": True, "spans": 3, "self_ms": 100.0, "anomalies": {},
        "self_time": [
            {"service": "db", "span": "SELECT", "ms": 60.0, "share_percent": 60.0, "count": 2},
            {"service": "api", "span": "GET /cart", "ms": 40.0, "share_percent": 40.0, "count": 1},
        ],
    }  # fmt: skip


def test_only_the_five_longest_are_listed() -> None:
    """Shares are of all spans, so what is not listed is not given away."""
    spans = [span("r", None, 0, 100), *[span(f"c{i}", "r", i * 10, i * 10 + 10) for i in range(10)]]
    item = trace_item(Trace("t", tuple(spans)))
    assert [row["share_percent"] for row in item["self_time"]] == [10.0] * 5


def test_a_trace_of_no_length_has_no_shares() -> None:
    """Nothing is divided by zero."""
    item = trace_item(Trace("t", (span("r", None, 0, 0),)))
    assert (item["self_time"], item["self_ms"], item["duration_ms"]) == ([], 0.0, 0.0)


def test_a_trace_with_too_many_spans_has_no_self_time() -> None:
    """It is shown as what it is, not computed from a part."""
    many = tuple(span(str(i), "0" if i else None, 0, 1) for i in range(MAX_SPANS + 1))
    item = trace_item(Trace("t", many))
    assert (item["spans"], item["self_time"], item["self_ms"], item["anomalies"]) == (
        MAX_SPANS + 1, [], None, {"too_many_spans": MAX_SPANS + 1},
    )  # fmt: skip


def test_the_slowest_come_first_and_are_few() -> None:
    """25 traces, one that has not ended, one without spans: the 20 slowest."""
    traces = [Trace(f"t{i:02d}", (span("r", None, 0, i + 1),)) for i in range(25)]
    items = trace_items([Trace("open", (span("r", None, 0, None),)), Trace("empty", ()), *traces], complete=True)
    assert [item["trace_id"] for item in items] == [f"t{i:02d}" for i in range(24, 24 - MAX_TRACES, -1)]
    assert {item["selection"] for item in items} == {"slowest"}
    assert trace_items([Trace("open", (span("r", None, 0, None),)), traces[0]], complete=False)[-1]["trace_id"] == "open"


def test_the_summary_shares_the_time_of_all_slow_traces() -> None:
    """Sums by hand over two traces; a trace without self times adds nothing."""
    first = Trace("1", (span("r", None, 0, 100), span("db", "r", 0, 80, service="db")))
    second = Trace("2", (span("r", None, 0, 100), span("cache", "r", 0, 60, service="cache")))
    items = trace_items([first, second, Trace("3", (span("r", None, 0, 0),))], complete=True)
    assert slowest_spans(items) == {
        "traces": 2, "self_ms": 200.0, "unlisted_percent": 0.0, "selection": "slowest",
        "spans": [
            {"service": "db", "span": "db", "ms": 80.0, "share_percent": 40.0, "traces": 1, "first_in": 1},
            {"service": "api", "span": "r", "ms": 60.0, "share_percent": 30.0, "traces": 2, "first_in": 0},
            {"service": "cache", "span": "cache", "ms": 60.0, "share_percent": 30.0, "traces": 1, "first_in": 1},
        ],
    }  # fmt: skip


def test_the_summary_says_how_much_no_item_lists() -> None:
    """Ten equal spans, five of them listed: half of the time is unlisted, and no share is blown up."""
    spans = [span("r", None, 0, 100), *[span(f"c{i}", "r", i * 10, i * 10 + 10) for i in range(10)]]
    summary = slowest_spans(trace_items([Trace("t", tuple(spans))], complete=False))
    assert (summary["unlisted_percent"], summary["selection"], summary["spans"][0]["share_percent"]) == (50.0, "some", 10.0)


def test_the_summary_of_nothing_claims_nothing() -> None:
    """No trace, or none of the asked service: null, not zero."""
    empty = {"traces": 0, "self_ms": None, "spans": [], "unlisted_percent": None, "selection": None}
    assert slowest_spans([]) == empty
    assert slowest_spans(trace_items([Trace("t", (span("r", None, 0, 9),))], complete=True), service="other") == empty


def test_the_floor_rises_or_the_search_ends() -> None:
    """The third quartile of what came; equal durations cannot be told apart by a floor."""
    assert next_floor([1, 2, 3, 4], floor=0) == 4
    assert next_floor(list(range(20)), floor=3) == 15
    assert next_floor([7, 7, 7], floor=7) is None
    assert next_floor([], floor=0) is None
