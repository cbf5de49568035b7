"""Delivery of notifications to the recipients that `[perfproof] notifiers` names: side by side, bounded, and never with an error."""

from __future__ import annotations

import contextvars
import copy
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

from perfproof.announcements import one_line
from perfproof.channels import Channel, ChannelKind, read_channel, shown_name, split_names
from perfproof.errors import ConfigError
from perfproof.evidence.secrets import masked
from perfproof.notifications import Notification
from perfproof_airflow.settings import known_secrets, option

log = logging.getLogger(__name__)
# The longest time that a notification delays its task, however many recipients it has.
SECONDS = 15.0
ERROR_LENGTH = 200


class Recipient(Protocol):
    """A callable named in the configuration as `package.module:name`."""

    def __call__(self, *, text: str, kind: str, run: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a notification at one recipient; `error` is one line without secrets, None where it was delivered."""

    recipient: str
    channel: str
    error: str | None


def deliver(notification: Notification, *, wanted: Callable[[str], bool] = lambda _: True) -> list[Outcome]:
    """Sends `notification` to each recipient that takes its kind, and that is `wanted` by its name.

    Nothing is raised, and it returns after 15 s at most. What has no end by then is reported as failed and left behind: it may arrive
    still.
    """
    outcomes = []
    sendings = []
    for name in split_names(option("notifiers", "")):
        try:
            channel = read_channel(name)
        except ConfigError as error:
            if wanted(shown_name(name)):
                outcomes.append(_failed(shown_name(name), "unknown", error))
            continue
        if notification.kind in channel.kinds and wanted(channel.recipient):
            sendings.append(_Sending(channel, notification))
    for sending in sendings:
        sending.start()
    end = time.monotonic() + SECONDS
    for sending in sendings:
        sending.join(max(0.0, end - time.monotonic()))
        outcomes.append(sending.outcome())
    return outcomes


def deliver_through(name: str, notification: Notification) -> Outcome:
    """Sends `notification` through the channel that `name` describes, whatever kinds it takes, in the same bounds and as silently."""
    try:
        sending = _Sending(read_channel(name), notification)
    except ConfigError as error:
        return _failed(shown_name(name), "unknown", error)
    sending.start()
    sending.join(SECONDS)
    return sending.outcome()


class _Sending(threading.Thread):
    """One recipient at work. A daemon: a task that is done does not wait for it."""

    def __init__(self, channel: Channel, notification: Notification) -> None:
        super().__init__(daemon=True, name=f"notify {channel.recipient}")
        self._channel, self._notification = channel, notification
        self._context = contextvars.copy_context()
        self._ended = False
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            self._context.run(_send, self._channel, self._notification)
        except BaseException as error:  # whatever a notifier does, the run goes on
            self._error = error
        self._ended = True

    def outcome(self) -> Outcome:
        """What is known now."""
        recipient, channel = self._channel.recipient, str(self._channel.kind)
        if not self._ended:
            return _failed(recipient, channel, TimeoutError(f"no end within {SECONDS:g} s; it may arrive still"))
        return Outcome(recipient, channel, None) if self._error is None else _failed(recipient, channel, self._error)


def _failed(recipient: str, channel: str, error: BaseException) -> Outcome:
    reason = str(error) if isinstance(error, ConfigError) else f"{type(error).__name__}: {error}"
    secrets = known_secrets()
    shown = one_line(masked(reason, known=secrets), limit=ERROR_LENGTH)
    log.warning("notifier %s failed: %s", masked(recipient, known=secrets), shown)
    return Outcome(recipient, channel, shown)


def _send(channel: Channel, notification: Notification) -> None:
    if channel.kind is ChannelKind.CALLABLE:
        _call(channel.target, notification)
    elif channel.kind is ChannelKind.WEBHOOK:
        from perfproof_airflow.notifying.webhook import post

        post(channel, notification)
    else:
        from perfproof_airflow.notifying import providers

        ways = {ChannelKind.EMAIL: providers.send_mail, ChannelKind.PAGERDUTY: providers.page, ChannelKind.SLACK: providers.post_to_slack}
        ways[channel.kind](channel, notification)


def _call(target: str, notification: Notification) -> None:
    from airflow.sdk import BaseNotifier

    module, _, attribute = target.partition(":")
    recipient: Any = getattr(import_module(module), attribute)
    if isinstance(recipient, BaseNotifier):
        # Rendering its templates changes a notifier, and the texts are values of the templates, never templates themselves.
        copy.copy(recipient)({"notification": notification.document()})
    else:
        called: Recipient = recipient
        called(text=notification.text, kind=str(notification.kind), run=notification.run)
