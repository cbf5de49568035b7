"""The recipients of notifications, as `[perfproof] notifiers` names them: `webhook:ops`, `email:mail?to=a@b`, `package.module:name`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from perfproof.errors import ConfigError
from perfproof.markdown import visible
from perfproof.notifications import Kind

WHERE = "[perfproof] notifiers"
SHOWN_LENGTH = 80
# A comma separates recipients only where the next one begins: lists of addresses and kinds have commas too.
_BETWEEN = re.compile(r",(?=\s*(?:,|$|[A-Za-z_][\w.]*:))")
_CONNECTION = re.compile(r"[\w.\-]{1,250}")
_CALLABLE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
_ADDRESS = re.compile(r"[^\s@<>(),;:\"\[\]\\]{1,64}@[^\s@<>(),;:\"\[\]\\]{1,190}")
_NOT_IN_A_NAME = re.compile(r"[/?@]")


class ChannelKind(StrEnum):
    """How a recipient is reached."""

    CALLABLE = "callable"
    EMAIL = "email"
    PAGERDUTY = "pagerduty"
    SLACK = "slack"
    WEBHOOK = "webhook"


ALL = frozenset(Kind)
WITHOUT_ANNOUNCEMENTS = ALL - {Kind.ANNOUNCEMENT}
DEFAULT_KINDS: Mapping[ChannelKind, frozenset[Kind]] = {
    ChannelKind.CALLABLE: ALL,
    ChannelKind.EMAIL: WITHOUT_ANNOUNCEMENTS,
    # Somebody is woken up for these.
    ChannelKind.PAGERDUTY: frozenset({Kind.ERROR, Kind.ESCALATION, Kind.GATE_FAILED}),
    ChannelKind.SLACK: WITHOUT_ANNOUNCEMENTS,
    ChannelKind.WEBHOOK: WITHOUT_ANNOUNCEMENTS,
}


@dataclass(frozen=True, slots=True)
class Channel:
    """One recipient: `target` is a Connection id or, for a callable, `package.module:name`; `to` are the addresses of an e-mail."""

    kind: ChannelKind
    target: str
    kinds: frozenset[Kind]
    to: tuple[str, ...] = ()

    @property
    def recipient(self) -> str:
        """The recipient as the log names it."""
        if self.kind is ChannelKind.CALLABLE:
            return self.target
        return f"{self.kind}:{self.target}" + (f"?to={','.join(self.to)}" if self.to else "")


def split_names(text: str) -> list[str]:
    """The recipients in a comma-separated list."""
    return [name for part in _BETWEEN.split(text) if (name := part.strip(" \t\r\n,"))]


def shown_name(name: str) -> str:
    """What may be shown of a recipient that cannot be read: people paste addresses here that are secrets themselves."""
    parts = _NOT_IN_A_NAME.split(name, maxsplit=1)[0].split(":")
    # A second colon is that of a port or a password.
    return visible(":".join(parts[:2]) if len(parts) < 3 else f"{parts[0]}:")[:SHOWN_LENGTH]


def read_channel(name: str) -> Channel:
    """The channel that `name` describes. Raises ConfigError, which never quotes `name` beyond `shown_name`."""
    where = f"{WHERE} {shown_name(name)}"
    base, _, query = name.partition("?")
    prefix, _, rest = base.partition(":")
    kind = ChannelKind(prefix) if prefix in set(ChannelKind) - {ChannelKind.CALLABLE} else ChannelKind.CALLABLE
    target = base if kind is ChannelKind.CALLABLE else rest
    if not (_CALLABLE if kind is ChannelKind.CALLABLE else _CONNECTION).fullmatch(target):
        raise ConfigError(
            241, where=where, what="not a recipient", fix="put addresses and secrets into an Airflow Connection and name it",
            expected="webhook:, slack:, email: or pagerduty: and a Connection id, or package.module:name",
        )  # fmt: skip
    options = _options(query, kind, where)
    kinds = _kinds(options["kinds"], where) if "kinds" in options else DEFAULT_KINDS[kind]
    return Channel(kind=kind, target=target, kinds=kinds, to=_addresses(options.get("to"), kind, where))


def _options(query: str, kind: ChannelKind, where: str) -> dict[str, str]:
    known = {"kinds", "to"} if kind is ChannelKind.EMAIL else {"kinds"}
    options: dict[str, str] = {}
    for part in filter(None, query.split("&")):
        option, _, value = part.partition("=")
        if option not in known or option in options:
            raise ConfigError(242, where=where, what="unknown or repeated option", expected=" and ".join(sorted(known)), fix="correct it")
        options[option] = value
    return options


def _kinds(text: str, where: str) -> frozenset[Kind]:
    names = [name.strip() for name in text.split(",")]
    if not set(names) <= set(Kind):
        raise ConfigError(243, where=where, what="unknown kind of notification", expected=", ".join(Kind), fix="correct kinds")
    return frozenset(Kind(name) for name in names)


def _addresses(text: str | None, kind: ChannelKind, where: str) -> tuple[str, ...]:
    if kind is not ChannelKind.EMAIL:
        return ()
    addresses = tuple(address.strip() for address in (text or "").split(","))
    if not all(_ADDRESS.fullmatch(address) and address.isprintable() for address in addresses):
        raise ConfigError(244, where=where, what="no address, or not an e-mail address", expected="?to=a@b,c@d", fix="correct to")
    return addresses
