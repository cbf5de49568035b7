"""Announcements reach every notifier of the configuration, and none of them can stop a run."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest

from perfproof_airflow.notifiers import deliver


@pytest.fixture
def outbox(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, str]]:
    """A module with two notifiers, one of which always fails."""
    received: list[tuple[str, str, str]] = []
    module = ModuleType("perfproof_test_notifiers")

    def keep(*, text: str, kind: str, run: str) -> None:
        received.append((text, kind, run))

    def fail(*, text: str, kind: str, run: str) -> None:
        raise RuntimeError("x" * 500)

    module.keep, module.fail = keep, fail  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "perfproof_test_notifiers", module)
    return received


def sent(monkeypatch: pytest.MonkeyPatch, notifiers: str) -> list[dict[str, Any]]:
    monkeypatch.setenv("AIRFLOW__PERFPROOF__NOTIFIERS", notifiers)
    return deliver("hello", kind="announcement", run="r-1")


def test_each_notifier_gets_text_kind_and_run(monkeypatch: pytest.MonkeyPatch, outbox: list[tuple[str, str, str]]) -> None:
    """Spaces and empty parts of the list do not matter."""
    assert sent(monkeypatch, " perfproof_test_notifiers:keep , ,perfproof_test_notifiers:keep") == []
    assert outbox == [("hello", "announcement", "r-1")] * 2


def test_no_notifier_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing to send, nothing failed."""
    monkeypatch.delenv("AIRFLOW__PERFPROOF__NOTIFIERS", raising=False)
    assert deliver("hello", kind="error", run="r-1") == []


def test_a_failing_notifier_is_reported_and_the_next_still_gets_it(
    monkeypatch: pytest.MonkeyPatch, outbox: list[tuple[str, str, str]]
) -> None:
    """The report is short."""
    failures = sent(monkeypatch, "perfproof_test_notifiers:fail,perfproof_test_notifiers:keep")
    assert [f["notifier"] for f in failures] == ["perfproof_test_notifiers:fail"]
    assert failures[0]["error"].startswith("RuntimeError: xxx") and len(failures[0]["error"]) == 200
    assert len(outbox) == 1


@pytest.mark.parametrize("name", ["absent_module:send", "perfproof_test_notifiers:absent", "perfproof_test_notifiers", ":send", "a b:c"])
def test_a_notifier_that_cannot_be_found_is_reported(monkeypatch: pytest.MonkeyPatch, outbox: list[Any], name: str) -> None:
    """A misspelt configuration stops no run."""
    assert [f["notifier"] for f in sent(monkeypatch, name)] == [name]
