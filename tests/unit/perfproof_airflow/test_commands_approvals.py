"""`perfproof approvals` and `perfproof approve`: they do what the web interface does, and say what Airflow answered."""

from __future__ import annotations

import argparse
import functools
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from perfproof.approvals import APPROVAL, GATE_DECISION, Asked, Question, Request, open_request
from perfproof.config import Person
from perfproof.config.people import Deputy
from perfproof.errors import PerfproofError
from perfproof_airflow.commands import airflow_access, approvals, approve
from perfproof_airflow.rest import PAGE, AirflowApi

NOW = datetime(2026, 12, 1, 10, 0, tzinfo=UTC)
DEPUTY = Deputy("dora", "Dora", "ann", "2026-12-02", "2026-12-03")
RUNS = "/api/v2/dags/performance_approvals/dagRuns"


def request(step: str = "plan", **changes: Any) -> Request:
    fields: dict[str, Any] = {
        "run": "run-0123456789abcdef", "dag_id": "performance_optimization", "run_id": "run", "step": step, "map_index": -1, "round": 0,
        "question": "Approve?", "options": APPROVAL, "evidence": (), "shown": {},
        "roles": (Asked("po", "PO", (Person("ann", "Ann A."),), (DEPUTY,)), Asked("sre", "SRE", (Person("sam", "Sam S."),))),
    }  # fmt: skip
    return open_request(
        Question(**{**fields, **changes}), attempt=1, roles=("po", "sre"), log_size=1, log_head="b" * 64, now=NOW, expires_after_days=7
    )


class Airflow:
    """An Airflow with some requests, as one user sees it through HTTP."""

    def __init__(self, *requests: Request) -> None:
        self.runs: dict[str, dict[str, Any]] = {r.request_id: {"conf": r.conf(), "state": "running"} for r in requests}
        self.states: dict[tuple[str, int], str] = {(r.request_id, i): "awaiting_input" for r in requests for i in range(len(r.roles))}
        self.people = {(r.request_id, i): a.respondents(start=NOW, end=r.expires_at) for r in requests for i, a in enumerate(r.asked)}
        self.answer: tuple[int, Any] = (200, {})
        self.login: tuple[int, Any] = (201, {"access_token": "t"})
        self.changed: list[tuple[str, Any]] = []
        self.page = PAGE

    def __call__(self, sent: httpx.Request) -> httpx.Response:
        path, query = sent.url.path, sent.url.params
        if path == "/auth/token":
            return httpx.Response(self.login[0], json=self.login[1])
        if sent.method == "PATCH":
            self.changed.append((sent.url.raw_path.decode().removeprefix(RUNS), json.loads(sent.content)))
            return httpx.Response(self.answer[0], json=self.answer[1])
        if path.endswith("/hitlDetails"):
            run_id = path.removeprefix(RUNS).split("/")[1]
            page, total = self._forms(run_id, query)
            return httpx.Response(200, json={"hitl_details": page, "total_entries": total})
        run_id = path.removeprefix(RUNS).split("/")[1]
        if run_id not in self.runs:
            return httpx.Response(404, json={"detail": "The DagRun was not found"})
        if path.endswith("/taskInstances"):
            tasks = [{"task_id": "approve", "map_index": i, "state": s} for (r, i), s in self.states.items() if r == run_id]
            tasks = [{"task_id": "publish_request", "map_index": -1, "state": "success"}, *tasks]
            return httpx.Response(200, json={"task_instances": tasks, "total_entries": len(tasks)})
        return httpx.Response(200, json=self.runs[run_id])

    def _forms(self, run_id: str, query: httpx.QueryParams) -> tuple[list[dict[str, Any]], int]:
        found = [
            {
                "task_instance": {"task_id": "approve", "dag_run_id": r, "map_index": i, "state": state},
                "assigned_users": [{"id": p.id, "name": p.name} for p in self.people[r, i]],
            }
            for (r, i), state in self.states.items()
            if run_id in ("~", r) and query.get("state", state) == state
        ]
        offset, limit = int(query.get("offset", 0)), min(int(query.get("limit", 50)), self.page)
        return found[offset : offset + limit], len(found)


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[httpx.Request], httpx.Response]], None]:
    monkeypatch.setenv("AIRFLOW_PASSWORD", "secret")

    def use(server: Callable[[httpx.Request], httpx.Response]) -> None:
        monkeypatch.setattr(airflow_access, "AirflowApi", functools.partial(AirflowApi, transport=httpx.MockTransport(server)))

    return use


@pytest.fixture
def airflow(serve: Any) -> Airflow:
    made = Airflow(request())
    serve(made)
    return made


