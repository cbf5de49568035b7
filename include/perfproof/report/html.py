"""The report as one self-contained HTML file: pictures inlined, no script, nothing from another host."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from importlib import resources

from perfproof import markdown as md
from perfproof.report.blocks import Block, Inventory, Listing, Origin, Paragraph, Picture, Section, Subheading, Table, inventory
from perfproof.report.cells import Known, Links, file_link
from perfproof.report.svg import inline_svg

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
# A page that people mail around; larger pictures stay files beside it.
MAX_BYTES = 5_000_000
MAX_LISTING = 20_000
# Columns above which a table is set smaller on paper.
WIDE = 5
# What is not pictures: head, style and a margin, so that the page stays below its limit.
RESERVED = 100_000


def render_html(title: str, content: Sequence[Section], pictures: Mapping[str, bytes]) -> str:
    """PERFORMANCE-REPORT.html. `pictures` maps the names of Pictures to SVG; together they take at most 4 of the 5 MB."""
    style = resources.files("perfproof").joinpath("resources", "report.css").read_text("utf-8")
    known = Known(inventory(content))
    links = "".join(f'<a href="#{_anchor(section.heading)}">{html.escape(section.heading)}</a>' for section in content)
    written = [(section.heading, [_written(block, known) for block in section.blocks]) for section in content]
    drawn = _drawn(content, pictures, known, room=MAX_BYTES - RESERVED - sum(_size(part) for _, parts in written for part in parts))
    body = "".join(
        f'<section id="{_anchor(heading)}"><h2>{html.escape(heading)}</h2>'
        f"{''.join(part if isinstance(part, str) else _figure(part, drawn, known) for part in parts)}</section>"
        for heading, parts in written
    )
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{html.escape(title)}</title><style>{style}</style></head><body><a class="skip" href="#content">To the report</a>'
        f'<h1>{html.escape(title)}</h1><nav aria-label="Sections">{links}</nav><main id="content">{body}</main></body></html>\n'
    )


def _anchor(heading: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", heading.lower())


def _size(part: str | Picture) -> int:
    return len(part.encode()) if isinstance(part, str) else 0


def _drawn(content: Sequence[Section], pictures: Mapping[str, bytes], known: Known, *, room: int) -> dict[str, str]:
    """What stands for each picture: its shapes, or a sentence why they are not here."""
    wanted = {block.name: block for section in content for block in section.blocks if isinstance(block, Picture)}
    room, drawn = min(room, MAX_BYTES * 4 // 5), {}
    for place, (name, picture) in enumerate(wanted.items(), start=1):
        if name not in pictures:
            drawn[name] = _absent(name, "is not part of this copy", known)
            continue
        words = {"title": md.visible(picture.caption or name), "description": md.visible(picture.description)}
        shapes = inline_svg(pictures[name], prefix=f"p{place}-", **words)
        if shapes is None:
            drawn[name] = _absent(name, "holds more than shapes and text and is not shown", known)
        elif len(shapes.encode()) > room:
            drawn[name] = _absent(name, f"is too large for this page ({len(shapes.encode()):,} bytes); open the file", known)
        else:
            room -= len(shapes.encode())
            drawn[name] = f'<div class="scroll" tabindex="0" role="group" aria-label="{Links.plain(picture.caption)}">{shapes}</div>'
    return drawn


def _absent(name: str, why: str, known: Known) -> str:
    return f'<p class="absent">{file_link(name, known)} {why}.</p>'


def _written(block: Block, known: Known) -> str | Picture:
    """The block as HTML; a picture as it is, since its room depends on all other blocks."""
    links = Links(known)
    match block:
        case Paragraph(text=text, strong=strong, mark=mark):
            inner = f"<strong>{links.plain(text)}</strong>" if strong else links.plain(text)
            return f"{'<p class=lead>' if strong else '<p>'}{links.mark(mark) + ' ' if mark else ''}{inner}</p>"
        case Subheading(text=text):
            return f"<h3>{links.plain(text)}</h3>"
        case Table():
            return _table(block, links)
        case Picture():
            return block
        case Listing(text=text):
            shown = text if len(text) <= MAX_LISTING else text[: MAX_LISTING - 1] + "…"
            lines = "\n".join(md.visible(part) for part in shown.split("\n"))
            return f"<pre>{html.escape(lines)}</pre>"
        case Origin(names=names):
            return f'<p class="origin">From {", ".join(links.ref(name) for name in names)}</p>'
        case Inventory(items=items):
            lines = "".join(known.row(item) for item in items)
            head = '<tr><th scope="col">Artifact</th><th scope="col">SHA-256</th><th scope="col">Bytes</th></tr>'
            caption = f"<caption><span>{len(items)} pieces of evidence; links open the files beside this page</span></caption>"
            return _scroll(f'<table class="inventory">{caption}<thead>{head}</thead><tbody>{lines}</tbody></table>', "Evidence")


def _figure(picture: Picture, drawn: Mapping[str, str], known: Known) -> str:
    origin = f" {Links(known).ref(picture.name)}" if known.item(picture.name) else ""
    return f"<figure>{drawn[picture.name]}<figcaption>{Links.plain(picture.caption)}{origin}</figcaption></figure>"


def _table(table: Table, links: Links) -> str:
    header, rows = table.header, table.rows
    facts = len(header) == 2 and not header[1]
    if facts:
        top = f'<tr><th colspan="2" scope="colgroup">{links.plain(header[0])}</th></tr>'
        lines = "".join(f'<tr><th scope="row">{links.cell(row[0])}</th><td>{links.cell(row[1])}</td></tr>' for row in rows)
    else:
        top = "<tr>" + "".join(f'<th scope="col">{links.plain(name)}</th>' if name else "<td></td>" for name in header) + "</tr>"
        lines = "".join("<tr>" + "".join(links.data(value) for value in row) + "</tr>" for row in rows)
    caption = f"<caption><span>{links.plain(table.caption)}</span></caption>" if table.caption else ""
    opening = "<table class=facts>" if facts else "<table class=wide>" if len(header) > WIDE else "<table>"
    return _scroll(f"{opening}{caption}<thead>{top}</thead><tbody>{lines}</tbody></table>", table.caption or header[0])


def _scroll(inner: str, label: str) -> str:
    """A wide table or picture scrolls inside the page; a keyboard must reach what scrolls."""
    return f'<div class="scroll" tabindex="0" role="group" aria-label="{Links.plain(label)}">{inner}</div>'
