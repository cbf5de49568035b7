"""What the performance report says, section by section, from the artifacts of a cycle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from perfproof.report.blocks import Block, Listing, Paragraph, Picture, Section, Table, rows

MAX_STATEMENTS = 5
MAX_FUNCTIONS = 8
Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Evidence:
    """The documents that the report projects. `pictures` are the names of SVG evidence; `sources` cites what was read."""

    run: str
    parameters: Document
    intake: Document
    baseline: Document
    hypotheses: Document
    profiles: Sequence[Document]
    query_plans: Document
    load_results: Document
    capacity: Document
    plan: Document
    validation: Document
    slo_record: Document
    gates: Sequence[Document]
    approvals: Sequence[Document]
    waivers: Sequence[Document]
    sources: Sequence[Document]
    pictures: Mapping[str, str] = field(default_factory=dict)
    assurance: str = "A1"


def sections(evidence: Evidence) -> tuple[Section, ...]:
    """The sections of the report, in the spec's order: intake, diagnostics, optimization, validation, and what proves them."""
    return (
        _summary(evidence),
        _intake(evidence),
        _baseline(evidence),
        _diagnostics(evidence),
        _optimization(evidence),
        _validation(evidence),
        _slo_updates(evidence),
        _gates(evidence),
        _approvals(evidence),
        _sources(evidence),
    )


def _summary(evidence: Evidence) -> Section:
    validation, improvement = evidence.validation, evidence.validation["improvement"]
    before, after = validation["baseline"], validation["optimized"]
    sentence = (
        f"{validation['target_metric']} changed from {before['value']:g} to {after['value']:g} {before['unit']}: "
        f"an improvement of {improvement['percentage']} %. Regressions: {validation['regression_count']}. Status: {validation['status']}."
    )
    builds = validation.get("builds", {})
    blocks: list[Block] = [
        Paragraph(sentence, strong=True),
        Paragraph(str(validation.get("verdict", {}).get("reason", ""))),
        Table(
            ("About", ""),
            (
                ("Run", evidence.run),
                ("Objective", evidence.parameters["objective"]),
                ("Environment", evidence.parameters["environment"]),
                ("Build before", builds.get("baseline")),
                ("Build after", builds.get("candidate")),
                ("Assurance", f"{evidence.assurance}: people authenticated by Airflow" if evidence.assurance == "A1" else evidence.assurance),
            ),
        ),
    ]
    if evidence.waivers:
        blocks.append(Paragraph("This cycle did not pass on its own: a criterion was waived, see Gates.", strong=True))
    return Section("Summary", tuple(blocks))


def _intake(evidence: Evidence) -> Section:
    intake = evidence.intake
    blocks: list[Block] = [
        Table(("Source", "Provides", "Critical", "Status", "Reason"), rows(intake["sources"], "name", "provides", "critical", "status", "reason"))
    ]
    if intake["pain_points"]:
        blocks.append(
            Table(
                ("Service", "Symptom", "Metric", "Value", "Unit", "SLO target", "Business impact"),
                rows(intake["pain_points"], "service", "symptom", "metric", "value", "unit", "slo_target", "business_impact"),
            )
        )
    else:
        blocks.append(Paragraph("No metric is beyond its objective."))
    blocks.append(
        Paragraph(f"{len(intake['alerts'])} alerts, {len(intake['incidents'])} incidents and {len(intake['deployments'])} deployments were read.")
    )
    return Section("Intake summary", tuple(blocks))


def _baseline(evidence: Evidence) -> Section:
    baseline = evidence.baseline
    return Section(
        "Baseline",
        (
            Paragraph(
                f"Completeness {baseline['baseline_completeness']} %: {baseline['metrics_collected']} of {baseline['metrics_required']} metrics."
            ),
            Paragraph(str(baseline["collection_methodology"])),
            Table(
                ("Metric", "Service", "Value", "Unit", "Samples", "Coverage", "Reasons"),
                tuple(
                    (c["metric_name"], c["service"], c["value"], c["unit"], f"{c['samples_valid']} of {c['samples_expected']}",
                     c["coverage"], ", ".join(c["reasons"]) or "none")
                    for c in baseline["cells"]
                ),
            ),
        ),
    )  # fmt: skip


def _diagnostics(evidence: Evidence) -> Section:
    blocks: list[Block] = [
        Table(
            ("Hypothesis", "Service", "Suspected cause", "Status", "Why"),
            rows(evidence.hypotheses["hypotheses"], "id", "service", "suspected_cause", "status", "status_reason"),
        )
    ]
    for profile in evidence.profiles:
        blocks.append(
            Table(
                (f"Hot function of {profile['service']}", "Self %", "Total %"),
                rows(profile["hot_functions"][:MAX_FUNCTIONS], "function", "self_percent", "total_percent"),
            )
        )
    blocks += [Picture(name, caption) for name, caption in evidence.pictures.items() if "flame" in name]
    for service in evidence.query_plans["services"]:
        blocks.append(
            Table(
                (f"Statement of {service['service']}", "Calls", "Mean ms", "Findings"),
                tuple(
                    (s["statement"][:160], s["calls"], s["mean_ms"], "; ".join(f["text"] for f in s["findings"]) or "none")
                    for s in service["statements"][:MAX_STATEMENTS]
                ),
            )
        )
    blocks.append(
        Table(
            ("Load scenario", "Valid", "Throughput", "p95 ms", "Errors %"),
            tuple(row for scenario in evidence.load_results["scenarios"] for row in _load_rows(scenario)),
        )
    )
    blocks += [Picture(name, caption) for name, caption in evidence.pictures.items() if "load" in name]
    return Section("Diagnostics", tuple(blocks))


