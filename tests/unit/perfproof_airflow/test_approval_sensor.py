"""The sensor against a log, requests and acts in memory: every way it is woken up ends in a record, a question or a red task."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from perfproof.approvals import Act, Asked, Channel, Decision, Evidence, KeyRing, Question, Refused, Request, SigningKey, sign
from perfproof.config import Person
from perfproof.errors import ApprovalError, PerfproofError
from perfproof.evidence import Actor, EvidenceStore, MemoryBackend
from perfproof.moments import stamp
from perfproof_airflow import retrying
from perfproof_airflow.sensors import approval
from perfproof_airflow.sensors.approval import MAX_ATTEMPTS, ApprovalSensor

KEY = SigningKey(id="k1", secret=b"k" * 32)
RUN = "run-0123456789abcdef"
BASE = Question(
    run=RUN,
    dag_id="performance_optimization",
    run_id="run",
    step="plan",
    map_index=-1,
    round=0,
    question="Approve?",
    options=(Decision.APPROVE, Decision.REJECT),
    roles=(Asked("po", "PO", (Person("ann", "Ann"),)), Asked("sre", "SRE", (Person("sam", "Sam"),))),
    evidence=(Evidence("plan", "a" * 64),),
    shown={},
)


class Airflow:
    """The runs of `performance_approvals`, as the sensor sees them."""

    def __init__(self) -> None:
        self.requests: dict[str, Request] = {}
        self.states: dict[str, dict[str, str | None]] = {}
        self.acts: dict[tuple[str, str], Any] = {}
        self.taken: set[str] = set()

    def open_run(self, request: Request) -> bool:
        if request.request_id in self.taken:
            return False
        self.requests[request.request_id] = request
        self.states.setdefault(request.request_id, {f"approve_{i}": "awaiting_input" for i in range(len(request.roles))})
        return True

    def read_states(self, run_ids: set[str]) -> dict[str, dict[str, str | None]]:
        return {run_id: self.states[run_id] for run_id in run_ids if run_id in self.states}

    def read_act_of(self, request: Request, *, role: str) -> Any:
        return self.acts.get((request.request_id, role))

    def mark(self, request: Request, role: str, who: str, *, state: str = "success", stored: Any = None, **changes: Any) -> None:
        """What Airflow keeps after `who` marked the task of `role`."""
        index = request.map_index_of(role)
        self.states[request.request_id][f"approve_{index}"] = state
        fields: dict[str, Any] = {
            "actor_id": who, "actor_name": who, "state": state, "dag_id": "performance_approvals", "run_id": request.request_id,
            "task_id": "approve", "map_index": index, "ti_id": "01", "try_number": 1, "time": stamp(datetime.now(UTC)),
            "note": None, "decision": None, "channel": Channel.MARK, "conf_sha256": request.sha256, "key_id": "k1",
        }  # fmt: skip
        self.acts[request.request_id, role] = sign(Act(**{**fields, **changes}), key=KEY) if stored is None else stored


class Sensor(ApprovalSensor):
    """Asks `question`, and remembers what it was told."""

    question = BASE
    store: EvidenceStore

    def build_question(self, context: Any) -> Question:
        return self.question

    def open_store(self, context: Any) -> EvidenceStore:
        return self.store

    def on_asked(self, context: Any, request: Request) -> None:
        self.told.append(f"asked {request.attempt}")

    def on_refused(self, context: Any, request: Request, role: str, refused: Refused) -> None:
        self.told.append(f"refused {role} {refused.code}")

    def on_failed(self, context: Any, error: PerfproofError, record: Any) -> None:
        self.told.append(f"failed {error.code}")

    @property
    def told(self) -> list[str]:
        return self.__dict__.setdefault("_told", [])


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> Airflow:
    fake = Airflow()
    for name in ("open_run", "read_states", "read_act_of"):
        monkeypatch.setattr(approval, name, getattr(fake, name))
    monkeypatch.setattr(approval, "worker_ring", lambda: KeyRing(KEY))
    return fake


@pytest.fixture
def sensor() -> Sensor:
    made = Sensor(task_id="await_plan", step="plan")
    made.store = EvidenceStore(MemoryBackend(), RUN)
    made.store.open_run(genesis={"dag_id": "d"}, time=datetime.now(UTC), actor=Actor(kind="task", id="t"))
    return made


def context(try_number: int = 1) -> Any:
    ti = SimpleNamespace(dag_id="performance_optimization", task_id="await_plan", map_index=-1, try_number=try_number, id="ti")
    return {"ti": ti, "dag_run": SimpleNamespace(run_id="run")}


def wake(sensor: Sensor) -> dict[str, Any] | TaskDeferred:
    """One run of the task: its result, or how it deferred."""
    try:
        return sensor.execute(context())
    except TaskDeferred as deferred:
        return deferred


def only(airflow: Airflow, attempt: int = 1) -> Request:
    return airflow.requests[f"{RUN}__plan__-1__r0a{attempt}"]


def types(sensor: Sensor) -> list[str]:
    return [entry.type for entry in sensor.store.entries() if entry.type.startswith("approval.")]


def test_the_first_run_logs_the_request_opens_it_and_defers(airflow: Airflow, sensor: Sensor) -> None:
    """It waits for both roles, and for nobody before it has settled."""
    before = datetime.now(UTC).timestamp()
    deferred = wake(sensor)
    assert isinstance(deferred, TaskDeferred)
    assert deferred.method_name == "execute_complete"
    request = only(airflow)
    assert deferred.trigger.tasks == [(request.request_id, 0), (request.request_id, 1)]
    assert deferred.trigger.not_before >= before + approval.SETTLE_SECONDS
    assert types(sensor) == ["approval.requested"]
    assert request.log_size == 1 and request.log_head == sensor.store.entries()[0].sha256


def test_both_answers_end_it_with_references_to_both_records(airflow: Airflow, sensor: Sensor) -> None:
    """The records can be read by digest."""
    wake(sensor)
    airflow.mark(only(airflow), "po", "ann")
    airflow.mark(only(airflow), "sre", "sam")
    result = sensor.execute_complete(context(), {"answered": []})
    assert result["decision"] == "approve"
    assert [sensor.store.read(r["name"]) is not None for r in result["records"]] == [True, True]
    people = [entry.body["person"]["id"] for entry in sensor.store.of_type("approval.granted")]
    assert people == ["ann", "sam"]


def test_one_answer_is_recorded_at_once_and_the_other_is_waited_for(airflow: Airflow, sensor: Sensor) -> None:
    """No second request for who has not answered yet."""
    wake(sensor)
    airflow.mark(only(airflow), "po", "ann")
    deferred = wake(sensor)
    assert isinstance(deferred, TaskDeferred) and deferred.trigger.tasks == [(only(airflow).request_id, 1)]
    assert types(sensor) == ["approval.requested", "approval.granted"]


def test_a_refused_role_is_asked_again_alone(airflow: Airflow, sensor: Sensor) -> None:
    """The refusal is logged, announced and visible as a new request."""
    wake(sensor)
    airflow.mark(only(airflow), "po", "ann")
    airflow.mark(only(airflow), "sre", "eve")
    deferred = wake(sensor)
    again = only(airflow, 2)
    assert again.roles == ("sre",)
    assert isinstance(deferred, TaskDeferred) and deferred.trigger.tasks == [(again.request_id, 0)]
    assert sensor.told == ["asked 1", "refused sre APR-403", "asked 2"]
    airflow.mark(again, "sre", "sam")
    result = wake(sensor)
    assert isinstance(result, dict) and result["decision"] == "approve"


def test_a_rejection_fails_the_task_and_does_so_again_on_a_retry(airflow: Airflow, sensor: Sensor) -> None:
    """It is recorded, and nobody is asked a second time in this round."""
    wake(sensor)
    airflow.mark(only(airflow), "po", "ann", state="failed", note="no")
    for _ in range(2):
        with pytest.raises(AirflowFailException, match="APR-415"):
            sensor.execute(context())
    assert types(sensor) == ["approval.requested", "approval.rejected"]
    assert len(airflow.requests) == 1


def test_after_a_rejection_a_new_round_asks_anew(airflow: Airflow, sensor: Sensor) -> None:
    """Clearing the task is how people change their mind."""
    wake(sensor)
    airflow.mark(only(airflow), "po", "ann", state="failed")
    with pytest.raises(AirflowFailException):
        sensor.execute(context())
    sensor.question = dataclasses.replace(BASE, round=1)
    assert isinstance(wake(sensor), TaskDeferred)
    assert f"{RUN}__plan__-1__r1a1" in airflow.requests


def test_a_retry_finds_the_open_request_and_the_records(airflow: Airflow, sensor: Sensor) -> None:
    """A dead worker costs nothing, wherever it died."""
    wake(sensor)
    assert isinstance(wake(sensor), TaskDeferred)
    assert len(airflow.requests) == 1 and types(sensor) == ["approval.requested"]
    airflow.mark(only(airflow), "po", "ann")
    airflow.mark(only(airflow), "sre", "sam")
    first, second = wake(sensor), wake(sensor)
    assert first == second
    assert types(sensor).count("approval.granted") == 2


def test_a_request_that_was_logged_but_never_opened_is_opened(airflow: Airflow, sensor: Sensor, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker died between the log and the run; a run that somebody deleted is opened again too."""

    def dies(_request: Request) -> bool:
        raise RuntimeError("killed")

    monkeypatch.setattr(approval, "open_run", dies)
    with pytest.raises(RuntimeError):
        sensor.execute(context())
    monkeypatch.setattr(approval, "open_run", airflow.open_run)
    assert isinstance(wake(sensor), TaskDeferred)
    assert list(airflow.requests) == [f"{RUN}__plan__-1__r0a1"]
    del airflow.states[f"{RUN}__plan__-1__r0a1"]
    wake(sensor)
    assert f"{RUN}__plan__-1__r0a1" in airflow.states
    assert types(sensor) == ["approval.requested"]


