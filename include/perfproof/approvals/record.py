"""The record: the body of the log entry that says who decided what, bound to which evidence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from perfproof.approvals.act import Act
from perfproof.approvals.request import Asked, Decision, Evidence, Question, Request
from perfproof.config.people import Deputy
from perfproof.moments import parse_stamp

# A person whom Airflow authenticated; A2 would be the person's own key.
ASSURANCE = "A1"


def record_body(
    request: Request,
    *,
    asked: Asked,
    act: Act,
    signed_act: Mapping[str, Any],
    decision: Decision,
    comment: str,
) -> dict[str, Any]:
    """The body of approval.granted or approval.rejected. Nothing in it can be changed without breaking the log or the act.

    `deputy_for` is the person of the role for whom a deputy answered, else None.
    """
    person = asked.person(act.actor_id)
    deputy = None if person else asked.deputy(act.actor_id, at=parse_stamp(act.time))
    question = request.question
    return {
        **about(request),
        "run": question.run,
        "role": asked.role,
        "role_label": asked.label,
        "person": {"id": act.actor_id, "name": next((who.name for who in (person, deputy) if who), act.actor_name)},
        "deputy_for": _stands_for(asked, deputy),
        "decision": str(decision),
        "comment": comment,
        "decided_at": act.time,
        "channel": str(act.channel),
        "assurance": ASSURANCE,
        "evidence": [{"name": e.name, "sha256": e.sha256} for e in question.evidence],
        "request_sha256": request.sha256,
        "act": dict(signed_act),
    }


def _stands_for(asked: Asked, deputy: Deputy | None) -> dict[str, str] | None:
    person = asked.person(deputy.stands_for) if deputy else None
    return {"id": person.id, "name": person.name} if person else None


def about(request: Request) -> dict[str, Any]:
    """What every entry about a request says of it: which one, of which step and round, and the digest of what is decided."""
    question = request.question
    return {
        "request_id": request.request_id,
        "step": question.step,
        "map_index": question.map_index,
        "round": question.round,
        "attempt": request.attempt,
        "subject_sha256": question.subject_sha256,
    }


def refusal_body(request: Request, *, role: str, code: str, reason: str, actor: str | None, signed_act: object) -> dict[str, Any]:
    """The body of approval.refused: an act that decided nothing, and why. `signed_act` is kept only as it was found, cut to size."""
    return {
        **about(request),
        "role": role,
        "code": code,
        "reason": reason,
        "actor": actor,
        # What somebody stored need not be text that a log can hold.
        "found": str(signed_act)[:2000].encode("utf-8", "backslashreplace").decode() if signed_act is not None else None,
    }


def is_about(body: Mapping[str, Any], question: Question, *, this_round: bool) -> bool:
    """Whether a record, refusal or request is about exactly this question; in any round unless `this_round`."""
    return (
        body.get("step") == question.step
        and body.get("map_index") == question.map_index
        and body.get("subject_sha256") == question.subject_sha256
        and (not this_round or body.get("round") == question.round)
    )


def same_evidence(left: Iterable[Evidence], right: Iterable[Evidence]) -> bool:
    """Whether two lists name the same pieces with the same digests, in any order."""
    return sorted((e.name, e.sha256) for e in left) == sorted((e.name, e.sha256) for e in right)
