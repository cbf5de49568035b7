"""What people are told about a run, and how each kind of channel writes it.

Every text may quote telemetry, notes or names that others chose. So each line is made visible (no control or bidirectional
characters), and each channel's own markup is escaped: nothing in a text becomes a link, a mention or a header.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

import rfc8785

from perfproof.markdown import visible
from perfproof.telemetry import sha256_hex

SCHEMA = "perfproof.notification/1"
TITLE_LENGTH = 150
TEXT_LENGTH = 8000
# Slack takes 3,000 characters in a section, and PagerDuty 1,024 in a summary and 255 in a key.
SLACK_LENGTH = 2800
SUMMARY_LENGTH = 1000
KEY_LENGTH = 255


class Kind(StrEnum):
    """What a notification is about. A closed set: channels choose among these."""

    ANNOUNCEMENT = "announcement"
    DISTRIBUTION = "distribution"
    ERROR = "error"
    ESCALATION = "escalation"
    GATE_FAILED = "gate_failed"
    HANDOFF = "handoff"
    REFUSED = "refused"
    REMINDER = "reminder"
    WAITING = "waiting"


TITLES: Mapping[Kind, str] = {
    Kind.ANNOUNCEMENT: "Announcement",
    Kind.DISTRIBUTION: "Delivered",
    Kind.ERROR: "A step failed",
    Kind.ESCALATION: "Nobody has answered",
    Kind.GATE_FAILED: "A gate did not pass",
    Kind.HANDOFF: "Handed off",
    Kind.REFUSED: "An answer was refused",
    Kind.REMINDER: "Still waiting",
    Kind.WAITING: "Waiting for a decision",
}
SEVERITIES: Mapping[Kind, str] = {
    Kind.ANNOUNCEMENT: "info",
    Kind.DISTRIBUTION: "info",
    Kind.ERROR: "error",
    Kind.ESCALATION: "warning",
    Kind.GATE_FAILED: "error",
    Kind.HANDOFF: "info",
    Kind.REFUSED: "warning",
    Kind.REMINDER: "warning",
    Kind.WAITING: "info",
}


@dataclass(frozen=True, slots=True)
class File:
    """A file that is delivered with a message: its name in the evidence, its SHA-256 and its bytes."""

    name: str
    sha256: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Notification:
    """One message about `run` (the run key).

    `text` may have several lines; who makes it sees to it that no foreign text begins one. `step` is the protocol's step or the
    task, `link` an http(s) address or empty, `people` who is asked, `until` a time stamp or empty, and `about` what repeats of
    the message share: the request, or the gate. Of `files` a channel sends name and digest, an e-mail the bytes too.
    """

    kind: Kind
    title: str
    text: str
    run: str
    step: str = ""
    link: str = ""
    people: tuple[str, ...] = ()
    until: str = ""
    about: str = ""
    files: tuple[File, ...] = ()

    def document(self) -> dict[str, Any]:
        """The notification as JSON: the body of a webhook, with the same keys always."""
        return {
            "schema": SCHEMA,
            "kind": str(self.kind),
            "title": _title(self),
            "text": _text(self),
            "run": visible(self.run),
            "step": visible(self.step),
            "about": visible(self.about),
            "people": [visible(who) for who in self.people],
            "until": visible(self.until) or None,
            "link": _link(self) or None,
            "files": [{"name": visible(file.name), "sha256": file.sha256} for file in self.files],
        }

    def body(self) -> bytes:
        """`document()` in its RFC 8785 form."""
        return bytes(rfc8785.dumps(self.document()))

    @property
    def sha256(self) -> str:
        """The digest of `body()`, by which the log names the message whatever the channel."""
        return sha256_hex(self.body())

    def mapped(self, change: Callable[[str], str]) -> Notification:
        """The notification with `change` applied to every text in it."""
        return replace(
            self, title=change(self.title), text=change(self.text), step=change(self.step), link=change(self.link),
            people=tuple(change(who) for who in self.people), about=change(self.about),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Mail:
    """An e-mail: `subject` is one line; `text` and `html` say the same."""

    subject: str
    text: str
    html: str


def plain(notification: Notification) -> str:
    """The notification as plain text: title, text, and a line for each thing that is known."""
    facts = "\n".join(f"{name}: {value}" for name, value in _facts(notification).items())
    return f"{_title(notification)}\n\n{_text(notification)}\n\n{facts}\n"


def mail(notification: Notification) -> Mail:
    """The notification as an e-mail, in plain text and in HTML."""
    title, facts = _title(notification), _facts(notification)
    rows = "".join(f"<tr><th align='left'>{name}</th><td>{_cell(name, value)}</td></tr>" for name, value in facts.items())
    page = (
        f"<!DOCTYPE html><html><head><meta charset='utf-8'><title>{html.escape(title)}</title></head><body>"
        f"<h2>{html.escape(title)}</h2><pre style='white-space: pre-wrap'>{html.escape(_text(notification))}</pre>"
        f"<table>{rows}</table></body></html>"
    )
    return Mail(subject=f"[perfproof] {title}", text=plain(notification), html=page)


def slack(notification: Notification) -> dict[str, Any]:
    """`text` and `blocks` of a Slack message.

    The blocks are `verbatim`: Slack then makes links and mentions only of what stands in angle brackets, and those are escaped.
    The text stands in a code block, in which no character is formatting.
    """
    title = _slack_escaped(_title(notification), TITLE_LENGTH)
    text = _slack_escaped(_text(notification), SLACK_LENGTH).replace("`", "'")
    facts = {name: value for name, value in _facts(notification).items() if name != "Link"}
    below = "\n".join(f"{name}: `{_slack_escaped(value, 400).replace('`', chr(39))}`" for name, value in facts.items())
    link = _link(notification)
    # A pipe would end the address.
    opened = f"\n<{_slack_escaped(link, 1000).replace('|', '%7C')}|Open in Airflow>" if link else ""
    return {
        "text": f"{title}: {_slack_escaped(_text(notification), 300)}",
        "blocks": [_section(f"{title}\n```{text}```"), _section(f"{below}{opened}")],
    }


def pagerduty(notification: Notification) -> dict[str, Any]:
    """Summary, severity, source, key, details and links of a PagerDuty event (Events API v2, action trigger).

    Repeats about the same request or gate have the same `dedup_key`, so that they add to the alert and page nobody again.
    """
    document = notification.document()
    key = f"perfproof/{document['run']}/{document['about'] or document['step'] or document['kind']}"
    first = _text(notification).split("\n", 1)[0]
    link = _link(notification)
    return {
        "summary": _cut(f"{_title(notification)}: {first}", SUMMARY_LENGTH),
        "severity": SEVERITIES[notification.kind],
        "source": document["run"],
        "dedup_key": key if len(key) <= KEY_LENGTH else f"perfproof/{sha256_hex(key.encode())}",
        "custom_details": document,
        "links": [{"href": link, "text": "Open in Airflow"}] if link else [],
    }


def _title(notification: Notification) -> str:
    return _cut(visible(notification.title), TITLE_LENGTH)


def _text(notification: Notification) -> str:
    return _cut("\n".join(visible(line) for line in notification.text.split("\n")), TEXT_LENGTH)


def _link(notification: Notification) -> str:
    link = notification.link
    return link if link.startswith(("https://", "http://")) and link.isprintable() and " " not in link else ""


def _facts(notification: Notification) -> dict[str, str]:
    document = notification.document()
    facts = {
        "Run": document["run"],
        "Step": document["step"],
        "Asked": ", ".join(document["people"]),
        "Until": document["until"] or "",
        "Link": document["link"] or "",
    }
    return {name: value for name, value in facts.items() if value}


def _cell(name: str, value: str) -> str:
    shown = html.escape(value)
    return f'<a href="{shown}">{shown}</a>' if name == "Link" else shown


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}}


def _slack_escaped(text: str, limit: int) -> str:
    """`text` with Slack's three control characters as entities, cut to `limit` characters without cutting through one."""
    parts: list[str] = []
    size = 0
    for character in text:
        part = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}.get(character, character)
        size += len(part)
        if size > limit - 1:
            return "".join(parts) + "…"
        parts.append(part)
    return "".join(parts)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
