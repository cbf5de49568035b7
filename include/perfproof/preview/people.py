"""Who will be asked for what, and who of them cannot answer because they ask for it themselves or own it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time
from enum import StrEnum
from typing import Any

from perfproof.approvals.request import Asked
from perfproof.approvals.rules import person_refusal
from perfproof.config import Optimization, Person, Protocol
from perfproof.config.people import Deputy
from perfproof.parameters import Parameters
from perfproof.preview.asking import ORDER, Asking
from perfproof.preview.subject import considered
from perfproof.role_checks import TASK_OWNER, each_has_one

OWNER_STEPS = ("implementation", "rollback")
OWNER_LABEL = "Owner of the task"


class Answer(StrEnum):
    """Whether somebody can answer. `depends`: on which optimizations the plan takes."""

    YES = "yes"
    NO = "no"
    DEPENDS = "depends"


@dataclass(frozen=True, slots=True)
class Barred:
    """Who may not answer a step. `least` are the smallest sets that can come about, `most` is the largest."""

    least: tuple[frozenset[str], ...]
    most: frozenset[str]


def asked_documents(protocol: Protocol, parameters: Parameters, *, requester: str | None, now: datetime) -> list[dict[str, Any]]:
    """The part `asked` of the preview: every request that a run can make, in order."""
    found: list[dict[str, Any]] = []
    for asking in ORDER:
        for optimization in _subjects(protocol, parameters, asking):
            roles = _roles(protocol, parameters, asking, optimization)
            barred = _barred(protocol, parameters, asking, requester)
            answerable, reason = _answerable(roles, barred, now)
            found.append(
                {
                    "order": len(found) + 1,
                    "step": asking.step,
                    "phase": asking.phase,
                    "task": asking.task,
                    "condition": _condition(parameters, asking, optimization),
                    "subject": None if optimization is None else optimization.id,
                    "asks": asking.asks,
                    "evidence": list(asking.evidence),
                    "expires_after_days": protocol.approvals.expires_after_days,
                    "answerable": answerable.value,
                    "reason": reason,
                    "roles": [_role(asking, asked, barred, now) for asked in roles],
                }
            )
    return found


def _subjects(protocol: Protocol, parameters: Parameters, asking: Asking) -> Sequence[Optimization | None]:
    return considered(protocol, parameters) if asking.step == "implementation" else (None,)


def _condition(parameters: Parameters, asking: Asking, optimization: Optimization | None) -> str | None:
    if optimization is None or parameters.optimizations:
        return asking.condition
    return f"if the plan takes {optimization.id}"


def _roles(protocol: Protocol, parameters: Parameters, asking: Asking, optimization: Optimization | None) -> tuple[Asked, ...]:
    """The roles of a step with their people, as the run asks them."""
    names = protocol.approvals.steps[asking.step]
    named = [name for name in names if name != TASK_OWNER]
    if asking.step not in OWNER_STEPS:
        # There task_owner stands for nobody: a role without people, which nobody can answer.
        return tuple(_held(protocol, name) if name != TASK_OWNER else Asked(TASK_OWNER, OWNER_LABEL, ()) for name in names)
    if named:
        return tuple(_held(protocol, name) for name in named)
    items = considered(protocol, parameters) if optimization is None else (optimization,)
    owners = dict.fromkeys(owner for owner in (protocol.person(item.owner or "") for item in items) if owner is not None)
    ids = {owner.id for owner in owners}
    deputies = tuple(d for role in protocol.roles.values() for d in role.deputies if d.stands_for in ids)
    return (Asked(TASK_OWNER, OWNER_LABEL, tuple(owners), deputies),)


def _held(protocol: Protocol, name: str) -> Asked:
    role = protocol.roles[name]
    return Asked(role=name, label=role.label, people=role.people, deputies=role.deputies)


def _barred(protocol: Protocol, parameters: Parameters, asking: Asking, requester: str | None) -> Barred:
    if asking.step in OWNER_STEPS:
        return Barred((frozenset(),), frozenset())
    own = frozenset([requester] if requester else [])
    items = considered(protocol, parameters) if asking.step == "plan" else ()
    owners = [frozenset([item.owner] if item.owner else []) for item in items]
    everybody = own.union(*owners)
    if not owners or parameters.optimizations:
        return Barred((everybody,), everybody)
    return Barred(tuple(dict.fromkeys(own | owner for owner in owners)), everybody)


def _respondents(asked: Asked, now: datetime) -> Iterator[tuple[Person | Deputy, datetime]]:
    """Who can be asked from now on, and the first moment at which they may answer."""
    today = now.astimezone(UTC).date().isoformat()
    for person in asked.people:
        yield person, now
    for deputy in asked.deputies:
        if deputy.last_day >= today:
            first = datetime.combine(datetime.fromisoformat(deputy.first_day).date(), time(12), tzinfo=UTC)
            yield deputy, now if deputy.first_day <= today else first


def _refusal(asked: Asked, who: Person | Deputy, at: datetime, forbidden: frozenset[str]) -> str | None:
    found = person_refusal(asked, person_id=who.id, person_name=who.name, at=at, forbidden=forbidden)
    return None if found is None else found[1]


def _role(asking: Asking, asked: Asked, barred: Barred, now: datetime) -> dict[str, Any]:
    return {
        "role": asked.role,
        "label": asked.label,
        "people": [_person(asking, asked, w, at, barred) for w, at in _respondents(asked, now)],
    }


def _person(asking: Asking, asked: Asked, who: Person | Deputy, at: datetime, barred: Barred) -> dict[str, Any]:
    refusals = [_refusal(asked, who, at, forbidden) for forbidden in barred.least]
    at_worst = _refusal(asked, who, at, barred.most)
    answer, reason = Answer.YES, None
    if all(refusals):
        answer, reason = Answer.NO, refusals[0]
    elif at_worst is not None:
        answer, reason = Answer.DEPENDS, "not if the plan takes an optimization of their own"
    elif asking.step == "rollback" and asked.role == TASK_OWNER and len(asked.people) > 1:
        answer, reason = Answer.DEPENDS, "the owner of the plan's first task is asked"
    deputy = who if isinstance(who, Deputy) else None
    return {
        "id": who.id,
        "name": who.name,
        "deputy_for": None if deputy is None else deputy.stands_for,
        "days": None if deputy is None else f"{deputy.first_day} to {deputy.last_day}",
        "answers": answer.value,
        "reason": reason,
    }


def _answerable(roles: Sequence[Asked], barred: Barred, now: datetime) -> tuple[Answer, str | None]:
    """Whether every role of the step can have a person of its own."""
    blocked = [_why_not(roles, forbidden, now) for forbidden in barred.least]
    if all(blocked):
        return Answer.NO, blocked[0]
    at_worst = _why_not(roles, barred.most, now)
    if at_worst is not None:
        return Answer.DEPENDS, f"if the plan takes optimizations of all their owners: {at_worst}"
    return Answer.YES, None


def _why_not(roles: Sequence[Asked], forbidden: frozenset[str], now: datetime) -> str | None:
    able: list[set[str]] = []
    for asked in roles:
        refusals = {who.id.casefold(): _refusal(asked, who, at, forbidden) for who, at in _respondents(asked, now)}
        able.append({person for person, refusal in refusals.items() if refusal is None})
        if not refusals:
            return f"the role {asked.label} has nobody who can be asked in this step"
        if not able[-1]:
            return next(refusal for refusal in refusals.values() if refusal)
    if not each_has_one(able, frozenset()):
        labels = " and ".join(asked.label for asked in roles)
        return f"{labels} need a person each, and too few remain who may answer"
    return None
