"""The report as Markdown, with pictures beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from perfproof import markdown as md
from perfproof.report.blocks import (
    SHORT_DIGEST,
    Block,
    Code,
    Inventory,
    Item,
    Listing,
    Mark,
    Origin,
    Paragraph,
    Picture,
    Ref,
    Section,
    Subheading,
    Table,
    inventory,
    is_local,
)

Known = Mapping[str, Item]


def render_markdown(title: str, content: Sequence[Section]) -> str:
    """PERFORMANCE-REPORT.md. All text of others is escaped; pictures and sources are relative links to the evidence beside it."""
    known = inventory(content)
    lines = [f"# {md.text(title)}", ""]
    for section in content:
        lines += [f"## {md.text(section.heading)}", ""]
        for block in section.blocks:
            lines += [_block(block, known), ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def _block(block: Block, known: Known) -> str:
    match block:
        case Paragraph(text=text, strong=strong, mark=mark):
            inner = f"**{md.text(text)}**" if strong else md.text(text)
            return f"{_mark(mark)}: {inner}" if mark else inner
        case Subheading(text=text):
            return f"### {md.text(text)}"
        case Table(header=header, rows=rows):
            return md.table(header, [[md.Cell(_cell(value, known)) for value in row] for row in rows])
        case Picture(name=name, caption=caption):
            return f"![{md.text(caption)}]({name})" if is_local(name) else f"{md.text(caption)}: {md.code(name)}"
        case Listing(text=text, language=language):
            return md.block(text, language=language)
        case Origin(names=names):
            return f"From {', '.join(_ref(name, known) for name in names)}."
        case Inventory(items=items):
            cells = [(md.Cell(md.text(i.name)), md.Cell(md.code(i.sha256)), md.Cell(md.text(_size(i.size)))) for i in items]
            return md.table(("Artifact", "SHA-256", "Bytes"), cells)


def _ref(name: str, known: Known) -> str:
    """A link to the file with the beginning of its digest; what is no evidence of this report is a name and nothing more."""
    item = known.get(name)
    if item is None:
        return md.code(name)
    label = f"[{md.text(name)}]({name})" if is_local(name) else md.code(name)
    return f"{label} {md.code(item.sha256[:SHORT_DIGEST])}"


def _size(size: int | None) -> str | None:
    return None if size is None else f"{size:,}"


def _mark(mark: Mark) -> str:
    return f"**{md.text(mark.text)}**"


def _cell(value: Any, known: Known) -> str:
    match value:
        case Mark():
            return _mark(value)
        case Code(text=text):
            return md.code(text)
        case Ref(name=name):
            return _ref(name, known)
        case tuple():
            return _joined([_cell(part, known) for part in value if part != ""])
        case bool():
            return "yes" if value else "no"
        case _:
            return md.text(value)


def _joined(parts: Sequence[str]) -> str:
    """The lines of a cell one behind the other: a cell of Markdown has one line only."""
    ends = ("; " if part[-1:] not in (".", "!", "?", ":") else " " for part in parts[:-1])
    return "".join(part + end for part, end in zip(parts, [*ends, ""], strict=True))
