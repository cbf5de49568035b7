"""The performance report: complete, readable, and with nothing of others in it that could act."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from perfproof.artifacts import Artifact
from perfproof.errors import ArtifactError
from perfproof.plots import blocks_plot
from perfproof.report import Evidence, render_html, render_markdown, sections
from perfproof.report.blocks import Paragraph, Picture, Section, change, figure, percent, sentence
from perfproof.report.svg import inline_svg
from perfproof.schemas import markdown_problems

SPEC = Path(__file__).parents[2] / "fixtures" / "spec"
TITLE = "Performance report"
HOSTILE = (
    "<script>alert(1)</script> ![i](http://e.example/x.png) [l](javascript:x) | `c` **b** www.e.example a@e.example \x1b[31m\u202e\n# head"
)
SQUARE = b'<svg xmlns="http://www.w3.org/2000/svg"><rect width="9" height="9"/></svg>'


def spec(name: str) -> Any:
    return json.loads((SPEC / name).read_text("utf-8"))


def criterion(name: str, *, met: bool | None = True, actual: float | None = 0.0) -> dict[str, Any]:
    return {
        "criterion": name, "actual": actual, "threshold": 15.0, "comparison": ">=", "met": met, "waivable": True, "reason": f"why {name}",
    }  # fmt: skip


def gate(number: int, outcome: str = "PASS", *criteria: dict[str, Any], text: str | None = None) -> dict[str, Any]:
    return {
        "gate": number, "name": f"Gate name {number}", "outcome": outcome, "evaluated_at": "2025-02-16T16:05:00Z",
        "criteria": list(criteria) or [criterion("complete")], "text": text,
    }  # fmt: skip


def sample() -> Evidence:
    """A small cycle around the samples of the specification, with every optional part left out."""
    load = spec("load-test-results.json")
    slo = spec("slo-update-record.json")
    return Evidence(
        run="run-1",
        parameters={"objective": "Faster orders", "environment": "test"},
        intake={
            "sources": [{"name": "prometheus", "provides": "metrics", "critical": True, "status": "ok", "reason": None}],
            "alerts": [], "incidents": [], "deployments": [], "pain_points": [],
        },
        baseline={
            "baseline_completeness": 97, "metrics_collected": 12, "metrics_required": 12, "collection_methodology": "Range query",
            "cells": [
                {"metric_name": "api_latency_p95", "service": "api-service", "value": 450.0, "unit": "ms", "samples_valid": 97,
                 "samples_expected": 100, "coverage": 0.97, "reasons": [], "source": "APM"},
                {"metric_name": "cpu", "service": "api-service", "value": None, "unit": "percent", "samples_valid": 0,
                 "samples_expected": 100, "coverage": 0.0, "reasons": ["NODATA"], "source": "APM"},
            ],
        },
        hypotheses={"hypotheses": []},
        profiles=[{"service": "api-service", "status": "ok", "samples": 9, "seconds": 8.0, "profiler": "py-spy", "hot_functions": []}],
        query_plans={"services": []},
        load_results={"scenarios": [{"scenario": "peak", "valid": True, "invalid_reasons": [], "results": load["results"]}]},
        capacity={"services": []},
        plan={"tasks": [{"id": "OPT-001", "title": "Index orders", "owner": "ada"}, {"id": "OPT-002", "title": "Cache", "owner": "ben"}]},
        validation=spec("optimization-validation-report.json"),
        slo_record=slo,
        gates=[gate(1), gate(2), gate(3)],
        approvals=[],
        waivers=[],
        sources=[{"name": "gate-3-result.json", "sha256": "c" * 64}],
    )  # fmt: skip


SIDE = {"build": "b1", "cpu_ms_per_request": 10.0, "memory_gib_seconds_per_request": 0.01, "per_1000": 0.000125, "blocks": 6}
ROOM = {
    "target_rate": 25.0, "target_source": "observed peak", "headroom_percent": {"value": 20.0, "low": 20.0, "high": None},
    "instances_n_plus_2": {"value": 3, "low": 3, "high": 4}, "basis": "the highest step, which held", "reason": None,
}  # fmt: skip
PEAK = {
    "status": "reached", "reason": None, "throughput": {"value": 63.0, "low": 60.0, "high": 66.0},
    "concurrency": {"value": 19.0, "low": 17.0, "high": 22.0},
}  # fmt: skip
USED = {
    "metric": "memory", "percent": 41.0, "assessment": "within limits", "reasons": ["few samples"], "projected_percent_at_peak": None,
    "percentiles": {"p50": {"value": 40.0, "low": 38.0, "high": 42.0, "reason": None}, "p95": {"value": 44.0, "low": 43.0, "high": None},
                    "p99": {"value": None, "low": None, "high": None, "reason": "20 samples, 100 needed"}},
}  # fmt: skip
CITED = (
    "performance-intake-report.json", "baseline-metrics.json", "evidence/hypotheses-results.json", "evidence/profile-api.json",
    "evidence/query-plans.json", "load-test-results.json", "evidence/capacity.json", "optimization-plan.json",
    "optimization-validation-report.json", "evidence/measurement.json", "slo-update-record.json", "evidence/cost-change.json",
    "evidence/promised-gains.json", "evidence/query-plan-diff.json", "evidence/profile-comparison-api.json", "evidence/flame.svg",
    "gate-1-result.json", "gate-2-result.json", "gate-3-result.json",
)  # fmt: skip


def full() -> Evidence:
    """The same cycle with every optional part, so that hostile text can stand in each field."""
    base = sample()
    verdict = {
        "label": "proved",
        "reason": "It improved.",
        "ci_low": 20.0,
        "ci_high": None,
        "confidence": 0.95,
        "blocks": [8, 8],
        "threshold_percent": 15,
    }
    guard = {
        "metric": "memory",
        "label": "no regression",
        "unit": "MiB",
        "baseline": 75.0,
        "optimized": 76.0,
        "reason": "Within the margin.",
    }
    return replace(
        base,
        intake={
            **base.intake,
            "sources": [{"name": "logs", "provides": "logs", "critical": False, "status": "unknown", "reason": "absent"}],
            "incidents": [{"id": "INC-1", "title": "slow", "severity": "SEV-3", "impact": "calls"}],
            "pain_points": [
                {
                    "service": "api",
                    "symptom": "slow",
                    "value": 450.0,
                    "unit": "ms",
                    "slo_target": 250,
                    "business_impact": "x",
                    "rank": 1,
                    "rank_reasons": ["critical service", "target missed by 80 %"],
                }
            ],
            "timeline": [
                {"at": "2025-02-16T10:00:00Z", "kind": "deployment", "what": "deployment b1", "service": None, "source": "deploys"},
                {"at": "2025-02-16T10:09:00Z", "kind": "alert_started", "what": "alert slow", "service": "api", "source": "m"},
            ],
            "timeline_left_out": 7,
            "coincidences": [
                {
                    "service": "api",
                    "what": "deployment b1 9 minutes before alert slow",
                    "minutes": 9,
                    "first": {"kind": "deployment", "name": "deployment b1", "at": "2025-02-16T10:00:00Z"},
                    "second": {"kind": "alert_started", "name": "alert slow", "at": "2025-02-16T10:09:00Z"},
                }
            ],
            "watched": [
                {"service": "api", "slo_name": "Latency", "metric": "p95", "watched": "no", "alerts": ["page"], "reason": "no alert"}
            ],
            "findings": [{"kind": "unwatched_objective", "service": "api", "text": "Latency (p95): no alert reads it"}],
        },
        baseline={
            **base.baseline,
            "missing_metrics": ["cpu"],
            "slos": [{"slo_name": "s", "sla": 500, "unit": "ms", "objective_percent": 99, "adherence_percent": 8, "met": False}],
        },
        hypotheses={
            "hypotheses": [
                {
                    "id": "HYP-001",
                    "suspected_cause": "database",
                    "status": "confirmed",
                    "status_reason": "scan",
                    "result": {"effect": "improved", "status_before": "open"},
                },
                {"id": "HYP-002", "suspected_cause": "lock", "status": "open", "status_reason": "x"},
            ]
        },
        profiles=[
            {
                "service": "api",
                "status": "inconclusive",
                "reason": "idle",
                "samples": 3,
                "seconds": 8.0,
                "profiler": "py-spy",
                "hot_functions": [{"function": "f (a.py)", "self_percent": 8.65, "total_percent": 14.0}],
            }
        ],
        query_plans={
            "services": [
                {
                    "service": "api",
                    "findings": [{"text": "a finding"}],
                    "statements": [
                        {"statement": "select 1", "calls": 21438, "mean_ms": 0.0045, "share_percent": 50.0, "findings": [{"text": "scan"}]},
                        {"statement": "select 2", "calls": 1, "mean_ms": 1.0, "share_percent": 1.0, "findings": [], "error": "no rights"},
                    ],
                }
            ]
        },
        load_results={
            "scenarios": [
                *base.load_results["scenarios"],
                {
                    "scenario": "stress",
                    "endpoint": "baseline",
                    "valid": False,
                    "invalid_reasons": ["generator saturated"],
                    "steps": [{"rate": 30.0, "throughput": 29.0, "p50": 1.0, "p95": 2.0, "p99": None, "error_rate": 0.0}],
                },
            ],
            "bottlenecks": [{"issue": "slow", "service": "api", "severity": "high"}],
        },
        capacity={
            "peak_rate": 30.0,
            "currency": "USD",
            "services": [
                {
                    "service": "api",
                    "scaling": {"policy": "none"},
                    "capacity": {"knee_rate": 30.0, "headroom_percent": 0.0, "room": ROOM, "throughput_peak": PEAK},
                    "cost": {"hourly": 0.0425, "price": {"source": "protocol file", "as_of": "2025-02-16"}},
                    "utilization": [{"metric": "cpu", "percent": 82.0, "assessment": "high"}, USED],
                }
            ],
        },
        plan={
            "tasks": [
                {
                    **base.plan["tasks"][0],
                    "risk": "low",
                    "risk_notes": "index",
                    "expected_gain_percent": 40.0,
                    "gain_basis": "guess",
                    "cause": "database_contention",
                    "finding": "scan",
                    "hypothesis": "HYP-001",
                    "baseline_metric": "p95",
                }
            ],
            "not_planned": [{"id": "OPT-009", "title": "cache", "reason": "no evidence"}],
        },
        validation={
            **base.validation,
            "verdict": verdict,
            "guards": [guard, {**guard, "metric": "cpu", "label": "inconclusive"}],
            "interleaved": True,
            "mode": "proved",
            "builds": {"baseline": "b1", "candidate": "b2"},
            "sequential": sequential(),
            "unguarded": [{"metric": "p99", "unit": "ms", "baseline": 1.0, "optimized": 2.0, "reason": "Reported."}],
            "calibration": {"note": "70 comparisons.", "repetitions": 70, "false_improved": {"count": 0, "high": 0.052}},
            "drift": {"note": "Differs by 1 %."},
        },
        approvals=[
            {
                "step": "implementation",
                "role_label": "Owner",
                "person": {"id": "ada", "name": "Ada Okoro"},
                "decision": "approve",
                "decided_at": "2025-02-16T12:00:00Z",
                "comment": "CHG-3",
                "channel": "mark",
                "assurance": "A1",
                "map_index": 0,
            }
        ],
        waivers=[waiver()],
        profile_comparisons=[
            {
                "service": "api",
                "status": "compared",
                "reason": None,
                "verdict": "consistent",
                "verdict_reason": "f shrank",
                "samples": {"baseline": 900, "candidate": 880},
                "grew_of": "the time outside of the named functions",
                "named": [
                    {
                        "function": "f (a.py)",
                        "change": "shrunk",
                        "before_percent": 40.0,
                        "after_percent": 5.0,
                        "low_points": -40.0,
                        "high_points": -30.0,
                    }
                ],
                "grew": [
                    {
                        "function": "g (a.py)",
                        "change": "new",
                        "before_percent": 0.0,
                        "after_percent": 9.0,
                        "low_points": None,
                        "high_points": None,
                    }
                ],
                "flame_graph": {"name": "evidence/profile-comparison-api-flame-graph.svg", "sha256": "f" * 64},
            },
            {"service": "idle", "status": "inconclusive", "reason": "the candidate has no pid_file"},
        ],
        query_plan_diff={
            "services": [
                {
                    "service": "api",
                    "status": "compared",
                    "calls_per_request": {"before": 40.0, "after": 2.0},
                    "ms_per_request": {"before": 6.0, "after": None},
                    "left_out": 3,
                    "findings_gone": [{"text": "database time"}],
                    "statements": [
                        {
                            "statement": "select 1",
                            "change": "kept",
                            "before": {"calls_per_request": 0.7, "mean_ms": 6.19},
                            "after": {"calls_per_request": 0.7, "mean_ms": 0.06},
                            "plan": {
                                "scans": [{"relation": "orders", "before": ["Seq Scan"], "after": ["Index Scan using i"]}],
                                "rows_removed": {"before": 119988.0, "after": 0.0},
                            },
                            "findings_gone": [{"text": "reads in vain"}],
                            "findings_new": [{"text": "a sort"}],
                            "findings_unknown": [{"text": "a hash"}],
                        },
                        {"statement": "select 2", "change": "gone", "before": {"calls_per_request": 40.0, "mean_ms": 0.01}, "after": None},
                    ],
                },
                {"service": "idle", "status": "not compared", "reason": "the candidate was not profiled"},
            ]
        },
        cost_change={
            "price": {"currency": "USD", "source": "protocol file", "as_of": "2025-02-16"},
            "before": SIDE,
            "after": {**SIDE, "per_1000": 1e-4},
            "change_percent": -20.0,
            "ci_low": -25.0,
            "ci_high": -10.0,
            "confidence": 0.95,
            "reason": None,
        },
        promised_gains={
            "records": [
                {
                    "validated_at": "2025-02-16T17:00:00Z",
                    "optimizations": [{"id": "OPT-001", "title": "Index"}],
                    "cause": "database",
                    "promised_percent": 40.0,
                    "realized_percent": 30.0,
                    "ratio": 0.75,
                    "kept": "short",
                }
            ],
            "by_cause": [
                {
                    "cause": "database",
                    "validated": 1,
                    "promised_percent": 40.0,
                    "realized_percent": 30.0,
                    "ratio": 0.75,
                    "kept": 0,
                    "short": 1,
                    "undecided": 0,
                    "unknown": 0,
                }
            ],
            "not_carried": "no backlog of an earlier cycle was supplied",
        },
        sources=[
            {"name": name, "sha256": f"{place:064x}", "size": 1000 + place} for place, name in enumerate((*CITED, "no file"), start=1)
        ],
        pictures={
            "evidence/flame.svg": "Flame graph",
            "evidence/blocks.svg": "Blocks",
            "evidence/load.svg": "Load",
            "evidence/profile-comparison-api-flame-graph.svg": "Change",
        },
        descriptions={"evidence/flame.svg": "What can be seen"},
    )


def sequential(stopped_because: str = "target and guards are decided") -> dict[str, Any]:
    """Two looks, the first of which saw a regression."""
    look = {
        "look": 1,
        "blocks": 8,
        "confirmation_blocks": 0,
        "confidence": 0.983333,
        "target": "met",
        "guards": {"cpu": "regression seen"},
        "next": "confirm",
        "more_blocks": 8,
        "reason": "cpu looks worse",
    }
    return {
        "looks": [look, {**look, "confirmation_blocks": 8, "next": "measure"}, {**look, "look": 2, "blocks": 16, "next": "stop"}],
        "used_blocks": 24, "most_blocks": 32, "confidence": 0.95, "confirmed_regressions": [], "unconfirmed_regressions": [],
        "stopped_because": stopped_because,
    }  # fmt: skip


def waiver(digest: str = "c" * 64) -> dict[str, Any]:
    return {
        "gate": 3, "criterion": "improvement", "reason": "contract ends", "approver": "Ada Okoro (ada)", "requester": "ben",
        "expires_at": "2025-03-01T00:00:00Z", "metric": None, "limit": None, "result_sha256": digest,
    }  # fmt: skip


def spoiled(value: Any) -> Any:
    """`value` with hostile text behind every string that is not read as a key word."""
    if isinstance(value, dict):
        kept = ("status", "label", "outcome", "decision", "comparison", "sha256", "approval_status", "decided_at", "unit", "step")
        return {key: item if key in kept else spoiled(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [spoiled(item) for item in value]
    return f"{value} {HOSTILE}" if isinstance(value, str) else value


def hostile() -> Evidence:
    base = full()
    names = (
        "parameters", "intake", "baseline", "hypotheses", "profiles", "query_plans", "load_results", "capacity", "plan", "validation",
        "slo_record", "gates", "approvals", "waivers", "profile_comparisons", "query_plan_diff", "cost_change", "promised_gains",
    )  # fmt: skip
    changed: dict[str, Any] = {name: spoiled(getattr(base, name)) for name in names}
    changed["validation"]["optimizations"] = [changed["plan"]["tasks"][0]["id"]]
    # What our own code writes and never copies.
    changed["profile_comparisons"][0] |= {"status": "compared", "flame_graph": base.profile_comparisons[0]["flame_graph"]}
    changed["query_plan_diff"]["services"][0]["status"] = "compared"
    changed["gates"][0]["text"] = HOSTILE + "\n```\n<b>"
    words = dict.fromkeys(base.pictures, HOSTILE)
    named = [*base.sources[:-1], {"name": f"../{HOSTILE}", "sha256": HOSTILE, "size": HOSTILE}]
    return replace(base, **changed, run=HOSTILE, pictures=words, descriptions=words, sources=named)


class Page(HTMLParser):
    """Every element, attribute and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes += [(key, value or "") for key, value in attrs]

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def written(evidence: Evidence) -> tuple[str, str]:
    content = sections(evidence)
    return render_markdown(TITLE, content), render_html(TITLE, content, dict.fromkeys(evidence.pictures, SQUARE))


