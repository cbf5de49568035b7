"""What the page of an artifact is made of: the blocks of the report, charts of our own, and Markdown that was made safe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from perfproof.report.blocks import Code, Listing, Mark, Paragraph, Ref, Subheading, Table, Tone

__all__ = ["Chart", "Code", "Content", "Listing", "Mark", "Paragraph", "Ref", "Rendered", "ShownBlock", "Subheading", "Table", "Tone"]


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture that our own code drew from numbers and escaped text: safe inside HTML as it is."""

    svg: str
    caption: str


@dataclass(frozen=True, slots=True)
class Rendered:
    """HTML that `perfproof.pages.rendered_markdown` wrote: only elements of its own, all text of others escaped."""

    html: str


ShownBlock = Paragraph | Subheading | Table | Listing | Chart | Rendered


@dataclass(frozen=True, slots=True)
class Content:
    """An artifact as it is shown. `notes` say what was cut or could not be read; `pages` is how many pages a long
    table has; `raw_differs` where the document can be shown as it is, too.
    """

    blocks: tuple[ShownBlock, ...] = ()
    notes: Sequence[str] = ()
    page: int = 1
    pages: int = 1
    raw_differs: bool = False
