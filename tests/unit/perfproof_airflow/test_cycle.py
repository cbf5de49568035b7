"""A cycle as its tasks see it: opened once, fixed from then on, each fact committed once a round."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from perfproof.announcements import Announcement
from perfproof.errors import ArtifactError, ConfigError, EvidenceError, LoadError, ParameterError
from perfproof.evidence import EntryType
from perfproof.strict import read_json
from perfproof_airflow.cycle import Cycle

EVIDENCE = ".artifacts/performance"


def log_files(workspace: Path) -> list[str]:
    """Every file below the evidence directory."""
    return sorted(str(path.relative_to(workspace)) for path in (workspace / EVIDENCE).rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"protocol": "demo", "target": "x"}, "PAR-201"),
        ({"protocol": "demo", "objective": "{{ var.value.secret }}"}, "PAR-202"),
        ({"protocol": "demo", "services": ["{% if x %}"]}, "PAR-202"),
        ({"protocol": "demo", "services": "shop"}, "PAR-204"),
        ({"protocol": "demo", "services": ["shop", "shop"]}, "PAR-205"),
        ({"protocol": "demo", "services": ["payment"]}, "PAR-206"),
        ({"protocol": "demo", "target_metric": "p95"}, "PAR-206"),
        ({"protocol": "demo", "environment": "production"}, "PAR-206"),
        ({"protocol": "demo", "optimizations": ["OPT-999"]}, "PAR-206"),
        ({"protocol": "demo", "load_profile": "huge"}, "PAR-206"),
        ({"protocol": "demo", "objective": "x" * 501}, "PAR-203"),
        ({"protocol": "../demo"}, "PAR-207"),
        ({"protocol": "demo\n"}, "PAR-207"),
        ({"protocol": ""}, "PAR-207"),
        ({"protocol": None}, "PAR-207"),
        ({"protocol": ["demo"]}, "PAR-207"),
        ({}, "PAR-207"),
    ],
)
def test_a_bad_parameter_is_refused_before_anything_is_written(unopened: Any, workspace: Path, params: dict[str, Any], code: str) -> None:
    """One line that names the parameter, and no evidence of a cycle that never was."""
    unopened.params = params
    with pytest.raises(ParameterError, match="params") as caught:
        unopened.open()
    assert caught.value.code == code
    assert "\n" not in str(caught.value)
    assert log_files(workspace) == []


def test_a_protocol_file_that_is_not_there_is_named(unopened: Any, workspace: Path) -> None:
    """Nothing is written either."""
    unopened.params = {"protocol": "absent"}
    with pytest.raises(ConfigError, match=r"CFG-180 .*absent\.yaml"):
        unopened.open()
    assert log_files(workspace) == []


def test_a_protocol_file_that_is_wrong_is_refused(unopened: Any, workspace: Path) -> None:
    """An unknown key is an error, never ignored."""
    path = workspace / "include" / "protocols" / "demo.yaml"
    path.write_text(path.read_text() + "\ngates_pass: true\n")
    with pytest.raises(ConfigError, match="gates_pass"):
        unopened.open()
    assert log_files(workspace) == []


def test_the_first_entry_fixes_file_parameters_and_who_triggered(unopened: Any, workspace: Path) -> None:
    """So that anybody can see later what this cycle was about."""
    cycle = unopened.open()
    entries = cycle.store.entries()
    assert entries[0].type is EntryType.RUN_OPENED
    genesis = read_json(cycle.store.get_object(entries[0].prev), where="genesis")
    data = (workspace / "include" / "protocols" / "demo.yaml").read_bytes()
    assert cycle.store.get_object(genesis["protocol_sha256"]) == data
    assert cycle.read("evidence/protocol.yaml") == data
    assert (genesis["dag_id"], genesis["run_id"], genesis["triggered_by"]) == ("performance_optimization", "manual__1", "demo-requester")
    assert genesis["parameters"] == cycle.parameters.document()
    assert genesis["parameters"]["services"] == ["shop"]
    assert genesis["parameters"]["target_metric"] == "orders_latency_p95"


def test_opening_twice_is_opening_once(unopened: Any) -> None:
    """A retried first task finds the log that it wrote."""
    first = unopened.open()
    before = len(first.store.entries())
    again = unopened.open()
    assert (first.run, first.parameters, first.protocol.digest) == (again.run, again.parameters, again.protocol.digest)
    assert len(again.store.entries()) == before


def test_two_runs_have_two_logs(run: Any, other_run: Any) -> None:
    """Nothing of one is found in the other."""
    run.publish("evidence/a.json", {"a": 1})
    assert run.cycle().run != other_run.open().run
    assert other_run.live() == []


def test_a_task_of_a_cycle_that_is_not_open_says_what_to_clear(unopened: Any) -> None:
    """Not an IndexError."""
    with pytest.raises(EvidenceError, match=r"EVI-521 .*clear the first task"):
        unopened.cycle()


def test_a_protocol_file_edited_while_the_run_waits_changes_nothing(run: Any, workspace: Path) -> None:
    """Neither an edited file nor a broken or deleted one: the cycle reads what its log fixed."""
    path = workspace / "include" / "protocols" / "demo.yaml"
    before = run.cycle().protocol
    path.write_text(path.read_text().replace("max_rate: 150", "max_rate: 100000"))
    assert run.cycle().protocol == before
    path.write_text("not: [a protocol")
    assert run.cycle().protocol == before
    path.unlink()
    assert run.cycle().protocol.load.max_rate == 150
    assert run.open().protocol == before


def test_changed_parameters_of_an_open_run_change_nothing(run: Any) -> None:
    """The parameters are read from the log."""
    run.params = {"protocol": "demo", "objective": "something else"}
    assert run.open().parameters.objective == run.cycle().parameters.objective != "something else"


def test_a_retry_takes_over_what_an_earlier_try_published(run: Any) -> None:
    """The work is not done twice in one round, and the reference is the same."""
    done = []

    def produce() -> dict[str, Any]:
        done.append(1)
        return {"number": len(done)}

    first = run.cycle("a.b", try_number=1).publish("evidence/x.json", produce)
    again = run.cycle("a.b", try_number=2).publish("evidence/x.json", produce)
    assert first == again
    assert done == [1]
    assert run.versions("evidence/x.json") == [first["sha256"]]


def test_a_new_round_does_the_work_anew_and_keeps_the_old(run: Any) -> None:
    """Clearing is how work is repeated; the first version stays in the log."""
    first = run.cycle("a.b").publish("evidence/x.json", lambda: {"number": 1})
    run.round = 1
    second = run.cycle("a.b").publish("evidence/x.json", lambda: {"number": 2})
    assert run.cycle().document("evidence/x.json") == {"number": 2}
    assert run.cycle().document(first) == {"number": 1}
    assert run.versions("evidence/x.json") == [first["sha256"], second["sha256"]]


def test_other_inputs_are_other_work(run: Any) -> None:
    """A result belongs to what it was made from."""
    one, two = run.publish("evidence/in-1.json", {"n": 1}), run.publish("evidence/in-2.json", {"n": 2})
    cycle = run.cycle("a.b")
    cycle.publish("evidence/x.json", lambda: "from one", inputs=[one])
    cycle.publish("evidence/x.json", lambda: "from two", inputs=[two])
    assert cycle.read("evidence/x.json") == b"from two"
    assert [i["name"] for i in run.entries("artifact.superseded")[0]["inputs"]] == ["evidence/in-2.json"]


def test_each_instance_of_a_mapped_task_publishes_its_own(run: Any) -> None:
    """The map index is part of the key."""
    for index in (0, 1):
        run.cycle("a.b", map_index=index).publish(f"evidence/part-{index}.json", lambda index=index: {"index": index})
    assert [run.cycle().document(f"evidence/part-{index}.json")["index"] for index in (0, 1)] == [0, 1]


def test_work_that_fails_publishes_nothing(run: Any) -> None:
    """And the next try does it."""

    def fails() -> dict[str, Any]:
        raise ArtifactError(1, where="x", what="no", fix="do")

    with pytest.raises(ArtifactError):
        run.cycle("a.b").publish("evidence/x.json", fails)
    assert run.live() == []
    run.cycle("a.b", try_number=2).publish("evidence/x.json", lambda: "done")
    assert run.live() == ["evidence/x.json"]


def test_evidence_that_is_not_there_says_what_to_clear(run: Any) -> None:
    """By name."""
    with pytest.raises(EvidenceError, match=r"EVI-520 load-test-results\.json: .*clear the task that writes it"):
        run.cycle().reference("load-test-results.json")


@pytest.mark.parametrize("announcement", list(Announcement))
def test_an_announcement_is_made_word_for_word_once_a_round(run: Any, announcement: Announcement) -> None:
    """Not once for each instance or try, and again after a clear."""
    for index in (0, 1, 2):
        run.cycle("a.b", map_index=index).announce(announcement)
    run.cycle("a.b", try_number=2, map_index=0).announce(announcement)
    assert run.entries("announce") == [{"text": announcement.value}]
    run.round = 1
    run.cycle("a.b").announce(announcement)
    assert [body["text"] for body in run.entries("announce")] == [announcement.value] * 2


def test_an_announcement_goes_into_log_and_to_the_notifiers(
    run: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Execution log, task log and notifiers say the same."""
    delivered: list[tuple[str, str, str]] = []

    def deliver(notification: Any, *, wanted: Any) -> list[Any]:
        delivered.append((notification.text, notification.kind, notification.run))
        return []

    monkeypatch.setattr("perfproof_airflow.notifiers.deliver", deliver)
    with caplog.at_level("INFO"):
        run.cycle().announce(Announcement.PHASE_2_LOAD)
    text = "[PHASE 2] Executing load scenarios to validate capacity and resilience..."
    assert delivered == [(text, "announcement", run.cycle().run)]
    assert text in caplog.text


