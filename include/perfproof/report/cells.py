"""Values and links inside the HTML report: all text of others is escaped here, and only evidence of the report becomes a link."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any

from perfproof import markdown as md
from perfproof.report.blocks import SHORT_DIGEST, Code, Item, Mark, Ref, is_local

# Characters that stay on one line.
SHORT = 22


class Known:
    """The evidence of a report with the anchor of each piece."""

    __slots__ = ("_anchors", "_items")

    def __init__(self, items: Mapping[str, Item]) -> None:
        self._items = dict(items)
        self._anchors = {name: f"e{place}" for place, name in enumerate(items, start=1)}

    def item(self, name: str) -> Item | None:
        """The piece of that name, None if the report has no such evidence."""
        return self._items.get(name)

    def anchor(self, name: str) -> str:
        """The id of its row in the inventory."""
        return self._anchors[name]

    def row(self, item: Item) -> str:
        """Its row: the file, the beginning of the digest with all of it behind, the size."""
        size = "–" if item.size is None else f"{item.size:,}"
        name = f'<td id="{self.anchor(item.name)}">{file_link(item.name, self)}</td>'
        return f"<tr>{name}<td>{_digest(item, short=SHORT_DIGEST + 4)}</td><td class=short>{size}</td></tr>"


def file_link(name: str, known: Known) -> str:
    """`name` as a link to the file beside the report if it is evidence, else as text."""
    shown = html.escape(md.visible(name))
    return f'<a class="file" href="{html.escape(name)}">{shown}</a>' if known.item(name) and is_local(name) else shown


def _digest(item: Item, *, short: int) -> str:
    whole = md.visible(item.sha256)
    shown = html.escape(whole)
    return f'<code class="digest" title="sha256 {shown}" data-whole="{shown}"><span>{html.escape(whole[:short])}…</span></code>'


class Links:
    """Cells of tables, with references into one inventory."""

    __slots__ = ("_known",)

    def __init__(self, known: Known) -> None:
        self._known = known

    @staticmethod
    def plain(text: Any) -> str:
        """`text` as HTML text or attribute value."""
        return html.escape(md.visible(text))

    @staticmethod
    def mark(mark: Mark) -> str:
        """A word that stands out."""
        width = " short" if len(mark.text) <= SHORT else ""
        return f'<span class="mark {mark.tone.value}{width}">{Links.plain(mark.text)}</span>'

    def ref(self, name: str) -> str:
        """A link to the row of that evidence with the beginning of its digest; a name alone where the report has no such evidence."""
        item = self._known.item(name)
        if item is None:
            return f"<code>{self.plain(name)}</code>"
        whole, short = self.plain(item.sha256), self.plain(item.sha256[:SHORT_DIGEST])
        link = f'<a href="#{self._known.anchor(name)}" title="sha256 {whole}">{self.plain(name)}</a>'
        return f'<span class="ref">{link} <code>{short}</code></span>'

    def cell(self, value: Any) -> str:
        """What stands in a cell; None is a dash, a tuple has a line for each part."""
        match value:
            case None:
                return "–"
            case Mark():
                return self.mark(value)
            case Code(text=text):
                return f"<code>{self.plain(text)}</code>"
            case Ref(name=name):
                return self.ref(name)
            case tuple():
                return "<br>".join(self.cell(part) for part in value if part != "")
            case bool():
                return "yes" if value else "no"
            case _:
                return self.plain(value)

    def data(self, value: Any) -> str:
        """The cell of a table: figures stay on one line, words take the room that is left."""
        short = isinstance(value, str) and len(value) <= SHORT
        return f"{'<td class=short>' if short else '<td>'}{self.cell(value)}</td>"
