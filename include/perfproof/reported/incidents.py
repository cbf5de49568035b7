"""Incidents of PagerDuty, from the pages of its `GET /incidents`.

PagerDuty tells no business impact, so `impact` is UNKNOWN. The severity is the priority's name where the account uses priorities, else
the urgency (`high`, `low`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from perfproof.errors import TelemetryError
from perfproof.moments import stamp
from perfproof.reported.fields import UNKNOWN, listed, mapping, moment, overlaps, text, unexpected
from perfproof.strict import read_json

SHAPE = 772
STATUSES = ("triggered", "acknowledged", "resolved")


def incident_page(body: bytes, *, where: str) -> tuple[list[Mapping[str, Any]], bool]:
    """The incidents of one page as received, and whether there are more. Raises TelemetryError 772 for another shape.

    A page without incidents that announces more is refused: it would be asked for without an end.
    """
    page = mapping(read_json(body, where=where, error=TelemetryError, number=SHAPE), where=where, number=SHAPE)
    entries = listed(page.get("incidents"), where=f"{where}.incidents", number=SHAPE)
    more = page.get("more")
    if not isinstance(more, bool):
        raise unexpected(SHAPE, f"{where}.more", more, "true or false")
    if more and not entries:
        raise unexpected(SHAPE, where, "an empty page before the last", "incidents")
    return [mapping(entry, where=f"{where}.incidents[{index}]", number=SHAPE) for index, entry in enumerate(entries)], more


def incident_items(
    entries: Iterable[Mapping[str, Any]], *, names: Mapping[str, str], start: float, end: float, where: str
) -> list[dict[str, Any]]:
    """The incidents that touch the window (seconds since the epoch), the oldest first, by the contract of the intake report.

    `names` turns ids of PagerDuty's services into names of the protocol file; a service that is not in it keeps PagerDuty's
    name. While pages are read a new incident moves others on to the next page: an id that comes twice counts once, as it was told last.
    Raises TelemetryError 772 for another shape, 771 for a time that is none.
    """
    found: dict[str, dict[str, Any] | None] = {}
    for index, entry in enumerate(entries):
        place = f"{where} incident {index}"
        name = entry.get("id")
        if not isinstance(name, str) or not name.strip():
            raise unexpected(SHAPE, f"{place}.id", name, "text")
        found[name] = _item(entry, text(name), names=names, start=start, end=end, where=place)
    return sorted((item for item in found.values() if item is not None), key=lambda item: (item["started_at"], item["id"]))


def _item(entry: Mapping[str, Any], name: str, *, names: Mapping[str, str], start: float, end: float, where: str) -> dict[str, Any] | None:
    if entry.get("status") not in STATUSES:
        raise unexpected(SHAPE, f"{where}.status", entry.get("status"), " | ".join(STATUSES))
    started = moment(entry.get("created_at"), where=f"{where}.created_at")
    ended = _ended(entry, where) if entry["status"] == "resolved" else None
    if ended is not None and ended < started:
        raise unexpected(SHAPE, where, f"over at {stamp(ended)}, begun at {stamp(started)}", "an end after the beginning")
    if not overlaps(started, ended, start=start, end=end):
        return None
    service = mapping(entry.get("service") or {}, where=f"{where}.service", number=SHAPE)
    called = names.get(str(service.get("id"))) or text(service.get("summary"), absent="")
    priority = mapping(entry.get("priority") or {}, where=f"{where}.priority", number=SHAPE)
    return {
        "id": name,
        "title": text(entry.get("title")),
        "started_at": stamp(started),
        "ended_at": None if ended is None else stamp(ended),
        "severity": text(priority.get("summary"), absent=text(entry.get("urgency"))),
        "services": [called] if called else [],
        "impact": UNKNOWN,
    }


def _ended(entry: Mapping[str, Any], where: str) -> datetime:
    """When a resolved incident was: older accounts only tell when its status last changed, and resolved is the last status."""
    key = "resolved_at" if entry.get("resolved_at") else "last_status_change_at"
    return moment(entry.get(key), where=f"{where}.{key}")
