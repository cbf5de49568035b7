"""Reads the records of promised and realized gains in a backlog (`perfproof.promised_gains` writes them)."""

from __future__ import annotations

import math
from typing import Any

from perfproof.inputs.shapes import refusal, require
from perfproof.promised_gains import MAX_RECORDS, Kept

TEXTS = ("run", "validated_at", "validation_sha256", "service", "target_metric", "cause", "kept", "status")
FIGURES = ("promised_percent", "stated_percent", "realized_percent", "realized_low", "realized_high", "ratio")
MAX_TEXT = 500
MAX_TOGETHER = 100


def read_gain_records(document: dict[str, Any], *, where: str) -> list[dict[str, Any]]:
    """The records under `promised_gains`, an empty list in a backlog of a version that kept none.

    Raises ArtifactError 820 for a record that is not whole, 821 for too many, 822 for a validation that comes twice.
    """
    records = document.get("promised_gains", [])
    place = f"{where}.promised_gains"
    if not isinstance(records, list):
        raise refusal(820, place, "wrong type", "take the file as a cycle wrote it", got=records, expected="list")
    if len(records) > MAX_RECORDS:
        raise refusal(821, place, "too many", "take the file as a cycle wrote it", got=len(records), expected=MAX_RECORDS)
    read = [_record(record, f"{place}[{index}]") for index, record in enumerate(records)]
    digests = [record["validation_sha256"] for record in read]
    twice = next((digest for index, digest in enumerate(digests) if digest in digests[:index]), None)
    if twice is not None:
        raise refusal(822, place, "a validation that comes twice", "keep one", got=twice)
    return read


def _record(record: Any, place: str) -> dict[str, Any]:
    keys: dict[str, type | tuple[type, ...]] = dict.fromkeys(TEXTS, str)
    keys |= dict.fromkeys(FIGURES, (int, float, type(None)))
    read = require(record, {**keys, "optimizations": list, "bounded": bool}, where=place, number=820)
    for name in FIGURES:
        if read[name] is not None and not math.isfinite(read[name]):
            raise refusal(820, f"{place}.{name}", "not a number", "correct the value", got=read[name])
    if read["kept"] not in list(Kept):
        raise refusal(820, f"{place}.kept", "unknown name", "correct the value", got=read["kept"], expected=" | ".join(Kept))
    if not 0 < len(read["optimizations"]) <= MAX_TOGETHER:
        raise refusal(820, f"{place}.optimizations", "none, or too many", "correct the value", got=len(read["optimizations"]))
    names = {"id": str, "title": str, "cause": str}
    changed = [require(o, names, where=f"{place}.optimizations[{i}]", number=820) for i, o in enumerate(read["optimizations"])]
    return {
        **{name: read[name][:MAX_TEXT] for name in TEXTS},
        **{name: read[name] for name in FIGURES},
        "bounded": read["bounded"],
        "optimizations": [{name: o[name][:MAX_TEXT] for name in names} for o in changed],
    }