@pytest.mark.parametrize("evidence", [sample(), full(), hostile()], ids=["least", "full", "hostile"])
def test_the_report_has_every_required_heading_with_content(evidence: Evidence) -> None:
    """Gate 4 counts the report as valid, whatever optional part is missing and whatever stands in it."""
    markdown, page = written(evidence)
    assert markdown_problems(Artifact.PERFORMANCE_REPORT, markdown) == []
    headings = re.findall(r"<h2>(.*?)</h2>", page)
    assert headings == re.findall(r"^## (.*)$", markdown, re.MULTILINE) and headings[0] == "Summary"


def test_hostile_text_is_no_markup_in_markdown() -> None:
    """Oracle: a CommonMark parser with tables and linkify sees the same elements as with harmless text, and only our pictures."""
    parser = MarkdownIt("gfm-like")
    kinds = []
    for evidence in (full(), hostile()):
        tokens = [t for token in parser.parse(written(evidence)[0]) for t in (token, *(token.children or ()))]
        assert not {"html_block", "html_inline"} & {t.type for t in tokens}
        links = {str(t.attrs["href"]) for t in tokens if t.type == "link_open"}
        assert links <= {source["name"] for source in evidence.sources} and "gate-3-result.json" in links
        assert all(str(t.attrs["src"]).startswith("evidence/") for t in tokens if t.type == "image")
        kinds.append(
            [t.tag for t in tokens if t.tag in ("h1", "h2", "h3", "table", "tr", "td", "th", "img", "ul", "ol", "hr", "blockquote")]
        )
    assert kinds[1] == kinds[0]
    assert not re.search(r"[\x00-\x09\x0b-\x1f\u202e]", written(hostile())[0])


