"""Figures as they stand in documents that nobody trusts: read strictly, recomputed in decimal arithmetic, compared."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

# Half a unit of the first decimal: the spec's samples print percentages with one.
ROUNDING = Decimal("0.05")
# Decimal arithmetic has 28 digits: what is larger than this has no decimals that could be rounded.
LARGE = Decimal(10) ** 20


def number(value: Any) -> Decimal | None:
    """`value` as a decimal if it is a finite number; None for anything else. True is not a number, "15" is not a number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return Decimal(str(value)) if isinstance(value, float) else Decimal(value)


def at(document: Any, *path: str | int) -> Any:
    """The value at `path`, None where a step of it does not exist."""
    for step in path:
        if isinstance(document, Mapping) and isinstance(step, str):
            document = document.get(step)
        elif isinstance(document, list) and isinstance(step, int) and 0 <= step < len(document):
            document = document[step]
        else:
            return None
    return document


def items(document: Any, *path: str | int) -> list[Any]:
    """The list at `path`; an empty one if there is none."""
    found = at(document, *path)
    return found if isinstance(found, list) else []


def mappings(document: Any, *path: str | int) -> list[Mapping[str, Any]]:
    """The mappings in the list at `path`."""
    return [item for item in items(document, *path) if isinstance(item, Mapping)]


def share(part: Decimal | int, whole: Decimal | int) -> Decimal | None:
    """`part` of `whole` in percent, None if `whole` is zero."""
    return None if whole == 0 else Decimal(100) * Decimal(part) / Decimal(whole)


def differs(name: str, declared: Any, recomputed: Decimal | None, *, rounding: Decimal = ROUNDING) -> str | None:
    """What is wrong with the declared figure, None if it is the recomputed one up to `rounding`."""
    found = number(declared)
    if found is None:
        return f"{name} declares {declared!r}, which is no number"
    if recomputed is None or abs(found - recomputed) > rounding:
        return f"{name} declares {plain(found)}, the evidence gives {'nothing' if recomputed is None else plain(recomputed)}"
    return None


def unlike(name: str, declared: Any, recomputed: Any) -> str | None:
    """What is wrong with a declared word, count or list, None if it equals the recomputed one (type included)."""
    if type(declared) is type(recomputed) and declared == recomputed:
        return None
    return f"{name} declares {declared!r}, the evidence gives {recomputed!r}"


def found(*complaints: str | None) -> list[str]:
    """The complaints that are there."""
    return [c for c in complaints if c is not None]


def plain(value: Decimal) -> str:
    """`value` in plain digits, at most four decimals."""
    if abs(value) >= LARGE:
        return f"{value:.4e}"
    rounded = f"{value:.4f}".rstrip("0").rstrip(".")
    return rounded if rounded not in ("", "-0") else "0"


def as_float(value: Decimal | None) -> float | None:
    """`value` for a document, None where it is too large for one: an infinite figure is none."""
    figure = None if value is None else float(value)
    return figure if figure is not None and math.isfinite(figure) else None


def rounded(value: Decimal | None, *, digits: int = 1) -> float | None:
    """`value` with `digits` decimals, as the spec's samples show percentages."""
    return None if value is None else as_float(round_to(value, digits))


def round_to(value: Decimal, digits: int) -> Decimal:
    """`value` with `digits` decimals; a value without decimals as it is."""
    return value if abs(value) >= LARGE else round(value, digits)


def digest_of(evidence: Iterable[Mapping[str, Any]], name: str) -> str | None:
    """The SHA-256 under which `name` stands in the evidence, None if it does not."""
    return next((str(e["sha256"]) for e in evidence if e.get("name") == name and e.get("sha256")), None)


def text_at(document: Any, *path: str | int) -> str:
    """The text at `path` without surrounding blanks; empty if there is no text."""
    value = at(document, *path)
    return value.strip() if isinstance(value, str) else ""
