"""What a section of the report is made of; each renderer decides how it looks."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from perfproof.statistics.percent_change import exact, one_decimal


class Tone(StrEnum):
    """What a mark says at a glance. The words say it too: colour is never the only bearer."""

    GOOD = "good"
    BAD = "bad"
    WARNING = "warning"
    NEUTRAL = "neutral"


@dataclass(frozen=True, slots=True)
class Mark:
    """A short word that stands out: an outcome, a verdict."""

    text: str
    tone: Tone


@dataclass(frozen=True, slots=True)
class Code:
    """A digest, a build, a statement: text that is shown in a fixed-width font."""

    text: str


@dataclass(frozen=True, slots=True)
class Ref:
    """The name of evidence: a link to its row in the inventory, with the beginning of its digest."""

    name: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    """One paragraph of plain text; every character is shown as it is. A mark stands before it."""

    text: str
    strong: bool = False
    mark: Mark | None = None


@dataclass(frozen=True, slots=True)
class Subheading:
    """A heading inside a section."""

    text: str


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a header. Cells are plain values, Marks, Codes, Refs, or tuples of these (one line each); None is shown as a dash.

    Without a caption the nearest heading names the table.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Picture:
    """An SVG among the evidence: `name` is its path inside the cycle's directory, `description` says in words what can be seen."""

    name: str
    caption: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """Preformatted text."""

    text: str
    language: str = ""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the figures that follow come from: names of evidence."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Item:
    """One piece of evidence. `size` is in bytes, None where it is not known."""

    name: str
    sha256: str
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Inventory:
    """All evidence that the report was made from. Refs and Origins lead here."""

    items: tuple[Item, ...]


Block = Paragraph | Subheading | Table | Picture | Listing | Origin | Inventory


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands under it."""

    heading: str
    blocks: tuple[Block, ...]


def inventory(content: Sequence[Section]) -> dict[str, Item]:
    """What the Inventory of the report lists, by name. Empty where there is none: then no name is a link."""
    blocks = [block for section in content for block in section.blocks if isinstance(block, Inventory)]
    return {item.name: item for block in blocks for item in block.items}


def rows(items: Sequence[Mapping[str, Any]], *fields: str) -> tuple[tuple[Any, ...], ...]:
    """The named fields of each mapping, in order."""
    return tuple(tuple(item.get(field) for field in fields) for item in items)


# A path inside the cycle's directory; nothing else becomes a link to a file.
LOCAL = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")
SHORT_DIGEST = 12


def is_local(name: str) -> bool:
    """Whether `name` is a relative path that stays below the report's own directory."""
    return LOCAL.fullmatch(name) is not None


def figure(value: Any, unit: str | None = None) -> str:
    """A measured value for people: four significant digits, thousands separated, with its unit. What is no number is a dash."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return "–"
    shown = f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.4g}"
    if "e" in shown:
        shown = f"{value:.6f}".rstrip("0").rstrip(".") if abs(value) >= 1e-6 else f"{value:.2e}"
    shown = "0" if shown == "-0" else shown
    return f"{shown} {'%' if unit == 'percent' else unit}" if unit else shown


def percent(value: Any) -> str:
    """A percentage as the evidence gives it, not rounded again: 14.96 must not look like 15."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return "–"
    return f"{value + 0.0:.6g} %"


def change(before: Any, after: Any, unit: str | None) -> str:
    """The signed change between two values beside each other, the one figure that the report derives; points where both are shares."""
    numbers = [v for v in (before, after) if isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v)]
    if len(numbers) < 2:
        return "–"
    old, new = numbers
    if old == new:
        return "none"
    if unit == "percent":
        return f"{new - old:+.4g} points"
    return f"{float(one_decimal(100 * (exact(new) - exact(old)) / exact(old))):+.1f} %" if old > 0 else "from zero"


def sentence(text: Any) -> str:
    """`text` with exactly one full stop, whether or not its author set one."""
    written = str(text or "").strip()
    return written if not written or written[-1] in ".!?:…" else written + "."
