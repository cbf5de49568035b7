"""Roles: whether the people of the protocol files exist in this Airflow, may answer, and are enough for every step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from perfproof.config import Protocol
from perfproof.doctor.finding import Area, Finding, ok, problem, unchecked
from perfproof.parameters import Parameters, read_parameters
from perfproof.preview.people import Answer as Answers
from perfproof.preview.people import asked_documents

AREA = Area.ROLES
NOBODY = "has nobody who can be asked"
# Of the simple auth manager: who only looks cannot mark a task.
LOOKS_ONLY = "viewer"
SIMPLE_FIX = "add the account to [core] simple_auth_manager_users as ID:user, or correct roles.{role} in the protocol file"


@dataclass(frozen=True, slots=True)
class Accounts:
    """The accounts that Airflow's auth manager has: role by id. `known` None: it cannot be asked, for `reason`."""

    manager: str
    known: Mapping[str, str] | None
    reason: str | None = None
    all_admins: bool = False


def judge_people(protocol: Protocol, accounts: Accounts, *, now: datetime) -> Iterator[Finding]:
    """The findings about everybody whom `protocol` names, and about each step."""
    where = f"protocol {protocol.name}"
    if accounts.known is None:
        yield unchecked(
            AREA, where, f"whether the people of the roles have accounts: {accounts.reason}",
            fix="compare Person.id in the protocol file with the ids that the auth manager gives",
        )  # fmt: skip
    else:
        yield from _accounts(protocol, accounts, where)
    yield from _steps(protocol, accounts, where, now)


def judge_auth_manager(accounts: Accounts) -> Iterator[Finding]:
    """The finding about how people log in."""
    if accounts.all_admins:
        yield problem(
            AREA, 201, where="[core] simple_auth_manager_all_admins",
            what="everybody is the same administrator, so no approval tells who gave it",
            got="True", expected="False", fix="set it to False and give each person an account",
        )  # fmt: skip


def _accounts(protocol: Protocol, accounts: Accounts, where: str) -> Iterator[Finding]:
    known = accounts.known or {}
    good = 0
    for name, role in protocol.roles.items():
        for person_id in dict.fromkeys([*(p.id for p in role.people), *(d.id for d in role.deputies)]):
            place = f"{where}, role {name}"
            if person_id not in known:
                yield problem(
                    AREA, 202, where=place, what="a person whom the auth manager does not know", got=person_id,
                    expected=f"one of {len(known)} accounts of {accounts.manager}", fix=SIMPLE_FIX.format(role=name),
                )  # fmt: skip
            elif known[person_id].casefold() == LOOKS_ONLY:
                yield problem(
                    AREA, 203, where=place, what="a person who may look only, and not answer", got=f"{person_id}: {known[person_id]}",
                    expected="user, op or admin", fix="give the account the role user in [core] simple_auth_manager_users",
                )  # fmt: skip
            else:
                good += 1
    if good:
        yield ok(AREA, where, f"{good} entries of its roles are accounts that may answer")


def _steps(protocol: Protocol, accounts: Accounts, where: str, now: datetime) -> Iterator[Finding]:
    """Each step against the people that are left: those with an account, where that is known."""
    present = _with_accounts(protocol, accounts)
    blocked: dict[tuple[str, str], list[str]] = {}
    for parameters, about in _choices(protocol, read_parameters({"protocol": protocol.name}, protocol)):
        for request in asked_documents(present, parameters, requester=None, now=now):
            if request["answerable"] == Answers.NO.value:
                steps = blocked.setdefault((str(request["reason"]), about), [])
                steps += [] if request["step"] in steps else [request["step"]]
    for (reason, about), steps in blocked.items():
        # What holds whatever is optimized is told once, and not again for each optimization.
        if about and (reason, "") in blocked and set(steps) <= set(blocked[reason, ""]):
            continue
        yield problem(
            AREA, 205 if NOBODY in reason else 204, where=f"{where}, step {', '.join(steps)}", what=f"nobody can answer{about}: {reason}",
            expected="a person for each role of the step", fix="give the role to one more person, or the work to another owner",
        )  # fmt: skip
    if not blocked:
        yield ok(AREA, where, "each step has somebody who may answer it")
    for name, role in protocol.roles.items():
        if len(role.people) == 1 and not role.deputies:
            yield ok(
                AREA, f"{where}, role {name}", f"held by {role.people[0].id} alone: who then may not trigger a run that asks this role"
            )


def _choices(protocol: Protocol, whole: Parameters) -> Iterator[tuple[Parameters, str]]:
    """A run with everything, then one with each optimization alone: its owner may not approve the plan."""
    yield whole, ""
    for optimization in protocol.optimizations:
        if optimization.service in whole.services:
            yield replace(whole, optimizations=(optimization.id,)), f" about {optimization.id}"


def _with_accounts(protocol: Protocol, accounts: Accounts) -> Protocol:
    if accounts.known is None:
        return protocol
    known = accounts.known
    roles = {
        name: replace(
            role,
            people=tuple(p for p in role.people if p.id in known),
            deputies=tuple(d for d in role.deputies if d.id in known),
        )
        for name, role in protocol.roles.items()
    }
    return replace(protocol, roles=roles)
