"""Report and notes through channels: what people receive, what the log says of it, and what gate 4 reads."""

from __future__ import annotations

import email
import email.policy
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from receivers import MailServer, Receiver, respond

from perfproof.artifacts import Artifact
from perfproof.gates.deliveries import ways_missing
from perfproof.telemetry import sha256_hex
from perfproof_airflow import notifiers
from perfproof_airflow.governance_steps import share

REPORT, NOTES = "PERFORMANCE-REPORT.md", "continuous-improvement-notes.md"
STAKEHOLDERS = "- {name: Product Owner and stakeholders, directory: .demo/outbox/stakeholders}"
MONITORING = "monitoring: {name: Protocol 19, directory: .demo/outbox/protocol-19}"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    yield server
    server.close()


@pytest.fixture
def mail_server() -> Iterator[MailServer]:
    with MailServer() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def run(unopened: Any, workspace: Path, receiver: Receiver, mail_server: MailServer, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The report by file and by e-mail, a second recipient by webhook who is not required, the notes to monitoring by webhook alone."""
    path = workspace / "include" / "protocols" / "demo.yaml"
    text = path.read_text()
    assert STAKEHOLDERS in text and MONITORING in text
    mailed = STAKEHOLDERS.replace("}", ', channel: "email:mail?to=owner@example.org"}')
    more = '- {name: Archive, channel: "webhook:ops", required: false}'
    told = 'monitoring: {name: Protocol 19, channel: "webhook:ops"}'
    path.write_text(text.replace(STAKEHOLDERS, f"{mailed}\n    {more}").replace(MONITORING, told))
    http = {"conn_type": "http", "host": f"http://127.0.0.1:{receiver.port}/hook"}
    smtp = {
        "conn_type": "smtp", "host": "127.0.0.1", "port": mail_server.server_address[1],
        "extra": {"from_email": "perfproof@example.org", "disable_ssl": True, "disable_tls": True},
    }  # fmt: skip
    monkeypatch.setenv("AIRFLOW_CONN_OPS", json.dumps(http))
    monkeypatch.setenv("AIRFLOW_CONN_MAIL", json.dumps(smtp))
    unopened.open()
    return unopened


def shared(run: Any, reported: dict[str, Any], *, try_number: int = 1) -> None:
    share(run.cycle("governance.share_improvements", try_number=try_number), report=reported)


def by(entries: list[dict[str, Any]], channel: str) -> list[tuple[str, str]]:
    return [(entry["recipient"], entry["artifact"]) for entry in entries if entry["channel"] == channel]


def missing(run: Any) -> list[str]:
    """What gate 4 finds missing, from the log as it is."""
    cycle = run.cycle()
    distribution = cycle.protocol.distribution
    deliveries = run.entries("notify.delivered")
    return [
        sentence
        for artifact, recipients in (
            (Artifact.PERFORMANCE_REPORT, distribution.report),
            (Artifact.IMPROVEMENT_NOTES, (distribution.next_protocol, distribution.monitoring)),
        )
        for sentence in ways_missing(artifact, {artifact.value: cycle.read(artifact.value)}, deliveries, recipients)
    ]


def test_each_delivery_is_an_entry_with_recipient_channel_address_and_digest(
    run: Any, reported: dict[str, Any], receiver: Receiver, mail_server: MailServer
) -> None:
    """By each way that the protocol file names, and gate 4 finds nothing missing."""
    shared(run, reported)
    delivered = run.entries("notify.delivered")
    assert by(delivered, "file") == [
        ("Product Owner and stakeholders", REPORT),
        ("Product Owner and stakeholders", "PERFORMANCE-REPORT.html"),
        ("Protocol 22", NOTES),
    ]
    assert by(delivered, "email") == by(delivered, "file")[:2]
    assert by(delivered, "webhook") == [("Archive", REPORT), ("Archive", "PERFORMANCE-REPORT.html"), ("Protocol 19", NOTES)]
    for entry in delivered:
        assert entry["sha256"] == sha256_hex(run.cycle().read(entry["artifact"]))
    assert {e["address"] for e in delivered if e["channel"] == "email"} == {"email:mail?to=owner@example.org"}
    assert run.entries("notify.failed") == [] and missing(run) == []


def test_an_e_mail_brings_the_files_themselves(run: Any, reported: dict[str, Any], mail_server: MailServer) -> None:
    """Byte for byte, with their digests in the text."""
    shared(run, reported)
    ((_, to, content),) = mail_server.mails
    message = email.message_from_bytes(content, policy=email.policy.default)
    attached = {part.get_filename(): part.get_payload(decode=True) for part in message.iter_attachments()}
    assert to == ["rcpt to:<owner@example.org>"]
    assert attached == {name: run.cycle().read(name) for name in (REPORT, "PERFORMANCE-REPORT.html")}
    assert reported["sha256"] in message.get_body(("plain",)).get_content()


def test_a_webhook_is_told_names_and_digests(run: Any, reported: dict[str, Any], receiver: Receiver) -> None:
    """The entry names the digest of exactly this body."""
    shared(run, reported)
    bodies = [json.loads(body) for _, _, body in receiver.received]
    assert [(body["kind"], [file["name"] for file in body["files"]]) for body in bodies] == [
        ("distribution", [REPORT, "PERFORMANCE-REPORT.html"]),
        ("distribution", [NOTES]),
    ]
    assert bodies[0]["files"][0]["sha256"] == reported["sha256"]
    digests = {entry["message_sha256"] for entry in run.entries("notify.delivered") if entry["channel"] == "webhook"}
    assert digests == {sha256_hex(body) for _, _, body in receiver.received}


def test_a_channel_that_fails_stops_nothing_and_is_a_finding_of_gate_4(
    run: Any, reported: dict[str, Any], receiver: Receiver, mail_server: MailServer
) -> None:
    """An entry for each failure; only what is required is missing."""
    receiver.answer = lambda handler: respond(handler, 503)
    mail_server.refuse = True
    shared(run, reported)
    failed = run.entries("notify.failed")
    assert [(entry["recipient"], entry["channel"]) for entry in failed] == [
        *[("Product Owner and stakeholders", "email")] * 2, *[("Archive", "webhook")] * 2, ("Protocol 19", "webhook"),
    ]  # fmt: skip
    assert all(entry["error"] and "\n" not in entry["error"] and entry["sha256"] for entry in failed)
    assert len(by(run.entries("notify.delivered"), "file")) == 3
    assert missing(run) == [
        f"{REPORT} was not delivered to Product Owner and stakeholders by email", f"{NOTES} was not delivered to Protocol 19 by webhook",
    ]  # fmt: skip


def test_a_retry_tells_only_those_who_were_not_reached(
    run: Any, reported: dict[str, Any], receiver: Receiver, mail_server: MailServer
) -> None:
    """Nobody gets the report twice, and nothing is missing in the end."""
    mail_server.refuse = True
    shared(run, reported)
    mail_server.refuse = False
    shared(run, reported, try_number=2)
    assert len(receiver.received) == 2 and len(mail_server.mails) == 1
    assert len(run.entries("notify.delivered")) == 8 and missing(run) == []


def test_a_recipient_that_never_ends_is_left_behind(
    run: Any, reported: dict[str, Any], mail_server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After its time the run goes on, and the entry says so."""
    monkeypatch.setattr(notifiers, "SECONDS", 0.2)
    ended = threading.Event()
    monkeypatch.setattr(notifiers, "_send", lambda channel, notification: ended.wait(20))
    shared(run, reported)
    ended.set()
    assert len(run.entries("notify.failed")) == 5 and all("no end within" in e["error"] for e in run.entries("notify.failed"))


def test_a_connection_that_is_not_there_is_a_failure_like_any_other(
    run: Any, reported: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run goes on."""
    monkeypatch.delenv("AIRFLOW_CONN_OPS")
    shared(run, reported)
    assert {entry["recipient"] for entry in run.entries("notify.failed")} == {"Archive", "Protocol 19"}


def test_files_that_are_too_large_for_a_mail_are_named_and_not_attached(
    run: Any, reported: dict[str, Any], mail_server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of a report would be none."""
    monkeypatch.setattr("perfproof_airflow.notifying.providers.MAX_ATTACHED_BYTES", 10)
    shared(run, reported)
    ((_, _, content),) = mail_server.mails
    message = email.message_from_bytes(content, policy=email.policy.default)
    assert list(message.iter_attachments()) == [] and reported["sha256"] in message.get_body(("plain",)).get_content()