def test_hostile_text_is_no_markup_in_html() -> None:
    """The elements are those of the harmless report and one listing; nothing runs and nothing comes from elsewhere."""
    _, harmless = written(full())
    _, page = written(hostile())
    seen = Page(page)
    assert set(seen.elements) - set(Page(harmless).elements) == {"pre"}
    assert "script" not in seen.elements and "img" not in seen.elements
    assert not [key for key, _ in seen.attributes if key.startswith("on")]
    ids = {f"#{value}" for key, value in seen.attributes if key == "id"}
    targets = {value for key, value in seen.attributes if key in ("href", "src", "xlink:href")}
    assert targets - ids == set(CITED)
    assert "alert(1)" in "".join(seen.words) and "\x1b" not in page and "\u202e" not in page
    assert len(page.encode()) < 5_000_000


def test_the_same_evidence_gives_the_same_bytes() -> None:
    """Nothing of the clock or of the order of a set is in the report."""
    assert written(full()) == written(full())


def test_the_summary_says_what_changed_and_that_it_passed() -> None:
    """The spec's sample: 450 to 320 ms, 28.9 %, no regression, approved by two."""
    markdown = written(sample())[0].split("## Intake summary")[0]
    assert "**VALIDATION PASS**: **api_latency_p95 improved by 28.9 %: 450 ms before, 320 ms after. No regression detected.**" in markdown
    assert "| OPT-001 | Index orders | ada | – |" in markdown and "OPT-002" not in markdown
    assert "API Latency p95: 450ms before, 350ms now. Signed by Product Owner, Product Owner; SRE Lead, SRE Lead." in markdown
    assert "A1: each person was authenticated by Airflow" in markdown and "No criterion was excused" in markdown


