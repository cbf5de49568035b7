"""PromQL of others inside PromQL of ours: filled once, closed in itself, quoted, and never a template of Prometheus."""

from __future__ import annotations

import re

from perfproof import markdown as md
from perfproof.errors import ArtifactError

PLACEHOLDER = re.compile(r"\$(instance|service|window)\b")
CLOSING = {")": "(", "]": "[", "}": "{"}
QUOTES = "\"'`"
UNITS = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))


def duration(seconds: int) -> str:
    """`seconds` as Prometheus and OpenSLO write a duration, in the largest unit that divides it: 259200 is `3d`."""
    for length, name in UNITS:
        if seconds >= length and seconds % length == 0:
            return f"{seconds // length}{name}"
    raise ArtifactError(571, where="window", what="not a duration", got=seconds, expected="whole seconds, 1 or more", fix="correct it")


def quoted(value: str) -> str:
    """`value` as it stands between the quotes of a PromQL string."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def filled(query: str, *, instance: str, service: str, window: str) -> str:
    """`query` with `$instance`, `$service` and `$window` in place, in one pass: what is filled in is not filled again."""
    values = {"instance": quoted(instance), "service": quoted(service), "window": window}
    return PLACEHOLDER.sub(lambda found: values[found[1]], query)


def one_expression(query: str, *, where: str) -> str:
    """`query` without its comments, if it is closed in itself, so that it can stand between parentheses of ours.

    Raises ArtifactError for open or crossed brackets and for a string without an end: `up) or vector(1` would mean something
    else once it is wrapped.
    """
    kept: list[str] = []
    stack: list[str] = []
    place = 0
    while place < len(query):
        c = query[place]
        if c in QUOTES:
            end = _end_of_string(query, place, where)
            kept.append(query[place:end])
            place = end
            continue
        if c == "#":
            end = query.find("\n", place)
            place = len(query) if end < 0 else end
            continue
        if c in CLOSING.values():
            stack.append(c)
        elif c in CLOSING and (not stack or stack.pop() != CLOSING[c]):
            raise _not_closed(where, query, f"a {c} that closes nothing")
        kept.append(c)
        place += 1
    if stack:
        raise _not_closed(where, query, f"a {stack[-1]} that is never closed")
    text = "".join(kept).strip()
    if not text:
        raise _not_closed(where, query, "nothing in it")
    return text


def template_text(text: str) -> str:
    """`text` as Prometheus shows it: labels and annotations are templates, so braces of others must not begin an action."""
    return md.visible(text).replace("{{", '{{ "{{" }}')


def _end_of_string(query: str, begin: int, where: str) -> int:
    quote, place = query[begin], begin + 1
    while place < len(query):
        if query[place] == "\\" and quote != "`":
            place += 2
            continue
        if query[place] == quote:
            return place + 1
        if query[place] == "\n" and quote != "`":
            break
        place += 1
    raise _not_closed(where, query, "a string without an end")


def _not_closed(where: str, query: str, got: str) -> ArtifactError:
    return ArtifactError(572, where=where, what=f"not one closed query: {got}", got=query, fix="correct the metric's query")
