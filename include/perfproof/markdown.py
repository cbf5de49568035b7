"""Text of others inside Markdown: one function, so that nothing of telemetry becomes markup, a link or an image."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

SPECIAL = "\\`*_{}[]<>()#+!|~$&"
MAX_TEXT = 2000


def text(value: Any) -> str:
    """`value` as plain text inside a Markdown line: control characters shown, every special character escaped."""
    raw = "–" if value is None else str(value)
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in raw[:MAX_TEXT])
    escaped = "".join("\\" + c if c in SPECIAL else c for c in shown)
    # A line of only dashes or a leading number with a dot would start a list or a rule.
    return "\\" + escaped if escaped[:1] in ("-", "=", ">") else escaped


def code(value: Any) -> str:
    """`value` as a code span on one line, fenced by more backticks than it holds."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(value)[:MAX_TEXT])
    longest = max((len(run) for run in _runs(shown)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if shown.startswith("`") or shown.endswith("`") or not shown.strip() else ""
    return f"{fence}{pad}{shown.replace('|', chr(92) + '|')}{pad}{fence}"


def block(value: str, *, language: str = "") -> str:
    """`value` as a fenced code block whose fence is longer than any run of backticks in it."""
    shown = "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in value)
    fence = "`" * max(3, max((len(run) for run in _runs(shown)), default=0) + 1)
    return f"{fence}{language}\n{shown}\n{fence}"


def _runs(shown: str) -> list[str]:
    return [run for run in "".join(c if c == "`" else " " for c in shown).split(" ") if run]


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table whose cells are escaped unless they are `Cell`s, which hold Markdown of our own."""
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    lines += ["| " + " | ".join(cell if isinstance(cell, Cell) else text(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


class Cell(str):
    """A table cell that is Markdown already, made by this module's own functions."""

    __slots__ = ()
