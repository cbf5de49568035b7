"""The history of recurring captures as series: values, changes of level, and what was deployed or went wrong beside them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from perfproof.capture_changes import CaptureSeries, capture_series, change_words
from perfproof.cycles.series_svg import series_svg

DEPLOYMENT, INCIDENT = "deployment of ", "incident "


def baseline_history(
    documents: Sequence[Mapping[str, Any]],
    *,
    protocol: str,
    changes: Sequence[Mapping[str, Any]] = (),
    unreadable: Sequence[Mapping[str, str]] = (),
) -> dict[str, Any]:
    """The captures `documents` (valid baselines, oldest first) with the reported `changes` (records of `perfproof.capture_changes`).

    `unreadable` names captures that were left out, and why. A series holds null where its metric was not measured.
    """
    newest_first = sorted(changes, key=lambda record: (record["at"], record["series"]), reverse=True)
    beside = list(dict.fromkeys(str(line) for record in newest_first for line in record["beside"]))
    return {
        "protocol": protocol,
        "captures": len(documents),
        "from": _window(documents[0], "start") if documents else None,
        "to": _window(documents[-1], "end") if documents else None,
        "unreadable": [dict(one) for one in unreadable],
        "series": [_series(series, newest_first) for series in capture_series(documents)],
        "deployments": [line for line in beside if line.startswith(DEPLOYMENT)],
        "incidents": [line for line in beside if line.startswith(INCIDENT)],
        "changes": [{**record, "words": change_words(record)} for record in newest_first],
    }


def _series(series: CaptureSeries, changes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    values = [value if math.isfinite(value) else None for value in series.values]
    own = [record for record in changes if record["series"] == series.name]
    # A change that lies before the first capture that is shown has no place in the picture.
    places = sorted({series.starts.index(record["at"]) for record in own if record["at"] in series.starts})
    service, _, metric = series.name.partition("/")
    return {
        "series": series.name,
        "service": service,
        "metric": metric,
        "unit": series.unit,
        "direction": series.direction.value,
        "points": [{"at": at, "value": value} for at, value in zip(series.starts, values, strict=True)],
        "latest": values[-1] if values else None,
        "changes": [{**record, "words": change_words(record)} for record in own],
        "svg": series_svg(values, changes=places, title=series.name, unit=series.unit, ends=_ends(series.starts)),
    }


def _ends(starts: Sequence[str]) -> tuple[str, str] | None:
    """The first and the last moment to the minute."""
    if not starts:
        return None
    first, last = (f"{start[:16].replace('T', ' ')} UTC" for start in (starts[0], starts[-1]))
    return first, last


def _window(document: Mapping[str, Any], key: str) -> str | None:
    found = document.get("window", {}).get(key)
    return found if isinstance(found, str) else None
