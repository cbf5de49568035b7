"""`performance-intake-backlog.json`: what one cycle leaves for the next, written and read here so that both agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from perfproof.inputs.shapes import Supplied, refusal, require
from perfproof.moments import parse_stamp, stamp
from perfproof.strict import read_json

SCHEMA_VERSION = 1
MAX_ITEMS = 1000


class ItemKind(StrEnum):
    """Why something is left for the next cycle."""

    SLO_MISSED = "slo_missed"
    OPTIMIZATION_LEFT = "optimization_left"
    REGRESSION = "regression"
    TELEMETRY_GAP = "telemetry_gap"
    OTHER = "other"


ITEM_KEYS: dict[str, type | tuple[type, ...]] = {
    "id": str,
    "kind": str,
    "service": str,
    "title": str,
    "metric": (str, type(None)),
    "reason": str,
}


def backlog_item(*, number: int, kind: ItemKind, service: str, title: str, metric: str | None, reason: str) -> dict[str, Any]:
    """One item, with the id `BKL-001` for number 1."""
    return {
        "id": f"BKL-{number:03d}",
        "kind": kind.value,
        "service": service,
        "title": title,
        "metric": metric,
        "reason": reason,
    }


def backlog_document(*, run: str, protocol: str, items: Sequence[Mapping[str, Any]], now: datetime) -> dict[str, Any]:
    """`performance-intake-backlog.json`. Nothing left over is an empty list, which the next cycle reads as just that."""
    return {
        "schema_version": SCHEMA_VERSION,
        "created_at": stamp(now),
        "run": run,
        "protocol": protocol,
        "items": [dict(item) for item in items],
    }


def validate_backlog(data: bytes, *, where: str) -> Supplied:
    """The `backlog` items, dated by `created_at`. Raises ArtifactError for another version, a wrong item or an id twice."""
    keys: dict[str, type | tuple[type, ...]] = {
        "schema_version": int,
        "created_at": str,
        "run": str,
        "protocol": str,
        "items": list,
    }
    document = require(read_json(data, where=where), keys, where=where, number=380)
    if document["schema_version"] != SCHEMA_VERSION:
        raise refusal(
            381, f"{where}.schema_version", "another version of the format", "take the file of a cycle of this version",
            got=document["schema_version"], expected=SCHEMA_VERSION,
        )  # fmt: skip
    if len(document["items"]) > MAX_ITEMS:
        raise refusal(382, f"{where}.items", "too many", "close what is done", got=len(document["items"]), expected=MAX_ITEMS)
    kinds = [kind.value for kind in ItemKind]
    ids: set[str] = set()
    for index, item in enumerate(document["items"]):
        place = f"{where}.items[{index}]"
        require(item, ITEM_KEYS, where=place, number=380)
        if item["kind"] not in kinds:
            raise refusal(383, f"{place}.kind", "unknown kind", "use one of these", got=item["kind"], expected=" | ".join(kinds))
        if item["id"] in ids or not item["id"]:
            raise refusal(384, f"{place}.id", "an id that is empty or comes twice", "give each its own", got=item["id"])
        ids.add(item["id"])
    return Supplied({"backlog": tuple(document["items"])}, parse_stamp(document["created_at"], where=f"{where}.created_at"))
