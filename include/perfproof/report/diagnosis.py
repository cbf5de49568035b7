"""The sections about the state before the change: baseline and diagnostics."""

from __future__ import annotations

from typing import Any

from perfproof.artifacts import BASELINE_JSON, Artifact
from perfproof.report.blocks import Block, Code, Mark, Paragraph, Section, Subheading, Table, Tone, figure, percent, rows, sentence
from perfproof.report.capacity import capacity
from perfproof.report.evidence import HYPOTHESES_CHECKED, HYPOTHESES_RESULTS, QUERY_PLANS, Document, Evidence, pictures

MAX_STATEMENTS = 5
MAX_FUNCTIONS = 8
MAX_STATEMENT = 240
CANDIDATES = ("evidence/profile-candidate-", "evidence/profile-comparison-")
REASONS = {
    "NODATA": "no data", "STALE": "stale", "TOO_FEW": "too few samples", "NAN": "samples that are no number", "UNIT": "wrong unit",
    "UNTRACEABLE": "no traceable source", "FETCH_ERROR": "not fetched", "DUPLICATE": "moments with two values",
}  # fmt: skip
HYPOTHESES = {"confirmed": Tone.GOOD, "refuted": Tone.NEUTRAL}


def baseline(evidence: Evidence) -> Section:
    """What was measured before anything changed."""
    document = evidence.baseline
    completeness = f"Completeness {percent(document['baseline_completeness'])}"
    missing = ", ".join(str(name) for name in document.get("missing_metrics") or ())
    blocks: list[Block] = [
        *evidence.origin(BASELINE_JSON),
        Paragraph(f"{completeness}: {document['metrics_collected']} of {document['metrics_required']} metrics."
                  + (f" Missing: {missing}." if missing else ""), strong=True),
        Table(
            ("Metric", "Service", "Value", "Valid samples", "Coverage", "Source", "Not valid"),
            tuple(_cell(cell) for cell in document["cells"]),
            caption="What was measured before the change",
        ),
    ]  # fmt: skip
    slos = document.get("slos") or ()
    if slos:
        blocks.append(
            Table(
                ("SLO", "Target", "SLA", "Objective", "Adherence", "Met"),
                tuple(
                    (s.get("slo_name"), figure(s.get("target"), s.get("unit")), figure(s.get("sla"), s.get("unit")),
                     percent(s.get("objective_percent")), percent(s.get("adherence_percent")), _met(s.get("met")))
                    for s in slos
                ),
                caption="Objectives before the change",
            )
        )  # fmt: skip
    blocks.append(Paragraph(sentence(document["collection_methodology"])))
    return Section("Baseline", tuple(blocks))


def _cell(cell: Document) -> tuple[Any, ...]:
    value = Mark("no value", Tone.BAD) if cell.get("value") is None else figure(cell["value"], cell.get("unit"))
    coverage = cell.get("coverage")
    return (
        cell.get("metric_name"),
        cell.get("service"),
        value,
        f"{cell.get('samples_valid')} of {cell.get('samples_expected')}",
        percent(round(100 * coverage, 1)) if isinstance(coverage, int | float) else None,
        cell.get("source") or cell.get("collection_method"),
        ", ".join(REASONS.get(str(code), str(code)) for code in cell.get("reasons") or ()) or None,
    )


def _met(met: Any) -> Mark:
    if met is True:
        return Mark("met", Tone.GOOD)
    return Mark("NOT met", Tone.BAD) if met is False else Mark("unknown", Tone.WARNING)


def diagnostics(evidence: Evidence) -> Section:
    """Where the time goes and what the service bears."""
    return Section(
        "Diagnostics",
        (*_hypotheses(evidence), *_profiles(evidence), *_statements(evidence), *_load_tests(evidence), *capacity(evidence)),
    )


def _hypotheses(evidence: Evidence) -> list[Block]:
    found = evidence.hypotheses["hypotheses"]
    if not found:
        return [Paragraph("No hypothesis could be framed.")]
    table = tuple(
        (
            h.get("id"),
            h.get("suspected_cause"),
            (Mark(str(h.get("status")), HYPOTHESES.get(str(h.get("status")), Tone.WARNING)), _turned(h)),
            h.get("status_reason"),
        )
        for h in found
    )
    # The result of the change decides about a cause; until there is one, the diagnostics do.
    name = HYPOTHESES_RESULTS if evidence.known(HYPOTHESES_RESULTS) else HYPOTHESES_CHECKED
    caption = "Suspected causes, and what profiles, plans and the measured result say of them"
    header = ("Hypothesis", "Suspected cause", "Status", "Why")
    return [Subheading("Hypotheses"), *evidence.origin(name), Table(header, table, caption)]


def _turned(hypothesis: Document) -> str:
    """What the measurement of the change did to the status; empty where it said nothing."""
    result = hypothesis.get("result") or {}
    if not result or result.get("effect") == "undecided":
        return "not decided by the result" if result else ""
    before = str(result.get("status_before"))
    return "by the result of the change" if before == hypothesis.get("status") else f"by the result of the change, {before} before"