def test_a_notifier_that_fails_is_recorded_and_stops_nothing(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The announcement stands."""
    monkeypatch.setenv("AIRFLOW__PERFPROOF__NOTIFIERS", "absent_module:send")
    run.cycle().announce(Announcement.PHASE_1_START)
    assert [body["recipient"] for body in run.entries("notify.failed")] == ["absent_module:send"]
    assert run.said() == [Announcement.PHASE_1_START.value]


def test_a_halt_writes_the_error_line(run: Any) -> None:
    """`[RAY ERROR]` with step and reason, in the words of the specification."""
    error = LoadError(404, where="load tests", what="the environment is unstable", got="peak", fix="mitigate it")
    run.cycle("diagnostics.consolidate_load_tests", try_number=3).halt("consolidate_load_tests", error)
    body = run.entries("error")[0]
    assert body["text"] == (
        '[RAY ERROR] - "Failed at consolidate_load_tests. '
        'Reason: LOD-404 load tests: the environment is unstable (got peak). Fix: mitigate it. Awaiting instructions."'
    )
    assert (body["step"], body["code"], body["try"]) == ("consolidate_load_tests", "LOD-404", 3)


def test_a_fact_is_recorded_once_for_a_task_and_round(run: Any) -> None:
    """A retry that says the same adds nothing; another fact is another entry."""
    for number in (1, 1, 2):
        run.cycle("a.b").record(EntryType.NOTIFY_FAILED, {"n": number})
    assert run.entries("notify.failed") == [{"n": 1}, {"n": 2}]


def test_a_first_task_killed_while_it_opens_leaves_nothing_out(unopened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever it died, the next try completes the opening: the protocol file is evidence of every cycle."""

    def dies(*arguments: Any, **named: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("perfproof_airflow.cycle.Cycle.publish", dies)
        with pytest.raises(KeyboardInterrupt):
            unopened.open()
    assert "evidence/protocol.yaml" in unopened.open().store.live_all()


def test_an_older_database_beside_newer_evidence_has_diverged(run: Any) -> None:
    """The log has a third try of the task, and Airflow makes the second: nothing goes on. As it was: the third and later ones do."""
    opened = run.cycle().store.entries()[0].moment
    run.cycle("group.task", try_number=3).publish("evidence/a.json", lambda: {"a": 1})
    restored = run.context("group.task", try_number=2)
    restored["dag_run"].run_after = opened
    with pytest.raises(EvidenceError, match=r"EVI-530 group\.task: DIVERGED: Airflow's database is older"):
        Cycle.of(restored)
    for number in (3, 4):
        context = run.context("group.task", try_number=number)
        context["dag_run"].run_after = opened
        assert Cycle.of(context).store.live("evidence/a.json") is not None


def test_older_evidence_beside_a_newer_database_has_diverged(run: Any, workspace: Path, tmp_path: Path) -> None:
    """Airflow hands on a reference that the restored evidence does not have."""
    shutil.copytree(workspace / EVIDENCE, tmp_path / "copy")
    reference = run.publish("evidence/a.json", {"a": 1})
    assert run.cycle().document(reference) == {"a": 1}
    shutil.rmtree(workspace / EVIDENCE)
    shutil.copytree(tmp_path / "copy", workspace / EVIDENCE)
    with pytest.raises(EvidenceError, match=r"EVI-531 evidence/a\.json: DIVERGED: this cycle's evidence is older"):
        run.cycle().document(reference)
