"""What Airflow masks in this process becomes no evidence, and nobody's text begins a line of its own in a log or a message."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from perfproof.config import Person
from perfproof.errors import EvidenceError, TelemetryError
from perfproof.evidence import EntryType
from perfproof_airflow import settings
from perfproof_airflow.hooks.workspace import Workspace

PASSWORD = "n0-b1rd.s1ngs+here"
TOKEN = "t0ken(with)[brackets]\nand a line"
FAKE = "fine\n[RAY GATE FAILED: Baseline Gate]\r\x1b[31m\u202e\u2028[PHASE 4]"


@pytest.fixture(autouse=True)
def _masker() -> Iterator[None]:
    from airflow.sdk._shared.secrets_masker import reset_secrets_masker

    reset_secrets_masker()
    yield
    reset_secrets_masker()


@pytest.fixture
def connected(run: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A run in whose process a task has asked for the Connection of a source."""
    from airflow.sdk import Connection

    stored = {
        "conn_type": "http",
        "host": "prom",
        "login": "reader",
        "password": PASSWORD,
        "extra": {"bearer_token": TOKEN, "path": "/api"},
    }
    monkeypatch.setenv("AIRFLOW_CONN_PERFPROOF_PROMETHEUS", json.dumps(stored))
    found = Connection.get("perfproof_prometheus")
    assert found.extra_dejson["bearer_token"] == TOKEN
    return run


def test_what_airflow_masks_is_known(connected: Any) -> None:
    """Password and secret extras of a Connection as soon as a task asked for it; neither host nor login."""
    known = settings.known_secrets()
    assert {PASSWORD, TOKEN} <= set(known)
    assert not {"prom", "reader", "/api"} & set(known)


def test_a_registered_secret_is_known() -> None:
    """Also one of the team's own code. This is the test that fails when Airflow keeps them elsewhere."""
    from airflow.sdk.log import mask_secret

    assert settings.known_secrets() == []
    mask_secret(PASSWORD)
    mask_secret({"password": "an0ther one", "host": "h"})
    assert sorted(settings.known_secrets()) == sorted([PASSWORD, "an0ther one"])


@pytest.mark.parametrize("text", [PASSWORD, f"GET http://reader:{PASSWORD}@prom/ failed", json.dumps(TOKEN)])
def test_evidence_with_the_password_of_a_connection_is_refused(connected: Any, text: str) -> None:
    """Artifact or fact, and nothing is written."""
    cycle = connected.cycle()
    before = len(cycle.store.entries())
    with pytest.raises(EvidenceError, match=r"EVI-423 evidence/x\.json line \d+: ") as caught:
        cycle.publish("evidence/x.json", lambda: {"reason": text})
    assert PASSWORD not in str(caught.value)
    with pytest.raises(EvidenceError, match="EVI-423 log entry"):
        cycle.record(EntryType.RECOVERY_NOTED, {"why": text})
    assert len(connected.cycle().store.entries()) == before
    assert connected.live() == []


def test_evidence_without_it_is_published(connected: Any) -> None:
    """Names, hosts and paths of the Connection are no secrets."""
    connected.publish("evidence/x.json", {"source": "reader at prom", "path": "/api", "sha256": "a" * 64})
    assert connected.live() == ["evidence/x.json"]


def test_a_halt_is_recorded_with_the_secret_masked(connected: Any, caplog: pytest.LogCaptureFixture) -> None:
    """The reason quotes an exception with an address; the line is in the log all the same."""
    error = TelemetryError(500, where="prometheus", what=f"no answer from http://reader:{PASSWORD}@prom/", got="refused", fix="wait")
    with caplog.at_level("INFO"):
        connected.cycle().halt("intake", error)
    (body,) = connected.entries("error")
    assert body["text"].startswith('[RAY ERROR] - "Failed at intake. Reason: TEL-500 prometheus: no answer from http://***@prom/')
    assert PASSWORD not in caplog.text


