"""The report as Markdown, with pictures beside it."""

from __future__ import annotations

from collections.abc import Sequence

from perfproof import markdown as md
from perfproof.report.blocks import Block, Listing, Paragraph, Picture, Section, Table


def render_markdown(title: str, content: Sequence[Section]) -> str:
    """PERFORMANCE-REPORT.md. All text of others is escaped; pictures are relative links to the evidence directory."""
    lines = [f"# {title}", ""]
    for section in content:
        lines += [f"## {section.heading}", ""]
        for block in section.blocks:
            lines += [_block(block), ""]
    return "\n".join(lines)


def _block(block: Block) -> str:
    match block:
        case Paragraph(text=text, strong=strong):
            return f"**{md.text(text)}**" if strong else md.text(text)
        case Table(header=header, rows=rows):
            return md.table(header, [[_cell(value) for value in row] for row in rows])
        case Picture(name=name, caption=caption):
            return f"![{md.text(caption)}]({name})"
        case Listing(text=text, language=language):
            return md.block(text, language=language)


def _cell(value: object) -> object:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, str) and len(value) == 64 and all(c in "0123456789abcdef" for c in value):
        return md.Cell(md.code(value))
    return value
