"""The report as one self-contained HTML file: pictures inlined, no script, nothing from another host."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

from perfproof import markdown as md
from perfproof.report.blocks import Block, Code, Listing, Mark, Paragraph, Picture, Section, Subheading, Table
from perfproof.report.svg import inline_svg

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
# A page that people mail around; larger pictures stay files beside it.
MAX_BYTES = 5_000_000
MAX_LISTING = 20_000
# Characters that stay on one line.
SHORT = 22


def render_html(title: str, content: Sequence[Section], pictures: Mapping[str, bytes]) -> str:
    """PERFORMANCE-REPORT.html. `pictures` maps the names of Pictures to SVG; together they take at most 4 of the 5 MB."""
    style = resources.files("perfproof").joinpath("resources", "report.css").read_text("utf-8")
    drawn = _drawn(content, pictures)
    links = "".join(f'<a href="#{_anchor(section.heading)}">{html.escape(section.heading)}</a>' for section in content)
    body = "".join(
        f'<section id="{_anchor(section.heading)}"><h2>{html.escape(section.heading)}</h2>'
        f"{''.join(_block(block, drawn) for block in section.blocks)}</section>"
        for section in content
    )
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{style}</style></head><body><h1>{html.escape(title)}</h1>"
        f"<nav>{links}</nav><main>{body}</main></body></html>\n"
    )


def _anchor(heading: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", heading.lower())


def _drawn(content: Sequence[Section], pictures: Mapping[str, bytes]) -> dict[str, str]:
    """What stands for each picture: its shapes, or a sentence why they are not here."""
    names = [block.name for section in content for block in section.blocks if isinstance(block, Picture)]
    room, drawn = MAX_BYTES * 4 // 5, {}
    for place, name in enumerate(dict.fromkeys(names), start=1):
        if name not in pictures:
            drawn[name] = _absent(name, "is not part of this copy")
            continue
        shapes = inline_svg(pictures[name], prefix=f"p{place}-")
        if shapes is None:
            drawn[name] = _absent(name, "holds more than shapes and text and is not shown")
        elif len(shapes.encode()) > room:
            drawn[name] = _absent(name, "is too large for this page; open the file")
        else:
            room -= len(shapes.encode())
            drawn[name] = f'<div class="scroll">{shapes}</div>'
    return drawn


def _absent(name: str, why: str) -> str:
    return f'<p class="absent">{html.escape(md.visible(name))} {why}.</p>'


def _block(block: Block, drawn: Mapping[str, str]) -> str:
    match block:
        case Paragraph(text=text, strong=strong, mark=mark):
            inner = f"<strong>{_plain(text)}</strong>" if strong else _plain(text)
            return f"{'<p class=lead>' if strong else '<p>'}{_mark(mark) + ' ' if mark else ''}{inner}</p>"
        case Subheading(text=text):
            return f"<h3>{_plain(text)}</h3>"
        case Table(header=header, rows=rows):
            return _table(header, rows)
        case Picture(name=name, caption=caption):
            return f"<figure>{drawn[name]}<figcaption>{_plain(caption)}</figcaption></figure>"
        case Listing(text=text):
            shown = text if len(text) <= MAX_LISTING else text[: MAX_LISTING - 1] + "…"
            lines = "\n".join(md.visible(part) for part in shown.split("\n"))
            return f"<pre>{html.escape(lines)}</pre>"


def _table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    facts = len(header) == 2 and not header[1]
    if facts:
        top = f'<tr><th colspan="2">{_plain(header[0])}</th></tr>'
        lines = "".join(f'<tr><th scope="row">{_cell(row[0])}</th><td>{_cell(row[1])}</td></tr>' for row in rows)
    else:
        top = "<tr>" + "".join(f'<th scope="col">{_plain(name)}</th>' for name in header) + "</tr>"
        lines = "".join("<tr>" + "".join(_data(value) for value in row) + "</tr>" for row in rows)
    opening = "<table class=facts>" if facts else "<table>"
    return f'<div class="scroll">{opening}<thead>{top}</thead><tbody>{lines}</tbody></table></div>'


def _data(value: Any) -> str:
    # Figures stay on one line; words take the room that is left.
    short = isinstance(value, str) and len(value) <= SHORT
    return f"{'<td class=short>' if short else '<td>'}{_cell(value)}</td>"


def _mark(mark: Mark) -> str:
    width = " short" if len(mark.text) <= SHORT else ""
    return f'<span class="mark {mark.tone.value}{width}">{_plain(mark.text)}</span>'


def _plain(text: Any) -> str:
    return html.escape(md.visible(text))


def _cell(value: Any) -> str:
    match value:
        case None:
            return "–"
        case Mark():
            return _mark(value)
        case Code(text=text):
            return f"<code>{_plain(text)}</code>"
        case tuple():
            return "<br>".join(_cell(part) for part in value if part != "")
        case bool():
            return "yes" if value else "no"
        case _:
            return _plain(value)