def test_a_change_for_the_worse_and_an_unknown_one_are_named_so() -> None:
    """A negative percentage is no improvement, and none at all is UNKNOWN."""
    base = sample()
    worse = replace(base, validation={**base.validation, "improvement": {"percentage": -6.7}, "status": "fail"})
    assert "**VALIDATION FAIL**: **api_latency_p95 got worse by 6.7 %" in written(worse)[0]
    unknown = replace(base, validation={**base.validation, "improvement": {"percentage": None}, "status": "inconclusive"})
    assert "**VALIDATION INCONCLUSIVE**: **The change of api_latency_p95 is UNKNOWN" in written(unknown)[0]


def test_regressions_stand_in_the_summary_with_their_figures() -> None:
    """The spec's sample: memory 75 to 88, 17.3 % worse."""
    base = sample()
    bad = {**base.validation, "regressions": spec("regression.json")["regressions"], "regression_count": 1, "status": "fail"}
    markdown = written(replace(base, validation=bad))[0]
    assert "| Regressions | **1 regression** | memory_utilization (+17.3 %). |" in markdown
    assert "| memory_utilization | 75 | 88 | 17.3 % |" in markdown


def test_a_waived_gate_is_shown_as_waived_and_never_as_passed() -> None:
    """Mark, summary and criterion say WAIVED; what was missed stands first."""
    failed = gate(3, "FAIL", criterion("complete"), criterion("improvement", met=False, actual=14.9996), text="[RAY GATE FAILED: x]")
    waived = replace(sample(), gates=[gate(1), gate(2), failed], waivers=[waiver()], decisions={1: "PASS", 2: "PASS", 3: "WAIVED"})
    markdown, _ = written(waived)
    assert "| Gate 3 | **WAIVED** | Gate name 3 |" in markdown and "**NOT A PLAIN PASS**" in markdown
    part = markdown.split("### Gate 3")[1]
    assert part.index("| improvement | **NOT met, WAIVED** | 14.9996 | at least 15 |") < part.index("| complete | **met** |")
    assert "PASS" not in part.split("### Gate 4")[0] and "[RAY GATE FAILED: x]" in part
    assert "the result above" in markdown.split("### Waivers")[1]


