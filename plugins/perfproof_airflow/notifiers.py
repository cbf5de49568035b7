"""Delivery of announcements to the notifiers that `[perfproof] notifiers` names."""

from __future__ import annotations

import logging
from importlib import import_module
from typing import Any, Protocol

from perfproof.announcements import one_line
from perfproof_airflow.settings import option

log = logging.getLogger(__name__)


class Recipient(Protocol):
    """A callable named in the configuration as `package.module:name`."""

    def __call__(self, *, text: str, kind: str, run: str) -> None: ...


def deliver(text: str, *, kind: str, run: str) -> list[dict[str, Any]]:
    """Sends `text` to each notifier; what failed comes back as `{"notifier", "error"}`, and nothing is raised."""
    failures = []
    for name in filter(None, (part.strip() for part in option("notifiers", "").split(","))):
        try:
            module, _, attribute = name.partition(":")
            recipient: Recipient = getattr(import_module(module), attribute)
            recipient(text=text, kind=kind, run=run)
        except Exception as error:  # a notifier may fail in any way of its own, and the run goes on
            log.warning("notifier %s failed: %s", name, one_line(error))
            failures.append({"notifier": name, "error": f"{type(error).__name__}: {error}"[:200]})
    return failures
