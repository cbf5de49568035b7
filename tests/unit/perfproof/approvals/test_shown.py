"""What people read is complete, and never markup of somebody else."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from perfproof.approvals import APPROVAL, GATE_DECISION, Asked, Evidence, Note, Question, Request, open_request
from perfproof.approvals.shown import MAX_ROWS, body, subject
from perfproof.config import Person


def request(*, attempt: int = 1, **changes: Any) -> Request:
    fields: dict[str, Any] = {
        "run": "run-0123456789abcdef",
        "dag_id": "performance_optimization",
        "run_id": "manual__2025",
        "step": "load_test_authorization",
        "map_index": 1,
        "round": 0,
        "question": "May we send load?",
        "options": APPROVAL,
        "roles": (Asked("sre_lead", "SRE Lead", (Person("sam", "Sam S."),)),),
        "evidence": (Evidence("prerequisites.json", "a" * 64),),
        "shown": {"host": "127.0.0.1", "limits": {"rate": 150, "approved": True}, "tests": [{"name": "peak"}, {"name": "stress"}]},
    }
    question = Question(**{**fields, **changes})
    now = datetime(2025, 2, 16, 10, 0, tzinfo=UTC)
    return open_request(question, attempt=attempt, roles=("sre_lead",), log_size=9, log_head="b" * 64, now=now, expires_after_days=7)


def test_everything_that_is_decided_on_is_shown() -> None:
    """Nested figures have a line each, and the digests are there to compare."""
    text = body(request(), role="sre_lead")
    for expected in (
        "127.0.0.1",
        "limits / rate | 150",
        "limits / approved | true",
        "tests 2 / name | stress",
        "a" * 64,
        "b" * 64,
        "Sam S.",
    ):
        assert expected in text.replace("\\", ""), expected
    assert "open until 2025-02-23T10:00:00Z" in text


def test_foreign_text_is_not_markup() -> None:
    """A plan, a service or a note may hold anything."""
    hostile = "<script>x</script> [click](http://evil.example) | `a` ![i](x)\n# big"
    text = body(request(shown={hostile: hostile}, question=hostile), role="sre_lead")
    # A backslash takes a character's meaning, and what stands in a code span is shown as it is.
    unescaped = re.sub(r"\\.", "", text)
    live = re.sub(r"(`+).*?\1", "", unescaped)
    assert not re.search(r"[<\[]|\]\(|^# ", live, re.MULTILINE), live


def test_a_long_request_says_what_it_leaves_out() -> None:
    """Nothing is dropped in silence."""
    text = body(request(shown={f"fact {n}": n for n in range(MAX_ROWS + 5)}), role="sre_lead")
    assert "5 more lines are in the configuration of this run." in text


def test_the_headline_names_role_step_and_attempt() -> None:
    """In a list of waiting questions everybody finds their own, and who is asked again sees that at once."""
    assert subject(request(), role="sre_lead") == "SRE Lead: load test authorization, waits for sam"
    assert subject(request(attempt=2), role="sre_lead") == "SRE Lead: load test authorization, waits for sam (asked again, attempt 2)"


def test_the_headline_of_a_role_that_many_hold_stays_a_line() -> None:
    """The first three people stand for the rest, who are counted."""
    many = tuple(Person(f"sam{n}", f"Sam {n}") for n in range(5))
    assert subject(request(roles=(Asked("sre_lead", "SRE Lead", many),)), role="sre_lead").endswith("waits for sam0, sam1, sam2 and 2 more")


def test_two_implementations_have_two_headlines() -> None:
    """They are requests of the same step to the same person, about two optimizations."""
    shown = [subject(request(step="implementation", shown={"id": id_}), role="sre_lead") for id_ in ("OPT-001", "OPT-002")]
    assert shown == ["SRE Lead: implementation OPT-001, waits for sam", "SRE Lead: implementation OPT-002, waits for sam"]


def test_figures_read_like_figures() -> None:
    """Words instead of identifiers, whole numbers without a decimal, and a unit where the name has none; nothing is rounded."""
    shown = {"max_rate": 120.0, "limits": {"p99_ms": 20000.0, "margin": 0.05}, "rates": [30.0, 62.5], "objective": "as_it_is"}
    text = body(request(shown=shown), role="sre_lead").replace("\\", "")
    for expected in (
        "max rate (requests/s) | 120 |",
        "limits / p99 ms | 20000 |",
        "limits / margin | 0.05 |",
        "rates | 30, 62.5 |",
        "objective | as_it_is |",
    ):
        assert expected in text, expected


def test_a_question_of_many_lines_stays_one() -> None:
    """The text of a failed gate is a list of lines, and a quotation; a renderer would run them together."""
    lines = body(request(question='[FAILED]\n> "Criteria: x\n>\n> 1. Retry"'), role="sre_lead").splitlines()
    assert lines[:4] == ["\\[FAILED\\]  ", '> "Criteria: x  ', "> ", '> 1\\. Retry"  ']


def test_who_is_asked_again_learns_where_the_reason_is() -> None:
    """Somebody else's answer may be the reason, so they cannot know it."""
    assert "decided nothing" not in body(request(), role="sre_lead")
    assert "decided nothing" in body(request(attempt=2), role="sre_lead")


def test_how_to_answer_fits_the_question() -> None:
    """A gate is decided otherwise than an approval, and an implementation needs its reference."""
    assert "`halt`" in body(request(options=GATE_DECISION), role="sre_lead")
    assert "failed to reject" in body(request(), role="sre_lead")
    assert "change reference" in body(request(note=Note.CHANGE_REFERENCE), role="sre_lead")