def options(command: Any, *arguments: str, user: str = "ann") -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return parser.parse_args([*arguments, "--url", "http://airflow.test", "--user", user])


def refusal(command: Any, *arguments: str, user: str = "ann") -> str:
    with pytest.raises(PerfproofError) as caught:
        command.run(options(command, *arguments, user=user))
    line = str(caught.value)
    assert "\n" not in line and "secret" not in line
    return line


ID = request().request_id


def test_what_waits_is_listed_with_everything_needed_to_answer(airflow: Airflow, capsys: pytest.CaptureFixture[str]) -> None:
    """Request, role, step, people with deputies, since and until; what was answered is not there."""
    airflow.states[ID, 1] = "success"
    assert approvals.run(options(approvals)) == 0
    header, line = capsys.readouterr().out.splitlines()
    assert header.split() == ["request", "role", "step", "people", "since", "until"]
    assert line.split() == [ID, "po", "plan", "ann,", "dora", "2026-12-01T10:00:00Z", "2026-12-08T10:00:00Z"]


def test_the_list_is_also_json(airflow: Airflow, capsys: pytest.CaptureFixture[str]) -> None:
    """For scripts."""
    approvals.run(options(approvals, "--json"))
    found = json.loads(capsys.readouterr().out)
    assert [(one["request"], one["role"], one["people"]) for one in found] == [(ID, "po", ["ann", "dora"]), (ID, "sre", ["sam"])]


def test_nothing_to_answer_is_said(serve: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """And no failure."""
    serve(Airflow())
    assert approvals.run(options(approvals)) == 0
    assert capsys.readouterr().out == "nothing waits for an answer\n"


def test_more_than_a_page_is_listed(serve: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Airflow gives a hundred at most at once."""
    serve(Airflow(*(request(map_index=n) for n in range(120))))
    approvals.run(options(approvals, "--json"))
    assert len(json.loads(capsys.readouterr().out)) == 240


def test_a_run_that_somebody_made_by_hand_is_named_and_left_out(airflow: Airflow, capsys: pytest.CaptureFixture[str]) -> None:
    """It carries no request of a protocol run."""
    airflow.runs[ID]["conf"] = {"request_id": ID}
    assert approvals.run(options(approvals)) == 0
    shown = capsys.readouterr()
    assert shown.out == "nothing waits for an answer\n" and "APR-121" in shown.err


def test_a_list_cannot_write_on_the_terminal(serve: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """A name may hold anything."""
    serve(Airflow(request(roles=(Asked("po", "PO", (Person("\x1b[2J\nann", "x"),)), Asked("sre", "SRE", (Person("sam", "Sam"),))))))
    approvals.run(options(approvals))
    out = capsys.readouterr().out
    assert "\x1b" not in out and len(out.splitlines()) == 3


def test_who_is_asked_answers_the_form(airflow: Airflow, capsys: pytest.CaptureFixture[str]) -> None:
    """With the comment, at the role's task; one line says what was done and who decides."""
    assert approve.run(options(approve, ID, "po", "approve", "--note", "fine")) == 0
    assert airflow.changed == [
        (f"/{ID}/taskInstances/approve/0/hitlDetails", {"chosen_options": ["Approve"], "params_input": {"comment": "fine"}})
    ]
    assert capsys.readouterr().out == f"ann answered the form of {ID} as po: approve; the protocol run decides whether it counts\n"


@pytest.mark.parametrize(
    ("decision", "note", "body"),
    [
        ("approve", "fine", {"new_state": "success", "note": "fine"}),
        ("approve", "", {"new_state": "success"}),
        ("reject", "no", {"new_state": "failed", "note": "no"}),
    ],
)
def test_who_is_not_asked_marks_the_task_and_is_refused_by_the_rules(
    airflow: Airflow, capsys: pytest.CaptureFixture[str], decision: str, note: str, body: dict[str, Any]
) -> None:
    """The same act as by the grid; the line does not claim that it counts."""
    assert approve.run(options(approve, ID, "sre", decision, "--note", note, user="eve")) == 0
    assert airflow.changed == [(f"/{ID}/taskInstances/approve?map_index=1", body)]
    out = capsys.readouterr().out
    assert out.startswith("eve marked the task") and out.endswith("the protocol run decides whether it counts\n")


@pytest.mark.parametrize(("note", "written"), [("not now", "halt: not now"), ("", "halt")])
def test_a_decision_about_a_gate_by_a_mark_stands_at_the_beginning_of_its_note(serve: Any, note: str, written: str) -> None:
    """As somebody would write it in the grid."""
    server = Airflow(request(options=GATE_DECISION))
    serve(server)
    approve.run(options(approve, ID, "po", "halt", "--note", note, user="eve"))
    assert server.changed[0][1] == {"new_state": "success", "note": written}


def test_a_task_that_does_not_await_input_yet_is_marked(airflow: Airflow) -> None:
    """There is no form to answer while its second try is being started."""
    airflow.states[ID, 0] = "up_for_retry"
    approve.run(options(approve, ID, "po", "approve"))
    assert airflow.changed == [(f"/{ID}/taskInstances/approve?map_index=0", {"new_state": "success"})]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("nothing__plan__-1__r0a1", "po", "approve"), "PAR-226", "no such request"),
        ((ID, "boss", "approve"), "PAR-227", "po | sre"),
        ((ID, "PO", "approve"), "PAR-227", "po | sre"),
        ((ID, "po", "waiver"), "PAR-228", "approve | reject"),
        ((ID, "po", "Approve"), "PAR-228", "approve | reject"),
        ((ID, "po", ""), "PAR-228", "approve | reject"),
    ],
)
def test_what_the_request_does_not_ask_is_refused_before_anything_is_sent(
    airflow: Airflow, arguments: tuple[str, ...], code: str, words: str
) -> None:
    """With what could be said instead."""
    line = refusal(approve, *arguments)
    assert line.startswith(code) and words in line and airflow.changed == []