def test_a_run_that_somebody_else_made_under_the_id_is_not_used(airflow: Airflow, sensor: Sensor) -> None:
    """Anybody may trigger runs: the next id is taken, and the log says why."""
    airflow.taken.add(f"{RUN}__plan__-1__r0a1")
    deferred = wake(sensor)
    assert isinstance(deferred, TaskDeferred)
    assert {run_id for run_id, _ in deferred.trigger.tasks} == {f"{RUN}__plan__-1__r0a2"}
    assert types(sensor) == ["approval.requested", "approval.void", "approval.void", "approval.requested"]


def test_changed_evidence_is_asked_about_even_if_the_old_request_is_answered(airflow: Airflow, sensor: Sensor) -> None:
    """An answer about the old plan is no answer about the new one."""
    wake(sensor)
    airflow.mark(only(airflow), "po", "ann")
    sensor.question = dataclasses.replace(BASE, evidence=(Evidence("plan", "c" * 64),))
    deferred = wake(sensor)
    assert isinstance(deferred, TaskDeferred)
    assert {run_id for run_id, _ in deferred.trigger.tasks} == {f"{RUN}__plan__-1__r0a2"}
    assert only(airflow, 2).question.evidence == (Evidence("plan", "c" * 64),)
    assert "approval.granted" not in types(sensor)


