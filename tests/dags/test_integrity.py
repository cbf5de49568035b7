"""The DAG files load, and hold exactly what is documented: three DAGs, five groups, these tasks, a described form."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from airflow.sdk.exceptions import ParamValidationError

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag

DAG_IDS = {"performance_optimization", "performance_approvals", "baseline_capture"}
GROUPS = ["prerequisites", "intake_and_baseline", "diagnostics", "optimization", "governance"]
TASKS = {
    "prerequisites.open_cycle",
    "prerequisites.name_sources",
    "prerequisites.verify_artifacts",
    "prerequisites.verify_system_state",
    "prerequisites.await_prerequisite_approvals",
    "intake_and_baseline.collect_telemetry",
    "intake_and_baseline.capture_baseline",
    "intake_and_baseline.establish_baseline",
    "intake_and_baseline.report_intake",
    "intake_and_baseline.formulate_hypotheses",
    "intake_and_baseline.gate_1",
    "intake_and_baseline.gate_1_decision",
    "diagnostics.profile_transactions",
    "diagnostics.explain_queries",
    "diagnostics.name_scenarios",
    "diagnostics.run_load_tests",
    "diagnostics.consolidate_load_tests",
    "diagnostics.analyze_capacity_and_cost",
    "diagnostics.gate_2",
    "diagnostics.gate_2_decision",
    "optimization.define_plan",
    "optimization.name_optimizations",
    "optimization.await_plan_approval",
    "optimization.await_implementation",
    "optimization.measure_before_implementation",
    "optimization.rerun_load_tests",
    "optimization.measure_blocks",
    "optimization.validate",
    "optimization.compare_profiles",
    "optimization.compare_query_plans",
    "optimization.prepare_instrumentation",
    "optimization.gate_3",
    "optimization.gate_3_decision",
    "optimization.await_rollback",
    "governance.propose_slo_updates",
    "governance.await_slo_approvals",
    "governance.record_slo_updates",
    "governance.apply_instrumentation",
    "governance.publish_report",
    "governance.share_improvements",
    "governance.gate_4",
    "governance.gate_4_decision",
    "governance.complete_report",
    "governance.await_handoff",
    "governance.hand_off",
    "completion",
}
MAPPED = {
    "prerequisites.await_prerequisite_approvals",
    "intake_and_baseline.collect_telemetry",
    "intake_and_baseline.capture_baseline",
    "diagnostics.profile_transactions",
    "diagnostics.run_load_tests",
    "optimization.await_implementation",
    "optimization.compare_profiles",
}
FORM = ["protocol", "environment", "services", "objective", "target_metric", "optimizations", "load_profile"]
LONGEST_FILE = 100


def test_every_dag_file_loads_and_there_are_exactly_three_dags(bag: DagBag) -> None:
    """An empty bag would have no import errors either, so the ids are named."""
    assert bag.import_errors == {}
    assert set(bag.dags) == DAG_IDS


def test_each_file_holds_the_dag_of_its_name(bag: DagBag, dag_files: list[Path]) -> None:
    """Nobody has to search for a DAG."""
    assert {dag_id: Path(dag.fileloc).stem for dag_id, dag in bag.dags.items()} == {name: name for name in DAG_IDS}
    assert {path.stem for path in dag_files} == DAG_IDS


def test_a_dag_file_is_short_and_its_docstring_is_what_the_ui_shows(bag: DagBag, dag_files: list[Path]) -> None:
    """One text, in one place."""
    for path in dag_files:
        source = path.read_text(encoding="utf-8")
        assert len(source.splitlines()) <= LONGEST_FILE, path.name
        docstring = ast.get_docstring(ast.parse(source), clean=False)
        assert docstring and docstring.strip().startswith("### "), path.name
        assert bag.dags[path.stem].doc_md == docstring


def test_the_protocol_has_exactly_these_tasks(bag: DagBag) -> None:
    """A task that is renamed, lost or added shows here."""
    assert set(bag.dags["performance_optimization"].task_ids) == TASKS


def test_the_mapped_tasks_are_mapped(bag: DagBag) -> None:
    """One instance a role, source, service, scenario or optimization, so that one can be seen and cleared alone."""
    dag = bag.dags["performance_optimization"]
    assert {task.task_id for task in dag.tasks if task.is_mapped} == MAPPED


def test_the_protocol_has_exactly_five_groups_in_its_own_order(bag: DagBag) -> None:
    """Prerequisites and the four phases; only the last guard stands outside."""
    dag = bag.dags["performance_optimization"]
    assert list(dag.task_group_dict) == GROUPS
    assert [task_id for task_id in dag.task_ids if "." not in task_id] == ["completion"]


def test_a_protocol_run_starts_only_when_somebody_triggers_it(bag: DagBag) -> None:
    """No schedule, no catch-up, ready to use."""
    dag = bag.dags["performance_optimization"]
    assert (dag.timetable.can_be_scheduled, dag.catchup, dag.is_paused_upon_creation) == (False, False, False)


def test_the_form_has_these_fields_each_with_title_and_description(bag: DagBag) -> None:
    """A person who never read the documentation can fill it in."""
    params = bag.dags["performance_optimization"].params
    assert list(params) == FORM
    for name in FORM:
        param = params.get_param(name)
        assert param.schema.get("title"), name
        assert len(param.description or "") > 20, name
        # Airflow's form cannot be submitted while a field is empty whose type has no "null".
        wanted = ("string",) if name == "protocol" else (["string", "null"], ["array", "null"])
        assert param.schema.get("type") in wanted, name


def test_every_param_of_every_dag_is_described_and_valid_as_it_stands(bag: DagBag) -> None:
    """The form's defaults can be submitted."""
    for dag_id, dag in bag.dags.items():
        dag.params.validate()
        for name in dag.params:
            param = dag.params.get_param(name)
            assert param.schema.get("title") and param.description, f"{dag_id}.{name}"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("protocol", "../demo"),
        ("protocol", "Demo"),
        ("protocol", ""),
        ("protocol", "{{ x }}"),
        ("protocol", None),
        ("environment", "x" * 65),
        ("environment", 7),
        ("services", "shop"),
        ("services", ["shop", "shop"]),
        ("services", [1]),
        ("objective", "x" * 501),
        ("target_metric", ["p95"]),
        ("optimizations", ["x" * 65]),
        ("load_profile", {"rate": 1e9}),
    ],
)
def test_the_form_refuses_what_no_cycle_could_use(bag: DagBag, field: str, value: object) -> None:
    """The browser and the API say so before a run exists."""
    param = bag.dags["performance_optimization"].params.get_param(field)
    with pytest.raises(ParamValidationError):
        param.resolve(value)