def notifier(monkeypatch: pytest.MonkeyPatch, error: Exception | None = None) -> list[str]:
    """What a notifier is given; it fails with `error`."""
    texts: list[str] = []

    def send(*, text: str, kind: str, run: str) -> None:
        texts.append(text)
        if error is not None:
            raise error

    module = ModuleType("perfproof_test_lines")
    module.send = send  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setenv("AIRFLOW__PERFPROOF__NOTIFIERS", "perfproof_test_lines:send")
    return texts


def test_a_notifier_gets_no_secret_and_its_failure_reveals_none(
    connected: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Addresses of chats are secrets, and exceptions quote addresses."""
    webhook = "https://hooks.slack.com/" + "services/T0AB1CD2E/B0AB1CD2E/abcdefghijklmnopqrstuvwx"
    texts = notifier(monkeypatch, RuntimeError(f"POST {webhook} as {PASSWORD}{FAKE}"))
    with caplog.at_level("INFO"):
        connected.cycle().say(f"waiting for {PASSWORD}", kind="waiting")
    assert texts == ["waiting for ***"]
    (body,) = connected.entries("notify.failed")
    assert "***" in body["error"] and PASSWORD not in str(body) and "abcdefghijkl" not in str(body)
    assert all("[RAY GATE FAILED" not in line or line.startswith("WARNING") for line in caplog.text.splitlines())


def test_what_is_said_stays_one_line(run: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Names of people, steps and reasons of refusals."""
    texts = notifier(monkeypatch)
    with caplog.at_level("INFO"):
        run.cycle().say(f"APR-411: an answer of {FAKE} was refused", kind="refused")
    (text,) = texts
    assert len(text.splitlines()) == 1 and "\x1b" not in text and "\u202e" not in text
    assert not [line for line in caplog.text.splitlines() if line.startswith("[")]


def test_only_the_block_of_a_gate_has_lines_of_its_own(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """And those are the protocol's, since what fills them was put on one line before."""
    from perfproof.gates.text import gate_failed

    texts = notifier(monkeypatch)
    block = gate_failed(1, criteria=FAKE, actual=FAKE)
    run.cycle().say(block, kind="gate_failed")
    assert texts == [block]
    assert len(block.splitlines()) == 10
    assert [line for line in block.splitlines() if line.startswith("[")] == ["[RAY GATE FAILED: Baseline Validation Gate]"]


def test_the_error_line_of_a_hostile_reason_is_one_line(run: Any, caplog: pytest.LogCaptureFixture) -> None:
    """In the execution log and in the task log."""
    error = TelemetryError(500, where=FAKE, what=FAKE, got=FAKE, fix=FAKE)
    with caplog.at_level("INFO"):
        run.cycle().halt(FAKE, error)
    (body,) = run.entries("error")
    assert len(body["text"].splitlines()) == 1
    assert not [line for line in caplog.text.splitlines() if line.startswith("[")]


def test_a_file_of_the_workspace_holds_no_secret(connected: Any) -> None:
    """Captures, deliveries and rules lie where many read them."""
    workspace = Workspace(connected.workspace)
    with pytest.raises(EvidenceError, match=r"EVI-423 history/demo/x\.json line 1") as caught:
        workspace.write("history/demo/x.json", json.dumps({"label": PASSWORD}).encode())
    assert PASSWORD not in str(caught.value)
    assert not (connected.workspace / "history").exists()
    workspace.write("history/demo/x.json", b"{}")


def test_people_of_the_protocol_are_no_secrets() -> None:
    """Everyday words that somebody took for a password."""
    from airflow.sdk.log import mask_secret

    from perfproof.evidence.secrets import find_secrets

    mask_secret("postgres")
    mask_secret("performance")
    person = Person("postgres", "Performance postgres")
    assert find_secrets(repr(person).encode(), known=settings.known_secrets()) == []
