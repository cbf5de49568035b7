"""The report as one self-contained HTML file: pictures inlined, no script, nothing from another host."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence

from perfproof.report.blocks import Block, Listing, Paragraph, Picture, Section, Table

STYLE = """
:root { color-scheme: light dark; --line: #d0d7de; --soft: #f6f8fa; --ink: #1f2328; --page: #fff; }
@media (prefers-color-scheme: dark) { :root { --line: #3d444d; --soft: #151b23; --ink: #e6edf3; --page: #0d1117; } }
body { margin: 0 auto; max-width: 72rem; padding: 1.5rem; font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page); }
h1 { font-size: 1.9rem; } h2 { margin-top: 2.2rem; border-bottom: 1px solid var(--line); padding-bottom: .3rem; }
table { border-collapse: collapse; width: 100%; display: block; overflow-x: auto; font-size: .92rem; }
th, td { border: 1px solid var(--line); padding: .35rem .6rem; text-align: left; vertical-align: top; overflow-wrap: anywhere; }
th { background: var(--soft); } pre { background: var(--soft); padding: .8rem; overflow-x: auto; font-size: .85rem; }
figure { margin: 1rem 0; overflow-x: auto; } figure svg { max-width: 100%; height: auto; background: #fff; }
figcaption { font-size: .9rem; opacity: .8; } .digest { font-family: ui-monospace, monospace; font-size: .8rem; }
@media print { body { max-width: none; } h2 { break-after: avoid; } figure, tr { break-inside: avoid; } table { display: table; } }
"""
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"


def render_html(title: str, content: Sequence[Section], pictures: Mapping[str, bytes]) -> str:
    """PERFORMANCE-REPORT.html. `pictures` maps the names of Pictures to SVG made by perfproof itself."""
    body = "".join(
        f"<section><h2>{html.escape(section.heading)}</h2>{''.join(_block(block, pictures) for block in section.blocks)}</section>"
        for section in content
    )
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{STYLE}</style></head><body><h1>{html.escape(title)}</h1>{body}</body></html>\n"
    )


def _block(block: Block, pictures: Mapping[str, bytes]) -> str:
    match block:
        case Paragraph(text=text, strong=strong):
            inner = html.escape(text)
            return f"<p><strong>{inner}</strong></p>" if strong else f"<p>{inner}</p>"
        case Table(header=header, rows=rows):
            head = "".join(f"<th>{html.escape(name)}</th>" for name in header)
            lines = "".join("<tr>" + "".join(_cell(value) for value in row) + "</tr>" for row in rows)
            return f"<table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>"
        case Picture(name=name, caption=caption):
            if name not in pictures:
                return f"<p>{html.escape(caption)}: {html.escape(name)} is not part of this copy.</p>"
            return f"<figure>{_inline(pictures[name])}<figcaption>{html.escape(caption)}</figcaption></figure>"
        case Listing(text=text):
            return f"<pre>{html.escape(text)}</pre>"


def _inline(svg: bytes) -> str:
    """The svg element of a picture of our own. A script or foreign content in it is refused, whoever made it."""
    text = svg.decode("utf-8")
    start = text.find("<svg")
    if start < 0 or re.search(r"<\s*(script|foreignObject|iframe|image)\b|\son\w+\s*=|javascript:", text, re.IGNORECASE):
        return "<p>The picture holds active content and is not shown.</p>"
    return text[start:]


def _cell(value: object) -> str:
    if value is None:
        return "<td>–</td>"
    if isinstance(value, float):
        return f"<td>{value:.4g}</td>"
    text = str(value)
    if len(text) == 64 and all(c in "0123456789abcdef" for c in text):
        return f'<td class="digest">{text}</td>'
    return f"<td>{html.escape(text)}</td>"
