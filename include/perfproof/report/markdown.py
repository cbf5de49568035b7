"""The report as Markdown, with pictures beside it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from perfproof import markdown as md
from perfproof.report.blocks import Block, Code, Listing, Mark, Paragraph, Picture, Section, Subheading, Table

# A relative path below the report; anything else does not become a link.
PICTURE = re.compile(r"^[A-Za-z0-9_-][A-Za-z0-9._-]*(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$")


def render_markdown(title: str, content: Sequence[Section]) -> str:
    """PERFORMANCE-REPORT.md. All text of others is escaped; pictures are relative links to the evidence directory."""
    lines = [f"# {md.text(title)}", ""]
    for section in content:
        lines += [f"## {md.text(section.heading)}", ""]
        for block in section.blocks:
            lines += [_block(block), ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def _block(block: Block) -> str:
    match block:
        case Paragraph(text=text, strong=strong, mark=mark):
            inner = f"**{md.text(text)}**" if strong else md.text(text)
            return f"{_mark(mark)}: {inner}" if mark else inner
        case Subheading(text=text):
            return f"### {md.text(text)}"
        case Table(header=header, rows=rows):
            return md.table(header, [[md.Cell(_cell(value)) for value in row] for row in rows])
        case Picture(name=name, caption=caption):
            return f"![{md.text(caption)}]({name})" if PICTURE.match(name) else f"{md.text(caption)}: {md.code(name)}"
        case Listing(text=text, language=language):
            return md.block(text, language=language)


def _mark(mark: Mark) -> str:
    return f"**{md.text(mark.text)}**"


def _cell(value: Any) -> str:
    match value:
        case Mark():
            return _mark(value)
        case Code(text=text):
            return md.code(text)
        case tuple():
            return "; ".join(_cell(part) for part in value if part != "")
        case bool():
            return "yes" if value else "no"
        case _:
            return md.text(value)
