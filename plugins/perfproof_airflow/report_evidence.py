"""The evidence that the report is made of, and the pictures that are drawn for it from the same evidence."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from perfproof import artifacts as names
from perfproof.artifacts import Artifact, gate_result_name
from perfproof.evidence import EntryType
from perfproof_airflow.cycle import Cycle
from perfproof_airflow.plan_steps import PROMISED_GAINS, hypotheses_name

CAPACITY = "evidence/capacity.json"
MEASUREMENT = "evidence/measurement.json"
# One change is no history.
MIN_RECORDS = 2


def evidence_of(cycle: Cycle) -> Any:
    """Everything the report shows, read by digest. Raises EvidenceError naming what is missing."""
    from perfproof.report import Evidence
    from perfproof.report.pictures import captions, descriptions
    from perfproof_airflow.candidate_steps import PLAN_DIFF, comparison_name
    from perfproof_airflow.capacity_steps import COST_CHANGE
    from perfproof_airflow.gate import GATE_TASKS, gate_decision

    live = cycle.store.live_all()
    gates = [cycle.document(gate_result_name(n)) for n in range(1, 5) if gate_result_name(n) in live]
    approvals = [entry.body for entry in cycle.store.of_type(EntryType.APPROVAL_GRANTED)]
    comparisons = [comparison_name(name) for name in cycle.parameters.services]
    pictures = [name for name in live if name.endswith(".svg")]
    intake, baseline = cycle.document(Artifact.INTAKE_REPORT), cycle.document(names.BASELINE_JSON)
    hypotheses, profiles = cycle.document(hypotheses_name(cycle)), cycle.profiles()
    query_plans, load_results = cycle.document("evidence/query-plans.json"), cycle.document(Artifact.LOAD_TEST_RESULTS)
    capacity, plan = cycle.document(CAPACITY), cycle.document(Artifact.OPTIMIZATION_PLAN)
    validation, slo_record = cycle.document(Artifact.VALIDATION_REPORT), cycle.document(Artifact.SLO_UPDATE_RECORD)
    return Evidence(
        run=cycle.run,
        parameters=cycle.parameters.document(),
        intake=intake,
        baseline=baseline,
        hypotheses=hypotheses,
        profiles=profiles,
        query_plans=query_plans,
        load_results=load_results,
        capacity=capacity,
        plan=plan,
        validation=validation,
        slo_record=slo_record,
        gates=gates,
        approvals=approvals,
        waivers=[entry.body for entry in cycle.store.of_type(EntryType.WAIVER_GRANTED)],
        sources=[
            {"name": name, "sha256": entry.body["sha256"], "size": entry.body.get("size")}
            for name, entry in live.items()
            if not _report_itself(name)
        ],
        pictures=captions(pictures),
        decisions={n: gate_decision(cycle, n).value for n in GATE_TASKS if gate_result_name(n) in live},
        profile_comparisons=[cycle.document(name) for name in comparisons if name in live],
        query_plan_diff=cycle.document(PLAN_DIFF) if PLAN_DIFF in live else None,
        cost_change=cycle.document(COST_CHANGE) if COST_CHANGE in live else None,
        promised_gains=cycle.document(PROMISED_GAINS) if PROMISED_GAINS in live else None,
        descriptions=descriptions(pictures, validation=validation, capacity=capacity, profiles=profiles),
    )


def _report_itself(name: str) -> bool:
    return name in (Artifact.PERFORMANCE_REPORT, names.REPORT_HTML, Artifact.MANIFEST)


def require_evidence(cycle: Cycle) -> None:
    """Returns if all evidence that the report is made of is there. Raises EvidenceError naming the first that is not."""
    evidence_of(cycle)


def publish_pictures(cycle: Cycle) -> list[dict[str, Any]]:
    """Draws the pictures that the report adds: intervals, latencies of both sides, load curves, the history of promises.

    A picture whose document the cycle has not, or has without what it shows, is left out.
    """
    live = cycle.store.live_all()
    drawn = []
    for name, source, draw in _pictures(cycle, live):
        drawn.append(cycle.publish(name, draw, inputs=[cycle.reference(source)]))
    return drawn


def _pictures(cycle: Cycle, live: Mapping[str, Any]) -> Iterator[tuple[str, str, Callable[[], bytes]]]:
    """(name, document it is drawn from, what draws it) for each."""
    from perfproof import report_plots
    from perfproof.report.pictures import GAINS, INTERVALS, LATENCY, changes, curve_name

    if Artifact.VALIDATION_REPORT in live:
        validation = cycle.document(Artifact.VALIDATION_REPORT)
        if validation.get("verdict"):
            yield INTERVALS, Artifact.VALIDATION_REPORT, lambda: report_plots.intervals_plot(changes(validation))
        if MEASUREMENT in live and (judged := _judged(str(validation.get("target_metric")))):
            transaction, percentile = judged
            yield LATENCY, MEASUREMENT, lambda: _latencies(cycle, transaction=transaction, percentile=percentile)
    for service in cycle.document(CAPACITY).get("services") or () if CAPACITY in live else ():
        if (service.get("capacity") or {}).get("steps"):
            yield curve_name(str(service["service"])), CAPACITY, _curve(service["capacity"])
    if PROMISED_GAINS in live and len(records := cycle.document(PROMISED_GAINS)["records"]) >= MIN_RECORDS:
        yield GAINS, PROMISED_GAINS, lambda: report_plots.gains_plot(records)


def _curve(capacity: Mapping[str, Any]) -> Callable[[], bytes]:
    from perfproof.report_plots import load_curve_plot

    target = (capacity.get("room") or {}).get("target_rate")
    return lambda: load_curve_plot(capacity["steps"], target_rate=target, highest_good=capacity.get("knee_rate"))


def _judged(metric: str) -> tuple[str, str] | None:
    """The transaction and the percentile of the target metric, None where it is no latency."""
    from perfproof.judging.measured_blocks import LATENCY

    found = LATENCY.match(metric)
    return (found["transaction"], found["percentile"]) if found else None


def _latencies(cycle: Cycle, *, transaction: str, percentile: str) -> bytes:
    """The plot of the latencies of all valid blocks, each read by the digest that the measurement cites."""
    from perfproof.report_plots import latency_plot

    blocks = [block for block in cycle.document(MEASUREMENT).get("blocks") or () if block.get("valid") and block.get("rows")]
    sides: dict[str, list[Any]] = {"baseline": [], "candidate": []}
    for block in blocks:
        sides[block["side"]].append(_of_rows(cycle, block["rows"], transaction))
    return latency_plot(transaction=transaction, judged=percentile, before=sides["baseline"], after=sides["candidate"])


def _of_rows(cycle: Cycle, cited: Mapping[str, Any], transaction: str) -> Any:
    from perfproof.load.rows import read_rows

    data = cycle.store.get_object(str(cited["sha256"]))
    rows = read_rows(data, where=str(cited["name"]))
    return rows.where((rows.transaction == transaction) & rows.sent).latency_ms