@pytest.mark.parametrize("state", ["success", "failed", "skipped", "upstream_failed", "removed"])
def test_a_request_that_is_over_is_not_answered(airflow: Airflow, state: str) -> None:
    """A late answer to a form would be taken by Airflow, and be lost."""
    airflow.states[ID, 0] = state
    line = refusal(approve, ID, "po", "approve")
    assert line.startswith("PAR-230") and state in line and airflow.changed == []


def test_a_request_whose_task_is_not_there_yet_is_not_answered(airflow: Airflow) -> None:
    """Just opened."""
    del airflow.states[ID, 0]
    assert refusal(approve, ID, "po", "approve").startswith("PAR-229")


@pytest.mark.parametrize("status", [400, 403, 404, 409, 500])
@pytest.mark.parametrize("user", ["ann", "eve"])
def test_what_airflow_refuses_is_a_failure_with_its_reason(airflow: Airflow, status: int, user: str) -> None:
    """For the form and for a mark."""
    airflow.answer = (status, {"detail": "Because."})
    line = refusal(approve, ID, "po", "approve", user=user)
    assert line.startswith("PAR-222") and f"Airflow answered {status} (got Because.)" in line


@pytest.mark.parametrize("command", [(approvals,), (approve, ID, "po", "approve")])
@pytest.mark.parametrize(
    ("server", "code", "words"),
    [
        (httpx.ConnectError("[Errno 111] Connection refused"), "PAR-223", "Connection refused"),
        (httpx.ReadTimeout("timed out"), "PAR-223", "timed out"),
        (httpx.Response(401, json={"detail": "Invalid credentials"}), "PAR-222", "401 (got Invalid credentials)"),
        (httpx.Response(502, text="<html>Bad gateway</html>"), "PAR-222", "502"),
        (httpx.Response(200, text="<html>Log in</html>"), "PAR-223", "no Airflow 3"),
        (httpx.Response(200, json=[]), "PAR-223", "no Airflow 3"),
        (httpx.Response(200, json={}), "PAR-223", "no Airflow 3"),
    ],
)
def test_an_airflow_that_does_not_answer_as_one_is_one_line(serve: Any, command: Any, server: Any, code: str, words: str) -> None:
    """Not a traceback of the client."""

    def answers(sent: httpx.Request) -> httpx.Response:
        if isinstance(server, Exception):
            raise server
        return httpx.Response(server.status_code, headers=server.headers, content=server.content)

    serve(answers)
    line = refusal(*command)
    assert line.startswith(code) and words in line


@pytest.mark.parametrize("missing", ["user", "password"])
@pytest.mark.parametrize("command", [(approvals,), (approve, ID, "po", "approve")])
def test_without_user_or_password_nothing_is_tried(airflow: Airflow, monkeypatch: pytest.MonkeyPatch, missing: str, command: Any) -> None:
    """The message says which variables to set."""
    if missing == "password":
        monkeypatch.delenv("AIRFLOW_PASSWORD")
    assert refusal(*command, user="" if missing == "user" else "ann").startswith("PAR-221")


def test_a_deputy_whom_the_form_names_answers_it(airflow: Airflow) -> None:
    """Whether it is one of his days is for the protocol run to say."""
    approve.run(options(approve, ID, "po", "reject", user="dora"))
    assert airflow.changed[0] == (
        f"/{ID}/taskInstances/approve/0/hitlDetails",
        {"chosen_options": ["Reject"], "params_input": {"comment": ""}},
    )
