"""Text of others inside Markdown: one function, so that nothing of telemetry becomes markup, a link or an image."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

SPECIAL = "\\`*[]<>#|~$&"
MAX_TEXT = 2000
# GitHub's Markdown makes links of these without any bracket (and mentions people), and a backslash does not stop it for addresses.
LINKS_ITSELF = re.compile(r"(?:[a-z][a-z0-9+.-]*:/|www\.|mailto:)[^\s<>()\[\]|`]*|[\w.+-]*@[\w.-]*", re.IGNORECASE)
LIST_NUMBER = re.compile(r"^(\d+)([.)])(?=\s|$)")
# A bullet, a rule, the underline of a heading, the row below the head of a table.
LINE_MARK = re.compile(r"^(?:([-+])(?=\s|$|\1)|[=:])")


def visible(value: Any) -> str:
    """`value` on one line, control and invisible characters as escapes, cut to 2000 characters with a mark."""
    raw = str(value)
    shown = raw if len(raw) <= MAX_TEXT else raw[: MAX_TEXT - 1] + "…"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in shown)


def text(value: Any) -> str:
    """`value` as plain text inside a Markdown line; None is a dash. What a renderer would make a link of stands in a code span."""
    shown = visible("–" if value is None else value).strip()
    parts, end = [], 0
    for found in LINKS_ITSELF.finditer(shown):
        parts += [_escaped(shown[end : found.start()]), code(found[0])]
        end = found.end()
    parts.append(_escaped(shown[end:]))
    line = LIST_NUMBER.sub(r"\1\\\2", "".join(parts))
    return "\\" + line if LINE_MARK.match(line) else line


def _escaped(shown: str) -> str:
    result = []
    for place, c in enumerate(shown):
        # An underscore inside a word is no emphasis, and metric names are full of them.
        inside = 0 < place < len(shown) - 1 and shown[place - 1].isalnum() and shown[place + 1].isalnum()
        result.append("\\" + c if c in SPECIAL or (c == "_" and not inside) else c)
    return "".join(result)


def code(value: Any) -> str:
    """`value` as a code span on one line, fenced by more backticks than it holds. In a table it must be a `Cell`."""
    shown = visible(value)
    fence = "`" * (_longest_run(shown) + 1)
    pad = " " if shown.startswith(("`", " ")) or shown.endswith(("`", " ")) or not shown else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def block(value: str, *, language: str = "") -> str:
    """`value` as a fenced code block whose fence is longer than any run of backticks in it."""
    lines = value.replace("\r\n", "\n").replace("\t", "    ")
    shown = "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in lines)
    fence = "`" * max(3, _longest_run(shown) + 1)
    return f"{fence}{language}\n{shown}\n{fence}"


def _longest_run(shown: str) -> int:
    return max((len(run) for run in re.findall("`+", shown)), default=0)


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table whose cells are escaped unless they are `Cell`s, which hold Markdown of our own."""
    lines = ["| " + " | ".join(_cell(name) if name else "" for name in header) + " |", "|" + "---|" * len(header)]
    lines += ["| " + " | ".join(_cell(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def _cell(cell: Any) -> str:
    # A table is cut at its pipes before anything else is read, also inside code spans; the backslash is taken away with it.
    written = str(cell) if isinstance(cell, Cell) else text(cell)
    return re.sub(r"(?<!\\)\|", r"\\|", written)


class Cell(str):
    """A table cell that is Markdown already, made by this module's own functions."""

    __slots__ = ()
