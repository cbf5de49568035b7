"""The stop button: who may press it, from where, and that it is the lever of `perfproof stop`."""

from __future__ import annotations

from pathlib import Path

import pytest
from pages_rig import RUN, Elements, Pages, pages

from perfproof_airflow import settings
from perfproof_airflow.load_engine import stop_lever

FROM_OUR_PAGE = {"sec-fetch-site": "same-origin", "origin": "http://testserver"}
READ_ONLY = {("GET", None), ("GET", "RUN")}


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace of the test's own."""
    monkeypatch.setattr(settings, "workspace_root", lambda: tmp_path)
    return tmp_path


def press(found: Pages, *, run: str = RUN, reason: str = "disk is full", headers: dict[str, str] | None = None) -> tuple[int, str]:
    """Sends the form; status and text."""
    sent = FROM_OUR_PAGE if headers is None else headers
    answer = found.client.post(f"/perfproof/cycles/{run}/stop", data={"reason": reason}, headers=sent)
    return answer.status_code, Elements(answer.text).words


def lever(workspace: Path, run: str = RUN) -> str | None:
    """Why the run is stopped; None if it is not."""
    return stop_lever.reason_of(stop_lever.run_directory(workspace, run))


def test_the_button_pulls_the_lever_in_the_name_of_who_pressed_it(workspace: Path) -> None:
    """The same file as the command's, so every generator and task sees it."""
    status, words = press(pages(user="sre", name="Ann Sre"))
    assert status == 200
    assert "Nothing of this run sends load on this machine." in words
    reason = lever(workspace) or ""
    assert reason.startswith("by Ann Sre (sre) on the page at 20")
    assert reason.endswith(": disk is full")
    page = Elements(pages().client.get(f"/perfproof/cycles/{RUN}").text).words
    assert f"The load of this run is stopped {reason}. It may go on after" in page


def test_who_reloads_the_page_of_a_stop_stops_nothing(workspace: Path) -> None:
    """It leads back to the cycle."""
    answer = pages().client.get(f"/perfproof/cycles/{RUN}/stop")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/perfproof/cycles/{RUN}")
    assert lever(workspace) is None


def test_what_ends_is_said(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its process, and 503 where something goes on sending."""
    from perfproof_airflow.web.pages import stop

    def still(directory: Path, *, who: str, reason: str, say: object) -> bool:
        say("STILL SENDING: peak on 127.0.0.1:80 (process 7 on <b>host</b>)")  # type: ignore[operator]
        return False

    monkeypatch.setattr(stop, "stop_load", still)
    status, words = press(pages())
    assert status == 503
    assert "STILL SENDING: peak on 127.0.0.1:80 (process 7 on <b>host</b>)" in words


def test_the_right_to_edit_runs_is_needed(workspace: Path) -> None:
    """Without it there is no button, and the address refuses."""
    found = pages(rights=READ_ONLY)
    status, words = press(found)
    assert status == 403
    assert "right to edit runs" in words
    assert lever(workspace) is None
    assert "/stop" not in found.client.get(f"/perfproof/cycles/{RUN}").text
    assert f'action="/perfproof/cycles/{RUN}/stop"' in pages().client.get(f"/perfproof/cycles/{RUN}").text


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
        {"sec-fetch-site": "cross-site", "x-perfproof-request": "1"},
        {"origin": "http://evil.test", "x-perfproof-request": "1"},
        {"origin": "null", "x-perfproof-request": "1"},
        {"origin": "http://testserver.evil.test"},
        {"sec-fetch-site": "cross-site", "origin": "http://testserver"},
        {},
    ],
)
def test_no_other_site_can_press_it(workspace: Path, headers: dict[str, str]) -> None:
    """Neither by a form nor from a browser that does not say where a request comes from."""
    status, words = press(pages(), headers=headers)
    assert status == 403
    assert "did not come from a page of perfproof" in words
    assert lever(workspace) is None


@pytest.mark.parametrize("headers", [{"x-perfproof-request": "1"}, {"origin": "http://testserver"}])
def test_a_client_without_sec_fetch_site_is_known_by_its_origin_or_our_header(workspace: Path, headers: dict[str, str]) -> None:
    """A browser at a server without TLS, and a script of an operator with a bearer token."""
    assert press(pages(), headers=headers)[0] == 200
    assert lever(workspace)


@pytest.mark.parametrize("run", ["nope", "..", "%2e%2e", "..%2f..%2fx", "-rf", "a%00b"])
def test_no_name_leads_out_of_the_workspace(workspace: Path, run: str) -> None:
    """A run that is not known is not stopped, and nothing is written."""
    status, _ = press(pages(), run=run)
    assert status == 404
    assert list(workspace.iterdir()) == []


def test_a_run_that_sent_load_is_stopped_while_its_evidence_cannot_be_read(workspace: Path) -> None:
    """A store that is down must not keep load alive."""
    run = "manual__2-b3dbc7a3e99a4548"
    stop_lever.run_directory(workspace, run).mkdir(parents=True)
    assert press(pages(), run=run)[0] == 200
    assert lever(workspace, run)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"reason=a&reason=b", "application/x-www-form-urlencoded"),
        (b"reason=%ff", "application/x-www-form-urlencoded"),
        (b"reason=" + b"a" * 300_000, "application/x-www-form-urlencoded"),
        (b'{"reason": "a"}', "application/json"),
        (b"reason=a", "text/plain"),
    ],
)
def test_what_is_no_form_is_refused(workspace: Path, content: bytes, kind: str) -> None:
    """In one line, with nothing done."""
    found = pages()
    answer = found.client.post(f"/perfproof/cycles/{RUN}/stop", content=content, headers={**FROM_OUR_PAGE, "content-type": kind})
    assert answer.status_code == 400
    assert "PAR-880" in answer.text
    assert lever(workspace) is None


def test_a_reason_of_many_lines_stays_one(workspace: Path) -> None:
    """It is read by people, in a file of one line."""
    press(pages(), reason="a\nb\x1b[31m" + "c" * 500)
    reason = lever(workspace) or ""
    assert "\n" not in reason
    assert "\x1b" not in reason
