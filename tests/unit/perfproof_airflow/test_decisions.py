"""What people decide when a gate did not pass, and what becomes of it: passes at once, retry, waiver, halt, rollback."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from perfproof.errors import LoadError
from perfproof_airflow.gate import EVALUATED, GATE_TASKS, gate_decision
from perfproof_airflow.hooks.endpoint import Build
from perfproof_airflow.sensors.decisions import DECIDED, GateDecision, Rollback

RETRY_FROM = {1: "intake_and_baseline.collect_telemetry", 3: "optimization.await_implementation"}
GATE_TEXT = "[RAY GATE FAILED: Some Gate]"
WHY = "the customer accepts this until the next release"
REGRESSION = {"metric": "memory_rss", "regression_percentage": 17.3}


def criterion(name: str, *, met: bool = False, waivable: bool = True) -> dict[str, Any]:
    return {
        "criterion": name,
        "actual": 8.0,
        "threshold": 15.0,
        "comparison": ">=",
        "met": met,
        "waivable": waivable,
        "reason": f"{name} is short",
    }


def evaluated(run: Any, gate: int, outcome: str, *criteria: dict[str, Any], figures: dict[str, Any] | None = None) -> dict[str, Any]:
    """A gate's result as its task leaves it: published, in the XCom, and the task red unless it passed."""
    document = {
        "gate": gate,
        "name": "Some",
        "outcome": outcome,
        "criteria": list(criteria),
        "figures": figures or {},
        "reasons": [],
        "text": None if outcome == "PASS" else GATE_TEXT,
        "evidence": [],
    }
    task = GATE_TASKS[gate]
    reference: dict[str, Any] = run.publish(f"gate-{gate}-result.json", document, task_id=task)
    run.xcom[task, EVALUATED] = reference
    run.states[task] = "success" if outcome == "PASS" else "failed"
    return reference


def decision_of(gate: int) -> GateDecision:
    return GateDecision(task_id=f"gate_{gate}_decision", gate=gate, retry_from=RETRY_FROM[gate])


def xcom(run: Any, gate: int) -> Any:
    return run.xcom.get((f"gate_{gate}_decision", DECIDED))


