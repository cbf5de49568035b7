"""Values in JSON documents of the tools: of the type that the tool writes, or refused."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from perfproof.load_files.refusals import malformed, no_measurement
from perfproof.strict import read_json

LARGEST_SUMMARY = 16 << 20


def json_record(record: bytes, *, where: str) -> dict[str, Any]:
    """The object in one line. Raises ArtifactError 483 for what is none, among it NaN and a key that is there twice."""
    value = read_json(record, where=where, number=483, limit=LARGEST_SUMMARY)
    return mapping(value, where=where)


def mapping(value: Any, *, where: str) -> dict[str, Any]:
    """`value` if it is an object. Raises ArtifactError 483."""
    if not isinstance(value, dict):
        raise malformed(where, "not an object", got=value)
    return value


def inside(document: Mapping[str, Any], key: str, *, where: str) -> dict[str, Any]:
    """The object under `key`. Raises ArtifactError 483."""
    return mapping(document.get(key), where=f"{where}.{key}")


def text(document: Mapping[str, Any], key: str, *, where: str, default: str | None = None) -> str:
    """The text under `key`, `default` where there is none. Raises ArtifactError 483."""
    value = document.get(key, default)
    if not isinstance(value, str):
        raise malformed(f"{where}.{key}", "not text", got=value)
    return value


def amount(document: Mapping[str, Any], key: str, *, where: str) -> float:
    """The number of 0 or more under `key`. Raises ArtifactError 484."""
    value = document.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise no_measurement(f"{where}.{key}", "not a number of 0 or more", got=value)
    return float(value)


def count(document: Mapping[str, Any], key: str, *, where: str) -> int:
    """The whole number of 0 or more under `key`. Raises ArtifactError 484."""
    value = amount(document, key, where=where)
    if value != int(value) or value > 2**53:
        raise no_measurement(f"{where}.{key}", "not a whole number", got=value)
    return int(value)
