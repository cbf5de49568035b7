"""What a person reads before deciding: the request as Markdown for the task's form."""

from __future__ import annotations

import json
from typing import Any

from perfproof.approvals.request import GATE_DECISION, Asked, Note, Request
from perfproof.markdown import Cell, code, table, text, visible
from perfproof.moments import stamp

MAX_ROWS = 60
MAX_NAMES = 3
# Two spaces at the end of a line break it.
BREAK = "  "
# Names whose unit is not a part of them.
UNITS = {"max_rate": "requests/s"}


def subject(request: Request, *, role: str) -> str:
    """The headline of the form and of the list of required actions: role, step, and who is asked, in one line."""
    question = request.question
    asked = question.role(role)
    # Each implementation is a request of its own, and only its id tells them apart.
    about = question.shown.get("id")
    step = " ".join([_words(question.step), *([about] if isinstance(about, str) else [])])
    ids = [who.id for who in asked.respondents(start=request.requested_at, end=request.expires_at)] if asked else []
    people = ", ".join(ids[:MAX_NAMES]) + (f" and {len(ids) - MAX_NAMES} more" if len(ids) > MAX_NAMES else "")
    again = f" (asked again, attempt {request.attempt})" if request.attempt > 1 else ""
    return visible(f"{asked.label if asked else role}: {step}, waits for {people}{again}")


def body(request: Request, *, role: str) -> str:
    """The form's text: question, figures, what the decision is bound to, and how to answer. Foreign text is escaped."""
    question = request.question
    asked = question.role(role)
    people = _respondents(request, asked) if asked else ""
    lines = _lines(question.question)
    if request.attempt > 1:
        lines += ["", "An earlier answer decided nothing. The log of the task that waits in the protocol run says why."]
    rows = [[Cell(text(name)), Cell(text(value))] for name, value in facts("", question.shown)]
    hidden = len(rows) - MAX_ROWS
    if rows:
        lines += ["", table(["What you decide on", ""], rows[:MAX_ROWS])]
    if hidden > 0:
        lines += ["", f"{hidden} more lines are in the configuration of this run."]
    evidence = [[Cell(text(e.name)), Cell(code(e.sha256))] for e in question.evidence]
    if evidence:
        lines += ["", table(["Evidence", "SHA-256"], evidence)]
    lines += ["", f"**How to answer**, for {people}: {how_to_answer(request)}"]
    lines += [
        "",
        f"Protocol run {code(question.run_id)} of {code(question.dag_id)}, step {code(question.step)}, "
        f"open until {stamp(request.expires_at)}. "
        f"You are also a witness of the run's log: {request.log_size} entries, head {code(request.log_head)}.",
    ]
    return "\n".join(lines)


def _respondents(request: Request, asked: Asked) -> str:
    """The people of the role, then the deputies of these days, each with whom they stand in for and until when."""
    names = [text(person.name) for person in asked.people]
    for deputy in asked.deputies:
        if deputy.stands_in_between(request.requested_at, request.expires_at):
            person = asked.person(deputy.stands_for)
            days = f"{deputy.first_day} to {deputy.last_day}"
            names.append(text(f"{deputy.name} (deputy of {person.name if person else deputy.stands_for}, {days})"))
    return ", ".join(names)


def how_to_answer(request: Request) -> str:
    """What a person does to answer, in words; names of notes are in backticks."""
    if set(request.question.options) <= set(GATE_DECISION):
        return (
            "choose below, or mark this task success with a note that begins with `retry`, `waiver:` or `halt`. A waiver is written in the "
            "form above, with 20 characters of reasons at least. One person is enough to retry or halt."
        )
    note = " The note must hold the change reference." if request.question.note is Note.CHANGE_REFERENCE else ""
    return f"mark this task success to approve or failed to reject, or choose below.{note}"


def _lines(question: str) -> list[str]:
    """The lines of the question as they are, quoted where they begin with `>`: a renderer would make one paragraph of them."""
    shown = []
    for line in question.splitlines():
        quoted = line.startswith(">")
        words = text(line[1:] if quoted else line)
        shown.append(f"{'> ' if quoted else ''}{words}{BREAK if words else ''}")
    return shown


def facts(name: str, value: Any) -> list[tuple[str, str]]:
    """`value` as lines of name and figure, neither escaped: mappings and lists of mappings are unfolded, everything else is one line."""
    if isinstance(value, dict) and value:
        return [fact for key, item in value.items() for fact in facts(f"{name} / {_label(key)}" if name else _label(key), item)]
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        return [fact for number, item in enumerate(value, start=1) for fact in facts(f"{name} {number}", item)]
    if isinstance(value, list):
        return [(name, ", ".join(_figure(item) for item in value))]
    return [(name, _figure(value))]


def _label(key: Any) -> str:
    words = _words(str(key))
    return f"{words} ({UNITS[key]})" if key in UNITS else words


def _words(name: str) -> str:
    return name.replace("_", " ")


def _figure(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        return f"{value:.0f}"
    return json.dumps(value, ensure_ascii=False)