def test_a_gate_that_failed_is_not_a_pass_whatever_the_decisions_say() -> None:
    """A decision PASS for a result that is no PASS is not believed; a waiver of an earlier result excuses nothing."""
    failed = gate(3, "FAIL", criterion("improvement", met=False))
    markdown, _ = written(replace(sample(), gates=[failed], waivers=[waiver("d" * 64)], decisions={3: "PASS"}))
    assert "| Gate 3 | **FAIL** |" in markdown and "| improvement | **NOT met** |" in markdown and "an earlier result" in markdown


def test_gate_4_of_an_earlier_round_is_not_shown() -> None:
    """It judged another report, so its result would mislead."""
    assert "Gate name 4" not in written(replace(sample(), gates=[gate(1), gate(4, "FAIL")]))[0]


@pytest.mark.parametrize(
    ("field", "spoil", "named"),
    [
        ("validation", {}, "optimization-validation-report.json"),
        ("slo_record", None, "slo-update-record.json"),
        ("plan", {"plan_id": "x"}, "optimization-plan.json.*without tasks"),
        ("profiles", [], "profile"),
        ("baseline", {"cells": []}, "baseline-metrics.json.*baseline_completeness"),
    ],
)
def test_a_missing_required_document_is_an_error_that_names_it(field: str, spoil: Any, named: str) -> None:
    """The report halts instead of leaving a section empty."""
    with pytest.raises(ArtifactError, match=f"ART-451.*{named}"):
        sections(replace(sample(), **{field: spoil}))


