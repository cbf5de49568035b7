"""Who gets in, what every answer carries, and what a refused request looks like."""

from __future__ import annotations

import pytest
from pages_rig import OPTIMIZATION, RUN, Elements, Reader, pages

PATHS = ("/", "/approvals", f"/cycles/{RUN}", f"/cycles/{RUN}/verify", f"/run?dag_id={OPTIMIZATION}&run_id=manual__1",
         f"/task?dag_id={OPTIMIZATION}&run_id=manual__1&task_id=approve")  # fmt: skip
REQUIRED = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "frame-ancestors 'self'; base-uri 'none'; form-action 'self'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "SAMEORIGIN",
    "referrer-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


@pytest.mark.parametrize("path", PATHS)
def test_nobody_gets_in_without_login(path: str) -> None:
    """Airflow's own dependency refuses, and the page links to Airflow's login, which leads back."""
    from airflow.api_fastapi.core_api.security import get_user

    found = pages()
    del found.app.app.dependency_overrides[get_user]
    answer = found.client.get(f"/perfproof{path}")
    assert answer.status_code == 401
    (login,) = [one for one in Elements(answer.text).all("a") if "/auth/login" in str(one.attributes["href"])]
    assert str(login.attributes["href"]).startswith("/auth/login/?next=%2Fperfproof%2F")
    assert RUN not in answer.text.replace(path, "").replace(str(login.attributes["href"]), "")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("rights", [set(), {("GET", None)}, {("GET", "RUN")}, {("PUT", "RUN")}])
def test_nobody_reads_without_the_right_to_the_dag_and_its_runs(path: str, rights: set[tuple[str, str | None]]) -> None:
    """Both are asked: a run says more than the Dag."""
    found = pages(rights=rights)
    answer = found.client.get(f"/perfproof{path}")
    assert answer.status_code == 403
    assert "right to read the Dag performance_optimization and its runs" in answer.text
    assert found.reader.asked == []


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 200),
        ("GET", f"/cycles/{RUN}", 200),
        ("GET", "/cycles/nope", 404),
        ("GET", "/nothing", 404),
        ("GET", "/?page=0", 400),
        ("GET", "/?state=odd", 400),
        ("POST", "/", 405),
        ("POST", f"/cycles/{RUN}/stop", 403),
        ("GET", "/run?dag_id=x&run_id=y", 200),
        ("GET", "/static/perfproof.css", 200),
        ("GET", "/static/perfproof.js", 200),
        ("GET", "/static/nothing.js", 404),
    ],
)
def test_every_answer_carries_the_headers(method: str, path: str, status: int) -> None:
    """Also the answers that no route of ours made."""
    answer = pages().client.request(method, f"/perfproof{path}")
    assert answer.status_code == status
    for name, value in REQUIRED.items():
        assert answer.headers[name] == value, (path, name)


def test_an_answer_about_a_bug_carries_the_headers_and_no_detail() -> None:
    """What broke is in the log of the api-server."""

    class Broken(Reader):
        def list_cycles(self, **_: object) -> object:
            raise RuntimeError("secret of the inside")

    answer = pages(reader=Broken()).client.get("/perfproof/")
    assert answer.status_code == 500
    assert "secret of the inside" not in answer.text
    assert answer.headers["content-security-policy"] == REQUIRED["content-security-policy"]
    assert "This page could not be made" in Elements(answer.text).words


def test_an_error_of_perfproof_is_shown_as_its_line() -> None:
    """Tampered evidence is no empty page."""
    from perfproof.errors import Tampered

    class Forged(Reader):
        def cycle(self, run: str) -> object:
            raise Tampered(601, where="log/00000003.json", what="the bytes are not canonical JSON", fix="restore the entry")

    answer = pages(reader=Forged()).client.get(f"/perfproof/cycles/{RUN}")
    assert answer.status_code == 500
    assert "EVI-601 log/00000003.json: the bytes are not canonical JSON" in Elements(answer.text).words


@pytest.mark.parametrize("name", ["nope", "..%2f..%2fetc%2fpasswd", "%00", "a%5cb", "-rf", "%2Fetc", "a" * 300])
def test_a_run_that_is_not_there_is_a_line_and_404(name: str) -> None:
    """Whatever its name would reach in a file system."""
    for path in (f"/cycles/{name}", f"/cycles/{name}/verify"):
        answer = pages().client.get(f"/perfproof{path}")
        assert answer.status_code == 404
        assert len(Elements(answer.text).all("h1")) == 1
        assert len(answer.text) < 6000


def test_a_page_knows_where_airflow_is_served() -> None:
    """Behind a path of its own, too."""
    from fastapi import FastAPI
    from fastapi.testclient import TestClient

    found = pages()
    outer = FastAPI(root_path="/team-a")
    outer.mount("/perfproof", found.app)
    page = Elements(TestClient(outer).get(f"/team-a/perfproof/cycles/{RUN}").text)
    hrefs = [str(one.attributes["href"]) for one in page.all("a")]
    assert f"/team-a/dags/{OPTIMIZATION}/runs/manual__1" in hrefs
    assert "/team-a/perfproof/approvals" in hrefs
    assert all(href.startswith(("/team-a/", "#")) for href in hrefs)


def test_other_processes_than_the_api_server_import_no_web_framework() -> None:
    """The plugin is loaded by all of them."""
    import subprocess
    import sys

    code = "import sys, perfproof_airflow.web as w; w.LazyApp(); print([m for m in ('fastapi', 'jinja2') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_the_rights_are_asked_of_airflows_auth_manager(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the method, the part of the Dag and its team."""
    from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
    from airflow.models.dag import DagModel

    from perfproof_airflow.web import security

    asked: list[object] = []

    class Manager:
        def is_authorized_dag(self, **question: object) -> bool:
            asked.append(question)
            return False

    monkeypatch.setattr(security, "get_auth_manager", Manager)
    monkeypatch.setattr(DagModel, "get_team_name", staticmethod(lambda dag_id: "team-a"))
    assert security.airflow_rights()("user", "PUT", DagAccessEntity.RUN, OPTIMIZATION) is False
    (question,) = asked
    assert question["method"] == "PUT"  # type: ignore[index]
    assert question["access_entity"] is DagAccessEntity.RUN  # type: ignore[index]
    assert (question["details"].id, question["details"].team_name) == (OPTIMIZATION, "team-a")  # type: ignore[index]
