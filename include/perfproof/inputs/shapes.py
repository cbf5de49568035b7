"""What every validator of a supplied file answers, and the refusal that all of them share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from perfproof.errors import ArtifactError


@dataclass(frozen=True, slots=True)
class Supplied:
    """A validated file: its items by what they provide (`alerts`, `incidents`, …) and the moment that the file itself names."""

    items: Mapping[str, tuple[dict[str, Any], ...]]
    dated: datetime | None


def refusal(number: int, where: str, what: str, fix: str, *, got: Any = None, expected: Any = None) -> ArtifactError:
    """The ArtifactError for a file that cannot be taken."""
    return ArtifactError(number, where=where, what=what, got=got, expected=expected, fix=fix)


def decoded(data: bytes, *, where: str) -> str:
    """`data` as UTF-8 text with `\\n` line ends and without a byte order mark. Raises ArtifactError for other bytes and NUL."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise refusal(301, where, "not UTF-8 text", "save the file as UTF-8", got=error.reason) from None
    if "\0" in text:
        raise refusal(301, where, "holds a NUL character", "save the file as plain text")
    return text.replace("\r\n", "\n")


def require(record: Any, keys: Mapping[str, type | tuple[type, ...]], *, where: str, number: int) -> dict[str, Any]:
    """`record` if it is a mapping with every one of `keys` in its type. A bool is no number; extra keys are left alone."""
    if not isinstance(record, dict):
        raise refusal(number, where, "not a mapping", "write an object with keys", got=record)
    for key, kinds in keys.items():
        if key not in record:
            raise refusal(number, where, f"key {key!r} is missing", f"add {key}", expected=", ".join(keys))
        value = record[key]
        accepted = kinds if isinstance(kinds, tuple) else (kinds,)
        if not isinstance(value, accepted) or (isinstance(value, bool) and bool not in accepted):
            names = " or ".join("null" if kind is type(None) else kind.__name__ for kind in accepted)
            raise refusal(number, f"{where}.{key}", "wrong type", "correct the value", got=value, expected=names)
    return record
