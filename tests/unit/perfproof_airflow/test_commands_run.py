"""`perfproof run`: one exit code for each way a run can end, and usage errors in one line."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from perfproof.cli import main
from perfproof.errors import ParameterError
from perfproof_airflow.commands import airflow_access
from perfproof_airflow.commands import run as command
from perfproof_airflow.commands.run import GATES, Ending, ending_of, follow

PASSED = {1: "PASS", 2: "PASS", 3: "PASS", 4: "PASS"}


def task(task_id: str, state: str | None, map_index: int = -1) -> dict[str, Any]:
    return {"task_id": task_id, "state": state, "map_index": map_index}


def xcoms(**values: Any) -> Any:
    """XComs by `group__task`, as `task_id, key` asks for them."""
    return lambda task_id, key: values.get(task_id.replace(".", "__"))


@pytest.mark.parametrize(
    ("outcomes", "ending"),
    [
        (PASSED, Ending.PASSED),
        ({**PASSED, 3: "WAIVED"}, Ending.WAIVED),
        ({1: "WAIVED", 2: "WAIVED", 3: "WAIVED", 4: "WAIVED"}, Ending.WAIVED),
        # JSON has no integer keys.
        ({"1": "PASS", "2": "PASS", "3": "WAIVED", "4": "PASS"}, Ending.WAIVED),
    ],
)
def test_a_green_run_passed_or_was_waived(outcomes: dict[Any, str], ending: Ending) -> None:
    """A waived gate is never reported as a pass."""
    assert ending_of("success", [], xcoms(completion={"outcomes": outcomes})) is ending


@pytest.mark.parametrize("account", [None, {}, {"outcomes": {}}, {"outcomes": {"1": "PASS"}}, {"outcomes": {**PASSED, 4: "FAIL"}}])
def test_a_green_run_without_the_guards_account_is_no_pass(account: Any) -> None:
    """Somebody may have marked the run success: then nothing says that the gates passed."""
    assert ending_of("success", [], xcoms(completion=account)) is not Ending.PASSED


@pytest.mark.parametrize("gate", [1, 2, 3, 4])
def test_a_run_that_a_person_halted_at_a_gate_was_halted(gate: int) -> None:
    """At any of the four."""
    name = f"{GATES[gate]}.gate_{gate}_decision"
    tasks = [task(name, "failed"), task("completion", "failed")]
    assert ending_of("failed", tasks, xcoms(**{name.replace(".", "__"): "halt"})) is Ending.HALTED


@pytest.mark.parametrize(
    ("state", "decided"),
    [("failed", None), ("failed", "retry"), ("success", "halt"), ("success", "waiver"), ("upstream_failed", "halt")],
)
def test_a_red_run_that_nobody_halted_failed(state: str, decided: str | None) -> None:
    """Also if an earlier round had been halted and was cleared since."""
    name = "optimization.gate_3_decision"
    assert ending_of("failed", [task(name, state)], xcoms(optimization__gate_3_decision=decided)) is Ending.FAILED


def test_the_exit_codes_are_those_of_the_documentation() -> None:
    """Scripts rely on them."""
    assert {ending.name: int(ending) for ending in Ending} == {"PASSED": 0, "FAILED": 1, "WAIVED": 3, "HALTED": 4}


class Api:
    """An Airflow whose run goes through `states`, one for each look at it."""

    def __init__(self, *states: str, exists: bool = True, error: Exception | None = None) -> None:
        self.states = list(states)
        self.exists = exists
        self.error = error
        self.triggered: list[tuple[str, Any]] = []

    def close(self) -> None:
        """Nothing is open."""

    def run(self, dag: str, run_id: str) -> dict[str, Any]:
        if not self.exists:
            request = httpx.Request("GET", "http://127.0.0.1/")
            raise httpx.HTTPStatusError("no", request=request, response=httpx.Response(404, request=request))
        return {"state": self.states.pop(0) if len(self.states) > 1 else self.states[0]}

    def tasks(self, dag: str, run_id: str) -> list[dict[str, Any]]:
        return [task("prerequisites.open_cycle", "success"), task("diagnostics.run_load_tests", "deferred", 2), task("completion", None)]

    def xcom(self, dag: str, run_id: str, task_id: str, key: str) -> Any:
        return {"outcomes": PASSED} if task_id == "completion" else None

    def trigger(self, dag: str, *, run_id: str, conf: Any) -> None:
        if self.error is not None:
            raise self.error
        self.triggered.append((run_id, conf))


def test_following_prints_each_change_once_and_ends_with_the_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who is waited for shows; a task that did not start yet does not."""
    monkeypatch.setattr(command, "POLL_SECONDS", 0.0)
    assert follow(Api("running", "running", "success"), "r") is Ending.PASSED  # type: ignore[arg-type]
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(maxsplit=1)[1] for line in lines[:-1]] == [
        "success  prerequisites.open_cycle",
        "waits    diagnostics.run_load_tests[2]",
    ]
    assert lines[-1] == "the run passed"


