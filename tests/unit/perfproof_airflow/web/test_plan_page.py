"""The page of a preview: what the form asks for, what comes of it, and that nothing is taken from elsewhere or written."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from content_rig import HOSTILE, harmless
from pages_rig import pages

from perfproof.errors import ConfigError
from perfproof_airflow import run_preview, settings
from perfproof_airflow.web.pages import plan

REPOSITORY = Path(__file__).resolve().parents[4]
SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with the protocol file of the demo; Airflow knows no Connection."""
    directory = tmp_path / "include" / "protocols"
    directory.mkdir(parents=True)
    shutil.copy(REPOSITORY / "include" / "protocols" / "demo.yaml", directory)
    monkeypatch.setattr(settings, "workspace_root", lambda: tmp_path)
    monkeypatch.setattr(run_preview, "known_connections", lambda ids: dict.fromkeys(ids, False))
    return tmp_path


def post(fields: dict[str, str], *, headers: dict[str, str] | None = None, **changes: Any) -> Any:
    return pages(**changes).client.post("/perfproof/plan", data=fields, headers=SAME_ORIGIN if headers is None else headers)


def test_the_form_offers_the_protocol_files(workspace: Path) -> None:
    """Files whose name no run could give are left out; a link may choose one."""
    for name in ("shop.yaml", "Not a name.yaml", "notes.txt"):
        (workspace / "include" / "protocols" / name).write_text("x")
    page = harmless(pages().client.get("/perfproof/plan", params={"protocol": "shop"}).text)
    options = page.all("option")
    assert [one.attributes["value"] for one in options] == ["demo", "shop"]
    assert "selected" in options[1].attributes
    labelled = {one.attributes["for"] for one in page.all("label")}
    assert {one.attributes["id"] for name in ("input", "select", "textarea") for one in page.all(name)} <= labelled


def test_a_preview_shows_load_people_queries_and_what_is_missing(workspace: Path) -> None:
    """Everything of the document, and the workspace is as it was."""
    before = sorted(path.relative_to(workspace) for path in workspace.rglob("*"))
    answer = post({"protocol": "demo"})
    assert answer.status_code == 200, answer.text
    page = harmless(answer.text)
    for words in (
        "It would halt",
        "MONITORING-PACKAGE.zip",
        "Product Owner",
        "127.0.0.1:18101",
        "histogram_quantile",
        "orders_latency_p95",
        "Together",
        "measurement",
        "Gate 3: Optimization Validation",
        "OPT-001",
        "requests, each waits at most 7 d",
        "not asked",
    ):
        assert words in page.words, words
    assert sorted(path.relative_to(workspace) for path in workspace.rglob("*")) == before


def test_the_viewer_is_who_would_trigger_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fields that are filled become parameters, lists split at commas; JSON counts instead of the fields."""
    asked: list[Any] = []

    def preview_of(conf: Any, *, requester: str | None, probe: bool = False) -> Any:
        asked.append((conf, requester, probe))
        raise ConfigError(1, where="x", what="stop here", fix="none")

    monkeypatch.setattr(plan, "preview_of", preview_of)
    assert (
        post({"protocol": "demo", "services": " shop, , cart", "objective": " ", "optimizations": "OPT-001"}, user="ann").status_code == 422
    )
    post({"protocol": "demo", "conf": '{"protocol": "other"}', "probe": "1"}, user="ann")
    assert asked == [
        ({"protocol": "demo", "services": ["shop", "cart"], "optimizations": ["OPT-001"]}, "ann", False),
        ({"protocol": "other"}, "ann", True),
    ]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"conf": "{"}, "PAR-940"),
        ({"conf": "[" * 50_000}, "PAR-940"),
        ({"conf": "[1]"}, "PAR-941"),
        ({"protocol": ""}, "PAR-207"),
        ({"protocol": "../x"}, "PAR-207"),
        ({"protocol": "none"}, "CFG-180"),
        ({"conf": '{"protocol": "demo", "x": 1}'}, "PAR-201"),
        ({"protocol": "demo", "services": "cart"}, "PAR-"),
        ({"protocol": "demo", "objective": "{{ 7 * 7 }}"}, "PAR-202"),
    ],
)
def test_what_a_run_would_refuse_is_refused_in_a_line(fields: dict[str, str], code: str) -> None:
    """With the same code, and the form keeps what was typed."""
    answer = post(fields)
    assert answer.status_code == 422
    page = harmless(answer.text)
    assert code in page.words
    assert fields.get("objective", "") in [one.attributes.get("value") for one in page.all("input")]


@pytest.mark.parametrize(
    "headers", [{}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://evil.test"}]
)
def test_a_form_of_another_site_computes_nothing(headers: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the protocol file is even read."""
    monkeypatch.setattr(plan, "preview_of", lambda *_a, **_k: pytest.fail("computed"))
    assert post({"protocol": "demo"}, headers=headers).status_code == 403


def test_sources_are_asked_only_by_those_who_may_edit_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others have no such box, and sending it is refused."""
    monkeypatch.setattr(plan, "preview_of", lambda *_a, **_k: pytest.fail("asked"))
    reads = {("GET", None), ("GET", "RUN")}
    assert post({"protocol": "demo", "probe": "1"}, rights=reads).status_code == 403
    assert "probe" not in [
        one.attributes.get("id") for one in harmless(pages(rights=reads).client.get("/perfproof/plan").text).all("input")
    ]


@pytest.mark.parametrize("text", HOSTILE)
def test_text_of_others_is_text(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In every text of the document, as a protocol file could hold it, and in what was typed."""
    document = run_preview.preview_of({"protocol": "demo"}, requester="ann")
    monkeypatch.setattr(plan, "preview_of", lambda *_a, **_k: _everywhere(json.loads(json.dumps(document)), text))
    assert post({"protocol": "demo"}).status_code == 200
    harmless(post({"protocol": "demo", "objective": text, "services": text}).text)
    harmless(pages().client.get("/perfproof/plan", params={"protocol": text}).text)


def _everywhere(value: Any, text: str) -> Any:
    if isinstance(value, dict):
        return {key: _everywhere(inner, text) for key, inner in value.items()}
    if isinstance(value, list):
        return [_everywhere(inner, text) for inner in value]
    return text if isinstance(value, str) else value
