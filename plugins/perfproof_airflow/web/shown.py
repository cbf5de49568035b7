"""Blocks of an artifact as the templates take them: plain dicts, with addresses in place of names of evidence."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from markupsafe import Markup

from perfproof.announcements import one_line
from perfproof.pages.blocks import Chart, Code, Listing, Mark, Paragraph, Ref, Rendered, ShownBlock, Subheading, Table
from perfproof.pages.rendered_markdown import shown as visible

MAX_CELL = 2000
WORDS = 60
DIGEST = re.compile(r"[0-9a-f]{64}")
# A figure, perhaps with its unit.
FIGURE = re.compile(r"[+-]?[0-9][0-9,]{0,30}(\.[0-9]{1,30})?(e[+-]?[0-9]{1,3})?( [A-Za-z%/]{1,20})?")
Address = Callable[[str], str | None]


def shown_blocks(blocks: Iterable[ShownBlock], *, page_of: Address) -> list[dict[str, Any]]:
    """One dict for each block, with its `kind`. `page_of` gives the address of the page of an artifact, None for no such name."""
    return [_shown(block, page_of) for block in blocks]


def _shown(block: ShownBlock, page_of: Address) -> dict[str, Any]:
    match block:
        case Paragraph(text=text, strong=strong, mark=mark):
            return {"kind": "paragraph", "text": text, "strong": strong, "mark": mark}
        case Subheading(text=text):
            return {"kind": "subheading", "text": text}
        case Listing(text=text):
            return {"kind": "listing", "text": Markup("{}").format(visible(text, lines=True))}
        case Chart(svg=svg, caption=caption):
            # Our own code drew it: numbers and escaped text.
            return {"kind": "chart", "svg": Markup(svg), "caption": caption}  # noqa: S704  # nosec B704
        case Rendered(html=html):
            # Our own code wrote every element of it and escaped the rest.
            return {"kind": "rendered", "html": Markup(html)}  # noqa: S704  # nosec B704
        case Table(header=header, rows=rows, caption=caption):
            cells = [[_cell(value, page_of) for value in row] for row in rows]
            if len(header) == 2 and not header[1]:
                return {"kind": "facts", "rows": cells, "caption": caption or header[0]}
            classes = [_class_of([row[place] for row in cells if place < len(row)]) for place in range(len(header))]
            head = [[name, "number"] if kind == "number" else name for name, kind in zip(header, classes, strict=True)]
            return {"kind": "table", "head": head, "classes": classes, "rows": cells, "caption": caption or header[0]}


def _cell(value: Any, page_of: Address) -> list[dict[str, Any]]:
    """The lines of a cell; none where there is nothing to say."""
    return [_part(part, page_of) for part in (value if isinstance(value, tuple) else (value,)) if part is not None and part != ""]


def _class_of(cells: list[list[dict[str, Any]]]) -> str:
    """The class of a column: figures and nothing else stand on the right, long text keeps room for words."""
    if _is_column_of_figures(cells):
        return "number"
    long = any(part["kind"] in ("text", "code") and len(str(part["text"])) > WORDS for cell in cells for part in cell)
    return "words" if long else ""


def _is_column_of_figures(cells: list[list[dict[str, Any]]]) -> bool:
    found = [cell for cell in cells if cell and not (len(cell) == 1 and cell[0]["text"] in ("–", "none"))]
    return bool(found) and all(len(cell) == 1 and cell[0]["kind"] == "text" and _is_figure(cell[0]["text"]) for cell in found)


def _part(value: Any, page_of: Address) -> dict[str, Any]:
    match value:
        case Mark(text=text, tone=tone):
            return {"kind": "mark", "text": text, "tone": tone.value}
        case Code(text=text) if DIGEST.fullmatch(text):
            return {"kind": "digest", "text": text}
        case Code(text=text):
            return {"kind": "code", "text": one_line(text, limit=MAX_CELL)}
        case Ref(name=name):
            return {"kind": "ref", "text": name, "href": page_of(name)}
        case _:
            return {"kind": "text", "text": value}


def _is_figure(text: Any) -> bool:
    return isinstance(text, str | int | float) and not isinstance(text, bool) and FIGURE.fullmatch(str(text)) is not None
