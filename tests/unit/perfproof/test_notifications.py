"""What people are told: one message, written for each kind of channel so that nobody's text becomes markup, a mention or a header."""

from __future__ import annotations

import html.parser
import json
import re
from typing import Any

import pytest

from perfproof.notifications import SEVERITIES, TITLES, Kind, Notification, mail, pagerduty, plain, slack

HOSTILE = (
    "<!channel> <@U123|you> <https://evil.example|Approve here> & &lt; *b* `x` ```y``` <script>alert(1)</script> \"'>\r\n"
    "Subject: forged\x1b[31m\u202e\u2028 {{ conn.perfproof_api.password }} @here https://evil.example/a|b"
)
LINK = "https://airflow.example/dags/performance_approvals/runs/a/tasks/approve/mapped/0?a=1&b=2"


def notification(**changes: Any) -> Notification:
    fields: dict[str, Any] = {
        "kind": Kind.WAITING, "title": "Waiting: plan", "text": "Waiting for sre\nDo you approve?", "run": "performance_optimization__r1",
        "step": "plan", "link": LINK, "people": ("Sam (sre) as SRE Lead",), "until": "2025-02-23T10:00:00Z", "about": "r1__plan__-1__r0a1",
    }  # fmt: skip
    return Notification(**{**fields, **changes})


def hostile() -> Notification:
    return notification(title=HOSTILE, text=HOSTILE, step=HOSTILE, people=(HOSTILE,), about=HOSTILE)


def strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.values() for text in strings(item)]
    if isinstance(value, list):
        return [text for item in value for text in strings(item)]
    return [value] if isinstance(value, str) else []


class Tags(html.parser.HTMLParser):
    """The elements, addresses and words of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.words = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("href", "src")]

    def handle_data(self, data: str) -> None:
        self.words += data


def test_every_kind_has_a_title_and_a_severity() -> None:
    """A new kind cannot be forgotten."""
    assert set(TITLES) == set(SEVERITIES) == set(Kind)


def test_plain_text_says_everything_that_is_known() -> None:
    """And leaves out what is not."""
    assert plain(notification()) == (
        "Waiting: plan\n\nWaiting for sre\nDo you approve?\n\nRun: performance_optimization__r1\nStep: plan\n"
        f"Asked: Sam (sre) as SRE Lead\nUntil: 2025-02-23T10:00:00Z\nLink: {LINK}\n"
    )
    assert plain(notification(step="", link="", people=(), until="")).endswith("\n\nRun: performance_optimization__r1\n")


def test_the_body_of_a_webhook_has_the_same_keys_always_and_its_digest_names_the_message() -> None:
    """What a receiver reads today it reads tomorrow."""
    document = json.loads(notification().body())
    assert document == {
        "schema": "perfproof.notification/1", "kind": "waiting", "title": "Waiting: plan", "text": "Waiting for sre\nDo you approve?",
        "run": "performance_optimization__r1", "step": "plan", "about": "r1__plan__-1__r0a1", "people": ["Sam (sre) as SRE Lead"],
        "until": "2025-02-23T10:00:00Z", "link": LINK, "files": [],
    }  # fmt: skip
    assert set(json.loads(notification(link="", until="").body())) == set(document)
    assert json.loads(notification(link="", until="").body())["link"] is None
    assert notification().sha256 != notification(text="other").sha256
    assert notification().sha256 == notification().sha256


@pytest.mark.parametrize("write", [plain, slack, mail, pagerduty, Notification.document])
def test_no_control_or_bidirectional_character_gets_through(write: Any) -> None:
    """Line breaks of ours excepted."""
    written = write(hostile())
    found = strings(written) if isinstance(written, dict) else [written] if isinstance(written, str) else [written.subject, written.text]
    assert found
    for text in found:
        assert all(c.isprintable() or c == "\n" for c in text)
    assert "\\x1b" in "".join(found) and "\\u202e" in "".join(found)


def test_slack_makes_nothing_of_a_text() -> None:
    """No mention, no link but ours, no formatting, and nothing that Slack would find by itself."""
    message = slack(hostile())
    assert all(block["text"] == {"type": "mrkdwn", "text": block["text"]["text"], "verbatim": True} for block in message["blocks"])
    texts = [message["text"], *(block["text"]["text"] for block in message["blocks"])]
    between = [found for text in texts for found in re.findall(r"<[^>]*>", text)]
    assert between == [f"<{LINK.replace('&', '&amp;')}|Open in Airflow>"]
    assert message["blocks"][0]["text"]["text"].count("```") == 2 + HOSTILE.count("```")  # the title is no code
    assert "&lt;!channel&gt;" in texts[1]
    assert all(not re.search(r"&(?!amp;|lt;|gt;)", text) for text in texts)


def test_slack_messages_keep_to_slacks_limits() -> None:
    """Cut, and never through an entity."""
    message = slack(notification(title="&" * 1000, text="<" * 50_000, people=("&" * 5000,) * 10))
    for block in message["blocks"]:
        text = block["text"]["text"]
        assert len(text) <= 3000
        assert not re.search(r"&(?!amp;|lt;|gt;)", text)


def test_an_e_mail_has_one_line_of_subject_and_says_the_same_in_text_and_html() -> None:
    """Nothing of a text is an element or an address."""
    written = mail(hostile())
    assert "\n" not in written.subject and "\r" not in written.subject and len(written.subject) < 200
    page = Tags(written.html)
    assert set(page.tags) == {"html", "head", "meta", "title", "body", "h2", "pre", "table", "tr", "th", "td", "a"}
    assert page.addresses == [LINK]
    assert "<script>alert(1)</script>" in page.words and "<script>" in written.text


@pytest.mark.parametrize(
    "link", ["javascript:alert(1)", "", "https://a b", "https://a\nb", "data:text/html,x", "//evil.example", "ftp://evil.example"]
)
def test_what_is_no_web_address_is_no_link(link: str) -> None:
    """In no channel."""
    one = notification(link=link)
    assert one.document()["link"] is None
    assert "Open in Airflow" not in json.dumps(slack(one))
    assert pagerduty(one)["links"] == []
    assert Tags(mail(one).html).addresses == []


def test_repeats_about_a_request_have_one_key_and_others_have_another() -> None:
    """So that a reminder adds to the alert and pages nobody again."""
    first = pagerduty(notification())["dedup_key"]
    assert pagerduty(notification(kind=Kind.REMINDER, text="Reminder 1", title="Still waiting: plan"))["dedup_key"] == first
    assert pagerduty(notification(about="r1__plan__-1__r0a2"))["dedup_key"] != first
    assert pagerduty(notification(run="r2"))["dedup_key"] != first


def test_a_pagerduty_event_keeps_to_its_limits() -> None:
    """1,024 characters of summary, 255 of key; a long key is still the key of one thing."""
    event = pagerduty(notification(text="x" * 5000, about="a" * 500))
    assert len(event["summary"]) <= 1024 and len(event["dedup_key"]) <= 255
    assert event["dedup_key"] != pagerduty(notification(about="a" * 501))["dedup_key"]
    assert event["severity"] == "info" and pagerduty(notification(kind=Kind.GATE_FAILED))["severity"] == "error"


def test_a_change_reaches_every_text() -> None:
    """A secret is masked wherever it stands."""
    one = notification(title="s3cret", text="s3cret", step="s3cret", link="https://s3cret", people=("s3cret",), about="s3cret")
    assert b"s3cret" not in one.mapped(lambda text: text.replace("s3cret", "***")).body()
