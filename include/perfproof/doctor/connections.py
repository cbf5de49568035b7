"""Connections: whether each that is needed exists, has the right type, leads somewhere, and is accepted there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from perfproof.doctor.finding import Answer, Area, Finding, ok, problem, told_by, unchecked
from perfproof.errors import PerfproofError

AREA = Area.CONNECTIONS
# Codes of the hooks that ask sources, evidence stores and databases.
REDIRECTS = frozenset({"TEL-272", "TEL-715"})
CREDENTIALS = frozenset({"TEL-273", "EVI-503", "PAR-222"})
# A database that was reached and does not let in: what libpq says then, which has no code of its own.
DATABASE = "PRO-174"
LOGIN_WORDS = ("authentication failed", "no password supplied", "pg_hba.conf", "role ")


class Looked(StrEnum):
    """What a look for a Connection came to."""

    THERE = "there"
    ABSENT = "absent"
    UNSEEN = "unseen"


@dataclass(frozen=True, slots=True)
class Need:
    """A Connection that something names. `types` are the types that fit, `uses` who needs it.

    `without`: what happens without one that is optional, None for one that must be there. `is_key`: its absence is told with the keys.
    """

    id: str
    types: tuple[str, ...]
    uses: tuple[str, ...]
    without: str | None = None
    is_key: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """A Connection as one place gives it: this machine, or the api-server. `reason` says why it was not seen."""

    looked: Looked
    type: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class ConnectionFacts:
    """One needed Connection. `reach` is None if there is no host to reach; `asked` are the questions that were put through it."""

    need: Need
    here: Seen
    served: Seen
    address: str | None = None
    reach: Answer | None = None
    asked: tuple[tuple[str, Answer], ...] = field(default=())


def judge_connections(facts: Sequence[ConnectionFacts]) -> Iterator[Finding]:
    """The findings of each Connection."""
    for one in facts:
        yield from _judge(one)


def _judge(facts: ConnectionFacts) -> Iterator[Finding]:
    need, where = facts.need, f"Connection {facts.need.id}"
    uses = ", ".join(need.uses)
    places = (facts.here, facts.served)
    if not any(seen.looked is Looked.THERE for seen in places):
        if not need.is_key:
            yield _absent(facts, where, uses)
        return
    kind = next((seen.type for seen in places if seen.looked is Looked.THERE and seen.type), None)
    if kind not in need.types:
        yield problem(
            AREA, 102, where=where, what=f"has the wrong type for {uses}", got=kind or "none", expected=" or ".join(need.types),
            fix=f"set its type to {need.types[0]} under Admin > Connections",
        )  # fmt: skip
    else:
        yield ok(AREA, where, f"exists, of type {kind}, for {uses}")
    if facts.here.looked is not Looked.THERE:
        reason = facts.here.reason or "only the api-server has it"
        yield unchecked(AREA, where, f"whether it is accepted: {reason}", fix="run this where the scheduler or a worker runs")
        return
    if facts.reach is not None:
        yield _reached(facts.reach, where, facts.address)
        if facts.reach.error is not None:
            return
    for what, answer in facts.asked:
        yield _answered(answer, where, what)


def _absent(facts: ConnectionFacts, where: str, uses: str) -> Finding:
    need = facts.need
    unseen = [seen.reason for seen in (facts.here, facts.served) if seen.looked is Looked.UNSEEN]
    if need.without is not None and not unseen:
        return ok(AREA, where, f"is not set up, which is allowed: {need.without}")
    if facts.here.looked is Looked.UNSEEN and facts.served.looked is not Looked.ABSENT:
        return unchecked(AREA, where, f"whether it exists: {facts.here.reason}")
    if need.without is not None:
        return unchecked(AREA, where, f"whether it exists: {unseen[0]}")
    return problem(
        AREA, 101, where=where, what=f"does not exist, and is needed for {uses}", expected=f"type {' or '.join(need.types)}",
        fix=f"add it under Admin > Connections, or: airflow connections add {need.id} --conn-type {need.types[0]}",
    )  # fmt: skip


def _reached(answer: Answer, where: str, address: str | None) -> Finding:
    if answer.unasked is not None:
        return unchecked(AREA, where, f"whether {address} answers: {answer.unasked}")
    if answer.error is not None:
        return problem(
            AREA, 103, where=where, what="its host cannot be reached from this machine", got=f"{address}: {answer.error.what}",
            fix="start what listens there, or correct host and port of the Connection",
        )  # fmt: skip
    return ok(AREA, where, f"{address} accepts connections")


def _answered(answer: Answer, where: str, what: str) -> Finding:
    if answer.unasked is not None:
        return unchecked(AREA, where, f"{what}: {answer.unasked}")
    if answer.error is None:
        return ok(AREA, where, f"{what} answers")
    return told_by(AREA, number_of(answer.error), answer.error, where=f"{where}, {what}")


def number_of(error: PerfproofError) -> int:
    """105 for a redirect, 104 for credentials that are refused, 106 for every other answer that is none."""
    if error.code in REDIRECTS:
        return 105
    # AWS's own words are kept in an attribute of the hook's error.
    if error.code in CREDENTIALS or getattr(error, "aws_code", None) is not None:
        return 104
    refused = error.code == DATABASE and any(word in str(error.got).casefold() for word in LOGIN_WORDS)
    return 104 if refused else 106
