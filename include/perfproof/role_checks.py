"""What a protocol file may not say about who answers: roles, people, deputies, steps, reminders."""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING

from perfproof.config_refusals import check_identifier, check_unique, refusal

if TYPE_CHECKING:
    from perfproof.config import Person, Protocol, Role
    from perfproof.config.people import Deputy

STEPS = (
    "prioritization",
    "load_test_authorization",
    "profiling_clearance",
    "gate_1_decision",
    "gate_2_decision",
    "gate_3_decision",
    "gate_4_decision",
    "plan",
    "implementation",
    "rollback",
    "slo_updates",
    "handoff",
)
TASK_OWNER = "task_owner"
MAX_EXPIRY_DAYS = 30
# Who stands in for longer holds the role.
MAX_DEPUTY_DAYS = 90
MAX_REMINDERS = 30
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def check_roles(protocol: Protocol, where: str) -> None:
    """Raises ConfigError for a role without a person, a role taken for a person, or one person alone in every role."""
    labels = {role.label.casefold() for role in protocol.roles.values()} | {name.casefold() for name in protocol.roles}
    for name, role in protocol.roles.items():
        place = f"{where}.roles.{name}"
        check_identifier(name, place)
        if not role.people:
            raise refusal(135, place, "a role without a person", "name at least one person")
        everybody: list[Person | Deputy] = [*role.people, *role.deputies]
        for who in everybody:
            if not who.id.strip() or not who.name.strip():
                raise refusal(136, place, "a person without id or name", "give both", got=who.id)
            if who.name.strip().casefold() in labels or who.id.strip().casefold() in labels:
                raise refusal(137, place, "the name of a role is not a person", "name the person", got=who.name)
        check_unique([person.id for person in role.people], f"{place}.people", "person")
        _check_deputies(role, place)
    people = [{person.id.casefold() for person in role.people} for role in protocol.roles.values()]
    if people and all(held == people[0] and len(held) == 1 for held in people):
        raise refusal(138, f"{where}.roles", "one person holds every role", "approvals need distinct people")


def _check_deputies(role: Role, place: str) -> None:
    holders = {person.id.casefold() for person in role.people}
    for index, deputy in enumerate(role.deputies):
        here = f"{place}.deputies[{index}]"
        if deputy.id.casefold() == deputy.stands_for.casefold():
            raise refusal(174, here, "nobody stands in for himself", "name somebody else", got=deputy.id)
        if deputy.stands_for not in {person.id for person in role.people}:
            expected = ", ".join(person.id for person in role.people)
            raise refusal(
                175, f"{here}.stands_for", "not a person of this role", "name whom the deputy stands for", got=deputy.stands_for,
                expected=expected,
            )  # fmt: skip
        if deputy.id.casefold() in holders:
            raise refusal(176, here, "the deputy holds this role already", "remove the entry", got=deputy.id)
        _check_days(deputy, here)
        for earlier in role.deputies[:index]:
            same = earlier.id.casefold() == deputy.id.casefold()
            if same and earlier.first_day <= deputy.last_day and deputy.first_day <= earlier.last_day:
                raise refusal(
                    178, here, "a second entry for the deputy on the same days", "keep one: a record names one person", got=deputy.id
                )


def _check_days(deputy: Deputy, here: str) -> None:
    first, last = _day(deputy.first_day, f"{here}.first_day"), _day(deputy.last_day, f"{here}.last_day")
    days = (last - first).days + 1
    if days < 1:
        raise refusal(177, here, "the first day is after the last", "correct them", got=f"{first} to {last}")
    if days > MAX_DEPUTY_DAYS:
        raise refusal(
            177, here, "a deputy for too long", "give the role to the person, or name fewer days", got=f"{days} days",
            expected=f"at most {MAX_DEPUTY_DAYS} days",
        )  # fmt: skip


def _day(text: str, where: str) -> date:
    try:
        if DAY.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise refusal(177, where, "not a day", "write it like 2026-12-01", got=text, expected="YYYY-MM-DD")


def check_approvals(protocol: Protocol, where: str) -> None:
    """Raises ConfigError for a step that nobody answers or that the protocol does not have, and for times out of range."""
    approvals = protocol.approvals
    if not 0 < approvals.expires_after_days <= MAX_EXPIRY_DAYS:
        raise refusal(
            139,
            f"{where}.approvals.expires_after_days",
            "out of range",
            "choose 30 or less",
            got=approvals.expires_after_days,
            expected="0 to 30",
        )
    if approvals.poll_seconds <= 0:
        raise refusal(139, f"{where}.approvals.poll_seconds", "out of range", "choose a positive number", got=approvals.poll_seconds)
    _check_reminders(protocol, f"{where}.approvals")
    for step in STEPS:
        if not approvals.steps.get(step):
            raise refusal(140, f"{where}.approvals.steps", f"nobody answers {step}", "name its roles")
    for step, roles in approvals.steps.items():
        place = f"{where}.approvals.steps.{step}"
        if step not in STEPS:
            raise refusal(141, place, "unknown step", "remove it", expected=", ".join(STEPS))
        check_unique(list(roles), place, "role")
        for role in roles:
            if role != TASK_OWNER and role not in protocol.roles:
                raise refusal(142, place, "unknown role", "add it to roles", got=role)
        held = [{person.id.casefold() for person in protocol.roles[role].people} for role in roles if role != TASK_OWNER]
        if not each_has_one(held, frozenset()):
            raise refusal(
                186, place, "fewer people than roles, and nobody answers for two", "give one of the roles to another person",
                got=", ".join(roles),
            )  # fmt: skip


def _check_reminders(protocol: Protocol, where: str) -> None:
    approvals = protocol.approvals
    hours = list(approvals.remind_after_hours)
    if len(hours) > MAX_REMINDERS or any(later <= earlier for earlier, later in zip([0.0, *hours], hours, strict=False)):
        raise refusal(
            179, f"{where}.remind_after_hours", "not hours that rise", "write them like [24, 72], or [] for none", got=hours,
            expected=f"positive, each above the one before, at most {MAX_REMINDERS}",
        )  # fmt: skip
    if (approvals.escalate_after_hours is None) != (approvals.escalate_to is None):
        raise refusal(179, where, "escalate_after_hours and escalate_to belong together", "give both or neither")
    if approvals.escalate_after_hours is None:
        return
    limit = approvals.expires_after_days * 24
    if not 0 < approvals.escalate_after_hours < limit:
        raise refusal(
            179, f"{where}.escalate_after_hours", "never happens: a request is not open then", "choose less than the expiry",
            got=approvals.escalate_after_hours, expected=f"0 to {limit:g}",
        )  # fmt: skip
    if approvals.escalate_to not in protocol.roles:
        raise refusal(142, f"{where}.escalate_to", "unknown role", "add it to roles", got=approvals.escalate_to)


def each_has_one(held: list[set[str]], taken: frozenset[str]) -> bool:
    """Whether each of the sets can give a person of its own."""
    if not held:
        return True
    return any(each_has_one(held[1:], taken | {person}) for person in held[0] - taken)