def test_unchanged_evidence_is_not_asked_about_in_a_later_round_unless_the_step_says_so(airflow: Airflow, sensor: Sensor) -> None:
    """A plan stays approved; an implementation must be done again."""
    wake(sensor)
    airflow.mark(only(airflow), "po", "ann")
    airflow.mark(only(airflow), "sre", "sam")
    wake(sensor)
    sensor.question = dataclasses.replace(BASE, round=1)
    assert isinstance(wake(sensor), dict)
    sensor.fresh_each_round = True
    assert isinstance(wake(sensor), TaskDeferred)


def test_a_task_that_is_over_without_an_act_is_refused(airflow: Airflow, sensor: Sensor) -> None:
    """Whatever ended it, it was nobody who can be named."""
    wake(sensor)
    airflow.states[only(airflow).request_id] = {"approve": "upstream_failed"}
    wake(sensor)
    assert sensor.told[1:] == ["refused po APR-401", "refused sre APR-401", "asked 2"]


def test_nobody_approves_by_waiting(airflow: Airflow, sensor: Sensor, monkeypatch: pytest.MonkeyPatch) -> None:
    """The request expires: red, and logged."""
    wake(sensor)
    later = datetime.now(UTC) + timedelta(days=8)
    monkeypatch.setattr("perfproof_airflow.sensors.approval_log.ApprovalLog.now", staticmethod(lambda: later))
    with pytest.raises(AirflowFailException, match="APR-412"):
        sensor.execute(context())
    assert types(sensor)[-1] == "approval.expired"
    assert sensor.told[-1] == "failed APR-412"


