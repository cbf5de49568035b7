"""`perfproof doctor` against a made-up api-server and real files: what it asks, what it prints, and that it tells no secret."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path
from typing import Any

import httpx
import pytest

from perfproof import __version__
from perfproof.errors import PerfproofError
from perfproof_airflow.commands import doctor, doctor_machine, doctor_server
from perfproof_airflow.commands.doctor_server import Server
from perfproof_airflow.rest import AirflowApi

SECRET = "5f" * 32
DAGS = "/api/v2/dags"
ENTRY_POINT = f"perfproof=={__version__}: EntryPoint(name='perfproof', value='x', group='airflow.plugins')"


def told() -> dict[str, Any]:
    """What a healthy api-server answers, by path."""
    trigger = {"hostname": "host-a", "state": "running"}
    healthy = {name: {"status": "healthy"} for name in doctor_server.COMPONENTS}
    return {
        "/api/v2/plugins": {"plugins": [{"name": "perfproof", "source": ENTRY_POINT}]},
        "/api/v2/plugins/importErrors": {"import_errors": []},
        "/api/v2/providers": {"providers": [{"package_name": "perfproof", "version": __version__}], "total_entries": 1},
        f"{DAGS}/performance_optimization": {"is_paused": False},
        f"{DAGS}/performance_approvals": {"is_paused": False},
        f"{DAGS}/performance_approvals/details": {"max_active_runs": 1000},
        f"{DAGS}/performance_approvals/dagRuns": {"total_entries": 2},
        f"{DAGS}/baseline_capture": {"is_paused": True},
        f"{DAGS}/~/dagRuns/~/taskInstances": {"total_entries": 2},
        "/api/v2/importErrors": {"import_errors": []},
        "/api/v2/pools/default_pool": {"name": "default_pool", "slots": 128, "include_deferred": False, "deferred_slots": 2},
        "/api/v2/jobs": {"jobs": [trigger, {**trigger, "state": "failed"}]},
        "/api/v2/monitor/health": healthy,
        "/api/v2/connections/perfproof_approvals": {"conn_type": "generic", "login": "k1", "password": "***"},
    }


class Airflow:
    """An api-server that answers what it is given, and 404 to the rest."""

    def __init__(self) -> None:
        self.answers = told()
        self.statuses: dict[str, int] = {}
        self.login = 201
        self.methods: set[str] = set()

    def __call__(self, sent: httpx.Request) -> httpx.Response:
        path = sent.url.path
        if path == "/auth/token":
            return httpx.Response(self.login, json={"access_token": "t"} if self.login == 201 else {"detail": "no"})
        self.methods.add(sent.method)
        status = self.statuses.get(path, 200 if path in self.answers else 404)
        return httpx.Response(status, json=self.answers.get(path, {"detail": "absent"}))


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch, workspace: Path) -> Airflow:
    """The api-server, and an account for it."""
    served = Airflow()

    def made(url: str, user: str, password: str) -> AirflowApi:
        return AirflowApi(url, user, password, transport=httpx.MockTransport(served))

    monkeypatch.setattr(doctor, "AirflowApi", made)
    monkeypatch.setenv("AIRFLOW_PASSWORD", "pw")
    monkeypatch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS", "demo-owner:user,demo-sre:user,demo-security:user,demo-engineer:user")
    monkeypatch.setenv("AIRFLOW_CONN_PERFPROOF_APPROVALS", json.dumps({"conn_type": "generic", "login": "k1", "password": SECRET}))
    # Neither reads a database that these tests do not have: secrets come from the environment alone.
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "none")
    return served


@pytest.fixture
def examine(airflow: Airflow, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, list[dict[str, Any]], str]]:
    """Exit code, findings, and everything that was printed."""

    def call(*arguments: str) -> tuple[int, list[dict[str, Any]], str]:
        parser = argparse.ArgumentParser()
        doctor.add_arguments(parser)
        code = doctor.run(parser.parse_args(["--url", "http://127.0.0.1:1", "--user", "ann", "--json", *arguments]))
        printed = capsys.readouterr()
        return code, json.loads(printed.out)["findings"], printed.out + printed.err

    return call


def problems(findings: list[dict[str, Any]]) -> list[str]:
    """The codes of the problems."""
    return sorted(finding["code"] for finding in findings if finding["state"] == "problem")


def unchecked(findings: list[dict[str, Any]]) -> list[str]:
    """What was not checked."""
    return [f"{finding['where']}: {finding['what']}" for finding in findings if finding["state"] == "not checked"]


def test_an_installation_without_protocol_files_is_examined_by_reading_only(
    examine: Callable[..., Any], airflow: Airflow, workspace: Path
) -> None:
    """No problem, nothing but GET, nothing left in the workspace, and what was left out is told."""
    before = sorted(workspace.rglob("*"))
    code, findings, _ = examine("--config")
    assert (code, problems(findings)) == (0, [])
    assert any("--config" in line for line in unchecked(findings))
    assert airflow.methods == {"GET"}
    assert sorted(workspace.rglob("*")) == before


def test_the_connections_of_a_protocol_file_are_looked_for(examine: Callable[..., Any]) -> None:
    """Neither source nor databases exist here: a problem each, with the type that fits."""
    code, findings, _ = examine()
    assert (code, problems(findings)) == (1, ["DOC-101"] * 3)
    assert {f["where"] for f in findings if f["code"] == "DOC-101"} == {
        "Connection perfproof_prometheus", "Connection perfproof_shop_baseline", "Connection perfproof_shop_candidate",
    }  # fmt: skip


def test_what_airflow_refuses_to_tell_is_not_checked(examine: Callable[..., Any], airflow: Airflow) -> None:
    """403 is no problem of the installation and no pass: the account may not see it."""
    for path in ("/api/v2/plugins", "/api/v2/pools/default_pool", "/api/v2/jobs", "/api/v2/connections/perfproof_approvals"):
        airflow.statuses[path] = 403
    code, findings, _ = examine("--config")
    assert (code, problems(findings)) == (0, [])
    lines = unchecked(findings)
    for name in ("plugins: Airflow answered 403 to ann", "pools: Airflow answered 403 to ann", "triggerers: Airflow answered 403 to ann"):
        assert any(name in line for line in lines), lines
    assert any("api-server signs with the same key: Airflow answered 403" in line for line in lines), lines


def test_an_account_that_is_refused_is_a_problem(examine: Callable[..., Any], airflow: Airflow) -> None:
    """And what follows from it is told as not checked, not as a second problem."""
    airflow.login = 401
    code, findings, _ = examine("--config")
    assert (code, problems(findings)) == (1, ["DOC-301"])


@pytest.mark.parametrize(
    ("path", "answer", "code"),
    [
        (f"{DAGS}/performance_approvals", {"is_paused": True}, "DOC-303"),
        ("/api/v2/plugins", {"plugins": []}, "DOC-305"),
        ("/api/v2/providers", {"providers": [], "total_entries": 0}, "DOC-307"),
        ("/api/v2/jobs", {"jobs": []}, "DOC-501"),
        (f"{DAGS}/~/dagRuns/~/taskInstances", {"total_entries": 900}, "DOC-502"),
        ("/api/v2/connections/perfproof_approvals", {"conn_type": "generic", "login": "k2"}, "DOC-402"),
    ],
)
def test_what_the_api_server_says_is_judged(examine: Callable[..., Any], airflow: Airflow, path: str, answer: Any, code: str) -> None:
    """One answer changed, one problem found."""
    airflow.answers[path] = answer
    assert problems(examine("--config")[1]) == [code]


def test_no_secret_is_printed(examine: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a good key and of one that is none."""
    assert SECRET not in examine("--config")[2]
    wrong = json.dumps({"conn_type": "generic", "login": "k1", "password": "not-hexadecimal-words"})
    monkeypatch.setenv("AIRFLOW_CONN_PERFPROOF_APPROVALS", wrong)
    _, findings, printed = examine("--config")
    assert problems(findings) == ["DOC-401"] and "not-hexadecimal-words" not in printed


