"""What a person reads before deciding: the request as Markdown for the task's form."""

from __future__ import annotations

import json
from typing import Any

from perfproof.approvals.request import GATE_DECISION, Note, Request
from perfproof.markdown import Cell, code, table, text
from perfproof.moments import stamp

MAX_ROWS = 60


def subject(request: Request, *, role: str) -> str:
    """The headline of the form: the step and the role that is asked, in one line."""
    asked = request.question.role(role)
    again = f" (asked again, attempt {request.attempt})" if request.attempt > 1 else ""
    return f"{asked.label if asked else role}: {request.question.step.replace('_', ' ')}{again}"


def body(request: Request, *, role: str) -> str:
    """The form's text: question, figures, what the decision is bound to, and how to answer. Foreign text is escaped."""
    question = request.question
    asked = question.role(role)
    people = ", ".join(text(p.name) for p in asked.people) if asked else ""
    lines = [text(line) for line in question.question.splitlines()]
    facts = [[Cell(text(name)), Cell(value)] for name, value in _facts("", question.shown)]
    hidden = len(facts) - MAX_ROWS
    if facts:
        lines += ["", table(["What you decide on", ""], facts[:MAX_ROWS])]
    if hidden > 0:
        lines += ["", f"{hidden} more lines are in the configuration of this run."]
    evidence = [[Cell(text(e.name)), Cell(code(e.sha256))] for e in question.evidence]
    if evidence:
        lines += ["", table(["Evidence", "SHA-256"], evidence)]
    lines += ["", f"**How to answer** ({people}): {_how(request)}"]
    lines += [
        "",
        f"Protocol run {code(question.run_id)} of {code(question.dag_id)}, step {code(question.step)}, "
        f"open until {stamp(request.expires_at)}. "
        f"You are also a witness of the run's log: {request.log_size} entries, head {code(request.log_head)}.",
    ]
    return "\n".join(lines)


def _how(request: Request) -> str:
    if set(request.question.options) <= set(GATE_DECISION):
        return (
            "choose below, or mark this task success with a note that begins with `retry`, `waiver: <why, 20 characters at least>` or "
            "`halt`. One person is enough to retry or halt."
        )
    note = " The note must hold the change reference." if request.question.note is Note.CHANGE_REFERENCE else ""
    return f"mark this task success to approve or failed to reject, or choose below.{note}"


def _facts(name: str, value: Any) -> list[tuple[str, str]]:
    """`value` as lines of name and Markdown: mappings and lists of mappings are unfolded, everything else is one line."""
    if isinstance(value, dict) and value:
        return [fact for key, item in value.items() for fact in _facts(f"{name} / {key}" if name else str(key), item)]
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        return [fact for number, item in enumerate(value, start=1) for fact in _facts(f"{name} {number}", item)]
    if isinstance(value, list):
        return [(name, text(", ".join(str(item) for item in value)))]
    return [(name, text(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)))]
