"""What a section of the report is made of; each renderer decides how it looks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Paragraph:
    """One paragraph of plain text; every character is shown as it is."""

    text: str
    strong: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a header. Cells are plain values; None is shown as a dash."""

    header: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """An SVG among the evidence: `name` is its path inside the cycle's directory."""

    name: str
    caption: str


@dataclass(frozen=True, slots=True)
class Listing:
    """Preformatted text."""

    text: str
    language: str = ""


Block = Paragraph | Table | Picture | Listing


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands under it."""

    heading: str
    blocks: tuple[Block, ...]


def rows(items: Sequence[Any], *fields: str) -> tuple[tuple[Any, ...], ...]:
    """The named fields of each mapping, in order."""
    return tuple(tuple(item.get(field) for field in fields) for item in items)
