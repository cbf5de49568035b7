"""What the end of a JSON-lines log says: how many lines, how new, and how often each outcome. Counts only, no text of requests."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any

from perfproof.errors import ArtifactError, PerfproofError
from perfproof.moments import parse_stamp, stamp
from perfproof.strict import read_json

TIME_FIELDS = ("time", "timestamp", "ts", "start", "started_at")
COUNTED_FIELDS = ("service", "route", "name", "status", "outcome", "level")
MAX_DISTINCT = 50
MAX_VALUE = 100
MAX_LINE = 1 << 20
OTHER = "(other)"
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC).timestamp()


def summarise_lines(data: bytes, *, cut: bool, now: datetime) -> dict[str, Any]:
    """{lines, malformed, without_time, oldest, newest, newest_age_seconds, cut, counts: {field: {value: n}}}.

    `cut` says that `data` starts in the middle of the file; its first line is then dropped. A last line without line end
    is still being written and is dropped too. Lines that are no JSON object, or one
    with a key twice, a NaN or more than 1 MiB, are counted, not read.
    """
    lines = data.split(b"\n")
    body = lines[1 if cut else 0 : -1]
    counts: dict[str, Counter[str]] = {field: Counter() for field in COUNTED_FIELDS}
    moments: list[float] = []
    malformed = without_time = read = 0
    for line in body:
        if not line.strip():
            continue
        record = _record(line)
        if record is None:
            malformed += 1
            continue
        read += 1
        moment = _moment(record, now)
        if moment is None:
            without_time += 1
        else:
            moments.append(moment)
        for field in COUNTED_FIELDS:
            value = record.get(field)
            if isinstance(value, str | int) and not isinstance(value, bool):
                _count(counts[field], str(value)[:MAX_VALUE])
    return {
        "lines": read,
        "malformed": malformed,
        "without_time": without_time,
        "oldest": _stamped(min(moments, default=None)),
        "newest": _stamped(max(moments, default=None)),
        "newest_age_seconds": round(now.timestamp() - max(moments), 1) if moments else None,
        "cut": cut,
        "counts": {field: dict(sorted(counter.items())) for field, counter in counts.items() if counter},
    }


def _record(line: bytes) -> dict[str, Any] | None:
    try:
        record = read_json(line, where="line", limit=MAX_LINE)
    except PerfproofError:
        return None
    return record if isinstance(record, dict) else None


def _moment(record: dict[str, Any], now: datetime) -> float | None:
    """Seconds since the epoch; None for a time that is absent, of no known form, before 2000 or a day ahead."""
    value = next((record[field] for field in TIME_FIELDS if field in record), None)
    if isinstance(value, str):
        try:
            seconds = parse_stamp(value).timestamp()
        except ArtifactError:
            return None
    elif isinstance(value, int | float) and not isinstance(value, bool):
        seconds = float(value)
    else:
        return None
    return seconds if EARLIEST <= seconds <= now.timestamp() + 86_400 else None


def _count(counter: Counter[str], value: str) -> None:
    # Hostile text must not grow the summary without end.
    counter[value if value in counter or len(counter) < MAX_DISTINCT else OTHER] += 1


def _stamped(seconds: float | None) -> str | None:
    return None if seconds is None else stamp(datetime.fromtimestamp(seconds, UTC))
