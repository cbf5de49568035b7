"""Connections: what is known of one in two places becomes findings, and what is not known is never right."""

from __future__ import annotations

import pytest

from perfproof.doctor import Answer, State
from perfproof.doctor.connections import ConnectionFacts, Looked, Need, Seen, judge_connections, number_of
from perfproof.doctor.finding import Finding
from perfproof.errors import EvidenceError, PerfproofError, ProfileError, TelemetryError

NEED = Need("db", ("postgres",), ("the database",))
OPTIONAL = Need("api", ("http",), ("retries",), without="somebody clears by hand")
THERE, ABSENT = Seen(Looked.THERE, type="postgres"), Seen(Looked.ABSENT)
UNSEEN = Seen(Looked.UNSEEN, reason="no database here")


def judged(need: Need, here: Seen, served: Seen, **more: object) -> list[Finding]:
    return list(judge_connections([ConnectionFacts(need, here, served, **more)]))  # type: ignore[arg-type]


def states(findings: list[Finding]) -> list[str]:
    return [finding.code or finding.state.value for finding in findings]


@pytest.mark.parametrize(
    ("here", "served", "expected"),
    [
        (THERE, THERE, ["ok"]),
        (THERE, ABSENT, ["ok"]),
        (ABSENT, ABSENT, ["DOC-101"]),
        (ABSENT, UNSEEN, ["DOC-101"]),
        (UNSEEN, ABSENT, ["DOC-101"]),
        (UNSEEN, UNSEEN, ["not checked"]),
        (UNSEEN, THERE, ["ok", "not checked"]),
        (ABSENT, THERE, ["ok", "not checked"]),
    ],
)
def test_where_it_was_seen_decides(here: Seen, served: Seen, expected: list[str]) -> None:
    """A Connection that nobody could look for is not checked; one that only the api-server has cannot be tried here."""
    assert states(judged(NEED, here, served)) == expected


def test_an_optional_one_may_be_absent_and_says_what_follows() -> None:
    """Absent is allowed; not seen is not checked."""
    (absent,) = judged(OPTIONAL, ABSENT, ABSENT)
    assert absent.state is State.OK and "by hand" in absent.what
    assert states(judged(OPTIONAL, UNSEEN, UNSEEN)) == ["not checked"]
    assert states(judged(OPTIONAL, ABSENT, UNSEEN)) == ["not checked"]


def test_a_host_that_is_not_reached_is_not_asked_about_too() -> None:
    """One problem for one cause."""
    refused = Answer(TelemetryError(270, where="x", what="Connection refused", fix="y"))
    found = judged(NEED, THERE, THERE, address="127.0.0.1:1", reach=refused, asked=(("the database", Answer()),))
    assert states(found) == ["ok", "DOC-103"]
    assert found[1].got == "127.0.0.1:1: Connection refused"


@pytest.mark.parametrize(
    ("error", "number"),
    [
        (TelemetryError(272, where="x", what="redirects", fix="y"), 105),
        (TelemetryError(273, where="x", what="refuses", fix="y"), 104),
        (EvidenceError(503, where="x", what="refuses", fix="y"), 104),
        (ProfileError(174, where="x", what="no answer", got='password authentication failed for user "a"', fix="y"), 104),
        (ProfileError(174, where="x", what="no answer", got='database "b" does not exist', fix="y"), 106),
        (TelemetryError(274, where="x", what="not JSON", fix="y"), 106),
    ],
)
def test_what_an_answer_is_told_as(error: PerfproofError, number: int) -> None:
    """Redirects, refused credentials, and the rest."""
    assert number_of(error) == number


def test_a_question_that_nobody_asked_is_not_checked() -> None:
    """Never a silent pass."""
    found = judged(NEED, THERE, THERE, asked=(("whether it is accepted", Answer(unasked="only a message would show it")),))
    assert states(found) == ["ok", "not checked"]


def test_a_missing_key_is_told_with_the_keys_and_not_here_too() -> None:
    """One cause, one finding; its type is judged here."""
    key = Need("key", ("generic",), ("signing",), is_key=True)
    assert judged(key, ABSENT, ABSENT) == []
    assert states(judged(key, THERE, THERE)) == ["DOC-102"]