def test_invalid_load_tests_and_missing_values_are_plain_to_see() -> None:
    """INVALID carries its reason; a percentile without samples is a dash; a metric without a value says so."""
    markdown, _ = written(full())
    assert "| stress (baseline), step 1 | **INVALID: generator saturated** | 30 req/s | 29 req/s | 1 ms | 2 ms | – |" in markdown
    assert "| cpu | api-service | **no value** | 0 of 100 | 0 % | APM | no data |" in markdown
    assert (
        "| peak | **valid** | 1,000 req/s | 950 req/s | 250 ms | 520 ms | 980 ms | 2.1 % | **breached: latency, error rate** |" in markdown
    )


def test_judges_sentences_keep_one_full_stop() -> None:
    """What ends with a period gets no second one."""
    assert ".." not in written(full())[0]
    assert [sentence(t) for t in ("a", "a.", "a!", "", None)] == ["a.", "a.", "a!", "", ""]


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [(58.7325, "ms", "58.73 ms"), (3844.491, "ms", "3,844 ms"), (0.0045, "ms", "0.0045 ms"), (0, "percent", "0 %"), (21438, None, "21,438"),
     (1e-5, "s", "0.00001 s"), (None, "ms", "–"), (float("nan"), "ms", "–"), (True, None, "–"), (-0.0, None, "0"), (450, "ms", "450 ms")],
)  # fmt: skip
def test_figures_have_four_digits_and_their_unit(value: Any, unit: str | None, shown: str) -> None:
    """What is no number is a dash."""
    assert figure(value, unit) == shown


