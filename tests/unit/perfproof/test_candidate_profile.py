"""The candidate's profile against the baseline's: which functions the plan named, what became of them, and when nothing is said."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from perfproof.candidate_profile import ProfiledSide, change_graph, comparison_document, inconclusive, named_functions
from perfproof.config import load_protocol
from perfproof.diagnostics import profile_document
from perfproof.findings import findings_of
from perfproof.plan import NO_FINDING, define_plan
from perfproof.telemetry import document_bytes

PROTOCOL = load_protocol((Path(__file__).parents[3] / "include" / "protocols" / "demo.yaml").read_bytes(), where="demo")
SERVE, QUOTE, COMPILE, JSON = "serve (server.py)", "quote (shop.py)", "compile_rule (rules.py)", "dump (json.py)"


def side(*, compiled: int, dumped: int = 1000, other: int = 0, requests: int = 100, profiler: str = "py-spy 0.4.1 --gil") -> ProfiledSide:
    """A profile: serve calls quote, which compiles rules, and dump."""
    stacks = {f"{SERVE};{QUOTE};{COMPILE}": compiled, f"{SERVE};{JSON}": dumped, f"{SERVE};cache_get (cache.py)": other}
    collapsed = "".join(f"{stack} {count}\n" for stack, count in stacks.items() if count)
    cited = {"name": "evidence/x", "sha256": "a" * 64}
    document = profile_document(
        service=PROTOCOL.service("shop"), build=f"b-{compiled}", profiler=profiler, collapsed_text=collapsed, seconds=12, rate_hz=100,
        requests_by_transaction={"orders": requests, "quote": requests}, collapsed=cited, flame_graph=cited,
    )  # fmt: skip
    return ProfiledSide(document, {"name": "evidence/profile-shop.json", "sha256": f"{compiled % 10}" * 64}, collapsed)


BEFORE = side(compiled=1000)


def plan_of(document: Any) -> dict[str, Any]:
    """The plan of phase 3, from the findings of that profile alone."""
    return define_plan(
        optimizations=PROTOCOL.optimizations,
        considered=(),
        findings=findings_of([document], None),
        hypotheses={"hypotheses": []},
        target_metric="orders_latency_p95",
        baseline={"cells": [{"metric_name": "orders_latency_p95", "service": "shop", "kind": "latency", "value": 450.0, "unit": "ms"}]},
        references={"baseline": {"name": "b", "sha256": "c" * 64}},
        plan_id="PLAN-1",
        now=datetime(2025, 2, 16, tzinfo=UTC),
    )


def compared(after: ProfiledSide, *, before: ProfiledSide = BEFORE) -> dict[str, Any]:
    named = named_functions(plan_of(BEFORE.document), BEFORE.document)
    return comparison_document(
        service="shop", before=before, after=after, named=named, picture={"name": "evidence/d.svg", "sha256": "d" * 64}
    )


def test_the_function_that_carries_the_time_of_a_planned_finding_is_named() -> None:
    """The plan's own text says compile_rule carries the samples; the frames above it are where, not what."""
    plan = plan_of(BEFORE.document)
    assert [task["id"] for task in plan["tasks"]] == ["OPT-003"]
    assert plan["tasks"][0]["finding"].startswith(COMPILE)
    assert named_functions(plan, BEFORE.document) == {COMPILE: ["OPT-003"]}


@pytest.mark.parametrize(
    "changes", [{"service": "other"}, {"cause": "database_contention"}, {"finding": NO_FINDING}, {"finding": "something nobody found"}]
)
def test_a_task_without_a_finding_of_this_profile_names_nothing(changes: dict[str, str]) -> None:
    """Of another service, of the database, without a finding, or of a finding that this profile has not."""
    plan = plan_of(BEFORE.document)
    plan["tasks"][0] |= changes
    assert named_functions(plan, BEFORE.document) == {}


def test_a_named_function_that_shrank_is_consistent_and_names_its_tasks() -> None:
    """Oracle: 1000 of 2000 samples before, 100 of 1100 after."""
    document = compared(side(compiled=100))
    assert (document["status"], document["verdict"]) == ("compared", "consistent")
    (named,) = document["named"]
    assert (named["function"], named["change"], named["tasks"]) == (COMPILE, "shrunk", ["OPT-003"])
    assert (named["before_percent"], named["after_percent"]) == (50.0, pytest.approx(100 * 100 / 1100, abs=0.01))
    assert named["low_points"] < 100 * (100 / 1100 - 0.5) < named["high_points"] < 0
    assert document["grew"] == [], "dump takes a larger share only because compile_rule takes a smaller one"
    assert document["samples"] == {"baseline": 2000, "candidate": 1100}
    assert document["builds"] == {"baseline": "b-1000", "candidate": "b-100"}


def test_what_grew_is_told_of_the_time_outside_of_the_named() -> None:
    """A cache that was not there before."""
    document = compared(side(compiled=100, other=500))
    assert [(c["function"], c["change"]) for c in document["grew"]] == [("cache_get (cache.py)", "new")]
    assert document["grew"][0]["after_percent"] == pytest.approx(100 * 500 / 1500, abs=0.01)


def test_a_named_function_that_kept_its_share_is_not_consistent() -> None:
    """A verdict of the profile; the status stays compared, and nothing raises."""
    document = compared(side(compiled=1010))
    assert (document["status"], document["verdict"]) == ("compared", "not consistent")


def test_without_a_named_function_there_is_no_verdict() -> None:
    """The changes stand there nevertheless."""
    document = comparison_document(service="shop", before=BEFORE, after=side(compiled=100), named={}, picture=None)
    assert (document["verdict"], document["verdict_reason"]) == (None, "no finding of the plan names a function")
    assert [c["function"] for c in document["grew"]] == [JSON]
    assert "every other share grows" in document["grew_of"]


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (side(compiled=10, dumped=10), "the profile of the candidate is inconclusive: 20 samples"),
        (side(compiled=100, requests=1), "received 1 requests while it was profiled"),
        (side(compiled=100, profiler="pprof cpu"), "different profilers, py-spy and pprof"),
    ],
)
def test_what_cannot_be_compared_says_why_and_claims_nothing(after: ProfiledSide, said: str) -> None:
    """No function of an inconclusive profile is called grown or shrunk."""
    document = compared(after)
    assert (document["status"], document["verdict"]) == ("inconclusive", "undecided")
    assert said in document["reason"]
    assert (document["named"], document["grew"], document["changed"], document["flame_graph"]) == ([], [], [], None)
    assert document["profiles"]["candidate"] == dict(after.reference)


def test_another_version_of_the_same_profiler_is_compared() -> None:
    """An upgrade between the two profiles changes no name."""
    assert compared(side(compiled=100, profiler="py-spy 0.4.2 --gil"))["status"] == "compared"


def test_both_documents_have_the_same_fields_and_are_json() -> None:
    """Whoever reads one can read the other."""
    documents = [compared(side(compiled=100)), inconclusive(service="shop", reason="not cleared")]
    assert documents[0].keys() == documents[1].keys()
    assert all(document_bytes(document) for document in documents)


def test_the_picture_names_both_builds() -> None:
    """And holds no script."""
    drawn = change_graph(BEFORE, side(compiled=100), service="shop")
    assert "shop, build b-1000 to b-100" in drawn
    assert "<script" not in drawn
