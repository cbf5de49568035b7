"""Phase 2: profiles, query plans, load and stress tests, capacity and cost, judged by gate 2."""

from __future__ import annotations

from typing import Any

from airflow.sdk import task_group

from perfproof.announcements import Announcement
from perfproof_airflow.gate import decision, judge
from perfproof_airflow.step import step

# What the specification asks for: expected peak, beyond it, and a failure (phase 2, step 2).
SCENARIOS = ("peak", "stress", "failure")


@step(map_index_template="{{ task.op_kwargs.service }}")
def profile_transactions(cycle: Any, service: str) -> dict[str, Any]:
    """Profiles the running baseline under the authorized peak rate, into collapsed stacks and a flame graph."""
    from perfproof_airflow.profile_steps import profile_service

    cycle.announce(Announcement.PHASE_2_START)
    return profile_service(cycle, service)


@step
def explain_queries(cycle: Any, profiles: list[dict[str, Any]], hypotheses: dict[str, Any], baseline: dict[str, Any]) -> dict[str, Any]:
    """Explains the top statements of each service's database, read-only, and writes the profiling report."""
    from perfproof.diagnostics import diagnostic_coverage, profiling_report
    from perfproof.gates.assembly import traffic_of
    from perfproof.hypotheses import hypothesis_log, update_status
    from perfproof_airflow.cycle import now
    from perfproof_airflow.profile_steps import explain_services, require_conclusive

    profiles = list(profiles)
    documents = [cycle.document(reference) for reference in profiles]
    require_conclusive(documents)
    services = [cycle.protocol.service(name) for name in cycle.parameters.services]
    plans = cycle.publish("evidence/query-plans.json", lambda: explain_services(cycle), inputs=profiles)
    plan_document = cycle.document(plans)
    checked = cycle.publish(
        "evidence/hypotheses-checked.json",
        lambda: update_status(cycle.document(hypotheses["json"]), profiles=documents, plans=plan_document),
        inputs=[hypotheses["json"], *profiles, plans],
    )
    cycle.publish("evidence/hypotheses-checked.md", lambda: hypothesis_log(cycle.document(checked)), inputs=[checked])
    coverage = diagnostic_coverage(
        documents, services=services, traffic=traffic_of(cycle.document(baseline["json"]), cycle.parameters.services)
    )
    report = cycle.publish(
        "profiling-report.md",
        lambda: profiling_report(profiles=documents, plans=plan_document, coverage=coverage, now=now()),
        inputs=[*profiles, plans, checked],
    )
    return {"plans": plans, "report": report, "hypotheses": checked}


@step
def name_scenarios(cycle: Any) -> list[str]:
    """Names the scenarios to run: those of the specification, and replay and journeys where the profile has them."""
    more = {"replay": cycle.profile.replay, "journeys": cycle.profile.journeys}
    return [*SCENARIOS, *(name for name, asked in more.items() if asked is not None)]


@step(map_index_template="{{ task.op_kwargs.scenario }}", max_active_tis_per_dagrun=1)
def run_load_tests(cycle: Any, scenario: str) -> dict[str, Any]:
    """Sends one authorized load scenario to the baseline and keeps every row."""
    from perfproof_airflow.load_steps import run_journeys, run_scenario

    cycle.announce(Announcement.PHASE_2_LOAD)
    if scenario == "journeys":
        return run_journeys(cycle, side="baseline", name=f"evidence/load-{scenario}.json")
    return run_scenario(cycle, scenario, side="baseline", name=f"evidence/load-{scenario}.json")


@step
def consolidate_load_tests(cycle: Any, scenarios: list[dict[str, Any]]) -> dict[str, Any]:
    """Judges each scenario against the targets; halts if the environment was unstable."""
    from perfproof.load.results import load_test_results
    from perfproof.plots import load_plot
    from perfproof_airflow.cycle import now
    from perfproof_airflow.load_steps import observed_peaks, require_stable

    scenarios = list(scenarios)
    documents = [cycle.document(reference) for reference in scenarios]
    require_stable(documents)
    observed = observed_peaks(cycle, {document["service"] for document in documents})
    results = cycle.publish(
        "load-test-results.json",
        lambda: load_test_results(
            documents,
            profile=cycle.profile,
            now=now(),
            derived_from=[cycle.source(reference) for reference in scenarios],
            observed=observed,
        ),
        inputs=scenarios,
    )
    limit = cycle.profile.targets.p95_ms
    # The axis is latency from the intended start, which journeys do not have.
    drawn = [document for document in documents if document["scenario"] != "journeys"]
    cycle.publish("evidence/load-scenarios.svg", lambda: load_plot(drawn, limit_p95=limit), inputs=scenarios)
    return results


@step
def analyze_capacity_and_cost(cycle: Any, scenarios: list[dict[str, Any]], baseline: dict[str, Any]) -> dict[str, Any]:
    """Fits scalability to the stress steps, and writes utilization, scaling policies, headroom and cost."""
    from perfproof.capacity_report import capacity_markdown
    from perfproof_airflow.capacity_steps import analyze

    document = analyze(cycle, scenarios=scenarios, baseline=baseline["json"])
    return cycle.publish("capacity-analysis.md", lambda: capacity_markdown(cycle.document(document)), inputs=[document])


@step
def gate_2(
    cycle: Any, profiles: list[dict[str, Any]], diagnosed: dict[str, Any], results: dict[str, Any], capacity: dict[str, Any]
) -> dict[str, Any]:
    """Gate 2, Diagnostic Coverage: at least 90 %, every prioritized service, every scenario valid, capacity documented."""
    return judge(cycle, 2, inputs=[*profiles, diagnosed["plans"], diagnosed["report"], results, capacity])


@task_group(group_id="diagnostics")
def diagnostics(prerequisites: Any, first: Any) -> Any:
    """Phase 2 of the protocol, from profiling to gate 2."""
    profiles = profile_transactions.expand(service=prerequisites["services"])
    first["decided"] >> profiles
    diagnosed = explain_queries(profiles, first["hypotheses"], first["baseline"])
    names = name_scenarios()
    scenarios = run_load_tests.expand(scenario=names)
    # Load after profiling: a profiler that runs during a measured test would be part of what is measured.
    diagnosed >> names
    diagnosed >> scenarios
    results = consolidate_load_tests(scenarios)
    capacity = analyze_capacity_and_cost(scenarios, first["baseline"])
    gate = gate_2(profiles, diagnosed, results, capacity)
    decided = decision(2, retry_from="diagnostics.profile_transactions")
    gate >> decided
    return {"services": prerequisites["services"], "diagnosed": diagnosed, "results": results, "decided": decided}
