"""Phase 3: the plan, its approval and implementation, the measured comparison, judged by gate 3."""

from __future__ import annotations

from typing import Any

from airflow.sdk import task_group

from perfproof.announcements import Announcement
from perfproof_airflow.gate import decision, judge, rollback
from perfproof_airflow.retrying import RETRYING
from perfproof_airflow.sensors.owner_tasks import ImplementationApproval
from perfproof_airflow.sensors.questions import ProtocolApproval
from perfproof_airflow.step import step


@step
def define_plan(cycle: Any, baseline: dict[str, Any], diagnosed: dict[str, Any]) -> dict[str, Any]:
    """Translates findings into prioritized tasks with owner, risk and expected gain; halts on unresolved dependencies."""
    from perfproof.findings import findings_of
    from perfproof.plan import define_plan as plan_document
    from perfproof_airflow.cycle import now
    from perfproof_airflow.plan_steps import require_resolved

    cycle.announce(Announcement.PHASE_3_START)
    profiles = {name: cycle.reference(f"evidence/profile-{name}.json") for name in cycle.parameters.services}
    references = {"baseline": baseline["json"], "query-plans": diagnosed["plans"]}
    references |= {f"profile-{name}": reference for name, reference in profiles.items()}

    def produce() -> dict[str, Any]:
        plan = plan_document(
            optimizations=[o for o in cycle.protocol.optimizations if o.service in cycle.parameters.services],
            considered=cycle.parameters.optimizations,
            findings=findings_of(cycle.profiles(), cycle.document(diagnosed["plans"])),
            hypotheses=cycle.document(diagnosed["hypotheses"]),
            target_metric=cycle.parameters.target_metric,
            baseline=cycle.document(baseline["json"]),
            references={name: cycle.source(cited) for name, cited in references.items()},
            plan_id=f"PLAN-{cycle.run}-{cycle.round}",
            now=now(),
        )
        # Before it is published: a plan that cannot be approved is not evidence of one.
        require_resolved(plan)
        return plan

    return cycle.publish("optimization-plan.json", produce, inputs=[*references.values(), diagnosed["hypotheses"], diagnosed["report"]])


@step
def name_optimizations(cycle: Any, plan: dict[str, Any]) -> list[str]:
    """Names the planned optimizations, each of which is waited for by a task of its own."""
    return [item["id"] for item in cycle.document(plan)["tasks"]]


@step
def measure_before_implementation(cycle: Any) -> dict[str, Any] | None:
    """Measures the baseline's blocks now if there is one endpoint only: after the deployment it is gone."""
    from perfproof_airflow.measure_steps import measure_before

    return measure_before(cycle)


@step
def rerun_load_tests(cycle: Any) -> dict[str, Any]:
    """Sends the authorized peak to the candidate, before it is compared in blocks."""
    from perfproof_airflow.load_steps import run_scenario

    return run_scenario(cycle, "peak", side="candidate", name="evidence/load-peak-candidate.json")


@step
def measure_blocks(cycle: Any, rerun: dict[str, Any]) -> dict[str, Any]:
    """Measures baseline and candidate in interleaved blocks; each block keeps its rows."""
    from perfproof_airflow.measure_steps import measure_candidate

    cycle.announce(Announcement.PHASE_3_VALIDATION)
    return measure_candidate(cycle, inputs=[rerun])


