"""The history of recurring captures: one baseline per data interval, under a name that the interval alone decides.

    <history>/<protocol>/20250216T100000Z_20250216T110000Z.json
    <history>/<protocol>/parts/20250216T100000Z_20250216T110000Z/<service>.json    with the sources' answers

Capturing an interval again changes its file only if more of the interval is measured than before: a later look at
telemetry that has expired meanwhile must not replace what was seen in time.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from perfproof.config_checks import IDENTIFIER
from perfproof.errors import ParameterError

NAME = re.compile(r"^(\d{8}T\d{6}Z)_(\d{8}T\d{6}Z)\.json$")
FORMAT = "%Y%m%dT%H%M%SZ"
MAX_INTERVAL_DAYS = 31
# What differs between two looks at the same telemetry.
VOLATILE = ("collected_at",)


class Decision(StrEnum):
    """What happens to the file of an interval."""

    WRITE = "write"
    KEEP = "keep"


def check_interval(start: datetime | None, end: datetime | None, *, now: datetime) -> tuple[datetime, datetime]:
    """The interval in UTC. Raises ParameterError unless it is over, of a positive length, at most 31 days, and zoned."""
    if start is None or end is None:
        raise ParameterError(
            250,
            where="data interval",
            what="the run has none",
            fix="trigger it with a logical date, or let the schedule run it",
        )
    if start.tzinfo is None or end.tzinfo is None:
        raise ParameterError(251, where="data interval", what="no time zone", got=f"{start} to {end}", fix="give UTC moments")
    # Two moments of one zone are subtracted as clocks show them, which is another time when clocks are changed in between.
    start, end = start.astimezone(UTC), end.astimezone(UTC)
    if not 0 < (end - start).total_seconds() <= MAX_INTERVAL_DAYS * 86_400:
        raise ParameterError(
            252, where="data interval", what="not a span that can be captured", got=f"{start} to {end}",
            expected=f"up to {MAX_INTERVAL_DAYS} days", fix="choose a schedule with shorter intervals",
        )  # fmt: skip
    if end > now:
        raise ParameterError(253, where="data interval", what="not over yet", got=end.isoformat(), fix="wait until it has ended")
    return start, end


def entry_name(start: datetime, end: datetime) -> str:
    """File name of the capture of an interval. Sorting names sorts intervals."""
    return f"{start.astimezone(UTC):{FORMAT}}_{end.astimezone(UTC):{FORMAT}}.json"


def entry_interval(name: str) -> tuple[datetime, datetime] | None:
    """The interval that a file name names, None for a file that is no capture."""
    match = NAME.match(name)
    if not match:
        return None
    try:
        start, end = (datetime.strptime(text, FORMAT).replace(tzinfo=UTC) for text in match.groups())
    except ValueError:
        return None
    return (start, end) if start < end else None


def entry_path(directory: str, protocol: str, name: str) -> str:
    """Path of a capture below the workspace. Raises ParameterError for a protocol name that is no identifier."""
    if not IDENTIFIER.fullmatch(protocol) or ".." in protocol or entry_interval(name) is None:
        raise ParameterError(254, where="history", what="not the name of a capture", got=f"{protocol}/{name}", fix="use entry_name")
    return f"{directory.rstrip('/')}/{protocol}/{name}"


def part_path(directory: str, protocol: str, name: str, service: str) -> str:
    """Path of one service's part of a capture, from which its baseline is joined."""
    if not IDENTIFIER.fullmatch(service) or ".." in service:
        raise ParameterError(254, where="history", what="not the name of a service", got=service, fix="use the protocol file's name")
    parent, _, file = entry_path(directory, protocol, name).rpartition("/")
    return f"{parent}/parts/{file.removesuffix('.json')}/{service}.json"


def decide(existing: Mapping[str, Any] | None, captured: Mapping[str, Any]) -> Decision:
    """Whether `captured` becomes the file of its interval, given the valid document that is there (None if there is none).

    The first look stays unless the new one is more complete, or was taken under another protocol file.
    """
    if existing is None:
        return Decision.WRITE
    if existing["protocol_sha256"] != captured["protocol_sha256"]:
        return Decision.WRITE
    if _measured(existing) == _measured(captured):
        return Decision.KEEP
    return Decision.WRITE if _amount(captured) > _amount(existing) else Decision.KEEP


def before(names: Sequence[str], moment: datetime, *, limit: int) -> list[str]:
    """The newest `limit` captures whose interval ended at or before `moment`, oldest first."""
    return _newest(names, limit=limit, until=moment)


def newest(names: Sequence[str], *, limit: int) -> list[str]:
    """The newest `limit` captures of those names, oldest first."""
    return _newest(names, limit=limit, until=None)


def _newest(names: Sequence[str], *, limit: int, until: datetime | None) -> list[str]:
    # From the end of the names, which sort as their intervals do: a year of them is long, and reading a moment takes a while.
    found: list[str] = []
    for name in sorted(names, reverse=True):
        if len(found) >= limit:
            break
        interval = entry_interval(name)
        if interval and (until is None or interval[1] <= until):
            found.append(name)
    return found[::-1]


def _measured(document: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key not in VOLATILE}


def _amount(document: Mapping[str, Any]) -> tuple[float, int]:
    return document["baseline_completeness"], sum(cell["samples_valid"] for cell in document["cells"])