def test_config_and_files_together_are_usage(examine: Callable[..., Any]) -> None:
    """They contradict each other."""
    with pytest.raises(PerfproofError, match="PAR-960"):
        examine("--config", "a.yaml")


def test_a_file_that_is_no_protocol_file_is_a_problem(examine: Callable[..., Any], tmp_path: Path) -> None:
    """It is named, and the others are examined."""
    code, findings, _ = examine(str(tmp_path / "absent.yaml"))
    assert (code, problems(findings)) == (1, ["DOC-310"])


def test_a_directory_that_cannot_be_made_is_told_and_none_is_made(workspace: Path) -> None:
    """A file on the way; an absent directory is tried where it would be made, and stays absent."""
    (workspace / "taken").write_text("a file")
    assert "no directory" in str(doctor_machine._why_not_written(workspace / "taken" / "below"))
    assert doctor_machine._why_not_written(workspace / "new" / "below") is None
    assert not (workspace / "new").exists()


def test_a_clock_is_read_from_a_date_to_within_its_second() -> None:
    """Ahead by a minute and a half; what has no date is not read."""
    now = time.time()
    clock = doctor_machine._dated("a", doctor_machine.Tolerance.SERVER, formatdate(now + 90, usegmt=True), now, now)
    assert clock.ahead is not None and abs(clock.ahead - 90) <= clock.within <= 1.5
    assert doctor_machine._dated("a", doctor_machine.Tolerance.SERVER, None, now, now).ahead is None
    assert doctor_machine._dated("a", doctor_machine.Tolerance.SERVER, "yesterday", now, now).ahead is None


def test_a_server_that_is_none_is_an_error_and_no_crash() -> None:
    """HTML in place of JSON."""
    transport = httpx.MockTransport(lambda _: httpx.Response(200, text="<html>"))
    server = Server(AirflowApi("http://a", "u", "p", transport=transport), "http://a", "u")
    server.log_in()
    assert server.error is not None and server.error.code == "PAR-223" and not server.answers