def test_it_does_not_ask_for_ever(airflow: Airflow, sensor: Sensor) -> None:
    """Somebody with edit rights and a script ends in a red task, not in thousands of requests."""
    wake(sensor)
    with pytest.raises(AirflowFailException, match="APR-413"):
        for attempt in range(1, MAX_ATTEMPTS + 1):
            for role in only(airflow, attempt).roles:
                airflow.mark(only(airflow, attempt), role, "eve")
            wake(sensor)
    assert len(airflow.requests) == MAX_ATTEMPTS


def test_one_halt_ends_a_gate_decision_without_the_other_role(airflow: Airflow, sensor: Sensor) -> None:
    """Stopping needs one."""
    sensor.question = dataclasses.replace(BASE, options=(Decision.RETRY, Decision.WAIVER, Decision.HALT))
    wake(sensor)
    airflow.mark(only(airflow), "sre", "sam", note="halt: not this week")
    result = wake(sensor)
    assert isinstance(result, dict) and result["decision"] == "halt"


def test_an_error_of_ours_is_told_and_fails_without_retries(airflow: Airflow, sensor: Sensor) -> None:
    """A missing key or store is for a person to mend."""

    def missing(_context: Any) -> Question:
        raise ApprovalError(423, where="Connection", what="does not exist", fix="make it")

    sensor.build_question = missing  # type: ignore[method-assign]
    with pytest.raises(AirflowFailException, match="APR-423"):
        sensor.execute(context())
    assert sensor.told == ["failed APR-423"]


def test_the_task_is_retried_soon_after_a_crash() -> None:
    """Airflow's default of five minutes would look like a hang."""
    assert ApprovalSensor(task_id="t", step="plan").retries == retrying.RETRIES
    assert ApprovalSensor(task_id="t", step="plan").retry_delay == retrying.RETRY_DELAY


TOKEN = "gh" + "p_" + "aB3dE5gH7jK9mN1pQ2rS4tU6vW8xY0zA1bC2"


@pytest.mark.parametrize(
    "note", [f"use {TOKEN} to deploy", "it is postgresql://u:pw12345@h/x", "password='hunter22'", "with the canary-pass-1"]
)
@pytest.mark.parametrize(("who", "code"), [("sam", "APR-416"), ("eve", "APR-403")])
def test_an_answer_with_a_secret_in_its_note_is_refused_logged_without_it_and_asked_again(
    airflow: Airflow, sensor: Sensor, monkeypatch: pytest.MonkeyPatch, note: str, who: str, code: str
) -> None:
    """Nobody can stop a wait by writing a token, and no record holds one."""
    sensor.store.known_secrets = lambda: ["canary-pass-1"]
    monkeypatch.setattr(approval, "known_secrets", lambda: ["canary-pass-1"])
    wake(sensor)
    airflow.mark(only(airflow), "po", "ann")
    airflow.mark(only(airflow), "sre", who, note=note)
    wake(sensor)
    assert sensor.told == ["asked 1", f"refused sre {code}", "asked 2"]
    assert not [e for e in sensor.store.entries() if any(part in str(e.body) for part in (TOKEN, "pw12345", "hunter22", "canary-pass"))]
    airflow.mark(only(airflow, 2), "sre", "sam", note="the same without it")
    result = wake(sensor)
    assert isinstance(result, dict) and result["decision"] == "approve"
