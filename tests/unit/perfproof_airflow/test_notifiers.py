"""Notifications reach every recipient of the configuration, and none of them can stop or hold up a run."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from airflow.sdk import BaseNotifier

from perfproof.announcements import Announcement
from perfproof.notifications import Kind, Notification
from perfproof_airflow import notifiers
from perfproof_airflow.notifiers import Outcome, deliver

HELLO = Notification(kind=Kind.ANNOUNCEMENT, title="Hello", text="hello {{ 1 + 1 }}", run="r-1")


class Templated(BaseNotifier):
    """An Airflow notifier of the team's own."""

    template_fields = ("text",)

    def __init__(self, text: str, sent: list[str]) -> None:
        super().__init__()
        self.text = text
        self.sent = sent

    def notify(self, context: Any) -> None:
        self.sent.append(self.text)


@pytest.fixture
def outbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """A module with notifiers: one that keeps, some that fail, one that does not end before the test."""
    box: dict[str, Any] = {"kept": [], "rendered": []}
    module = ModuleType("perfproof_test_notifiers")
    over = threading.Event()

    def keep(*, text: str, kind: str, run: str) -> None:
        box["kept"].append((text, kind, run))

    def fail(*, text: str, kind: str, run: str) -> None:
        raise RuntimeError("x" * 500)

    def leave(*, text: str, kind: str, run: str) -> None:
        raise SystemExit(3)

    def never(*, text: str, kind: str, run: str) -> None:
        over.wait(60)

    ours = Templated("{{ notification.kind }} of {{ notification.run }}: {{ notification.text }}", box["rendered"])
    vars(module).update(keep=keep, fail=fail, leave=leave, never=never, ours=ours)
    monkeypatch.setitem(sys.modules, "perfproof_test_notifiers", module)
    yield box
    over.set()


def sent(monkeypatch: pytest.MonkeyPatch, names: str, notification: Notification = HELLO) -> list[Outcome]:
    monkeypatch.setenv("AIRFLOW__PERFPROOF__NOTIFIERS", names)
    return deliver(notification)


def test_each_notifier_gets_text_kind_and_run(monkeypatch: pytest.MonkeyPatch, outbox: dict[str, Any]) -> None:
    """Spaces and empty parts of the list do not matter."""
    outcomes = sent(monkeypatch, " perfproof_test_notifiers:keep , ,perfproof_test_notifiers:keep")
    assert outcomes == [Outcome("perfproof_test_notifiers:keep", "callable", None)] * 2
    assert outbox["kept"] == [("hello {{ 1 + 1 }}", "announcement", "r-1")] * 2


