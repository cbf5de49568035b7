"""What a reader of JSON profiles may expect of a value; anything else is one error that names its place."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from perfproof.errors import ProfileError


def refused(where: str, what: str, *, got: Any = None, expected: Any = None, number: int = 211) -> ProfileError:
    """The error for a value that does not fit the format."""
    return ProfileError(number, where=where, what=what, got=got, expected=expected, fix="export it again, or as collapsed stacks")


def mapping(value: Any, where: str) -> Mapping[str, Any]:
    """`value`, if it is an object."""
    if not isinstance(value, dict):
        raise refused(where, "wrong type", got=value, expected="an object")
    return value


def listing(value: Any, where: str) -> list[Any]:
    """`value`, if it is a list."""
    if not isinstance(value, list):
        raise refused(where, "wrong type", got=value, expected="a list")
    return value


def text(value: Any, where: str) -> str:
    """`value`, if it is text."""
    if not isinstance(value, str):
        raise refused(where, "wrong type", got=value, expected="text")
    return value


def whole(value: Any, where: str, *, below: int | None = None) -> int:
    """`value`, if it is a whole number of 0 or more, and less than `below`."""
    if type(value) is not int or value < 0 or (below is not None and value >= below):
        expected = "a whole number of 0 or more" if below is None else f"a whole number below {below}"
        raise refused(where, "out of range", got=value, expected=expected)
    return value


def finite(value: Any, where: str) -> float:
    """`value`, if it is a number."""
    if type(value) not in (int, float) or not math.isfinite(value):
        raise refused(where, "wrong type", got=value, expected="a number")
    return float(value)