def requests(run: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = run.entries("approval.requested")
    return found


def test_a_gate_that_passed_asks_nobody(run: Any, ask: Callable[..., Any]) -> None:
    """The decision succeeds at once."""
    evaluated(run, 1, "PASS", criterion("completeness", met=True))
    assert ask(decision_of(1)) == {"decision": "pass"}
    assert requests(run) == []


@pytest.mark.parametrize("state", [None, "running", "skipped", "removed"])
def test_a_gate_that_was_not_evaluated_fails_and_says_what_to_clear(run: Any, ask: Callable[..., Any], state: str | None) -> None:
    """Although an older result passed: it says nothing about this round."""
    evaluated(run, 1, "PASS", criterion("completeness", met=True))
    run.states.clear()
    if state is not None:
        run.states[GATE_TASKS[1]] = state
    with pytest.raises(AirflowFailException, match=r"GAT-302 gate 1: the gate was not evaluated.*see which task before it halted"):
        ask(decision_of(1))
    assert requests(run) == []


@pytest.mark.parametrize("state", ["success", "failed"])
def test_a_gate_that_ended_without_an_evaluation_is_not_evaluated(run: Any, ask: Callable[..., Any], state: str) -> None:
    """A task that somebody marked success by hand has judged nothing, whatever an earlier result said."""
    evaluated(run, 1, "PASS", criterion("completeness", met=True))
    run.xcom.clear()
    run.states[GATE_TASKS[1]] = state
    with pytest.raises(AirflowFailException, match="GAT-302"):
        ask(decision_of(1))


def test_a_gate_that_was_not_reached_fails_without_another_error_line(run: Any, ask: Callable[..., Any]) -> None:
    """The halted step has said why; nobody is asked about a gate that never ran."""
    run.states[GATE_TASKS[1]] = "upstream_failed"
    with pytest.raises(AirflowFailException, match="gate 1 was not reached"):
        ask(decision_of(1))
    assert run.said() == [] and requests(run) == []


@pytest.mark.parametrize("outcome", ["FAIL", "INDETERMINATE"])
def test_a_gate_that_did_not_pass_is_asked_about_with_its_own_text(run: Any, ask: Callable[..., Any], outcome: str) -> None:
    """The three options, the criteria that are not met, bound to this very result."""
    reference = evaluated(run, 1, outcome, criterion("completeness"), criterion("intake", met=True))
    assert isinstance(ask(decision_of(1)), TaskDeferred)
    asked = requests(run)[0]["request"]
    assert asked["question"] == GATE_TEXT
    assert asked["options"] == ["retry", "waiver", "halt"]
    assert [c["criterion"] for c in asked["shown"]["not met"]] == ["completeness"]
    assert [e["sha256"] for e in asked["evidence"]] == [reference["sha256"]]
    assert [r["role"] for r in asked["roles"]] == ["sre_lead"]


def test_a_halt_fails_the_run_and_says_who_decided_so(run: Any, desk: Any, ask: Callable[..., Any]) -> None:
    """In the log, in the XCom for whoever follows over REST, and as the specification's error line."""
    reference = evaluated(run, 1, "FAIL", criterion("completeness"))
    ask(decision_of(1))
    desk.answer("sre_lead", "demo-sre", note="halt: telemetry is broken")
    with pytest.raises(AirflowFailException, match=r"GAT-303 gate 1: halt was decided by demo-sre"):
        ask(decision_of(1))
    assert xcom(run, 1) == "halt"
    recorded = run.entries("decision.recorded")[0]
    assert (recorded["gate"], recorded["decision"], recorded["result"]["sha256"]) == (1, "halt", reference["sha256"])
    assert "Awaiting instructions" in run.said()[-1]


def test_a_retry_without_the_connection_says_in_one_line_what_to_clear(run: Any, desk: Any, ask: Callable[..., Any]) -> None:
    """Task, downstream and run by name; the task fails without retries."""
    evaluated(run, 1, "FAIL", criterion("completeness"))
    ask(decision_of(1))
    desk.answer("sre_lead", "demo-sre", note="retry")
    with pytest.raises(AirflowFailException, match="GAT-311") as caught:
        ask(decision_of(1))
    assert "clear intake_and_baseline.collect_telemetry with everything downstream in run manual__1" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert xcom(run, 1) == "retry"


@pytest.fixture
def airflow_api(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """An Airflow API on loopback that remembers what it was asked; `status` is what it answers to a clear."""
    seen: dict[str, Any] = {"status": 200, "posts": []}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            seen["posts"].append((self.path, body, self.headers.get("Authorization")))
            answer = json.dumps({"access_token": "t0ken"}).encode()
            self.send_response(200 if self.path == "/auth/token" else seen["status"])
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *args: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("AIRFLOW_CONN_PERFPROOF_API", f"http://robot:secret@127.0.0.1:{server.server_port}")
    yield seen
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_retry_with_the_connection_clears_from_the_named_task(
    run: Any, desk: Any, ask: Callable[..., Any], airflow_api: dict[str, Any]
) -> None:
    """And everything after it, in this run; the decision itself ends red, for it is asked again in the new round."""
    evaluated(run, 1, "FAIL", criterion("completeness"))
    ask(decision_of(1))
    desk.answer("sre_lead", "demo-sre", note="retry")
    with pytest.raises(AirflowFailException, match=r"GAT-303 .*retry was decided by demo-sre"):
        ask(decision_of(1))
    (path, body, authorization) = airflow_api["posts"][1]
    assert path == "/api/v2/dags/performance_optimization/clearTaskInstances"
    assert authorization == "Bearer t0ken"
    assert (body["dag_run_id"], body["task_ids"], body["include_downstream"]) == (
        "manual__1",
        ["intake_and_baseline.collect_telemetry"],
        True,
    )
    assert (body["dry_run"], body["only_failed"], body["reset_dag_runs"]) == (False, False, True)


def test_a_retry_that_the_api_refuses_says_what_to_clear(run: Any, desk: Any, ask: Callable[..., Any], airflow_api: dict[str, Any]) -> None:
    """The password stays out of the message."""
    airflow_api["status"] = 403
    evaluated(run, 1, "FAIL", criterion("completeness"))
    ask(decision_of(1))
    desk.answer("sre_lead", "demo-sre", note="retry")
    with pytest.raises(AirflowFailException, match=r"GAT-312 .*clear intake_and_baseline\.collect_telemetry") as caught:
        ask(decision_of(1))
    assert "secret" not in str(caught.value)


def test_a_retry_at_gate_3_leaves_the_clearing_to_the_rollback(
    run: Any, desk: Any, ask: Callable[..., Any], airflow_api: dict[str, Any]
) -> None:
    """Nothing runs anew while the candidate is still deployed."""
    evaluated(run, 3, "FAIL", criterion("improvement"))
    ask(decision_of(3))
    desk.answer("product_owner", "demo-owner", note="retry")
    with pytest.raises(AirflowFailException, match="GAT-303"):
        ask(decision_of(3))
    assert airflow_api["posts"] == []
    assert run.entries("decision.recorded")[0]["decision"] == "retry"


def test_after_a_retry_the_new_result_is_asked_about_anew(run: Any, desk: Any, ask: Callable[..., Any]) -> None:
    """The halt or waiver of an old round decides nothing about a new one, even with the same bytes."""
    evaluated(run, 1, "FAIL", criterion("completeness"))
    ask(decision_of(1))
    desk.answer("sre_lead", "demo-sre", note="retry")
    with pytest.raises(AirflowFailException):
        ask(decision_of(1))
    run.round = 1
    evaluated(run, 1, "FAIL", criterion("completeness"))
    assert isinstance(ask(decision_of(1)), TaskDeferred)
    assert [body["round"] for body in requests(run)] == [0, 1]


def test_a_waiver_by_the_right_person_lets_the_phase_go_on_as_waived(run: Any, desk: Any, ask: Callable[..., Any], tomorrow: str) -> None:
    """WAIVED, never PASS: with criterion, reason, approver, this result, and its end."""
    reference = evaluated(run, 3, "FAIL", criterion("improvement"))
    ask(decision_of(3))
    desk.answer("product_owner", "demo-owner", note=f"waiver: criterion=improvement expires={tomorrow} {WHY}")
    assert ask(decision_of(3))["decision"] == "waiver"
    waiver = run.entries("waiver.granted")[0]
    assert (waiver["gate"], waiver["criterion"], waiver["reason"], waiver["result_sha256"]) == (3, "improvement", WHY, reference["sha256"])
    assert [a["person_id"] for a in waiver["approvers"]] == ["demo-owner"]
    assert gate_decision(run.cycle(), 3).value == "WAIVED"
    assert xcom(run, 3) == "waiver"


def test_a_waiver_stands_for_its_result_only(run: Any, desk: Any, ask: Callable[..., Any], tomorrow: str) -> None:
    """Cleared with the same result it is not asked again; another result is."""
    evaluated(run, 3, "FAIL", criterion("improvement"))
    ask(decision_of(3))
    desk.answer("product_owner", "demo-owner", note=f"waiver: criterion=improvement expires={tomorrow} {WHY}")
    ask(decision_of(3))
    run.round = 1
    assert ask(decision_of(3)) == {"decision": "waiver"}
    evaluated(run, 3, "FAIL", criterion("improvement"), criterion("regressions", met=True))
    assert isinstance(ask(decision_of(3)), TaskDeferred)


def test_a_waiver_by_the_wrong_person_is_refused_and_asked_again(run: Any, desk: Any, ask: Callable[..., Any], tomorrow: str) -> None:
    """The SRE lead does not waive gate 3, visibly."""
    evaluated(run, 3, "FAIL", criterion("improvement"))
    ask(decision_of(3))
    desk.answer("product_owner", "demo-sre", note=f"waiver: criterion=improvement expires={tomorrow} {WHY}")
    assert isinstance(ask(decision_of(3)), TaskDeferred)
    assert [body["code"] for body in run.entries("approval.refused")] == ["APR-403"]
    assert [body["attempt"] for body in requests(run)] == [1, 2]
    assert run.entries("waiver.granted") == []


def test_who_triggered_the_run_cannot_waive(run: Any, desk: Any, ask: Callable[..., Any], tomorrow: str) -> None:
    """Also not who holds the role."""
    run.user = "demo-owner"
    evaluated(run, 3, "FAIL", criterion("improvement"))
    ask(decision_of(3))
    desk.answer("product_owner", "demo-owner", note=f"waiver: criterion=improvement expires={tomorrow} {WHY}")
    assert isinstance(ask(decision_of(3)), TaskDeferred)
    assert run.entries("waiver.granted") == []


@pytest.mark.parametrize(
    ("note", "code"),
    [
        ("waiver: we really do not want to wait any longer", "WAV-103"),
        ("waiver: criterion=all expires={tomorrow} " + WHY, "WAV-103"),
        ("waiver: criterion=improvement " + WHY, "WAV-107"),
        ("waiver: criterion=improvement expires=2020-01-01 " + WHY, "WAV-108"),
        ("waiver: criterion=improvement expires=2999-01-01 " + WHY, "WAV-109"),
        ("waiver: criterion=regressions expires={tomorrow} " + WHY, "WAV-104"),
    ],
)
def test_an_incomplete_waiver_is_refused_with_its_own_code(
    run: Any, desk: Any, ask: Callable[..., Any], tomorrow: str, note: str, code: str
) -> None:
    """Nothing is waived, and the task says what to write."""
    evaluated(run, 3, "FAIL", criterion("improvement"))
    ask(decision_of(3))
    desk.answer("product_owner", "demo-owner", note=note.format(tomorrow=tomorrow))
    with pytest.raises(AirflowFailException, match=code):
        ask(decision_of(3))
    assert run.entries("waiver.granted") == []
    assert not gate_decision(run.cycle(), 3).lets_through


def test_a_waiver_that_does_not_cover_every_criterion_is_not_enough(run: Any, desk: Any, ask: Callable[..., Any], tomorrow: str) -> None:
    """It names what is still open, and the gate stays failed."""
    evaluated(run, 3, "FAIL", criterion("improvement"), criterion("instrumentation"))
    ask(decision_of(3))
    desk.answer("product_owner", "demo-owner", note=f"waiver: criterion=improvement expires={tomorrow} {WHY}")
    with pytest.raises(AirflowFailException, match=r"GAT-304 .*do not cover every criterion.*instrumentation"):
        ask(decision_of(3))
    assert gate_decision(run.cycle(), 3).value == "FAIL"


def test_integrity_is_not_waived(run: Any, desk: Any, ask: Callable[..., Any], tomorrow: str) -> None:
    """Whoever wants it."""
    evaluated(run, 3, "FAIL", criterion("plan_approved", waivable=False))
    ask(decision_of(3))
    desk.answer("product_owner", "demo-owner", note=f"waiver: criterion=plan_approved expires={tomorrow} {WHY}")
    with pytest.raises(AirflowFailException, match="WAV-105"):
        ask(decision_of(3))


def regressed(run: Any) -> None:
    evaluated(run, 3, "FAIL", criterion("regressions"), figures={"regressions": [REGRESSION]})


def regression_note(tomorrow: str, limit: str = "20") -> str:
    return f"waiver: criterion=regressions metric=memory_rss limit={limit} expires={tomorrow} {WHY}"


def test_a_regression_is_asked_of_product_owner_and_sre_lead(run: Any, desk: Any, ask: Callable[..., Any], tomorrow: str) -> None:
    """One of them alone leaves it open; both waive it by metric and limit."""
    regressed(run)
    ask(decision_of(3))
    assert [r["role"] for r in requests(run)[0]["request"]["roles"]] == ["product_owner", "sre_lead"]
    desk.answer("product_owner", "demo-owner", note=regression_note(tomorrow))
    assert isinstance(ask(decision_of(3)), TaskDeferred)
    assert run.entries("waiver.granted") == []
    desk.answer("sre_lead", "demo-sre", note=regression_note(tomorrow))
    assert ask(decision_of(3))["decision"] == "waiver"
    assert {a["person_id"] for body in run.entries("waiver.granted") for a in body["approvers"]} == {"demo-owner", "demo-sre"}


def test_either_of_them_can_halt_a_regression_alone(run: Any, desk: Any, ask: Callable[..., Any]) -> None:
    """Going on needs both, stopping one."""
    regressed(run)
    ask(decision_of(3))
    desk.answer("sre_lead", "demo-sre", note="halt: memory is what we are short of")
    with pytest.raises(AirflowFailException, match="halt was decided by demo-sre"):
        ask(decision_of(3))


@pytest.mark.parametrize(
    "second",
    [
        "waiver: I would like to see another measurement first",
        "waiver: criterion=regressions metric=memory_rss limit=5 expires={tomorrow} " + WHY,
    ],
)
def test_a_waiver_that_only_one_of_them_gave_in_full_waives_nothing_now_or_later(
    run: Any, desk: Any, ask: Callable[..., Any], tomorrow: str, second: str
) -> None:
    """The other's is refused, so nothing may stand in the log that lets the gate through when the task is cleared."""
    regressed(run)
    ask(decision_of(3))
    desk.answer("product_owner", "demo-owner", note=regression_note(tomorrow))
    desk.answer("sre_lead", "demo-sre", note=second.format(tomorrow=tomorrow))
    with pytest.raises(AirflowFailException, match="WAV-"):
        ask(decision_of(3))
    run.round = 1
    assert isinstance(ask(decision_of(3)), TaskDeferred)
    assert gate_decision(run.cycle(), 3).value == "FAIL"
    assert run.entries("waiver.granted") == []


def test_a_regression_that_only_one_of_them_names_is_not_waived_by_both(
    run: Any, desk: Any, ask: Callable[..., Any], tomorrow: str
) -> None:
    """The product owner excuses the short improvement and says nothing of the memory: that is no signature under the regression."""
    evaluated(run, 3, "FAIL", criterion("improvement"), criterion("regressions"), figures={"regressions": [REGRESSION]})
    ask(decision_of(3))
    desk.answer("product_owner", "demo-owner", note=f"waiver: criterion=improvement expires={tomorrow} {WHY}")
    desk.answer("sre_lead", "demo-sre", note=regression_note(tomorrow))
    with pytest.raises(AirflowFailException):
        ask(decision_of(3))
    assert gate_decision(run.cycle(), 3).value == "FAIL"


# The rollback at gate 3


class Candidate:
    """What answers at the candidate's endpoint: a build, or an error."""

    answer: str | LoadError = "build-2"

    def __init__(self, endpoint: Any, *, environment: str) -> None:
        assert (endpoint.port, environment) == (18102, "demo")

    def build(self) -> Build:
        if isinstance(self.answer, LoadError):
            raise self.answer
        return Build(self.answer, "demo")


@pytest.fixture
def candidate(monkeypatch: pytest.MonkeyPatch) -> type[Candidate]:
    made = type("TheCandidate", (Candidate,), {})
    monkeypatch.setattr("perfproof_airflow.hooks.endpoint.EndpointHook", made)
    return made


@pytest.fixture
def decided(run: Any, desk: Any, ask: Callable[..., Any]) -> Callable[[str], None]:
    """Gate 3 failed, and the product owner decided."""

    def how(note: str) -> None:
        run.publish("optimization-plan.json", {"tasks": [{"id": "OPT-001", "owner": "demo-engineer", "service": "shop"}]})
        run.publish("evidence/measurement.json", {"service": "shop", "builds": {"baseline": "build-1", "candidate": "build-2"}})
        evaluated(run, 3, "FAIL", criterion("improvement"))
        ask(decision_of(3))
        desk.answer("product_owner", "demo-owner", note=note)
        try:
            ask(decision_of(3))
        except AirflowFailException:
            return

    return how


def rollback() -> Rollback:
    return Rollback(task_id="await_rollback", retry_from=RETRY_FROM[3])


def test_there_is_nothing_to_roll_back_after_a_pass(run: Any, ask: Callable[..., Any]) -> None:
    """Nobody is asked."""
    evaluated(run, 3, "PASS", criterion("improvement", met=True))
    assert ask(rollback()) == {"decision": "nothing to roll back", "records": []}


def test_there_is_nothing_to_roll_back_if_the_gate_was_never_reached(run: Any, ask: Callable[..., Any]) -> None:
    """A run that halted in phase 1 has no candidate."""
    assert ask(rollback())["decision"] == "nothing to roll back"


def test_there_is_nothing_to_roll_back_after_a_waiver(
    run: Any, decided: Callable[[str], None], ask: Callable[..., Any], tomorrow: str
) -> None:
    """The candidate stays."""
    decided(f"waiver: criterion=improvement expires={tomorrow} {WHY}")
    assert ask(rollback())["decision"] == "nothing to roll back"


@pytest.mark.parametrize("note", ["halt: no gain", "retry"])
def test_after_a_halt_or_a_retry_the_owner_is_asked_to_roll_back(
    run: Any, decided: Callable[[str], None], ask: Callable[..., Any], candidate: type[Candidate], note: str
) -> None:
    """From which build to which, bound to the result."""
    decided(note)
    assert isinstance(ask(rollback()), TaskDeferred)
    asked = requests(run)[-1]["request"]
    assert asked["step"] == "rollback"
    assert [p["id"] for r in asked["roles"] for p in r["people"]] == ["demo-engineer"]
    assert (asked["shown"]["candidate now"], asked["shown"]["roll back to"]) == ("build-2", "build-1")


def test_a_rollback_that_did_not_happen_is_refused(
    run: Any, desk: Any, decided: Callable[[str], None], ask: Callable[..., Any], candidate: type[Candidate]
) -> None:
    """The owner's word is checked: the candidate still answers with its build. Cleared, it asks again."""
    decided("halt: no gain")
    ask(rollback())
    desk.answer("task_owner", "demo-engineer", note="reverted in PR-18")
    with pytest.raises(AirflowFailException, match=r"GAT-306 rollback: the candidate is not rolled back \(got build-2, expected build-1\)"):
        ask(rollback())
    run.round = 1
    assert isinstance(ask(rollback()), TaskDeferred)


@pytest.mark.parametrize(
    "answer",
    [
        "build-1",
        LoadError(
            301,
            where="http://127.0.0.1:18102/build",
            what="the target does not answer",
            got="[Errno 111] Connection refused",
            fix="start it",
        ),
    ],
    ids=["old build", "gone"],
)
def test_a_candidate_that_is_gone_or_shows_the_old_build_is_rolled_back(
    run: Any, desk: Any, decided: Callable[[str], None], ask: Callable[..., Any], candidate: type[Candidate], answer: Any
) -> None:
    """Both count."""
    decided("halt: no gain")
    ask(rollback())
    candidate.answer = answer
    desk.answer("task_owner", "demo-engineer", note="reverted in PR-18")
    assert ask(rollback())["decision"] == "approve"


def test_a_candidate_that_hangs_is_not_gone(
    run: Any, desk: Any, decided: Callable[[str], None], ask: Callable[..., Any], candidate: type[Candidate]
) -> None:
    """What does not answer in time may still serve."""
    decided("halt: no gain")
    ask(rollback())
    candidate.answer = LoadError(
        301, where="http://127.0.0.1:18102/build", what="the target does not answer", got="timed out", fix="start it"
    )
    desk.answer("task_owner", "demo-engineer", note="reverted in PR-18")
    with pytest.raises(AirflowFailException, match="LOD-301"):
        ask(rollback())


def test_somebody_else_cannot_say_that_it_is_rolled_back(
    run: Any, desk: Any, decided: Callable[[str], None], ask: Callable[..., Any], candidate: type[Candidate]
) -> None:
    """Only the owner of the change; the others are refused and it is asked again."""
    decided("halt: no gain")
    ask(rollback())
    desk.answer("task_owner", "demo-sre", note="reverted in PR-18")
    assert isinstance(ask(rollback()), TaskDeferred)
    assert run.entries("approval.refused")[-1]["code"] == "APR-403"


def test_a_rollback_without_a_change_reference_is_refused(
    run: Any, desk: Any, decided: Callable[[str], None], ask: Callable[..., Any], candidate: type[Candidate]
) -> None:
    """The note names what was reverted."""
    decided("halt: no gain")
    ask(rollback())
    desk.answer("task_owner", "demo-engineer", note="done")
    assert isinstance(ask(rollback()), TaskDeferred)
    assert run.entries("approval.refused")[-1]["code"] == "APR-410"


def test_after_the_rollback_of_a_retry_the_run_is_cleared_from_the_implementation(
    run: Any, desk: Any, decided: Callable[[str], None], ask: Callable[..., Any], candidate: type[Candidate], airflow_api: dict[str, Any]
) -> None:
    """Rolled back first, then implemented anew."""
    decided("retry")
    ask(rollback())
    assert airflow_api["posts"] == []
    candidate.answer = "build-1"
    desk.answer("task_owner", "demo-engineer", note="reverted in PR-18")
    with pytest.raises(AirflowFailException, match=r"GAT-305 rollback: rolled back; the run is retried"):
        ask(rollback())
    assert airflow_api["posts"][1][1]["task_ids"] == ["optimization.await_implementation"]


def test_a_decision_about_an_older_result_asks_for_no_rollback(run: Any, decided: Callable[[str], None], ask: Callable[..., Any]) -> None:
    """The new result is decided on its own."""
    decided("halt: no gain")
    run.round = 1
    evaluated(run, 3, "PASS", criterion("improvement", met=True))
    assert ask(rollback())["decision"] == "nothing to roll back"


@pytest.mark.parametrize("sensor", [decision_of(1), rollback()], ids=["decision", "rollback"])
def test_a_cycle_whose_log_cannot_be_read_fails_without_retries(run: Any, workspace: Any, ask: Callable[..., Any], sensor: Any) -> None:
    """A person has to look at it; trying again finds the same."""
    log = workspace / ".artifacts" / "performance" / run.cycle().run / "log" / "00000000.json"
    log.chmod(0o644)
    log.write_bytes(log.read_bytes().replace(b"run.opened", b"run.closed"))
    with pytest.raises(AirflowFailException):
        ask(sensor)
