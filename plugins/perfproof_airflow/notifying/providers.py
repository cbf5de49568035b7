"""Slack, e-mail and PagerDuty through the notifiers of Airflow's providers.

`notify` is called, and not the notifier itself: that would first render every field as a Jinja template, and the texts here
quote what others wrote.
"""

from __future__ import annotations

from collections.abc import Sequence
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from importlib import import_module
from pathlib import PurePosixPath
from typing import Any

from perfproof.channels import WHERE, Channel, ChannelKind
from perfproof.errors import ConfigError
from perfproof.notifications import File, Mail, Notification, mail, pagerduty, slack

SECONDS = 10
# Many servers refuse a message above 10 MiB, and attachments grow by a third. What is larger is named and not attached.
MAX_ATTACHED_BYTES = 7 << 20
# Module and name of the notifier, and what brings it.
NOTIFIERS = {
    ChannelKind.EMAIL: ("airflow.providers.smtp.notifications.smtp", "SmtpNotifier", "apache-airflow-providers-smtp"),
    ChannelKind.PAGERDUTY: (
        "airflow.providers.pagerduty.notifications.pagerduty", "PagerdutyNotifier", "apache-airflow-providers-pagerduty",
    ),
    ChannelKind.SLACK: ("airflow.providers.slack.notifications.slack_webhook", "SlackWebhookNotifier", "apache-airflow-providers-slack"),
}  # fmt: skip


def _notifier(kind: ChannelKind) -> Any:
    module, name, package = NOTIFIERS[kind]
    try:
        return getattr(import_module(module), name)
    except ImportError:
        raise ConfigError(
            245, where=f"{WHERE} {kind}:", what="its provider is not installed", expected=package, fix=f"install {package}"
        ) from None


def post_to_slack(channel: Channel, notification: Notification) -> None:
    """Sends to an incoming webhook: the Connection (type slackwebhook) holds its token or address as password."""
    message = slack(notification)
    # Nothing is sent again by itself: a broken connection does not say whether the message arrived.
    _notifier(channel.kind)(
        slack_webhook_conn_id=channel.target, text=message["text"], blocks=message["blocks"], unfurl_links=False, unfurl_media=False,
        timeout=SECONDS, retry_handlers=[],
    ).notify({})  # fmt: skip


def page(channel: Channel, notification: Notification) -> None:
    """Triggers a PagerDuty event: the Connection (type pagerduty_events) holds the integration key as password."""
    _notifier(channel.kind)(pagerduty_events_conn_id=channel.target, action="trigger", **pagerduty(notification)).notify({})


def send_mail(channel: Channel, notification: Notification) -> None:
    """Sends an e-mail to `channel.to`, in plain text and HTML, once: the Connection (type smtp) names server, login and sender."""
    written = mail(notification)
    with _notifier(channel.kind)(to=list(channel.to), smtp_conn_id=channel.target).hook as hook:
        if not hook.from_email:
            raise ConfigError(
                248, where=f"Connection {channel.target}", what="no sender", expected='"from_email" in its extra', fix="set it"
            )
        # The provider's own message has HTML only, and is tried six times.
        hook._smtp_client.send_message(_message(written, notification.files, sender=hook.from_email, to=channel.to))


def _message(written: Mail, files: Sequence[File], *, sender: str, to: tuple[str, ...]) -> EmailMessage:
    message = EmailMessage()
    message["Subject"] = written.subject
    message["From"] = sender
    message["To"] = ", ".join(to)
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain="perfproof.invalid")
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(written.text)
    message.add_alternative(written.html, subtype="html")
    if sum(len(file.data) for file in files) <= MAX_ATTACHED_BYTES:
        for file in files:
            name = PurePosixPath(file.name).name
            message.add_attachment(file.data, maintype="application", subtype="octet-stream", filename=name)
    return message
