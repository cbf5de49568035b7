"""Phase 1: intake, baseline and hypotheses, judged by gate 1."""

from __future__ import annotations

from typing import Any

from airflow.sdk import task_group

from perfproof.announcements import Announcement
from perfproof_airflow.gate import decision, judge
from perfproof_airflow.step import step

CAPTURES_COMPARISON = "evidence/baseline-against-captures.json"
CAPTURES_FIELDS = ("against", "limit_percent", "regressed", "inconclusive", "unknown")


@step(map_index_template="{{ task.op_kwargs.source }}")
def collect_telemetry(cycle: Any, source: str) -> dict[str, Any]:
    """Reads one telemetry source. A missing critical one halts; a missing optional one is UNKNOWN in the report."""
    from perfproof.intake import require_critical
    from perfproof_airflow.cycle import now
    from perfproof_airflow.hooks.sources import read_source

    cycle.announce(Announcement.PHASE_1_START)
    declared = next(s for s in cycle.protocol.sources if s.name == source)

    def produce() -> dict[str, Any]:
        document = read_source(cycle.protocol, declared, now=now())
        require_critical(document)
        return document

    return cycle.publish(f"evidence/source-{source}.json", produce)


@step(map_index_template="{{ task.op_kwargs.service }}")
def capture_baseline(cycle: Any, service: str) -> dict[str, Any]:
    """Measures every required metric of one service over the baseline window; each cell keeps its source and reasons."""
    from perfproof_airflow.cycle import now
    from perfproof_airflow.hooks.baseline import baseline_window, capture_service

    cycle.announce(Announcement.PHASE_1_BASELINE)
    start, end = baseline_window(cycle.protocol, cycle.protocol.service(service), now=now().timestamp())
    return cycle.publish(
        f"evidence/baseline-{service}.json",
        lambda: capture_service(cycle.protocol, cycle.protocol.service(service), start=start, end=end),
    )


@step
def establish_baseline(cycle: Any, captured: list[dict[str, Any]]) -> dict[str, Any]:
    """Joins the services' cells to the baseline, compares it with the previous cycle, and halts on a regression."""
    from perfproof.baseline import baseline_csv, baseline_document, cells_of
    from perfproof.baseline_comparison import compare_with_previous, require_no_regression
    from perfproof_airflow.cycle import now
    from perfproof_airflow.hooks.baseline import previous_baseline

    captured = list(captured)
    parts = [cycle.document(reference) for reference in captured]
    services = [cycle.protocol.service(name) for name in cycle.parameters.services]
    comparison = compare_with_previous(
        parts, previous=previous_baseline(cycle), limit_percent=cycle.protocol.baseline.regression_limit_percent
    )
    cycle.publish("evidence/baseline-comparison.json", lambda: comparison, inputs=captured)
    require_no_regression(comparison)
    document = cycle.publish(
        "baseline-metrics.json",
        lambda: baseline_document(
            [cell for part in parts for cell in cells_of(part)],
            window=parts[0]["window"],
            protocol_sha256=cycle.protocol.digest,
            services=services,
            builds={part["service"]: part["build"] for part in parts},
            adherence={key: value for part in parts for key, value in part["adherence"].items()},
            now=now(),
        ),
        inputs=captured,
    )
    compare_with_captures(cycle, document)
    csv = cycle.publish("baseline-metrics.csv", lambda: baseline_csv(cycle.document(document)), inputs=[document])
    return {"json": document, "csv": csv}


def compare_with_captures(cycle: Any, document: dict[str, Any]) -> None:
    """Publishes how the baseline compares with the recurring captures. A finding, not a halt: captures cover other hours."""
    from perfproof.baseline_comparison import compare_with_history
    from perfproof_airflow import settings
    from perfproof_airflow.captures import HISTORY_DIRECTORY, acknowledged_changes, kept_history
    from perfproof_airflow.cycle import now
    from perfproof_airflow.hooks.workspace import Workspace

    def produce() -> dict[str, Any]:
        directory = settings.option("history_dir", HISTORY_DIRECTORY)
        history = kept_history(Workspace(settings.workspace_root()), directory, cycle.protocol.name, until=now())
        limit = cycle.protocol.baseline.regression_limit_percent
        accepted = acknowledged_changes(cycle.protocol.name)
        return compare_with_history(cycle.document(document), history, limit_percent=limit, acknowledged=accepted)

    cycle.publish(CAPTURES_COMPARISON, produce, inputs=[document])


@step
def report_intake(cycle: Any, sources: list[dict[str, Any]], baseline: dict[str, Any]) -> dict[str, Any]:
    """Consolidates sources and baseline into the intake report, with pain points and their business impact."""
    from perfproof.intake import intake_report
    from perfproof_airflow.cycle import now
    from perfproof_airflow.inbox import take_drifts

    sources = list(sources)
    captures = cycle.document(CAPTURES_COMPARISON)
    report: dict[str, Any] = cycle.publish(
        "performance-intake-report.json",
        lambda: {
            **intake_report(
                run=cycle.run,
                protocol=cycle.protocol,
                parameters=cycle.parameters,
                sources=[(cycle.document(reference), reference["sha256"]) for reference in sources],
                baseline=cycle.document(baseline["json"]),
                now=now(),
            ),
            "compared_with_captures": {key: captures[key] for key in CAPTURES_FIELDS},
        },
        inputs=[*sources, baseline["json"], cycle.reference(CAPTURES_COMPARISON)],
    )
    take_drifts(cycle, now=now())
    return report


@step
def formulate_hypotheses(cycle: Any, intake: dict[str, Any], baseline: dict[str, Any]) -> dict[str, Any]:
    """Links symptoms to suspected causes, each with the evidence that would confirm it."""
    from perfproof.hypotheses import formulate, hypothesis_log

    services = [cycle.protocol.service(name) for name in cycle.parameters.services]
    hypotheses = cycle.publish(
        "evidence/hypotheses.json",
        lambda: formulate(
            intake=cycle.document(intake),
            baseline=cycle.document(baseline["json"]),
            baseline_reference=cycle.source(baseline["json"]),
            services=services,
            target_metric=cycle.parameters.target_metric,
        ),
        inputs=[intake, baseline["json"]],
    )
    log = cycle.publish("hypothesis-log.md", lambda: hypothesis_log(cycle.document(hypotheses)), inputs=[hypotheses])
    return {"json": hypotheses, "log": log}


@step
def gate_1(cycle: Any, intake: dict[str, Any], baseline: dict[str, Any], hypotheses: dict[str, Any]) -> dict[str, Any]:
    """Gate 1, Baseline Validation: complete intake, traceable baseline of at least 95 %, documented hypotheses."""
    return judge(cycle, 1, inputs=[intake, baseline["json"], baseline["csv"], hypotheses["json"], hypotheses["log"]])


@task_group(group_id="intake_and_baseline")
def intake_and_baseline(prerequisites: Any) -> Any:
    """Phase 1 of the protocol, from telemetry to gate 1."""
    sources = collect_telemetry.expand(source=prerequisites["sources"])
    prerequisites["approved"] >> sources
    captured = capture_baseline.expand(service=prerequisites["services"])
    sources >> captured
    baseline = establish_baseline(captured)
    intake = report_intake(sources, baseline)
    hypotheses = formulate_hypotheses(intake, baseline)
    gate = gate_1(intake, baseline, hypotheses)
    decided = decision(1, retry_from="intake_and_baseline.collect_telemetry")
    gate >> decided
    return {"intake": intake, "baseline": baseline, "hypotheses": hypotheses, "decided": decided}
