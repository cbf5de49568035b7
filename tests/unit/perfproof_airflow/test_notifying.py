"""Notifications over real sockets: what a webhook, a mail server, Slack and PagerDuty receive, and what bad ones can do."""

from __future__ import annotations

import email
import email.policy
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from receivers import MailServer, Receiver, respond

from perfproof.notifications import Kind, Notification
from perfproof_airflow import notifiers
from perfproof_airflow.notifiers import Outcome, deliver
from perfproof_airflow.notifying import webhook

CANARY = "c4nary-In/the+coal.mine-77"
HOSTILE = "<!channel> <script>x</script> & {{ conn.ops.password }} *b* `c`\r\nBcc: x@evil.example \u202e"
LINK = "https://airflow.example/dags/performance_approvals/runs/r1/tasks/approve/mapped/0"
MESSAGE = Notification(
    kind=Kind.GATE_FAILED, title=f"Gate 3: {HOSTILE}", text=f"[RAY GATE FAILED]\n{HOSTILE}", run="r-1", step="gate_3", link=LINK,
    people=(HOSTILE,), until="2025-02-23T10:00:00Z", about="gate 3",
)  # fmt: skip


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    yield server
    server.close()


@pytest.fixture
def mail_server() -> Iterator[MailServer]:
    with MailServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        yield server
        server.shutdown()


@pytest.fixture(autouse=True)
def _masker() -> Iterator[None]:
    from airflow.sdk._shared.secrets_masker import reset_secrets_masker

    reset_secrets_masker()
    yield
    reset_secrets_masker()


@pytest.fixture
def to(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Outcome]:
    """Sends the message to one recipient whose Connection `ops` is as given."""

    def send(name: str, message: Notification = MESSAGE, **connection: Any) -> Outcome:
        monkeypatch.setenv("AIRFLOW_CONN_OPS", json.dumps(connection))
        monkeypatch.setenv("AIRFLOW__PERFPROOF__NOTIFIERS", name)
        (outcome,) = deliver(message)
        return outcome

    return send


def http(receiver: Receiver, **more: Any) -> dict[str, Any]:
    return {"conn_type": "http", "host": f"http://127.0.0.1:{receiver.port}/hooks/{CANARY}", **more}


def test_a_webhook_receives_the_body_that_the_digest_names(receiver: Receiver, to: Callable[..., Outcome]) -> None:
    """By POST, with the credentials of the Connection, and nothing of a text rendered as a template."""
    assert to("webhook:ops", **http(receiver, password="s3cr3t-token-1")) == Outcome("webhook:ops", "webhook", None)
    ((path, headers, body),) = receiver.received
    assert (path, body) == (f"/hooks/{CANARY}", MESSAGE.body())
    assert headers["authorization"] == "Bearer s3cr3t-token-1"
    assert headers["idempotency-key"] == MESSAGE.sha256 and headers["content-type"] == "application/json"
    assert "{{ conn.ops.password }}" in json.loads(body)["text"]


def test_a_webhook_with_login_and_password_uses_both(receiver: Receiver, to: Callable[..., Outcome]) -> None:
    """And a proxy or .netrc of the environment is not asked."""
    assert to("webhook:ops", **http(receiver, login="me", password="pass-word-12")).error is None
    assert receiver.received[0][1]["authorization"].startswith("Basic ")


@pytest.mark.parametrize("status", [302, 307, 400, 401, 404, 500, 503])
def test_any_answer_but_success_is_a_failure(receiver: Receiver, to: Callable[..., Outcome], status: int) -> None:
    """A redirect is not followed, nothing is sent again, and the address is not named."""
    receiver.answer = lambda handler: respond(handler, status, CANARY.encode(), Location=f"http://127.0.0.1:{receiver.port}/other")
    error = to("webhook:ops", **http(receiver)).error
    assert error is not None and f"HTTP {status}" in error and CANARY not in error
    assert len(receiver.received) == 1


def test_an_endless_answer_does_not_matter(receiver: Receiver, to: Callable[..., Outcome]) -> None:
    """The status is all that is read."""
    sent = threading.Event()

    def endless(handler: BaseHTTPRequestHandler) -> None:
        respond(handler, 200)
        with suppress(OSError):
            while True:
                handler.wfile.write(b"x" * 65536)
        sent.set()

    receiver.answer = endless
    begin = time.monotonic()
    assert to("webhook:ops", **http(receiver)).error is None
    assert time.monotonic() - begin < 5 and sent.wait(5)


