"""The preview by this Airflow: the same numbers as the authorization request of a cycle, its Connections, and its sources if asked."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from perfproof.baseline import Window
from perfproof.commands import workspace_files
from perfproof.config import load_protocol
from perfproof.errors import ParameterError
from perfproof.load.plan import Scenario, plan_for
from perfproof.preview import subject
from perfproof.preview.load_sent import load_of_round
from perfproof_airflow.hooks import baseline, workspace
from perfproof_airflow.hooks.refused import QueryRefused
from perfproof_airflow.run_preview import known_connections, preview_of
from perfproof_airflow.sensors.questions import PREREQUISITE_INDEX, ProtocolApproval, load_authorization

CONF = {"protocol": "demo"}


def test_the_preview_states_what_the_sre_lead_is_asked_to_sign(run: Any) -> None:
    """The very document of the cycle's request, but for when the window opens."""
    run.publish("prerequisites.json", {"status": "ok"})
    asked = load_authorization(run.cycle())
    shown = preview_of(CONF, requester="demo-performance")["load"]["authorization"]
    assert {**shown, "window": None} == {**asked, "window": None}


def test_the_people_of_the_preview_are_those_whom_the_run_asks(run: Any) -> None:
    """Roles, people and who is barred, of a step that a real sensor builds its question for."""
    run.publish("prerequisites.json", {"status": "ok"})
    document = preview_of(CONF, requester="demo-requester")
    for step, index in PREREQUISITE_INDEX.items():
        sensor = ProtocolApproval(task_id=f"await_{step}", step=step, evidence=["prerequisites.json"])
        question = sensor.build_question(run.context(sensor.task_id, map_index=index))
        shown = next(a for a in document["asked"] if a["step"] == step)
        assert [(r["role"], [p["id"] for p in r["people"]]) for r in shown["roles"]] == [
            (r.role, [p.id for p in r.people]) for r in question.roles
        ]
        assert shown["evidence"] == [e.name for e in question.evidence]
        assert question.forbidden == ("demo-requester",)


def test_a_plan_of_the_preview_is_the_plan_of_the_run_but_for_its_seed(run: Any) -> None:
    """Rates, lengths, targets and numbers of requests come from the same function."""
    cycle = run.cycle()
    sent = load_of_round(cycle.protocol, cycle.parameters)
    service = cycle.protocol.service("shop")
    for test in sent.tests:
        endpoint = next(e for e in (service.endpoints.baseline, service.endpoints.candidate) if e and e.port == test.plan.port)
        plan = plan_for(
            Scenario(test.plan.scenario), service=service, endpoint=endpoint, environment=cycle.protocol.environment,
            profile=cycle.profile, load=cycle.protocol.load, seed=4711,
        )  # fmt: skip
        assert {**plan.document(), "seed": 0} == {**test.plan.document(), "seed": 0}
        assert plan.total_requests == test.requests


def test_what_the_preview_reckons_with_is_what_the_hooks_do() -> None:
    """Both take it from the core."""
    assert subject.rate_window is baseline.rate_window
    assert (workspace_files.MAX_FILE_BYTES, workspace_files.LATEST) == (workspace.MAX_FILE_BYTES, workspace.LATEST)


def test_the_queries_are_those_that_the_baseline_asks(workspace: Path) -> None:
    """What a hook is asked, filled as it fills it."""
    from perfproof.answers.query_text import filled

    class Asked:
        collection_method = "recorded"
        queries: dict[str, str] = {}  # noqa: RUF012  the test's own record

        def query_range_raw(self, spec: Any, *, service: str, instance: str, rate_window: float, **_: Any) -> Any:
            self.queries[spec.name] = filled(spec.query, instance=instance, service=service, rate_window=rate_window)
            raise QueryRefused(281, where="test", what="asked enough", fix="none")

    protocol = load_protocol((workspace / "include/protocols/demo.yaml").read_bytes(), where="demo.yaml")
    window = Window(0, 40, protocol.baseline.step_seconds)
    hook: Any = Asked()
    baseline.measure_service(
        protocol, protocol.service("shop"), window=window, hooks={"prometheus": hook}, build="b", fetched_at=datetime.now(UTC),
        judge_sources=False,
    )  # fmt: skip
    shown = {query["metric"]: query["query"] for query in preview_of(CONF, requester="x")["queries"]}
    assert shown == Asked.queries


def test_connections_are_looked_for_and_nothing_of_them_is_shown(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Known in the environment; the others would halt the run."""
    value = {"conn_type": "http", "host": "127.0.0.1", "port": 9, "login": "u", "password": "hunter2-secret"}
    monkeypatch.setenv("AIRFLOW_CONN_PERFPROOF_PROMETHEUS", json.dumps(value))
    monkeypatch.setenv("AIRFLOW_CONN_PERFPROOF_SHOP_BASELINE", json.dumps({**value, "conn_type": "postgres"}))
    document = preview_of(CONF, requester="x")
    assert [(m["name"], m["halts"]) for m in document["missing"] if m["kind"] == "connection"] == [("perfproof_shop_candidate", False)]
    assert "hunter2" not in json.dumps(document)
    assert known_connections(["perfproof_prometheus"]) == {"perfproof_prometheus": True}


def test_without_a_probe_no_source_is_asked(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing is written: not even the directories that a run would make."""
    monkeypatch.setattr("perfproof_airflow.hooks.sources.read_source", lambda *_, **__: pytest.fail("a source was asked"))
    before = sorted(workspace.rglob("*"))
    document = preview_of(CONF, requester="x")
    assert {source["answer"] for source in document["sources"]} == {None}
    assert sorted(workspace.rglob("*")) == before


def test_a_probe_asks_each_source_and_shows_why_one_does_not_answer(workspace: Path) -> None:
    """Nothing listens at the Prometheus of this test, and no file is supplied."""
    os.environ.pop("AIRFLOW_CONN_PERFPROOF_PROMETHEUS", None)
    document = preview_of(CONF, requester="x", probe=True)
    answers = {source["name"]: source["answer"] for source in document["sources"]}
    assert {answer["status"] for answer in answers.values()} == {"unknown"}
    assert ("prometheus", True) in [(m["name"], m["halts"]) for m in document["missing"] if m["kind"] == "source"]
    assert not any("sources answer" in words for words in document["unchecked"])


def test_parameters_that_a_run_would_refuse_are_refused(workspace: Path) -> None:
    """With the error of the run."""
    for conf, code in (({"protocol": "../x"}, "PAR-207"), ({"protocol": "demo", "services": ["nope"]}, "PAR-206"), ({}, "PAR-207")):
        with pytest.raises(ParameterError, match=code):
            preview_of(conf, requester="x")


def test_a_file_is_found_as_the_workspace_of_a_run_finds_it(tmp_path: Path) -> None:
    """Content and refusals of the two readers are the same."""
    (tmp_path / "cycle").mkdir()
    (tmp_path / "cycle" / "a").write_bytes(b"a")
    (tmp_path / "latest").symlink_to("cycle")
    (tmp_path / "outside").symlink_to("/etc")
    (tmp_path / "link").symlink_to("cycle/a")
    os.mkfifo(tmp_path / "pipe")
    os.link(tmp_path / "cycle" / "a", tmp_path / "b")
    (tmp_path / "c").write_bytes(b"c")
    run = workspace.Workspace(tmp_path)
    for path in ("cycle/a", "latest/a", "outside/passwd", "link", "pipe", "b", "c", "absent", "absent/x", "c/x", "cycle"):
        expected, found = run.find(path), workspace_files.find(tmp_path, path)
        assert (found.data, found.error is None) == (expected.data, expected.error is None), path
