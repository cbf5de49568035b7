"""Where a question stands is read from the log alone."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from perfproof.approvals import GATE_DECISION, Asked, Decision, Evidence, Question, Request, open_request
from perfproof.approvals.standing import GRANTED, REFUSED, REJECTED, REQUESTED, VOID, Standing, read_standing, requested_body
from perfproof.config import Person

NOW = datetime(2025, 2, 16, 10, 0, tzinfo=UTC)
QUESTION = Question(
    run="run-0123456789abcdef",
    dag_id="d",
    run_id="run",
    step="plan",
    map_index=-1,
    round=0,
    question="Approve?",
    options=(Decision.APPROVE, Decision.REJECT),
    roles=(Asked("po", "PO", (Person("ann", "Ann"),)), Asked("sre", "SRE", (Person("sam", "Sam"),))),
    evidence=(Evidence("plan", "a" * 64),),
    shown={},
)
NEXT_ROUND = dataclasses.replace(QUESTION, round=1)


@dataclass(frozen=True)
class Line:
    type: str
    body: dict[str, Any]


def asked(question: Question = QUESTION, *, attempt: int = 1, roles: tuple[str, ...] = ("po", "sre")) -> tuple[Request, Line]:
    request = open_request(question, attempt=attempt, roles=roles, log_size=1, log_head="b" * 64, now=NOW, expires_after_days=7)
    return request, Line(REQUESTED, requested_body(request))


def about(kind: str, role: str, *, question: Question = QUESTION, attempt: int = 1, decision: str = "approve") -> Line:
    request, _ = asked(question, attempt=attempt)
    return Line(
        kind,
        {
            "request_id": request.request_id, "step": question.step, "map_index": question.map_index, "round": question.round,
            "role": role, "subject_sha256": question.subject_sha256, "decision": decision,
        },
    )  # fmt: skip


def standing(*lines: Line, question: Question = QUESTION, this_round: bool = False) -> Standing:
    return read_standing(lines, question, this_round=this_round)


def test_nothing_in_the_log_means_everybody_has_to_be_asked() -> None:
    """The first run of the task."""
    found = standing()
    assert (found.granted, found.waiting, found.attempts, found.missing, found.decided) == ({}, {}, 0, ("po", "sre"), False)


def test_an_open_request_is_found_again() -> None:
    """A retry does not ask twice, and knows exactly what was asked."""
    request, line = asked()
    found = standing(line)
    assert found.waiting == {"po": request, "sre": request}
    assert found.attempts == 1


def test_a_grant_leaves_the_other_role_waiting_and_a_refusal_must_be_asked_again() -> None:
    """Each role has its own way."""
    _, line = asked()
    found = standing(line, about(GRANTED, "po"), about(REFUSED, "sre"))
    assert (set(found.granted), found.waiting, found.missing) == ({"po"}, {}, ("sre",))
    second, again = asked(attempt=2, roles=("sre",))
    found = standing(line, about(GRANTED, "po"), about(REFUSED, "sre"), again)
    assert (found.waiting, found.attempts) == ({"sre": second}, 2)


def test_a_void_request_is_not_waited_for() -> None:
    """Somebody else had taken its id."""
    _, line = asked()
    assert standing(line, about(VOID, "po"), about(VOID, "sre")).waiting == {}


def test_all_grants_decide() -> None:
    """Both roles approved."""
    _, line = asked()
    found = standing(line, about(GRANTED, "po"), about(GRANTED, "sre"))
    assert found.decided and found.decision is Decision.APPROVE


def test_one_halt_or_retry_decides_and_a_waiver_needs_everybody() -> None:
    """Stopping is never outvoted."""
    gate = dataclasses.replace(QUESTION, options=GATE_DECISION)
    waived = about(GRANTED, "po", question=gate, decision="waiver")
    assert not standing(waived, question=gate).decided
    for decision in (Decision.HALT, Decision.RETRY):
        found = standing(waived, about(GRANTED, "sre", question=gate, decision=decision), question=gate)
        assert found.decided and found.decision is decision


def test_a_record_of_an_earlier_round_stands_while_the_subject_is_the_same() -> None:
    """Unchanged evidence is never asked twice, unless the step says so; changed evidence always is."""
    earlier = about(GRANTED, "po")
    assert set(standing(earlier, question=NEXT_ROUND).granted) == {"po"}
    assert standing(earlier, question=NEXT_ROUND, this_round=True).granted == {}
    changed = dataclasses.replace(NEXT_ROUND, evidence=(Evidence("plan", "c" * 64),))
    assert standing(earlier, question=changed).granted == {}


def test_requests_rejections_retries_and_halts_end_with_their_round() -> None:
    """Cleared: the people are asked anew."""
    _, line = asked()
    assert standing(line, question=NEXT_ROUND).waiting == {}
    assert standing(line, question=NEXT_ROUND).attempts == 0
    rejected = about(REJECTED, "po")
    assert standing(rejected).rejected is not None
    assert standing(rejected, question=NEXT_ROUND).rejected is None
    assert standing(about(GRANTED, "po", decision="halt"), question=NEXT_ROUND).granted == {}


def test_attempts_count_whatever_was_asked_in_the_round() -> None:
    """The evidence changed within a round: the next id must be free."""
    _, line = asked(dataclasses.replace(QUESTION, shown={"old": True}), attempt=3)
    found = standing(line)
    assert (found.attempts, found.waiting) == (3, {})


def test_other_steps_and_other_map_indexes_are_other_questions() -> None:
    """Mapped waits of one step do not share answers."""
    for other in (dataclasses.replace(QUESTION, step="handoff"), dataclasses.replace(QUESTION, map_index=1)):
        assert standing(about(GRANTED, "po", question=other)).granted == {}


def test_a_request_about_other_evidence_is_outdated_until_it_is_decided_or_closed() -> None:
    """In whichever round it was asked; each role on its own."""
    changed = dataclasses.replace(QUESTION, evidence=(Evidence("plan", "c" * 64),), round=1)
    request, line = asked()
    assert standing(line).outdated == ()
    found = standing(line, question=changed)
    assert (found.outdated, found.waiting) == (((request, "po"), (request, "sre")), {})
    for kind in (GRANTED, REJECTED, REFUSED, VOID):
        assert standing(line, about(kind, "po"), question=changed).outdated == ((request, "sre"),)


def test_an_open_request_of_an_earlier_round_is_outdated() -> None:
    """After a clear the people are asked anew, and what they were asked before says nothing any more."""
    request, line = asked()
    assert standing(line, question=NEXT_ROUND).outdated == ((request, "po"), (request, "sre"))
    assert standing(line, about(GRANTED, "po"), question=NEXT_ROUND).outdated == ((request, "sre"),)