def test_a_server_that_sends_its_head_byte_by_byte_is_cut_off(
    receiver: Receiver, to: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each byte would begin a read timeout anew."""
    monkeypatch.setattr(webhook, "SECONDS", 0.5)
    over = threading.Event()

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
        while not over.wait(0.05):
            handler.wfile.write(b"x")

    receiver.answer = drip
    begin = time.monotonic()
    error = to("webhook:ops", **http(receiver)).error
    over.set()
    assert error == "NotAccepted: no answer within 0.5 s" and time.monotonic() - begin < 5


def test_a_receiver_that_is_not_there_is_a_failure(to: Callable[..., Outcome]) -> None:
    """Without its address."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        error = to("webhook:ops", conn_type="http", host=f"http://127.0.0.1:{taken.getsockname()[1]}/{CANARY}").error
    assert error == "NotAccepted: ConnectError"


@pytest.mark.parametrize(
    ("connection", "code"),
    [
        ({"conn_type": "http", "host": f"http://hooks.example/{CANARY}"}, "CFG-247"),
        ({"conn_type": "http", "host": "hooks.example"}, "CFG-247"),
        ({"conn_type": "http", "host": "http://hooks.example", "extra": {"allow_http": "yes"}}, "CFG-247"),
        ({"conn_type": "http", "host": f"ftp://hooks.example/{CANARY}"}, "CFG-246"),
        ({"conn_type": "http"}, "CFG-246"),
    ],
)
def test_only_https_leaves_this_machine(to: Callable[..., Outcome], connection: dict[str, Any], code: str) -> None:
    """Unless the Connection allows it with a true value."""
    error = to("webhook:ops", **connection).error
    assert error is not None and error.startswith(code) and CANARY not in error


def test_a_connection_may_allow_plain_http() -> None:
    """For a network of one's own."""
    from airflow.sdk import Connection

    connection = Connection(conn_id="ops", conn_type="http", host="http://hooks.internal/x", extra='{"allow_http": true}')
    assert webhook._values("ops", connection).url == "http://hooks.internal/x"


def test_a_connection_that_is_not_there_is_a_failure(to: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch) -> None:
    """In one line."""
    error = to("webhook:absent").error
    assert error is not None and "absent" in error and "\n" not in error


SMTP = {
    "conn_type": "smtp",
    "host": "127.0.0.1",
    "extra": {"disable_tls": True, "disable_ssl": True, "from_email": "perfproof@example.org"},
}


def test_an_e_mail_arrives_once_in_text_and_html(mail_server: MailServer, to: Callable[..., Outcome]) -> None:
    """A text adds no header, no recipient and no element."""
    name = "email:ops?to=a@example.org,b@example.org"
    assert to(name, port=mail_server.server_address[1], **SMTP) == Outcome(name, "email", None)
    ((sender, recipients, content),) = mail_server.mails
    assert "perfproof@example.org" in sender
    assert recipients == ["rcpt to:<a@example.org>", "rcpt to:<b@example.org>"]
    message = email.message_from_bytes(content, policy=email.policy.default)
    assert message["To"] == "a@example.org, b@example.org" and message["Bcc"] is None
    assert message["Subject"].startswith("[perfproof] Gate 3: <!channel>")
    text, html = message.get_body(("plain",)), message.get_body(("html",))
    assert text is not None and html is not None
    assert LINK in text.get_content() and "{{ conn.ops.password }}" in text.get_content()
    assert "<script>" not in html.get_content() and f'href="{LINK}"' in html.get_content()


def test_a_mail_server_that_refuses_is_asked_once(mail_server: MailServer, to: Callable[..., Outcome]) -> None:
    """Its words are kept, its secrets are not."""
    mail_server.refuse, mail_server.refusal = True, f"no mailbox for {CANARY}"
    outcome = to("email:ops?to=a@example.org", port=mail_server.server_address[1], login="", password=CANARY, **SMTP)
    assert outcome.error is not None and "550" in outcome.error and CANARY not in outcome.error
    assert mail_server.mails == []


def test_a_mail_server_that_says_nothing_holds_nobody_up(
    mail_server: MailServer, to: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The provider would wait for 30 seconds, six times."""
    mail_server.silent = True
    monkeypatch.setattr(notifiers, "SECONDS", 1.0)
    begin = time.monotonic()
    error = to("email:ops?to=a@example.org", port=mail_server.server_address[1], **SMTP).error
    assert error is not None and "no end within 1 s" in error and time.monotonic() - begin < 5


def test_an_e_mail_without_a_sender_says_what_to_set(mail_server: MailServer, to: Callable[..., Outcome]) -> None:
    """In the Connection."""
    extra = {"disable_tls": True, "disable_ssl": True}
    error = to("email:ops?to=a@b.c", port=mail_server.server_address[1], conn_type="smtp", host="127.0.0.1", extra=extra).error
    assert error is not None and error.startswith("CFG-248 Connection ops: no sender")


@pytest.mark.parametrize("kind", ["slack", "pagerduty", "email"])
def test_a_channel_whose_provider_is_not_installed_says_what_to_install(
    to: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """One line, and the run goes on."""
    import sys

    from perfproof.channels import ChannelKind
    from perfproof_airflow.notifying.providers import NOTIFIERS

    module, _, package = NOTIFIERS[ChannelKind(kind)]
    monkeypatch.setitem(sys.modules, module, None)
    error = to(f"{kind}:ops" + ("?to=a@b.c" if kind == "email" else "")).error
    assert error is not None and error.startswith(f"CFG-245 [perfproof] notifiers {kind}:") and package in error


def test_slack_receives_escaped_blocks(receiver: Receiver, to: Callable[..., Outcome]) -> None:
    """Through the provider's own notifier, at the address of the Connection."""
    pytest.importorskip("airflow.providers.slack.notifications.slack_webhook")
    connection = {"conn_type": "slackwebhook", "host": f"http://127.0.0.1:{receiver.port}/services", "password": CANARY}
    assert to("slack:ops", **connection) == Outcome("slack:ops", "slack", None)
    ((path, _, body),) = receiver.received
    message = json.loads(body)
    assert path == f"/services/{CANARY}"
    assert "&lt;!channel&gt;" in message["text"] and "<!channel>" not in body.decode()
    assert message["unfurl_links"] is False and message["blocks"][0]["text"]["verbatim"] is True
    assert "{{ conn.ops.password }}" in message["blocks"][0]["text"]["text"]


def test_slack_that_fails_is_asked_once_and_its_token_is_not_shown(receiver: Receiver, to: Callable[..., Outcome]) -> None:
    """Neither by the provider's error nor by an answer that quotes it."""
    pytest.importorskip("airflow.providers.slack.notifications.slack_webhook")
    receiver.answer = lambda handler: respond(handler, 500, f"no_service {CANARY}".encode())
    connection = {"conn_type": "slackwebhook", "host": f"http://127.0.0.1:{receiver.port}/services", "password": CANARY}
    error = to("slack:ops", **connection).error
    assert error is not None and "500" in error and CANARY not in error
    assert len(receiver.received) == 1


def test_pagerduty_receives_an_event_with_its_key(receiver: Receiver, to: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch) -> None:
    """Through the provider's own notifier; the routing key comes from the Connection."""
    pytest.importorskip("airflow.providers.pagerduty.notifications.pagerduty")
    pagerduty = pytest.importorskip("pagerduty")
    address = f"http://127.0.0.1:{receiver.port}"
    # The client takes https addresses only.
    monkeypatch.setattr(pagerduty.EventsApiV2Client, "url", property(lambda self: address, lambda self, value: None))
    receiver.answer = lambda handler: respond(
        handler, 202, b'{"status":"success","message":"ok","dedup_key":"k"}', **{"Content-Type": "application/json"}
    )
    assert to("pagerduty:ops", conn_type="pagerduty_events", password=CANARY) == Outcome("pagerduty:ops", "pagerduty", None)
    event = json.loads(receiver.received[0][2])
    assert event["routing_key"] == CANARY and event["event_action"] == "trigger"
    assert event["dedup_key"] == "perfproof/r-1/gate 3"
    assert event["payload"]["severity"] == "error" and event["links"] == [{"href": LINK, "text": "Open in Airflow"}]
    assert event["payload"]["custom_details"] == MESSAGE.document()


def test_no_secret_reaches_log_or_evidence(
    run: Any, receiver: Receiver, mail_server: MailServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Of the Connections, of what a server answers, and of the text itself."""
    receiver.answer = lambda handler: respond(handler, 500, CANARY.encode())
    mail_server.refuse, mail_server.refusal = True, f"no mailbox for {CANARY}"
    monkeypatch.setenv("AIRFLOW_CONN_OPS", json.dumps(http(receiver, password=CANARY)))
    monkeypatch.setenv("AIRFLOW_CONN_MAIL", json.dumps({**SMTP, "port": mail_server.server_address[1], "password": CANARY}))
    names = f"webhook:ops,email:mail?to=a@example.org,webhook:https://hooks.example/{CANARY}"
    monkeypatch.setenv("AIRFLOW__PERFPROOF__NOTIFIERS", names)
    with caplog.at_level("DEBUG"):
        run.cycle().say("the first message", kind="error")
        run.cycle().say(f"the source said {CANARY}", kind="error")
    assert len(run.entries("notify.failed")) == 6 and run.entries("notify.delivered") == []
    assert CANARY not in caplog.text
    assert b"the source said ***" in receiver.received[1][2]
    for path in run.workspace.rglob("*"):
        if path.is_file():
            assert CANARY.encode() not in path.read_bytes(), path