def _load_rows(scenario: Document) -> list[tuple[Any, ...]]:
    """One row for a scenario at one rate, one for each step of a stress test."""
    name, valid = scenario["scenario"], scenario["valid"]
    if "steps" in scenario:
        return [(f"{name} at {s['rate']:g}/s", valid, s["throughput"], s["p95"], s["error_rate"]) for s in scenario["steps"]]
    results = scenario["results"]
    return [(name, valid, results["throughput"]["actual"], results["latency"]["p95"], results["error_rate"]["actual"])]


def _optimization(evidence: Evidence) -> Section:
    return Section(
        "Optimization",
        (
            Table(
                ("Id", "Title", "Owner", "Risk", "Expected gain %", "Finding"),
                rows(evidence.plan["tasks"], "id", "title", "owner", "risk", "expected_gain_percent", "finding"),
            ),
        ),
    )


def _validation(evidence: Evidence) -> Section:
    validation = evidence.validation
    verdict = validation.get("verdict", {})
    blocks: list[Block] = [
        Table(
            ("Metric", "Before", "After", "Unit", "Improvement %", "Interval %", "Verdict"),
            (
                (
                    validation["target_metric"],
                    validation["baseline"]["value"],
                    validation["optimized"]["value"],
                    validation["baseline"]["unit"],
                    validation["improvement"]["percentage"],
                    _interval(verdict),
                    verdict.get("label"),
                ),
            ),
        ),
        Table(
            ("Guard", "Before", "After", "Unit", "Worse by %", "Interval %", "Verdict", "Why"),
            tuple(
                (g["metric"], g["baseline"], g["optimized"], g["unit"], g["worsening_percent"], _interval(g), g["label"], g["reason"])
                for g in validation.get("guards", ())
            ),
        ),
    ]
    if validation.get("unguarded"):
        blocks.append(
            Table(
                ("Not guarded", "Before", "After", "Change %", "Why"),
                rows(validation["unguarded"], "metric", "baseline", "optimized", "change_percent", "reason"),
            )
        )
    blocks += [Picture(name, caption) for name, caption in evidence.pictures.items() if "blocks" in name]
    calibration = validation.get("calibration") or {}
    if calibration.get("note"):
        blocks.append(Paragraph(f"Calibration of this gate on identical code: {calibration['note']}"))
    return Section("Validation", tuple(blocks))


def _interval(verdict: Document) -> str | None:
    low, high = verdict.get("ci_low"), verdict.get("ci_high")
    return None if low is None or high is None else f"{low:.1f} to {high:.1f}"


def _slo_updates(evidence: Evidence) -> Section:
    record = evidence.slo_record
    return Section(
        "SLO updates",
        (
            Table(
                ("SLO", "Before", "Now", "Justification", "Alerts", "Escalation"),
                tuple(
                    (u["slo_name"], u["previous_target"], u["new_target"], u["justification"], "; ".join(u["alert_thresholds"]), u["escalation_policy"])
                    for u in record["updates"]
                ),
            ),
            Paragraph(f"Approval: {record['approval_status']} ({record['approval_percentage']} %)."),
        ),
    )


def _gates(evidence: Evidence) -> Section:
    blocks: list[Block] = []
    for gate in evidence.gates:
        blocks.append(Paragraph(f"Gate {gate['gate']}, {gate['name']}: {gate['outcome']}", strong=True))
        blocks.append(
            Table(("Criterion", "Actual", "Threshold", "Met", "Why"), rows(gate["criteria"], "criterion", "actual", "threshold", "met", "reason"))
        )
        if gate.get("text"):
            blocks.append(Listing(str(gate["text"])))
    if evidence.waivers:
        blocks.append(
            Table(("Waived", "Gate", "Reason", "Approved by", "Expires"), rows(evidence.waivers, "criterion", "gate", "reason", "approver", "expires_at"))
        )
    return Section("Gates", tuple(blocks) or (Paragraph("No gate has been evaluated."),))


def _approvals(evidence: Evidence) -> Section:
    if not evidence.approvals:
        return Section("Approvals", (Paragraph("No approval is recorded."),))
    return Section(
        "Approvals",
        (
            Table(
                ("Step", "Role", "Person", "Decision", "When", "Channel", "Comment"),
                tuple(
                    (a["step"], a["role_label"], f"{a['person']['name']} ({a['person']['id']})", a["decision"], a["decided_at"], a["channel"], a["comment"])
                    for a in evidence.approvals
                ),
            ),
        ),
    )


def _sources(evidence: Evidence) -> Section:
    return Section(
        "Evidence",
        (
            Paragraph("Every figure above stands in one of these files. The manifest lists what each derives from and who verified it."),
            Table(("Artifact", "SHA-256"), rows(evidence.sources, "name", "sha256")),
        ),
    )
