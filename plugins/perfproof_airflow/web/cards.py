"""What is asked of whom, as a card: with the answer to "may I answer it, and if not, why"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from perfproof.cycles.approvals import can_answer
from perfproof_airflow.web.security import Viewer


@dataclass(frozen=True, slots=True)
class Card:
    """A request, and whether the viewer may answer it: `why` is a sentence for both, empty where nobody can any more.

    `mark` is the task that they would mark, None if they may not answer.
    """

    approval: Mapping[str, Any]
    cycle: Mapping[str, Any] | None
    mine: bool
    mark: Mapping[str, Any] | None
    why: str
    overdue: bool


def card(approval: Mapping[str, Any], *, viewer: Viewer, now: datetime, cycle: Mapping[str, Any] | None = None) -> Card:
    """The card of `approval` for `viewer` at `now`."""
    mine, why, role = False, "", None
    if approval["state"] == "open":
        mine, why, role = can_answer(approval, person_id=viewer.id, person_name=viewer.name, at=now)
    mark = next((one["mark"] for one in approval["roles"] if mine and one["role"] == role), None)
    return Card(approval=approval, cycle=cycle, mine=mine, mark=mark, why=why, overdue=_is_over(approval.get("expires_at"), now))


def could_answer(approval: Mapping[str, Any], *, viewer: Viewer, now: datetime) -> bool:
    """Whether the rules are worth asking: False for whoever the request does not name, and once its time is over. They refuse both."""
    named = any(one["id"] == viewer.id for role in approval["roles"] for one in (*role["people"], *role["deputies"]))
    return named and not _is_over(approval.get("expires_at"), now)


def _is_over(moment: Any, now: datetime) -> bool:
    try:
        return datetime.fromisoformat(str(moment)) <= now
    except (TypeError, ValueError):
        return False
