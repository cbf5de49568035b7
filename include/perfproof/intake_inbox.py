"""The inbox of the next intake: each drift that a recurring capture found, which cycles took it, and what is still offered.

    <history>/<protocol>/drifts/<id>.json      one drift, written once
    <history>/<protocol>/taken/<run>.json      what one cycle took, written by that cycle alone
    <history>/<protocol>/intake-items.json     the view of both, in the form that `perfproof.inputs.backlog` reads

A drift is offered until a cycle that took it was handed off, or a person accepted the change. A cycle that took it and was halted
closes nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from perfproof.change_points import Kind
from perfproof.change_points.acknowledged import NEAR, Acknowledged
from perfproof.errors import ArtifactError
from perfproof.inputs.backlog import DRIFT, ITEM_KEYS, MAX_ITEMS, SCHEMA_VERSION
from perfproof.inputs.shapes import refusal, require
from perfproof.moments import parse_stamp, stamp
from perfproof.strict import read_json
from perfproof.telemetry import sha256_hex

VIEW, DRIFTS, TAKEN = "intake-items.json", "drifts", "taken"
ID = re.compile(r"DRIFT-[0-9a-f]{16}")
DRIFT_KEYS: dict[str, type | tuple[type, ...]] = {
    **ITEM_KEYS, "metric": str, "unit": str, "before": (int, float), "after": (int, float), "at": str, "interval": dict,
    "beside": list, "reported_by": str, "evidence": list,
}  # fmt: skip
MARK_KEYS: dict[str, type | tuple[type, ...]] = {"run": str, "items": list, "taken_at": str, "handed_off_at": (str, type(None))}


def drift_id(protocol: str, record: Mapping[str, Any]) -> str:
    """The id of a change of `perfproof.capture_changes`: from what it is a change of, in which direction, and since when."""
    content = json.dumps([protocol, record["series"], record["unit"], record["kind"], record["at"]])
    return f"DRIFT-{sha256_hex(content.encode())[:16]}"


def drifts_reported(records: Sequence[Mapping[str, Any]], *, reported_by: str) -> list[dict[str, Any]]:
    """The changes for the worse that the capture `reported_by` was the first to report.

    Not only those that are new at this moment: a try that was killed between reporting and opening them must find them again.
    """
    return [dict(record) for record in records if record["kind"] == Kind.REGRESSION and record["reported_by"] == reported_by]


def drift_item(
    record: Mapping[str, Any], *, protocol: str, length: timedelta, evidence: Sequence[Mapping[str, str]]
) -> dict[str, Any]:  # fmt: skip
    """The intake item of a change. `length` is that of a capture's interval, `evidence` are {name, sha256} of the captures."""
    service, _, metric = record["series"].partition("/")
    percent = "from zero" if record["percent"] is None else f"{record['percent']:+.1f} %"
    beside = [str(line) for line in record["beside"]]
    told = "; ".join(beside) or "no deployment or incident beside it"
    begin = parse_stamp(record["at"])
    return {
        "id": drift_id(protocol, record),
        "kind": DRIFT,
        "service": service,
        "title": f"{metric} drifted from {record['before']:.6g} to {record['after']:.6g} {record['unit']} at {record['at']}",
        "reason": f"{percent}, p {record['p']:.2g}, found by the recurring capture {record['reported_by']}; beside it: {told}",
        "metric": metric,
        "unit": record["unit"],
        "before": record["before"],
        "after": record["after"],
        "percent": record["percent"],
        "p": record["p"],
        "at": record["at"],
        "interval": {"start": stamp(begin), "end": stamp(begin + length)},
        "beside": beside,
        "reported_by": record["reported_by"],
        "evidence": [{"name": reference["name"], "sha256": reference["sha256"]} for reference in evidence],
    }