@step
def validate(cycle: Any, measurement: dict[str, Any], plan: dict[str, Any], baseline: dict[str, Any]) -> dict[str, Any]:
    """Judges the candidate against the concurrent baseline blocks and cites the baseline of phase 1."""
    from perfproof.judging.target_values import target_values
    from perfproof.plots import blocks_plot
    from perfproof.validation import validate_change
    from perfproof_airflow.cycle import now
    from perfproof_airflow.plan_steps import publish_hypothesis_results

    measured, plan_document = cycle.document(measurement), cycle.document(plan)
    service = cycle.protocol.service(measured["service"])
    report = cycle.publish(
        "optimization-validation-report.json",
        lambda: validate_change(
            measurement=measured,
            baseline_document=cycle.document(baseline["json"]),
            baseline_ref=cycle.source(baseline["json"]),
            plan_ref=cycle.source(plan),
            measurement_ref=cycle.source(measurement),
            service=service,
            target_metric=cycle.parameters.target_metric,
            optimization_ids=[item["id"] for item in plan_document["tasks"]],
            thresholds=cycle.protocol.thresholds,
            judge=cycle.protocol.judge,
            now=now(),
        ),
        inputs=[measurement, plan, baseline["json"]],
    )
    publish_hypothesis_results(cycle, plan=plan, validation=report)
    spec = service.metric(cycle.parameters.target_metric)
    cycle.publish(
        "evidence/measured-blocks.svg",
        lambda: blocks_plot(
            metric=spec.name,
            unit=spec.unit,
            before=target_values(measured, spec.name, service=service, side="baseline"),
            after=target_values(measured, spec.name, service=service, side="candidate"),
        ),
        inputs=[measurement],
    )
    return report


@step(map_index_template="{{ task.op_kwargs.service }}")
def compare_profiles(cycle: Any, service: str, validation: dict[str, Any]) -> dict[str, Any]:
    """Profiles the candidate as the baseline was, and says what the change moved; it decides nothing and halts nothing."""
    from perfproof_airflow.candidate_steps import compare_service

    return compare_service(cycle, service, inputs=[validation])


@step
def compare_query_plans(cycle: Any, comparisons: list[dict[str, Any]], diagnosed: dict[str, Any]) -> dict[str, Any]:
    """Explains the candidate's statements, read-only, and says what differs from the baseline's; it decides nothing."""
    from perfproof_airflow.candidate_steps import compare_plans

    return compare_plans(cycle, comparisons=list(comparisons), plans=diagnosed["plans"])


@step
def prepare_instrumentation(cycle: Any, validation: dict[str, Any], measurement: dict[str, Any]) -> dict[str, Any]:
    """Prepares dashboards, alerts and tracing for the new expectation; phase 4 applies them after the SLO approval."""
    from perfproof_airflow.governance_steps import write_instrumentation

    return write_instrumentation(cycle, state="prepared", validation=validation, measurement=measurement)


@step
def gate_3(
    cycle: Any, plan: dict[str, Any], validation: dict[str, Any], measurement: dict[str, Any], instrumentation: dict[str, Any]
) -> dict[str, Any]:
    """Gate 3, Optimization Validation: plan approved, improvement of at least 15 %, regression count 0."""
    return judge(cycle, 3, inputs=[plan, validation, measurement, instrumentation])


@task_group(group_id="optimization")
def optimization(first: Any, second: Any) -> Any:
    """Phase 3 of the protocol, from the plan to gate 3."""
    plan = define_plan(first["baseline"], second["diagnosed"])
    second["decided"] >> plan
    optimizations = name_optimizations(plan)
    plan_approval = ProtocolApproval(
        task_id="await_plan_approval",
        step="plan",
        evidence=["optimization-plan.json"],
    )
    implementation = ImplementationApproval.partial(
        task_id="await_implementation",
        evidence=["optimization-plan.json"],
        **RETRYING,
        map_index_template="{{ task.optimization }}",
    ).expand(optimization=optimizations)
    rerun = rerun_load_tests()
    measurement = measure_blocks(rerun)
    validation = validate(measurement, plan, first["baseline"])
    # After the verdict: a profiler that runs during a measured block would be part of what is measured. Before the gate: once it is
    # decided, the candidate may be rolled back.
    compared = compare_profiles.partial(validation=validation).expand(service=second["services"])
    plans_compared = compare_query_plans(compared, second["diagnosed"])
    instrumentation = prepare_instrumentation(validation, measurement)
    gate = gate_3(plan, validation, measurement, instrumentation)
    decided = decision(3, retry_from="optimization.await_implementation")
    rolled_back = rollback(retry_from="optimization.await_implementation")
    optimizations >> plan_approval >> measure_before_implementation() >> implementation >> rerun
    plans_compared >> gate
    gate >> decided >> rolled_back
    return {
        "plan": plan,
        "validation": validation,
        "measurement": measurement,
        "decided": decided,
        "rolled_back": rolled_back,
    }
