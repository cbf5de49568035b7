"""Alerts of an Alertmanager, from its answer to `GET /api/v2/alerts`.

Alertmanager lists what fires, is silenced or inhibited now, and forgets what is over: what was resolved before the question is in
the rules' own history, not here. It does not know for how long a condition had to hold (`for` is UNKNOWN); the expression
is in the link that Prometheus sends along.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from perfproof.errors import TelemetryError
from perfproof.moments import stamp
from perfproof.reported.fields import NEVER, UNKNOWN, listed, mapping, moment, overlaps, text, unexpected
from perfproof.strict import read_json

SHAPE = 770
MAX_ALERTS = 10_000
STATES = ("active", "suppressed", "unprocessed")


def alert_items(body: bytes, *, source: str, start: float, end: float, fetched_at: datetime, where: str) -> list[dict[str, Any]]:
    """The alerts of the answer that touch the window (seconds since the epoch), the oldest first.

    Each is {name, expression, severity, for, service, state, started_at, ended_at, source, silenced, inhibited, fingerprint}.
    An alert that is listed twice alike counts once. Raises TelemetryError 770 for another shape or one alert with two contents,
    771 for a time that is none.
    """
    entries = listed(read_json(body, where=where, error=TelemetryError, number=SHAPE), where=where, number=SHAPE)
    if len(entries) > MAX_ALERTS:
        raise unexpected(SHAPE, where, f"{len(entries)} alerts", f"at most {MAX_ALERTS}: ask for fewer by a matcher")
    found: dict[str, dict[str, Any]] = {}
    for index, entry in enumerate(entries):
        place = f"{where}[{index}]"
        item = _item(mapping(entry, where=place, number=SHAPE), source=source, start=start, end=end, fetched_at=fetched_at, where=place)
        if item is not None and found.setdefault(item["fingerprint"], item) != item:
            raise unexpected(SHAPE, place, item["fingerprint"], "one content for one fingerprint")
    return sorted(found.values(), key=lambda item: (item["started_at"], item["name"], item["fingerprint"]))


def _item(entry: Mapping[str, Any], *, source: str, start: float, end: float, fetched_at: datetime, where: str) -> dict[str, Any] | None:
    labels = mapping(entry.get("labels"), where=f"{where}.labels", number=SHAPE)
    status = mapping(entry.get("status"), where=f"{where}.status", number=SHAPE)
    if status.get("state") not in STATES:
        raise unexpected(SHAPE, f"{where}.status.state", status.get("state"), " | ".join(STATES))
    started = moment(entry.get("startsAt"), where=f"{where}.startsAt")
    # The end of an alert that fires is when it would be taken for resolved if Prometheus sent it no more.
    until = NEVER if entry.get("endsAt") in (None, "") else moment(entry["endsAt"], where=f"{where}.endsAt")
    ended = until if NEVER < until <= fetched_at else None
    if not overlaps(started, ended, start=start, end=end):
        return None
    fingerprint = entry.get("fingerprint")
    if not isinstance(fingerprint, str) or not fingerprint:
        raise unexpected(SHAPE, f"{where}.fingerprint", fingerprint, "text")
    return {
        "name": text(labels.get("alertname")),
        "expression": _expression(entry.get("generatorURL")),
        "severity": text(labels.get("severity")),
        "for": UNKNOWN,
        "service": text(labels.get("service"), absent="") or None,
        "state": "firing" if ended is None else "resolved",
        "started_at": stamp(started),
        "ended_at": None if ended is None else stamp(ended),
        "source": source,
        "silenced": bool(listed(status.get("silencedBy", []), where=f"{where}.status.silencedBy", number=SHAPE)),
        "inhibited": bool(listed(status.get("inhibitedBy", []), where=f"{where}.status.inhibitedBy", number=SHAPE)),
        "fingerprint": text(fingerprint),
    }


def _expression(link: Any) -> str:
    """The expression in Prometheus' link to its own graph (`/graph?g0.expr=…`), UNKNOWN if there is none."""
    try:
        found = parse_qs(urlsplit(link).query, max_num_fields=20).get("g0.expr") if isinstance(link, str) else None
    except ValueError:
        return UNKNOWN
    return text(found[0]) if found else UNKNOWN