def read_drift(data: bytes, *, where: str) -> dict[str, Any]:
    """The drift in a file of `drifts/`. Raises ArtifactError 915 for anything else."""
    drift = require(read_json(data, where=where), DRIFT_KEYS, where=where, number=915)
    interval = require(drift["interval"], {"start": str, "end": str}, where=f"{where}.interval", number=915)
    for text in (drift["at"], *interval.values()):
        parse_stamp(text, where=where)
    if not ID.fullmatch(drift["id"]):
        raise refusal(915, f"{where}.id", "not the id of a drift", "restore the file or remove it", got=drift["id"])
    return drift


def mark(run: str, items: Sequence[str], *, at: datetime, earlier: Mapping[str, Any] | None, handed_off: bool = False) -> dict[str, Any]:
    """What the cycle `run` took. `earlier` is its mark so far, whose moments stay, so that a retry writes the same."""
    before = earlier or {}
    done = before.get("handed_off_at") or (stamp(at) if handed_off else None)
    return {"run": run, "items": sorted(items), "taken_at": before.get("taken_at") or stamp(at), "handed_off_at": done}


def read_mark(data: bytes, *, where: str) -> dict[str, Any]:
    """The mark in a file of `taken/`. Raises ArtifactError 916 for anything else."""
    found = require(read_json(data, where=where), MARK_KEYS, where=where, number=916)
    if not all(isinstance(item, str) for item in found["items"]):
        raise refusal(916, f"{where}.items", "not a list of ids", "remove the file; the drifts are then offered again")
    return found


def accepted_drifts(drifts: Sequence[Mapping[str, Any]], acknowledged: Acknowledged) -> dict[str, str]:
    """Who accepted which drift and why, in words, by its id: an entry with a `time` not further than three captures away."""
    found = {}
    for drift in drifts:
        at, interval = parse_stamp(drift["at"]), drift["interval"]
        near = NEAR * (parse_stamp(interval["end"]) - parse_stamp(interval["start"]))
        for entry in acknowledged.entries.get(f"{drift['service']}/{drift['metric']}", ()):
            moment = _moment(entry.time)
            if moment is not None and abs(moment - at) <= near:
                found[drift["id"]] = entry.words
    return found


def inbox_document(
    drifts: Sequence[Mapping[str, Any]],
    marks: Sequence[Mapping[str, Any]],
    *,
    protocol: str,
    dated: datetime,
    accepted: Mapping[str, str],
) -> dict[str, Any]:
    """`intake-items.json`: `items` are offered to the next intake (the newest 1000), `closed` are not, each with why.

    `dated` says how current it is. `taken_by` names the cycles that took an item and were not handed off.
    """
    ordered = sorted(drifts, key=lambda drift: (drift["at"], drift["id"]))
    items, closed = [], []
    for drift in ordered:
        takers = sorted((m for m in marks if drift["id"] in m["items"]), key=lambda m: (m["taken_at"], m["run"]))
        handed = next((m for m in takers if m["handed_off_at"]), None)
        if handed is not None:
            closed.append(_closed(drift, f"taken by the cycle {handed['run']}, which was handed off at {handed['handed_off_at']}"))
        elif drift["id"] in accepted:
            closed.append(_closed(drift, accepted[drift["id"]]))
        else:
            items.append({**drift, "taken_by": [{"run": m["run"], "taken_at": m["taken_at"]} for m in takers]})
    return {
        "schema_version": SCHEMA_VERSION,
        "created_at": stamp(dated),
        "run": f"baseline_capture of {protocol}",
        "items": items[-MAX_ITEMS:],
        "left_out": max(0, len(items) - MAX_ITEMS),
        "closed": closed,
    }


def _closed(drift: Mapping[str, Any], why: str) -> dict[str, Any]:
    return {**{key: drift[key] for key in ("id", "service", "metric", "title", "at")}, "closed_by": why}


def _moment(text: str | None) -> datetime | None:
    try:
        return parse_stamp(text)
    except ArtifactError:
        return None
