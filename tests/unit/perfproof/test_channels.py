"""The recipients that a configuration names: read strictly, and never quoted beyond what cannot be a secret."""

from __future__ import annotations

import pytest

from perfproof.channels import ALL, DEFAULT_KINDS, ChannelKind, read_channel, shown_name, split_names
from perfproof.errors import ConfigError
from perfproof.notifications import Kind

TOKEN = "T000/B000/ab-very-secret-cd"


def test_a_comma_separates_recipients_and_not_addresses_or_kinds() -> None:
    """Spaces, line ends and empty parts do not matter."""
    text = " webhook:ops , ,email:mail?to=a@example.org, b@example.org&kinds=error,waiting,\n my_team.notify:send,slack:chat?kinds=error,"
    assert split_names(text) == [
        "webhook:ops", "email:mail?to=a@example.org, b@example.org&kinds=error,waiting", "my_team.notify:send", "slack:chat?kinds=error",
    ]  # fmt: skip
    assert split_names("") == split_names(" , ") == []


@pytest.mark.parametrize(
    ("name", "kind", "target", "recipient"),
    [
        ("webhook:ops", ChannelKind.WEBHOOK, "ops", "webhook:ops"),
        ("slack:chat_ops.1", ChannelKind.SLACK, "chat_ops.1", "slack:chat_ops.1"),
        ("pagerduty:oncall", ChannelKind.PAGERDUTY, "oncall", "pagerduty:oncall"),
        ("email:mail?to=a@b.c,d@e.f", ChannelKind.EMAIL, "mail", "email:mail?to=a@b.c,d@e.f"),
        ("my_team.notify:send", ChannelKind.CALLABLE, "my_team.notify:send", "my_team.notify:send"),
    ],
)
def test_each_form_is_read(name: str, kind: ChannelKind, target: str, recipient: str) -> None:
    """With the kinds that it gets if nothing is said."""
    channel = read_channel(name)
    assert (channel.kind, channel.target, channel.recipient, channel.kinds) == (kind, target, recipient, DEFAULT_KINDS[kind])


def test_announcements_go_to_whom_they_are_asked_for() -> None:
    """A callable gets everything, as it always did; nobody is paged for what can wait."""
    assert read_channel("pkg:send").kinds == ALL
    assert Kind.ANNOUNCEMENT not in read_channel("slack:chat").kinds
    assert read_channel("slack:chat?kinds=announcement, error").kinds == {Kind.ANNOUNCEMENT, Kind.ERROR}
    assert read_channel("pagerduty:oncall").kinds == {Kind.ERROR, Kind.ESCALATION, Kind.GATE_FAILED}
    assert read_channel("pkg:send?kinds=handoff").kinds == {Kind.HANDOFF}


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("pkg", "CFG-241"),
        (":send", "CFG-241"),
        ("a b:c", "CFG-241"),
        ("webhook:", "CFG-241"),
        (f"webhook:https://hooks.example.org/{TOKEN}", "CFG-241"),
        (f"slack:{TOKEN}", "CFG-241"),
        (f"https://hooks.example.org/{TOKEN}", "CFG-241"),
        ("email:user:pw@host?to=a@b.c", "CFG-241"),
        ("webhook:ops?to=a@b.c", "CFG-242"),
        ("webhook:ops?token=s3cret", "CFG-242"),
        ("webhook:ops?kinds=error&kinds=waiting", "CFG-242"),
        ("webhook:ops?kinds=", "CFG-243"),
        ("webhook:ops?kinds=errors", "CFG-243"),
        ("email:mail", "CFG-244"),
        ("email:mail?to=", "CFG-244"),
        ("email:mail?to=a@b.c,", "CFG-244"),
        ("email:mail?to=a@b.c\nBcc: x@y.z", "CFG-244"),
        ("email:mail?to=a@b.c>", "CFG-244"),
        ("email:mail?to=a b@c", "CFG-244"),
        ("email:mail?to=a\x00@b.c", "CFG-244"),
    ],
)
def test_what_cannot_be_read_is_refused_without_quoting_it(name: str, code: str) -> None:
    """People paste addresses there that are secrets themselves."""
    with pytest.raises(ConfigError) as caught:
        read_channel(name)
    assert caught.value.code == code
    for secret in (TOKEN, "s3cret", "very-secret", "pw", "hooks.example.org"):
        assert secret not in str(caught.value)


def test_what_is_shown_of_a_name_ends_where_an_address_begins() -> None:
    """And is one line."""
    assert shown_name(f"webhook:https://h/{TOKEN}") == "webhook:"
    assert shown_name("a b:c") == "a b:c"
    assert shown_name("email:user:pw@host") == "email:"
    assert shown_name("x\ny" + "z" * 500) == "x\\ny" + "z" * 76
