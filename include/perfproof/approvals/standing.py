"""Where a question stands: what the log of a run says about who was asked, who decided, and who still has to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from perfproof.approvals.record import about, is_about
from perfproof.approvals.request import Decision, Question, Request, read_request

REQUESTED = "approval.requested"
GRANTED = "approval.granted"
REJECTED = "approval.rejected"
REFUSED = "approval.refused"
VOID = "approval.void"
EXPIRED = "approval.expired"
# Any of these ends the question at once: going on needs everybody, stopping needs one.
DECISIVE = (Decision.RETRY, Decision.HALT)


class LogEntry(Protocol):
    """What is read of a log entry."""

    @property
    def type(self) -> str: ...

    @property
    def body(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Standing:
    """`granted`: the record that stands, by role. `rejected`: a rejection in this round. `waiting`: the open request, by role.

    `outdated` are request and role of what was asked about other evidence than there is now, or in an earlier round, and neither
    decided nor closed.
    `attempts` is the number of the last request of this step in this round, whatever it was about.
    """

    granted: Mapping[str, Mapping[str, Any]]
    rejected: Mapping[str, Any] | None
    waiting: Mapping[str, Request]
    outdated: tuple[tuple[Request, str], ...]
    attempts: int
    missing: tuple[str, ...]

    @property
    def decided(self) -> bool:
        """Whether nobody has to be waited for: every role granted, or one that asks to retry or halt."""
        return not self.missing or any(record["decision"] in DECISIVE for record in self.granted.values())

    @property
    def decision(self) -> Decision:
        """The decision of a decided question: retry or halt from anyone, else what everybody agreed to."""
        decisions = [Decision(record["decision"]) for record in self.granted.values()]
        return next((d for d in (Decision.HALT, Decision.RETRY) if d in decisions), decisions[0])


def read_standing(entries: Iterable[LogEntry], question: Question, *, this_round: bool) -> Standing:
    """Where `question` stands after `entries` (a run's log, in order).

    Records of earlier rounds stand too if the subject is unchanged, unless `this_round`. Requests, rejections, retries and
    halts never outlive their round.
    """
    roles = tuple(r.role for r in question.roles)
    granted: dict[str, Mapping[str, Any]] = {}
    rejected: Mapping[str, Any] | None = None
    open_requests: dict[str, Request] = {}
    others: list[tuple[Request, str]] = []
    closed: set[tuple[str, str]] = set()
    ended: set[tuple[str, str]] = set()
    attempts = 0
    for entry in entries:
        body = entry.body
        same_step = (body.get("step"), body.get("map_index")) == (question.step, question.map_index)
        if not same_step:
            continue
        if entry.type == REQUESTED and (body["subject_sha256"], body["round"]) != (question.subject_sha256, question.round):
            request = read_request(body["request"], where=body["request_id"])
            others += [(request, role) for role in request.roles]
        elif entry.type in (GRANTED, REJECTED, EXPIRED):
            ended.add((body["request_id"], body["role"]))
        if entry.type == REQUESTED and body["round"] == question.round:
            attempts = max(attempts, body["attempt"])
            if is_about(body, question, this_round=True):
                request = read_request(body["request"], where=body["request_id"])
                open_requests |= dict.fromkeys(request.roles, request)
        elif entry.type == GRANTED and is_about(body, question, this_round=this_round or body["decision"] in DECISIVE):
            granted[body["role"]] = body
        elif entry.type == REJECTED and is_about(body, question, this_round=True):
            rejected = body
        elif entry.type in (REFUSED, VOID):
            closed.add((body["request_id"], body["role"]))
    granted = {role: granted[role] for role in roles if role in granted}
    waiting = {
        role: request
        for role, request in open_requests.items()
        if role in roles and role not in granted and (request.request_id, role) not in closed
    }
    missing = tuple(role for role in roles if role not in granted)
    outdated = tuple((request, role) for request, role in others if (request.request_id, role) not in closed | ended)
    return Standing(granted=granted, rejected=rejected, waiting=waiting, outdated=outdated, attempts=attempts, missing=missing)


def requested_body(request: Request) -> dict[str, Any]:
    """The body of approval.requested: everything that was shown, and its digests."""
    return {**about(request), "request_sha256": request.sha256, "request": request.conf()}
