"""A notification of a cycle: into the task log, to the recipients, and what became of it into the execution log."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from perfproof.evidence import EntryType
from perfproof.evidence.secrets import masked
from perfproof.markdown import visible
from perfproof.notifications import Kind, Notification
from perfproof_airflow import settings

if TYPE_CHECKING:
    from perfproof_airflow.cycle import Cycle

log = logging.getLogger(__name__)
# Texts whose lines are all ours; what others wrote stands on one line in them.
MANY_LINES = frozenset({Kind.GATE_FAILED, Kind.HANDOFF, Kind.WAITING})


def tell(cycle: Cycle, notification: Notification) -> None:
    """Tells each recipient once in a round; one that fails is logged and never stops a run.

    Control characters become escapes, so that no name or reason can look like a line of its own. Secrets become `***`, in the
    notification as in what a recipient's failure says.
    """
    from perfproof_airflow.cycle import now
    from perfproof_airflow.notifiers import deliver

    lines = notification.text.split("\n") if notification.kind in MANY_LINES else [notification.text]
    shown = replace(notification, text="\n".join(visible(line) for line in lines)).mapped(_masked)
    log.info("%s", shown.text)

    def key(recipient: str) -> str:
        return cycle.idem(f"notify:{recipient}", [shown.sha256])

    # A try that was killed in between has told some of them already.
    for outcome in deliver(shown, wanted=lambda recipient: cycle.store.find(key(recipient)) is None):
        body = {
            "recipient": _masked(outcome.recipient), "channel": outcome.channel, "kind": str(shown.kind), "message_sha256": shown.sha256,
        }  # fmt: skip
        if outcome.error is None:
            cycle.store.append(
                type=EntryType.NOTIFY_DELIVERED, body=body, idem=key(outcome.recipient), time=now(), actor=cycle.actor,
                attempt=cycle.attempt,
            )  # fmt: skip
        else:
            cycle.record(EntryType.NOTIFY_FAILED, {**body, "error": _masked(outcome.error)})


def _masked(text: str) -> str:
    return masked(text, known=settings.known_secrets())