def options(conf: Path, **changes: Any) -> argparse.Namespace:
    given = {"conf": conf, "wait": False, "url": "http://127.0.0.1:9", "user": "ann", "run_id": None}
    return argparse.Namespace(**{**given, **changes})


@pytest.fixture
def conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AIRFLOW_PASSWORD", "secret")
    path = tmp_path / "conf.json"
    path.write_text(json.dumps({"protocol": "demo"}))
    return path


@pytest.mark.parametrize(
    ("text", "code"), [("[1]", "PAR-225"), ("{", "PAR-225"), ("", "PAR-225"), ('{"a": 1, "a": 2}', "PAR-225"), ('{"a": NaN}', "PAR-225")]
)
def test_a_conf_that_is_no_mapping_is_refused(conf: Path, text: str, code: str) -> None:
    """Before anything is asked of an Airflow."""
    conf.write_text(text)
    with pytest.raises(ParameterError) as caught:
        command.run(options(conf))
    assert caught.value.code == code


def test_a_conf_that_is_not_there_is_named(tmp_path: Path) -> None:
    """With its path."""
    with pytest.raises(ParameterError, match=r"PAR-224 .*absent\.json"):
        command.run(options(tmp_path / "absent.json"))


@pytest.mark.parametrize("missing", ["user", "password"])
def test_without_user_or_password_nothing_is_tried(conf: Path, monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    """The message says which variables to set."""
    if missing == "password":
        monkeypatch.delenv("AIRFLOW_PASSWORD")
    with pytest.raises(ParameterError, match=r"PAR-221 .*AIRFLOW_USER and AIRFLOW_PASSWORD"):
        command.run(options(conf, user="" if missing == "user" else "ann"))


def test_an_airflow_that_does_not_answer_is_said_so(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a traceback of the client."""
    monkeypatch.setattr(airflow_access, "AirflowApi", lambda *a: Api("running", error=httpx.ConnectError("refused")))
    with pytest.raises(ParameterError, match="PAR-223"):
        command.run(options(conf))


def test_an_airflow_that_refuses_is_quoted_without_the_password(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Status and body."""
    request = httpx.Request("POST", "http://127.0.0.1/")
    error = httpx.HTTPStatusError("x", request=request, response=httpx.Response(403, request=request, text="Forbidden"))
    monkeypatch.setattr(airflow_access, "AirflowApi", lambda *a: Api("running", error=error))
    with pytest.raises(ParameterError, match=r"PAR-222 .*403.*Forbidden") as caught:
        command.run(options(conf))
    assert "secret" not in str(caught.value)


def test_an_existing_run_is_followed_and_not_triggered_again(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a killed client can go on."""
    api = Api("success")
    monkeypatch.setattr(airflow_access, "AirflowApi", lambda *a: api)
    assert command.run(options(conf, run_id="mine", wait=True)) == 0
    assert api.triggered == []


def test_a_run_of_that_id_that_does_not_exist_is_triggered(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the configuration of the file."""
    api = Api("success", exists=False)
    monkeypatch.setattr(airflow_access, "AirflowApi", lambda *a: api)
    assert command.run(options(conf, run_id="mine")) == 0
    assert api.triggered == [("mine", {"protocol": "demo"})]


def test_the_command_is_registered_and_its_usage_errors_exit_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`perfproof run` without --conf, and with a file that is not there."""
    with pytest.raises(SystemExit) as caught:
        main(["run"])
    assert caught.value.code == 2
    with pytest.raises(SystemExit) as caught:
        main(["run", "--conf", str(tmp_path / "absent.json")])
    assert caught.value.code == 2
    assert "PAR-224" in capsys.readouterr().err