def _profiles(evidence: Evidence) -> list[Block]:
    names = (f"evidence/profile-{profile.get('service')}.json" for profile in evidence.profiles)
    blocks: list[Block] = [Subheading("Profiles"), *evidence.origin(*names)]
    for profile in evidence.profiles:
        taken = f"{profile.get('samples')} samples in {figure(profile.get('seconds'), 's')} by {profile.get('profiler')}"
        good = profile.get("status") == "ok"
        told = sentence(f"{profile.get('service')}: {taken}") + ("" if good else f" {sentence(profile.get('reason'))}")
        blocks.append(Paragraph(told, mark=None if good else Mark(str(profile.get("status")).upper(), Tone.BAD)))
        hot = profile.get("hot_functions") or ()
        if hot:
            table = tuple(
                (Code(str(h.get("function"))), percent(h.get("self_percent")), percent(h.get("total_percent"))) for h in hot[:MAX_FUNCTIONS]
            )
            caption = "Functions with the most time of their own"
            blocks.append(Table((f"Hot functions of {profile.get('service')}", "Own time", "With callees"), table, caption))
    # Those of the candidate belong to the change.
    return [*blocks, *(picture for picture in pictures(evidence, "flame") if not picture.name.startswith(CANDIDATES))]


def _statements(evidence: Evidence) -> list[Block]:
    blocks: list[Block] = [Subheading("Database statements"), *evidence.origin(QUERY_PLANS)]
    empty = len(blocks)
    for service in evidence.query_plans["services"]:
        statements = service.get("statements") or ()
        table = tuple(_statement(s) for s in statements[:MAX_STATEMENTS])
        if table:
            header = (f"Statement of {service.get('service')}", "Share of time", "Calls", "Mean", "Finding")
            blocks.append(Table(header, table, "Statements with the most time in the database"))
        left = len(statements) - len(table)
        if left > 0:
            blocks.append(Paragraph(f"{left} more in evidence/query-plans.json."))
        blocks += [Paragraph(sentence(f.get("text"))) for f in service.get("findings") or ()]
    if len(blocks) == empty:
        blocks.append(Paragraph("No statement was recorded."))
    return blocks


def _statement(statement: Document) -> tuple[Any, ...]:
    written = " ".join(str(statement.get("statement")).split())
    shown = written if len(written) <= MAX_STATEMENT else written[: MAX_STATEMENT - 1] + "…"
    findings = tuple(str(f.get("text")) for f in statement.get("findings") or ())
    return (
        Code(shown),
        percent(statement.get("share_percent")),
        figure(statement.get("calls")),
        figure(statement.get("mean_ms"), "ms"),
        findings or (f"No plan: {statement['error']}" if statement.get("error") else None),
    )


def _load_tests(evidence: Evidence) -> list[Block]:
    table = tuple(row for scenario in evidence.load_results["scenarios"] for row in _scenario(scenario))
    header = ("Load test", "Measurement", "Offered", "Throughput", "p50", "p95", "p99", "Errors", "Targets")
    drawn = [picture for picture in pictures(evidence, "load") if picture.name.startswith("evidence/load")]
    tests = Table(header, table, "Each scenario, or each step where it climbs")
    return [Subheading("Load tests"), *evidence.origin(Artifact.LOAD_TEST_RESULTS), tests, *drawn, *_missed(evidence)]


def _missed(evidence: Evidence) -> list[Block]:
    found = evidence.load_results.get("bottlenecks") or ()
    return (
        [Table(("Bottleneck", "Service", "Severity"), rows(found, "issue", "service", "severity"), "Load targets missed")] if found else []
    )


def _scenario(scenario: Document) -> list[tuple[Any, ...]]:
    """One row of a scenario, or one for each step where it climbs."""
    reasons = "; ".join(str(reason) for reason in scenario.get("invalid_reasons") or ()) or "no reason is given"
    mark = Mark("valid", Tone.GOOD) if scenario.get("valid") is True else Mark(f"INVALID: {reasons}", Tone.BAD)
    name = f"{scenario.get('scenario')} ({scenario.get('endpoint')})" if scenario.get("endpoint") else str(scenario.get("scenario"))
    results = scenario.get("results")
    if results:
        latency, throughput, errors = results.get("latency") or {}, results.get("throughput") or {}, results.get("error_rate") or {}
        judged = {"throughput": throughput, "latency": latency, "error rate": errors}
        breached = [part_name for part_name, part in judged.items() if part.get("status") == "breached"]
        targets = Mark(f"breached: {', '.join(breached)}", Tone.BAD) if breached else Mark("met", Tone.GOOD)
        return [
            (
                name, mark, figure(throughput.get("target"), "req/s"), figure(throughput.get("actual"), "req/s"),
                *(figure(latency.get(p), "ms") for p in ("p50", "p95", "p99")), percent(errors.get("actual")), targets,
            )
        ]  # fmt: skip
    if scenario.get("model") == "closed":
        latency = scenario.get("latency") or {}
        return [
            (
                name, mark, "not offered", figure(scenario.get("throughput"), "req/s"),
                *(figure(latency.get(p), "ms") for p in ("p50", "p95", "p99")), percent(scenario.get("error_rate")),
                "not judged: users wait for each answer",
            )
        ]  # fmt: skip
    steps = scenario.get("steps") or ()
    if not steps:
        return [(name, mark, *(None,) * 7)]
    return [
        (
            f"{name}, step {place}", mark, figure(s.get("rate"), "req/s"), figure(s.get("throughput"), "req/s"),
            *(figure(s.get(p), "ms") for p in ("p50", "p95", "p99")), percent(s.get("error_rate")), "none set",
        )
        for place, s in enumerate(steps, start=1)
    ]  # fmt: skip
