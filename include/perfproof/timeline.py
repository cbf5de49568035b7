"""Alerts, incidents, deployments and missed targets on one line of time, and what came shortly after what.

A coincidence is a fact about two moments and never a cause: the diagnostics decide about causes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from perfproof.errors import ArtifactError
from perfproof.moments import parse_stamp, stamp

UNKNOWN = "UNKNOWN"
MAX_ENTRIES = 500
MAX_COINCIDENCES = 100
# Of what came before one moment only the nearest are named: in a storm of alerts everything is near everything.
NEAREST = 5
NEAR = timedelta(hours=1)
LEADING = ("deployment", "alert_started")
MAX_WHAT = 300


@dataclass(frozen=True, slots=True)
class _Event:
    """`name` is what a coincidence calls it; `follows` says whether it can be the second of one."""

    at: datetime
    kind: str
    what: str
    name: str
    services: tuple[str, ...]
    source: str
    follows: bool = False


def timeline(documents: Iterable[Mapping[str, Any]], *, missed: Sequence[Mapping[str, Any]]) -> tuple[list[dict[str, Any]], int]:
    """The newest 500 entries {at, kind, what, service, source}, the oldest first, and how many older ones are left out.

    `documents` are source documents, `missed` are {service, symptom, at} of targets. kind is one of alert_started, alert_ended,
    incident_started, incident_ended, deployment, target_missed. service joins several names with a comma, and is None where the
    source names none. What has no time is not on the line.
    """
    events = [*_events(documents), *(_missed(point) for point in missed if _moment(point.get("at")) is not None)]
    events.sort(key=lambda event: (event.at, event.kind, event.what))
    left_out = max(0, len(events) - MAX_ENTRIES)
    return [
        {"at": stamp(e.at), "kind": e.kind, "what": e.what, "service": ", ".join(e.services) or None, "source": e.source}
        for e in events[left_out:]
    ], left_out


def coincidences(documents: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """{service, what, minutes, first, second} for a deployment or alert at most an hour before an alert or incident of one service.

    first and second are {kind, name, at}; `minutes` is whole minutes between them. For one event the five nearest of a kind before it, in
    all the 100 with the least time between, ordered by when the second was.
    """
    events = list(enumerate(sorted(_events(documents), key=lambda event: event.at)))
    found: dict[tuple[int, int], dict[str, Any]] = {}
    by_service: dict[str, list[tuple[int, _Event]]] = {}
    for number, event in events:
        for name in event.services:
            by_service.setdefault(name, []).append((number, event))
    for service, own in sorted(by_service.items()):
        for kind in LEADING:
            leading = [(number, event) for number, event in own if event.kind == kind]
            times = [event.at for _, event in leading]
            for number, second in own:
                if second.follows and second.kind != kind:
                    # What is told of the same second is not known to be before it.
                    last = bisect_left(times, second.at)
                    first_near = bisect_left(times, second.at - NEAR)
                    for n, first in leading[max(first_near, last - NEAREST) : last]:
                        found.setdefault((n, number), _coincidence(first, second, service))
    closest = sorted(found.values(), key=lambda c: (c["minutes"], c["second"]["at"], c["what"]))[:MAX_COINCIDENCES]
    return sorted(closest, key=lambda c: (c["second"]["at"], c["first"]["at"], c["what"]))


def _coincidence(first: _Event, second: _Event, service: str) -> dict[str, Any]:
    minutes = int((second.at - first.at).total_seconds() // 60)
    apart = f"{minutes} minute{'' if minutes == 1 else 's'}" if minutes else "less than a minute"
    return {
        "service": service,
        "what": f"{first.name} {apart} before {second.name}",
        "minutes": minutes,
        "first": {"kind": first.kind, "name": first.name, "at": stamp(first.at)},
        "second": {"kind": second.kind, "name": second.name, "at": stamp(second.at)},
    }


def _events(documents: Iterable[Mapping[str, Any]]) -> Iterator[_Event]:
    for document in documents:
        for item in document["items"]:
            yield from _of_item(item, str(document["source"]))


def _of_item(item: Mapping[str, Any], source: str) -> Iterator[_Event]:
    def event(key: str, kind: str, what: str, name: str, services: tuple[str, ...], *, follows: bool = False) -> Iterator[_Event]:
        at = _moment(item.get(key))
        if at is not None:
            yield _Event(at, kind, _short(what), _short(name), services, source, follows)

    match item.get("type"):
        case "alerts":
            name, own = f"alert {item.get('name')}", _names(item.get("service"))
            severity = f" ({item['severity']})" if item.get("severity") not in (None, "", UNKNOWN) else ""
            yield from event("started_at", "alert_started", f"{name}{severity} began to fire", name, own, follows=True)
            yield from event("ended_at", "alert_ended", f"{name} was resolved", name, own)
        case "incidents":
            name, own = f"incident {item.get('id')}", _names(*(item.get("services") or ()))
            told = f"{name} ({item.get('severity')}): {item.get('title')}"
            yield from event("started_at", "incident_started", f"{told}: begin", name, own, follows=True)
            yield from event("ended_at", "incident_ended", f"{name}: end", name, own)
        case "deployments":
            name = f"deployment {item.get('build')}"
            change = f": {item['change']}" if item.get("change") not in (None, "", UNKNOWN) else ""
            yield from event("deployed_at", "deployment", f"{name}{change}", name, _names(item.get("service")))


def _missed(point: Mapping[str, Any]) -> _Event:
    at = parse_stamp(point["at"])
    return _Event(at, "target_missed", _short(str(point["symptom"])), "", _names(point["service"]), "baseline")


def _names(*names: Any) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(name) for name in names if name not in (None, "", UNKNOWN)))


def _moment(value: Any) -> datetime | None:
    try:
        return None if value is None else parse_stamp(value)
    except ArtifactError:
        return None


def _short(text: str) -> str:
    return text if len(text) <= MAX_WHAT else text[: MAX_WHAT - 1] + "…"