def test_no_notifier_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing to send, nothing failed."""
    monkeypatch.delenv("AIRFLOW__PERFPROOF__NOTIFIERS", raising=False)
    assert deliver(HELLO) == []


@pytest.mark.parametrize(("name", "error"), [("fail", "RuntimeError: xxx"), ("leave", "SystemExit: 3")])
def test_a_failing_notifier_is_reported_and_the_next_still_gets_it(
    monkeypatch: pytest.MonkeyPatch, outbox: dict[str, Any], name: str, error: str
) -> None:
    """However it fails; the report is short."""
    failed, kept = sent(monkeypatch, f"perfproof_test_notifiers:{name},perfproof_test_notifiers:keep")
    assert failed.recipient == f"perfproof_test_notifiers:{name}"
    assert failed.error is not None and failed.error.startswith(error) and len(failed.error) <= 200
    assert kept.error is None and len(outbox["kept"]) == 1


def test_a_notifier_that_never_ends_is_left_behind(monkeypatch: pytest.MonkeyPatch, outbox: dict[str, Any]) -> None:
    """Several of them take no longer than one, and hold up nobody else."""
    monkeypatch.setattr(notifiers, "SECONDS", 0.3)
    begin = time.monotonic()
    *slow, kept = sent(monkeypatch, ",".join(["perfproof_test_notifiers:never"] * 5 + ["perfproof_test_notifiers:keep"]))
    assert time.monotonic() - begin < 3
    assert [outcome.error for outcome in slow] == ["TimeoutError: no end within 0.3 s; it may arrive still"] * 5
    assert kept.error is None and len(outbox["kept"]) == 1


@pytest.mark.parametrize("name", ["absent_module:send", "perfproof_test_notifiers:absent", "perfproof_test_notifiers", ":send", "a b:c"])
def test_a_notifier_that_cannot_be_found_is_reported(monkeypatch: pytest.MonkeyPatch, outbox: dict[str, Any], name: str) -> None:
    """A misspelt configuration stops no run."""
    assert [(o.recipient, o.error is None) for o in sent(monkeypatch, name)] == [(name, False)]


def test_a_recipient_gets_the_kinds_that_it_takes(monkeypatch: pytest.MonkeyPatch, outbox: dict[str, Any]) -> None:
    """No entry at all for the others."""
    assert sent(monkeypatch, "perfproof_test_notifiers:keep?kinds=error,waiting,webhook:absent") == []
    assert outbox["kept"] == []


def test_an_airflow_notifier_is_rendered_with_the_notification_as_a_value(monkeypatch: pytest.MonkeyPatch, outbox: dict[str, Any]) -> None:
    """Each time anew; a text is never a template."""
    for run in ("r-1", "r-2"):
        one = Notification(kind=Kind.ERROR, title="t", text="hello {{ 1 + 1 }}", run=run)
        assert sent(monkeypatch, "perfproof_test_notifiers:ours", one)[0].error is None
    assert outbox["rendered"] == ["error of r-1: hello {{ 1 + 1 }}", "error of r-2: hello {{ 1 + 1 }}"]


def test_a_delivery_is_logged_with_recipient_channel_and_digest_once(
    run: Any, monkeypatch: pytest.MonkeyPatch, outbox: dict[str, Any]
) -> None:
    """A retry tells nobody again who was told; it tries again where it failed. A clear tells again."""
    monkeypatch.setenv("AIRFLOW__PERFPROOF__NOTIFIERS", "perfproof_test_notifiers:keep,perfproof_test_notifiers:fail")
    for try_number in (1, 2):
        run.cycle("a.b", try_number=try_number).say("halted", kind="error")
    body = {"kind": "error", "channel": "callable"}
    (delivered,) = run.entries("notify.delivered")
    assert delivered == body | {"recipient": "perfproof_test_notifiers:keep", "message_sha256": delivered["message_sha256"]}
    (failed,) = run.entries("notify.failed")
    assert failed["error"].startswith("RuntimeError") and failed["recipient"] == "perfproof_test_notifiers:fail"
    assert failed["message_sha256"] == delivered["message_sha256"] and len(delivered["message_sha256"]) == 64
    assert outbox["kept"] == [("halted", "error", run.cycle().run)]
    run.round = 1
    run.cycle("a.b").say("halted", kind="error")
    assert len(outbox["kept"]) == len(run.entries("notify.delivered")) == 2


def test_two_instances_that_announce_at_once_tell_the_notifiers_once(
    run: Any, monkeypatch: pytest.MonkeyPatch, outbox: dict[str, Any]
) -> None:
    """The one whose entry it is, also when both saw none before."""
    monkeypatch.setenv("AIRFLOW__PERFPROOF__NOTIFIERS", "perfproof_test_notifiers:keep")
    cycles = [run.cycle("a.b", map_index=index) for index in (0, 1)]
    for cycle in cycles:
        monkeypatch.setattr(cycle.store, "find", lambda idem: None)
    for cycle in cycles:
        cycle.announce(Announcement.PHASE_2_LOAD)
    assert len(run.entries("announce")) == 1
    assert [text for text, _, _ in outbox["kept"]] == [Announcement.PHASE_2_LOAD.value]