def test_percentages_are_not_rounded_onto_a_threshold() -> None:
    """14.9996 stays below 15; a change of a share is in points."""
    assert percent(14.9996) == "14.9996 %"
    assert [change(0, 0.5, "percent"), change(75, 88, "MiB"), change(0, 3, "ms"), change(1, 1, "ms"), change(None, 1, "ms")] == [
        "+0.5 points", "+17.3 %", "from zero", "none", "–",
    ]  # fmt: skip


def test_two_inlined_plots_do_not_share_ids() -> None:
    """Two plots with the same salt have the same ids; inlined they differ, and every reference meets an id of its own picture."""
    plot = blocks_plot(metric="p95", unit="ms", before=[1.0, 2.0], after=[1.0, 1.5])
    pictures = {"evidence/a-blocks.svg": plot, "evidence/b-blocks.svg": plot}
    content = (Section("Validation", tuple(Picture(name, name) for name in pictures)),)
    page = render_html(TITLE, content, pictures)
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids)) > 10
    references = re.findall(r'(?:href="#|url\(#)([^")]+)', page)
    assert {r for r in references if r.startswith("p")} and set(references) <= set(ids)
    assert page.count("<style") == 1 and page.count("<svg") == 2


@pytest.mark.parametrize(
    "inside",
    ["<script>1</script>", "<foreignObject/>", '<image href="http://e/x.png"/>', '<rect onload="x"/>', '<use href="http://e/#a"/>',
     '<rect style="fill:url(http://e/x)"/>', '<rect style="fill:url(//e/x)"/>', '<a href="javascript:x"/>', '<rect fill="u\\72l(x)"/>',
     '<animate attributeName="href"/>', '<set to="x"/>', '<x:script xmlns:x="http://www.w3.org/1999/xhtml"/>', "<rect", "&e;",
     "<g>" * 200 + "</g>" * 200],
)  # fmt: skip
def test_a_picture_with_more_than_shapes_and_text_is_not_inlined(inside: str) -> None:
    """Whoever made it; the page says so in its place."""
    data = f'<svg xmlns="http://www.w3.org/2000/svg">{inside}</svg>'.encode()
    assert inline_svg(data, prefix="p1-") is None
    page = render_html(TITLE, (Section("A", (Picture("evidence/x.svg", "c"),)),), {"evidence/x.svg": data})
    assert "is not shown" in page and "<svg" not in page


