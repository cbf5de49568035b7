"""Changes of level over the recurring captures: each reported once, with what was deployed or went wrong beside it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from perfproof.change_points import Change, find_changes
from perfproof.change_points.acknowledged import NEAR
from perfproof.errors import quoted
from perfproof.inputs.shapes import refusal, require
from perfproof.moments import parse_stamp
from perfproof.strict import read_json
from perfproof.telemetry import Direction

SCHEMA_VERSION = 1
RECORD_KEYS: dict[str, type | tuple[type, ...]] = {
    "series": str, "unit": str, "at": str, "kind": str, "before": (int, float), "after": (int, float),
    "percent": (int, float, type(None)), "p": (int, float), "reported_by": str, "beside": list,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class CaptureSeries:
    """One metric over the captures: NaN where one has no value in this unit. `starts` are those of the intervals."""

    name: str
    unit: str
    direction: Direction
    values: tuple[float, ...]
    starts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Beside:
    """What is known about the time of the captures: deployments and incidents as their reports have them, and what is missing."""

    deployments: Sequence[Mapping[str, Any]] = ()
    incidents: Sequence[Mapping[str, Any]] = ()
    unknown: Sequence[str] = ()

    def around(self, start: datetime, *, length: timedelta, service: str) -> list[str]:
        """What happened from one interval before `start` to the end of the one after, in words; and what nobody knows."""
        begin, end = start - length, start + 2 * length
        told = [
            f"deployment of {d['build']} at {d['deployed_at']}"
            for d in self.deployments
            if d["service"] == service and begin <= parse_stamp(d["deployed_at"]) <= end
        ]
        for incident in self.incidents:
            began = parse_stamp(incident["started_at"])
            ended = parse_stamp(incident["ended_at"]) if incident["ended_at"] else None
            if service in incident["services"] and began <= end and (ended is None or ended >= begin):
                told.append(f"incident {incident['id']} from {incident['started_at']}: {incident['title']}")
        return [quoted(line) for line in [*told, *self.unknown]]


def capture_series(documents: Sequence[Mapping[str, Any]]) -> list[CaptureSeries]:
    """Every metric of the newest of `documents` (baseline documents, oldest first) over all of them, as `service/metric`."""
    cells = [{(cell["service"], cell["metric_name"]): cell for cell in document["cells"]} for document in documents]
    starts = tuple(str(document.get("window", {}).get("start", "")) for document in documents)
    found = []
    for (service, metric), newest in cells[-1].items() if cells else ():
        same = [other.get((service, metric)) for other in cells]
        values = tuple(
            float(cell["value"]) if cell and cell["value"] is not None and cell["unit"] == newest["unit"] else math.nan for cell in same
        )
        found.append(CaptureSeries(f"{service}/{metric}", newest["unit"], Direction(newest["direction"]), values, starts))
    return found


def found_changes(documents: Sequence[Mapping[str, Any]], *, reported_by: str) -> list[dict[str, Any]]:
    """The changes over `documents` as records for `merged`. `reported_by` names the capture that found them."""
    return [
        _record(series, change, reported_by)
        for series in capture_series(documents)
        for change in find_changes(series.values, direction=series.direction).changes
    ]


def merged(
    reported: Sequence[Mapping[str, Any]], found: Sequence[Mapping[str, Any]], *, length: timedelta, beside: Callable[[], Beside]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """All records in order, and those of `found` that are new: no change of this metric and kind was reported within three captures.

    A change moves by a capture or two as more is measured; what was reported keeps its record. `length` is that of a capture's
    interval; `beside` is asked only if something is new.
    """
    new: list[dict[str, Any]] = []
    for record in found:
        if not any(_same(record, other, length) for other in (*reported, *new)):
            new.append(dict(record))
    known = beside() if new else Beside()
    for record in new:
        service = record["series"].partition("/")[0]
        record["beside"] = known.around(parse_stamp(record["at"]), length=length, service=service)
    records = sorted([*map(dict, reported), *new], key=lambda record: (record["at"], record["series"], record["kind"]))
    return records, new


def change_words(record: Mapping[str, Any]) -> str:
    """One line for people."""
    percent = "from zero" if record["percent"] is None else f"{record['percent']:+.1f} %"
    beside = "; ".join(record["beside"]) or "no deployment or incident beside it"
    figures = f"{record['before']:.6g} -> {record['after']:.6g} {record['unit']}, {percent}, p {record['p']:.2g}"
    return f"{record['series']}: {record['kind']} at {record['at']}: {figures} ({beside})"


def changes_document(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """`changes.json` of a history: every change that was ever reported."""
    return {"schema_version": SCHEMA_VERSION, "changes": [dict(record) for record in records]}


def read_changes(data: bytes, *, where: str) -> list[dict[str, Any]]:
    """The records of a `changes.json`. Raises ArtifactError 476 for another document."""
    document = read_json(data, where=where)
    if not isinstance(document, dict) or document.get("schema_version") != SCHEMA_VERSION or not isinstance(document.get("changes"), list):
        raise refusal(476, where, "not the changes of a history", "remove the file; changes are then reported anew")
    records = [require(record, RECORD_KEYS, where=f"{where}.changes[{i}]", number=476) for i, record in enumerate(document["changes"])]
    for place, record in enumerate(records):
        parse_stamp(record["at"], where=f"{where}.changes[{place}].at")
    return records


def interval_length(document: Mapping[str, Any]) -> timedelta:
    """How long the interval of a capture is, from its `window`."""
    window = document["window"]
    return parse_stamp(window["end"]) - parse_stamp(window["start"])


def _record(series: CaptureSeries, change: Change, reported_by: str) -> dict[str, Any]:
    return {
        "series": series.name,
        "unit": series.unit,
        "at": series.starts[change.index],
        "kind": change.kind.value,
        "before": change.before,
        "after": change.after,
        "percent": None if math.isinf(change.percent) else round(change.percent, 2),
        "p": change.p,
        "reported_by": reported_by,
        "beside": [],
    }


def _same(one: Mapping[str, Any], other: Mapping[str, Any], length: timedelta) -> bool:
    if (one["series"], one["kind"]) != (other["series"], other["kind"]):
        return False
    return abs(parse_stamp(one["at"]) - parse_stamp(other["at"])) <= NEAR * length
