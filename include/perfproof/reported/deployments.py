"""Deployments from what people keep anyway: the tags of a git repository, and the runs of the Dag that deploys.

Both give those in the window and the last one before it, which is what ran when the window began.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from perfproof.errors import TelemetryError
from perfproof.moments import stamp
from perfproof.reported.fields import UNKNOWN, listed, mapping, moment, text, unexpected
from perfproof.strict import read_json

TAGS = 776
RUNS = 777
# A tag's name, the seconds since the epoch at which it was made, and the first line of its message; NUL cannot be in any of them.
TAG_FORMAT = "%(refname:strip=2)%00%(creatordate:unix)%00%(contents:subject)%00"
STATED = re.compile(r"^\s*(build|service|change)\s*:\s*(.+?)\s*$", re.IGNORECASE | re.MULTILINE)
MAX_NOTE = 10_000


def tag_items(output: bytes, *, service: str | None, start: float, end: float, where: str) -> list[dict[str, Any]]:
    """The deployments {service, build, deployed_at, change} that lines of TAG_FORMAT tell: build = tag, change = subject.

    `deployed_at` is when the tag was made, for a lightweight tag when its commit was. Names and subjects are whatever somebody typed:
    bytes that are no UTF-8 are replaced, nothing else is changed. Raises TelemetryError 776 for lines of another form.
    """
    found: list[tuple[float, dict[str, Any]]] = []
    for number, line in enumerate(output.decode("utf-8", "replace").split("\0\n")):
        if not line:
            continue
        parts = line.split("\0")
        if len(parts) != 3 or not parts[0]:
            raise unexpected(TAGS, f"{where} tag {number + 1}", line, "name, time and subject")
        if not parts[1]:
            # A tag of a tree or of a file says neither who made it nor when: it is no deployment.
            continue
        made = _epoch(parts[1], f"{where} tag {number + 1}")
        item = {"service": service or UNKNOWN, "build": text(parts[0]), "deployed_at": stamp(made), "change": text(parts[2])}
        found.append((made.timestamp(), item))
    return _within(found, start=start, end=end)


def _epoch(seconds: str, where: str) -> datetime:
    try:
        return datetime.fromtimestamp(int(seconds), UTC)
    except (ValueError, OverflowError, OSError):
        raise unexpected(TAGS, where, seconds, "seconds since the epoch") from None


def run_page(body: bytes, *, where: str) -> tuple[list[Mapping[str, Any]], int]:
    """The runs of one page of Airflow's `dagRuns`, and how many there are in all. Raises TelemetryError 777 for another shape."""
    page = mapping(read_json(body, where=where, error=TelemetryError, number=RUNS), where=where, number=RUNS)
    total = page.get("total_entries")
    if not isinstance(total, int) or isinstance(total, bool) or total < 0:
        raise unexpected(RUNS, f"{where}.total_entries", total, "a number")
    runs = listed(page.get("dag_runs"), where=f"{where}.dag_runs", number=RUNS)
    return [mapping(run, where=f"{where}.dag_runs[{index}]", number=RUNS) for index, run in enumerate(runs)], total


def run_items(runs: Iterable[Mapping[str, Any]], *, service: str | None, start: float, end: float, where: str) -> list[dict[str, Any]]:
    """The deployments that successful runs tell. Runs in another state are none; a run listed twice counts once.

    build, service and change are texts of the run's `conf`, else lines `build: …` of its note, else UNKNOWN; `service` is the one that
    the source is declared for. `deployed_at` is when the run ended. Raises TelemetryError 777 or 771.
    """
    found: dict[str, tuple[float, dict[str, Any]]] = {}
    for index, run in enumerate(runs):
        place = f"{where} run {index}"
        name = run.get("dag_run_id")
        if not isinstance(name, str) or not name:
            raise unexpected(RUNS, f"{place}.dag_run_id", name, "text")
        if run.get("state") != "success":
            continue
        ended = moment(run.get("end_date"), where=f"{place}.end_date")
        told = _told(run, place)
        item = {
            "service": told.get("service") or service or UNKNOWN,
            "build": told.get("build") or UNKNOWN,
            "deployed_at": stamp(ended),
            "change": told.get("change") or UNKNOWN,
        }
        found[name] = (ended.timestamp(), item)
    return _within(list(found.values()), start=start, end=end)


def _told(run: Mapping[str, Any], where: str) -> dict[str, str]:
    conf = mapping(run.get("conf") or {}, where=f"{where}.conf", number=RUNS)
    note = run.get("note") or ""
    if not isinstance(note, str):
        raise unexpected(RUNS, f"{where}.note", note, "text")
    told = {key.lower(): text(value, absent="") for key, value in STATED.findall(note[:MAX_NOTE])}
    return told | {key: text(conf[key]) for key in ("build", "service", "change") if text(conf.get(key), absent="")}


def _within(found: list[tuple[float, dict[str, Any]]], *, start: float, end: float) -> list[dict[str, Any]]:
    """The items from `start` to `end`, and for each service the last one before, the oldest first."""
    ordered = sorted(found, key=lambda pair: (pair[0], pair[1]["service"], pair[1]["build"]))
    before = {item["service"]: (made, item) for made, item in ordered if made < start}
    inside = [(made, item) for made, item in ordered if start <= made <= end]
    return [item for _, item in sorted([*before.values(), *inside], key=lambda pair: pair[0])]


def tag_pattern(query: str | None, *, where: str) -> str:
    """`refs/tags/…` for a pattern of tag names such as `shop-v*`; all tags for None. Raises TelemetryError 779 for what is no pattern."""
    if query is None:
        return "refs/tags/"
    if not re.fullmatch(r"[A-Za-z0-9._*?+/-]{1,200}", query) or ".." in query or query.startswith("/"):
        raise TelemetryError(
            779, where=where, what="not a query of this source", got=query, expected="a pattern of tag names such as shop-v*",
            fix="correct query in the protocol file",
        )  # fmt: skip
    return f"refs/tags/{query}"