def test_pictures_that_would_make_the_page_too_large_stay_files() -> None:
    """The page stays below 5 MB and names what is not in it, as it does for a picture that is not there."""
    large = b'<svg xmlns="http://www.w3.org/2000/svg">' + (b"<text>" + b"x" * 100_000 + b"</text>") * 45 + b"</svg>"
    content = (Section("A", (Picture("evidence/x.svg", "c"), Picture("evidence/y.svg", "c"), Paragraph("end"))),)
    page = render_html(TITLE, content, {"evidence/x.svg": large})
    assert len(page) < 20_000 and "too large for this page" in page and "evidence/y.svg is not part of this copy" in page


@pytest.mark.parametrize("name", ["http://e.example/x.svg", "../x.svg", "//e/x.svg", "a b.svg", "x.svg)", "/etc/x.svg"])
def test_only_a_path_below_the_report_becomes_a_picture(name: str) -> None:
    """Anything else is shown as a name."""
    assert "![" not in render_markdown(TITLE, (Section("A", (Picture(name, "caption"),)),))


def test_the_looks_are_told_in_words() -> None:
    """How many looks, how many of the authorized blocks, and why no more were measured."""
    told, _ = written(full())
    assert "Two looks, 24 of at most 32 blocks a side, stopped because target and guards are decided." in told
    assert "| 1, with fresh blocks | 8 | 98.3333 % | met | cpu: regression seen | measure: cpu looks worse. |" in told


def test_what_the_change_moved_in_the_profile_is_shown_with_its_picture() -> None:
    """What the plan named, what grew, and the figure; never as a gate's verdict, and not among the baseline's pictures."""
    markdown, _ = written(full())
    validation = markdown.partition("## Validation")[2].partition("\n## ")[0]
    assert "What the change moved in the profile" in validation
    assert re.search(r"\| `f \(a.py\)` \| 40 % \| 5 % \| -40 to -30 points \| shrunk \|", validation)
    assert re.search(r"\| `g \(a.py\)` \| 0 % \| 9 % \| – \| new \|", validation)
    assert "decides no gate" in validation
    assert "evidence/profile-comparison-api-flame-graph.svg" in validation
    assert "profile-comparison" not in markdown.partition("## Diagnostics")[2].partition("\n## ")[0]


def test_a_profile_that_was_not_compared_says_so() -> None:
    """With its reason, and without a figure of an earlier round."""
    base = full()
    old = {**base.profile_comparisons[1], "flame_graph": None}
    markdown, _ = written(replace(base, profile_comparisons=[old]))
    assert re.search(r"INCONCLUSIVE.*idle: not compared. The candidate has no pid\\?_file|INCONCLUSIVE.*the candidate has no pid", markdown)
    assert "(evidence/profile-comparison" not in markdown


def test_what_the_change_moved_in_the_database_is_shown() -> None:
    """Calls and time per request, the way to each relation, the rows removed, findings that are gone, new or not known."""
    markdown, _ = written(full())
    (row,) = [line for line in markdown.splitlines() if "Seq Scan -" in line]
    for said in ("0.7", "6.19 ms", "0.06 ms", "119,988", "gone: reads in vain", "new: a sort", "not known on the other side: a hash"):
        assert said in row, said
    assert "40 statements before, 2 after" in markdown
    assert "not called any more" in markdown
    assert "3 more in evidence/query-plan-diff.json" in markdown
    assert "Gone: database time." in markdown
    assert "the candidate was not profiled" in markdown


def test_a_cycle_without_comparisons_has_no_such_part() -> None:
    """Those of an earlier version have none."""
    assert "What the change moved" not in written(sample())[0]
