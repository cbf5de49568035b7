"""What the team already watches: which objectives have an alert on what they measure, and which have none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from perfproof.config import Service
from perfproof.promql_selectors import Selector, resolved

UNKNOWN = "UNKNOWN"
MAX_NAMED = 20


class Watched(StrEnum):
    """Whether an alert watches what an objective measures.

    YES: an alert reads the very series of the objective's metric. PARTLY: one reads series of that name, others or fewer of them.
    """

    YES = "yes"
    PARTLY = "partly"
    NO = "no"
    UNKNOWN = "unknown"


def watched_objectives(
    services: Sequence[Service],
    *,
    alerts: Sequence[Mapping[str, Any]],
    dashboards: Sequence[Mapping[str, Any]],
    recordings: Sequence[Mapping[str, Any]],
    told: bool,
) -> list[dict[str, Any]]:
    """{service, slo_name, metric, watched, alerts, dashboards, reason} for each objective; alerts and dashboards by name.

    Series are compared by name and label values, except labels that say where they were scraped; whether thresholds and
    percentiles agree is not compared. An alert that is labelled for another of `services` does not count. `told` says whether any
    source of alerts answered: without one it is unknown what is watched, and not nothing.
    """
    recorded = {str(rule["name"]): str(rule["expression"]) for rule in recordings}
    read = [(alert, resolved(str(alert.get("expression") or UNKNOWN), recorded)) for alert in alerts]
    shown = [(board, _shown(board, recorded)) for board in dashboards]
    names_of_services = {service.name for service in services}
    found = []
    for service in services:
        others = names_of_services - {service.name}
        own = [(alert, series) for alert, series in read if alert.get("service") not in others]
        for slo in service.slos:
            spec = service.metric(slo.metric)
            measured = resolved(spec.query, recorded) if spec else None
            label, names, reason = _judged(measured, own, told=told)
            boards = [str(board["name"]) for board, series in shown if measured and _compared(measured, series) is not Watched.NO]
            found.append(
                {
                    "service": service.name, "slo_name": slo.name, "metric": slo.metric, "watched": label.value,
                    "alerts": names[:MAX_NAMED], "dashboards": boards[:MAX_NAMED], "reason": reason,
                }
            )  # fmt: skip
    return found


def watch_findings(watched: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """{kind, service, text}: an objective without an alert, or with one that watches something else than it measures."""
    kinds = {Watched.NO.value: "unwatched_objective", Watched.PARTLY.value: "partly_watched_objective"}
    return [
        {
            "kind": kinds[entry["watched"]],
            "service": entry["service"],
            "text": f"{entry['slo_name']} ({entry['metric']}): {entry['reason']}",
        }
        for entry in watched
        if entry["watched"] in kinds
    ]


def _judged(
    measured: frozenset[Selector] | None, alerts: Sequence[tuple[Mapping[str, Any], frozenset[Selector] | None]], *, told: bool
) -> tuple[Watched, list[str], str]:
    if not told:
        return Watched.UNKNOWN, [], "no source of alerts answered"
    if not measured:
        return Watched.UNKNOWN, [], "the query of its metric names no series that could be compared"
    by_label: dict[Watched, list[str]] = {label: [] for label in Watched}
    for alert, series in alerts:
        name = str(alert.get("name") or UNKNOWN)
        label = Watched.UNKNOWN if series is None or alert.get("expression") in (None, "", UNKNOWN) else _compared(measured, series)
        if name not in by_label[label]:
            by_label[label].append(name)
    if by_label[Watched.YES]:
        return Watched.YES, by_label[Watched.YES], "an alert reads the series that it measures"
    if by_label[Watched.PARTLY]:
        return Watched.PARTLY, by_label[Watched.PARTLY], "an alert reads series of that name, but not the same ones"
    if by_label[Watched.UNKNOWN]:
        return Watched.UNKNOWN, by_label[Watched.UNKNOWN], "no alert is known to watch it, and not every alert tells its expression"
    return Watched.NO, [], "no alert reads the series that it measures"


def _compared(measured: frozenset[Selector], read: frozenset[Selector]) -> Watched:
    names = {selector.name for selector in measured}
    alike = frozenset(selector for selector in read if selector.name in names)
    if alike == measured:
        return Watched.YES
    return Watched.PARTLY if any(not a.contradicts(m) for a in alike for m in measured) else Watched.NO


def _shown(board: Mapping[str, Any], recorded: Mapping[str, str]) -> frozenset[Selector]:
    expressions = board.get("expressions") or ()
    return frozenset().union(*(resolved(str(e), recorded) or frozenset() for e in expressions))
