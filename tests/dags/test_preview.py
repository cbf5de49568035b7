"""The preview names tasks and requests that the DAG has."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from perfproof.commands.run_conf import DEFAULT_PROTOCOL
from perfproof.config import load_protocol
from perfproof.parameters import FIELDS, read_parameters
from perfproof.preview import Found, preview
from perfproof_airflow.phases.diagnostics import SCENARIOS

DEMO = Path(__file__).parents[2] / "include" / "protocols" / "demo.yaml"


def demo() -> dict[str, Any]:
    protocol = load_protocol(DEMO.read_bytes(), where="demo.yaml")
    found = Found(files={}, connections={}, answers={})
    return preview(protocol, read_parameters({}, protocol), requester="demo-sre", now=datetime(2026, 11, 24, tzinfo=UTC), found=found)


def test_every_task_that_the_preview_names_is_in_the_dag(flow: Any) -> None:
    """Requests, load, and where something missing will halt."""
    document = demo()
    named = {a["task"] for a in document["asked"]} | {t["task"] for t in document["load"]["tests"]}
    named |= {part["what"] for part in document["duration"]["parts"]} | {m["at"] for m in document["missing"]}
    assert named <= set(flow.upstream)


def test_every_task_that_waits_for_people_is_in_the_preview(flow: Any) -> None:
    """Approvals, decisions and the rollback; none is forgotten."""
    waiting = {task_id for task_id in flow.upstream if ".await_" in task_id or task_id.endswith("_decision")}
    assert {a["task"] for a in demo()["asked"]} == waiting


def test_requests_come_in_the_order_of_the_dag(flow: Any) -> None:
    """No request stands before one that the DAG makes earlier."""
    tasks = list(dict.fromkeys(a["task"] for a in demo()["asked"]))
    for index, task in enumerate(tasks):
        assert not flow.above(task) & set(tasks[index + 1 :]), task


def test_load_comes_in_the_order_of_the_dag(flow: Any) -> None:
    """And phase 2 sends the scenarios that the DAG maps over."""
    tests = demo()["load"]["tests"]
    tasks = list(dict.fromkeys(t["task"] for t in tests))
    for index, task in enumerate(tasks):
        assert not flow.above(task) & set(tasks[index + 1 :]), task
    assert tuple(t["scenario"] for t in tests if t["task"] == "diagnostics.run_load_tests") == SCENARIOS


def test_the_default_protocol_is_that_of_the_form(flow: Any) -> None:
    """And the parameters are the form's."""
    assert flow.dag.params["protocol"] == DEFAULT_PROTOCOL
    assert set(flow.dag.params) == set(FIELDS)
