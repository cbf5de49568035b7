"""How a protocol file is refused, and the two checks that every part of it needs: names, and names that stand twice."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from perfproof.errors import ConfigError

IDENTIFIER = re.compile(r"^[a-z][a-z0-9._-]{0,63}$")


def refusal(number: int, where: str, what: str, fix: str, *, got: Any = None, expected: Any = None) -> ConfigError:
    """The error of a protocol file."""
    return ConfigError(number, where=where, what=what, got=got, expected=expected, fix=fix)


def check_identifier(name: str, where: str) -> None:
    """Raises ConfigError unless `name` is an identifier."""
    if not IDENTIFIER.fullmatch(name) or ".." in name:
        raise refusal(133, where, "not an identifier", "use small letters, digits, . _ -", got=name, expected=IDENTIFIER.pattern)


def check_unique(names: Iterable[str], where: str, kind: str) -> None:
    """Raises ConfigError for the first name that stands twice, in whatever case."""
    seen: set[str] = set()
    for name in names:
        if name.casefold() in seen:
            raise refusal(134, where, f"two entries for the {kind}", "keep one", got=name)
        seen.add(name.casefold())
