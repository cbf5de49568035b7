"""The body of an entry as far as it has the shape that perfproof writes: a forged log may hold anything there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from perfproof.gates.figures import at, mappings, number


def text(body: Any, *path: str) -> str | None:
    """The text at `path`, None if there is none."""
    value = at(body, *path)
    return value if isinstance(value, str) else None


def whole(body: Any, *path: str) -> int | None:
    """The whole number at `path`, None if there is none."""
    value = at(body, *path)
    return value if type(value) is int else None


def figure(body: Any, *path: str) -> int | float | None:
    """The finite number at `path`, None if there is none."""
    value = at(body, *path)
    return value if number(value) is not None else None


def texts(body: Any, *path: str) -> list[str]:
    """The texts in the list at `path`."""
    value = at(body, *path)
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def reference(body: Any, *path: str) -> dict[str, str] | None:
    """Name and digest at `path`, None unless both are there."""
    name, sha256 = text(body, *path, "name"), text(body, *path, "sha256")
    return None if name is None or sha256 is None else {"name": name, "sha256": sha256}


def references(body: Any, *path: str) -> list[dict[str, str]]:
    """Name and digest of what is listed at `path`."""
    return [found for item in mappings(body, *path) if (found := reference(item)) is not None]


def person(body: Any, *path: str) -> dict[str, str] | None:
    """Id and name of the person at `path`, None where nobody is named."""
    found = at(body, *path)
    if not isinstance(found, Mapping) or not isinstance(found.get("id"), str):
        return None
    return {"id": found["id"], "name": text(found, "name") or found["id"]}
