"""Findings: one shape for profiles and query plans, with weights, shares and the words that people use for them."""

from __future__ import annotations

from typing import Any

import pytest

from perfproof.findings import described_kinds, findings_of, names_in_common


def profile(*frames: tuple[str, float], own: float | None = None) -> dict[str, Any]:
    """A profile with one path that ends in a leaf, unless `own` says otherwise."""
    path = {"frames": [{"function": f, "total_percent": s} for f, s in frames], "self_percent": frames[-1][1] if own is None else own}
    return {"service": "shop", "status": "ok", "hot_functions": [], "hot_paths": [path]}


def statement(kind: str, *, time: float | None, calls: float | None, text: str = "select 1") -> dict[str, Any]:
    return {"statement": text, "share_percent": time, "calls_share_percent": calls, "findings": [{"kind": kind, "text": "found"}]}


def plans(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"services": [{"service": "shop", "statements": list(statements), "findings": []}]}


def test_a_hot_path_says_where_it_leaves_the_others() -> None:
    """The request's own function, not the server's thread, is what the path stands below; its share is the bound."""
    (finding,) = findings_of([profile(("run", 100.0), ("thread", 80.0), ("quote", 28.0), ("discount", 27.0), ("compile", 25.0))], None)
    assert finding.text == "compile carries 25 percent of the CPU samples, below quote with 28 percent"
    assert (finding.weight, finding.share) == (0.25, 0.28)
    assert finding.confirming


def test_small_ends_of_one_branch_are_one_finding() -> None:
    """Two paths that divide below the compiler tell of the compiler, once."""
    upper = (("thread", 80.0), ("quote", 28.0), ("compile", 25.0))
    document = profile(*upper, ("parse", 12.0))
    document["hot_paths"] += profile(*upper, ("code", 11.0))["hot_paths"]
    (finding,) = findings_of([document], None)
    assert finding.text.startswith("compile carries 25 percent")


def test_a_small_path_confirms_nothing() -> None:
    """12 percent of the samples are a lead for an optimization, not the cause of a symptom."""
    (finding,) = findings_of([profile(("thread", 80.0), ("quote", 12.0))], None)
    assert finding.weight == 0.12
    assert not finding.confirming


def test_a_frame_that_divides_into_small_parts_is_no_finding() -> None:
    """80 percent of the samples in a thread whose callees are all small is a flat profile."""
    assert findings_of([profile(("run", 100.0), ("thread", 80.0), own=1.0)], None) == ()


def test_a_hot_function_is_a_lead_that_confirms_nothing() -> None:
    """A function in 40 percent of the samples may be a dispatcher: it is a finding for those who name it, and no more."""
    document = profile(("run", 100.0))
    document["hot_functions"] = [
        {"function": "compile (re.py)", "self_percent": 3.0, "total_percent": 40.0},
        {"function": "rare (x.py)", "self_percent": 1.0, "total_percent": 4.0},
        {"function": "run (x.py)", "self_percent": 0.0, "total_percent": 99.0},
    ]
    (finding,) = findings_of([document], None)
    assert finding.text == "compile (re.py) is in 40 percent of the CPU samples, in 3 percent by itself"
    assert not finding.confirming


def test_an_event_loop_is_no_finding() -> None:
    """A loop with 40 percent of the samples that hands them on in small parts computes nothing itself."""
    assert findings_of([profile(("main", 40.0), ("run", 40.0), ("received", 14.0), ("parse", 12.0))], None) == ()


def test_the_innermost_branch_of_a_path_counts() -> None:
    """A request's handler leaves its worker thread after the thread has left the event loop."""
    (finding,) = findings_of([profile(("worker", 60.0), ("orders", 39.0), ("rows", 34.0), ("execute", 25.0), ("send", 12.0))], None)
    assert finding.text == "rows carries 34 percent of the CPU samples, below orders with 39 percent"


def test_a_path_of_frames_in_every_sample_is_no_finding() -> None:
    """A flat profile ends in the server's own frames."""
    assert findings_of([profile(("run", 100.0), ("loop", 96.0))], None) == ()


def test_a_repeated_statement_weighs_by_its_calls() -> None:
    """40 cheap queries per request take little of the database's time and are the larger part of the statements."""
    (finding,) = findings_of([], plans(statement("repeated_statement", time=2.5, calls=42.0)))
    assert finding.weight == 0.42
    assert finding.share is None
    assert finding.confirming


def test_a_scan_weighs_by_its_time() -> None:
    """A scan in a statement with 2 percent of the time confirms nothing, however often it runs."""
    (finding,) = findings_of([], plans(statement("sequential_scan", time=2.0, calls=42.0)))
    assert finding.weight == 0.02
    assert not finding.confirming


def test_unknown_shares_weigh_nothing() -> None:
    """A statement without time is no cause."""
    (finding,) = findings_of([], plans(statement("sequential_scan", time=None, calls=None)))
    assert finding.weight == 0


def test_long_statements_are_shortened_to_one_line() -> None:
    """A finding's text is one line."""
    (finding,) = findings_of([], plans(statement("sequential_scan", time=50.0, calls=1.0, text="select\n" + "x, " * 500)))
    assert "\n" not in finding.text
    assert len(finding.text) < 250


@pytest.mark.parametrize(
    ("description", "kinds"),
    [
        ("The plan of the orders query reads the whole table and keeps a few rows of it.", {"sequential_scan"}),
        ("The statement statistics show one query per order item in each request.", {"repeated_statement"}),
        ("Most of the time of a request is spent in the database.", {"database_time"}),
        ("The sort spills to disk.", {"sort_spill", "hash_spill"}),
        ("We shall see.", set()),
    ],
)
def test_descriptions_are_matched_by_fixed_phrases(description: str, kinds: set[str]) -> None:
    """Only what is said plainly counts."""
    assert described_kinds(description) == kinds


@pytest.mark.parametrize(
    ("description", "name", "common"),
    [
        ("The profile shows the rule compiler among the hot functions", "compile (re/_compiler.py)", True),
        ("The profile shows the rule compiler among the hot functions", "discount (demo/price_rules.py)", True),
        ("The profile shows most of the time among the hot functions", "function (profile.py)", False),
        ("The serializer is hot", "parse (re/_parser.py)", False),
    ],
)
def test_functions_are_matched_by_the_beginnings_of_words(description: str, name: str, common: bool) -> None:
    """compiler and compile are the same word here; words that say where to look are not."""
    assert names_in_common(description, [name]) is common
