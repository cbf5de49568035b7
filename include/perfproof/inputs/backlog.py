"""Reads `performance-intake-backlog.json`, what an earlier cycle left (`perfproof.improvement.backlog` writes it)."""

from __future__ import annotations

from typing import Any

from perfproof.inputs.gain_records import read_gain_records
from perfproof.inputs.shapes import Supplied, refusal, require
from perfproof.moments import parse_stamp
from perfproof.strict import read_json

SCHEMA_VERSION = 1
MAX_ITEMS = 1000
# The kind of an item that a recurring capture opened.
DRIFT = "drift"
DOCUMENT_KEYS: dict[str, type | tuple[type, ...]] = {"created_at": str, "run": str, "items": list}
ITEM_KEYS: dict[str, type | tuple[type, ...]] = {"id": str, "kind": str, "service": str, "title": str, "reason": str}


def validate_backlog(data: bytes, *, where: str) -> Supplied:
    """The `backlog` items, dated by `created_at`; `from` names the run that left an item, `metric` is None where it names none.

    Nothing left over is an empty list. Raises ArtifactError for another version, an item or a record of a gain that is not whole, or
    an id twice.
    """
    document = require(read_json(data, where=where), DOCUMENT_KEYS, where=where, number=380)
    version = document.get("schema_version", SCHEMA_VERSION)
    if type(version) is not int or version != SCHEMA_VERSION:
        raise refusal(
            381, f"{where}.schema_version", "another version of the format", "take the file of a cycle of this version",
            got=version, expected=SCHEMA_VERSION,
        )  # fmt: skip
    if len(document["items"]) > MAX_ITEMS:
        raise refusal(382, f"{where}.items", "too many", "close what is done", got=len(document["items"]), expected=MAX_ITEMS)
    items = [{"from": document["run"], **_item(record, f"{where}.items[{index}]")} for index, record in enumerate(document["items"])]
    ids = [item["id"] for item in items]
    twice = next((name for index, name in enumerate(ids) if name in ids[:index]), None)
    if twice is not None:
        raise refusal(384, f"{where}.items", "an id that comes twice", "give each its own", got=twice)
    read_gain_records(document, where=where)
    return Supplied({"backlog": tuple(items)}, parse_stamp(document["created_at"], where=f"{where}.created_at"))


def _item(record: Any, place: str) -> dict[str, Any]:
    item = require({"metric": None, **record} if isinstance(record, dict) else record, ITEM_KEYS, where=place, number=380)
    for key in ("id", "kind", "title"):
        if not item[key].strip():
            raise refusal(383, f"{place}.{key}", "empty", "fill it in")
    if not isinstance(item["metric"], str | None):
        raise refusal(380, f"{place}.metric", "wrong type", "correct the value", got=item["metric"], expected="str or null")
    return item
