"""Objectives as OpenSLO v1 (YAML documents), and what OpenSLO demands of such documents.

OpenSLO knows one window for each alert: a burn-rate condition looks back over the long one, and the short one is said in words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from perfproof.markdown import visible
from perfproof.slos.burn_rates import BurnRateAlert
from perfproof.slos.indicator import SERIES_WINDOW, SliKind
from perfproof.slos.objective import Objective, require_distinct
from perfproof.slos.prometheus_rules import value_expression
from perfproof.slos.promql import duration
from perfproof.telemetry import Direction

VERSION = "openslo/v1"
SOURCE, TARGET = "prometheus", "perfproof-escalation"
MAX_DESCRIPTION = 1050
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,61}[a-z0-9]|[a-z0-9]")
DURATION = re.compile(r"[1-9][0-9]*[mhdwMQY]")
KINDS = ("AlertCondition", "AlertNotificationTarget", "AlertPolicy", "DataSource", "SLI", "SLO", "Service")
Document = Mapping[str, Any]


def openslo(objectives: Sequence[Objective]) -> bytes:
    """The documents: the data source, whom to tell, each service, and each objective with one policy for each of its alerts.

    An objective of 100 % is left out: a target of OpenSLO is below 1.
    """
    require_distinct(objectives)
    objectives = [objective for objective in objectives if objective.percent < 100]
    documents: list[Document] = [
        _object("DataSource", SOURCE, {"type": "Prometheus", "connectionDetails": {}}),
        _object("AlertNotificationTarget", TARGET, {"target": "escalation", "description": "As each objective's escalation policy says."}),
    ]
    documents += [_object("Service", _name(service), {}) for service in dict.fromkeys(o.service for o in objectives)]
    for objective in objectives:
        documents += [_policy(objective, alert) for alert in objective.alerts.alerts]
        documents.append(_slo(objective))
    return yaml.safe_dump_all(documents, sort_keys=False, allow_unicode=True, width=1000).encode()


def _object(kind: str, name: str, spec: Document, display: str | None = None) -> Document:
    metadata = {"name": name, **({"displayName": visible(display)} if display else {})}
    return {"apiVersion": VERSION, "kind": kind, "metadata": metadata, "spec": spec}


def _name(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:63].strip("-")


def _policy_name(objective: Objective, alert: BurnRateAlert) -> str:
    end = f"-{alert.pair.severity.value}-{duration(alert.pair.long)}"
    return f"{_slo_name(objective)[: 63 - len(end)].strip('-')}{end}"


def _slo_name(objective: Objective) -> str:
    # Cut names keep their end, which holds the digest of a name that is no plain word.
    return objective.slo if len(objective.slo) <= 63 else f"{objective.slo[:40].strip('-')}-{objective.slo[-20:].strip('-')}"


def _slo(objective: Objective) -> Document:
    display = f"{objective.percent:.9g} % of {objective.indicator.kind.value}"
    entry: dict[str, Any] = {"displayName": display, "target": round(objective.percent / 100, 12)}
    if objective.indicator.kind is SliKind.SAMPLES:
        entry |= {"op": "lte" if objective.direction is Direction.LOWER else "gte", "value": objective.target}
    told = f"{objective.metric}, target {objective.target:.12g} {objective.unit.value}; {objective.indicator.reason}."
    spec = {
        "description": visible(f"{told} Escalation: {objective.escalation}")[:MAX_DESCRIPTION],
        "service": _name(objective.service),
        "indicator": {"metadata": {"name": f"{_slo_name(objective)[:59].strip('-')}-sli"}, "spec": _sli(objective)},
        "timeWindow": [{"duration": f"{objective.period_days}d", "isRolling": True}],
        "budgetingMethod": "Occurrences",
        "objectives": [entry],
        "alertPolicies": [_policy_name(objective, alert) for alert in objective.alerts.alerts],
    }
    return _object("SLO", _slo_name(objective), spec, objective.name)


def _sli(objective: Objective) -> Document:
    indicator = objective.indicator
    if indicator.kind is SliKind.SAMPLES:
        return {"thresholdMetric": _metric(value_expression(objective))}
    bad, total = (objective.filled(query, SERIES_WINDOW) for query in (indicator.bad_count, indicator.total_count))
    return {"ratioMetric": {"counter": False, "bad": _metric(bad), "total": _metric(total)}}


def _metric(query: str) -> Document:
    return {"metricSource": {"metricSourceRef": SOURCE, "type": "Prometheus", "spec": {"query": query}}}


def _policy(objective: Objective, alert: BurnRateAlert) -> Document:
    name = _policy_name(objective, alert)
    condition = {
        "kind": "AlertCondition",
        "metadata": {"name": name},
        "spec": {
            "description": visible(alert.words)[:MAX_DESCRIPTION],
            "severity": alert.pair.severity.value,
            "condition": {
                "kind": "burnrate",
                "op": "gt",
                "threshold": float(f"{alert.factor:.9g}"),
                "lookbackWindow": duration(alert.pair.long),
                "alertAfter": duration(alert.pair.short),
            },
        },
    }
    spec = {
        "description": visible(objective.escalation)[:MAX_DESCRIPTION],
        "alertWhenNoData": True,
        "alertWhenResolved": False,
        "alertWhenBreaching": True,
        "conditions": [condition],
        "notificationTargets": [{"targetRef": TARGET}],
    }
    return _object("AlertPolicy", name, spec)


def openslo_problems(documents: Sequence[Any]) -> list[str]:
    """What OpenSLO v1 would refuse in `documents`, as sentences; empty: nothing. Kinds and fields that `openslo` writes are known."""
    found = [problem for place, document in enumerate(documents) for problem in _problems(document, f"document {place + 1}")]
    known = {(d["kind"], d["metadata"]["name"]) for d in documents} if not found else set()
    if len(known) < len(documents) and not found:
        found.append("two documents of one kind and name")
    for document in documents if not found else ():
        for kind, name in _references(document):
            if (kind, name) not in known:
                found.append(f"{document['kind']} {document['metadata']['name']}: no {kind} {name}")
    return found


def _references(document: Document) -> Iterator[tuple[str, str]]:
    spec = document["spec"]
    if document["kind"] == "SLO":
        yield "Service", spec["service"]
        yield from (("AlertPolicy", name) for name in spec["alertPolicies"])
    if document["kind"] == "AlertPolicy":
        yield from (("AlertNotificationTarget", target["targetRef"]) for target in spec["notificationTargets"])


def _problems(document: Any, where: str) -> Iterator[str]:
    if not isinstance(document, Mapping) or set(document) != {"apiVersion", "kind", "metadata", "spec"}:
        yield f"{where}: not exactly apiVersion, kind, metadata and spec"
        return
    kind, metadata, spec = document["kind"], document["metadata"], document["spec"]
    if document["apiVersion"] != VERSION or kind not in KINDS or not isinstance(metadata, Mapping) or not isinstance(spec, Mapping):
        yield f"{where}: not an object of {VERSION}"
        return
    if not NAME.fullmatch(str(metadata.get("name"))):
        yield f"{where}: a name of other than lower-case letters, digits and dashes"
    if len(str(spec.get("description", ""))) > MAX_DESCRIPTION:
        yield f"{where}: a description above {MAX_DESCRIPTION} characters"
    if kind == "SLO":
        yield from _slo_problems(spec, where)
    if kind == "AlertPolicy":
        yield from _policy_problems(spec, where)


def _slo_problems(spec: Document, where: str) -> Iterator[str]:
    if ("indicator" in spec) == ("indicatorRef" in spec):
        yield f"{where}: not exactly one of indicator and indicatorRef"
    if spec.get("budgetingMethod") not in ("Occurrences", "Timeslices", "RatioTimeslices"):
        yield f"{where}: no budgetingMethod"
    windows = spec.get("timeWindow")
    if not isinstance(windows, list) or len(windows) != 1 or not DURATION.fullmatch(str(windows[0].get("duration"))):
        yield f"{where}: not exactly one timeWindow with a duration"
    sli = spec.get("indicator", {}).get("spec", {})
    if ("thresholdMetric" in sli) == ("ratioMetric" in sli):
        yield f"{where}: not exactly one of thresholdMetric and ratioMetric"
    if "ratioMetric" in sli and ("total" not in sli["ratioMetric"] or ("good" in sli["ratioMetric"]) == ("bad" in sli["ratioMetric"])):
        yield f"{where}: a ratio without a total, or without exactly one of good and bad"
    objectives = spec.get("objectives") or []
    if not objectives or any(not 0 <= objective.get("target", -1) < 1 for objective in objectives):
        yield f"{where}: no objective with a target from 0 to below 1"
    if "thresholdMetric" in sli and any(not {"op", "value"} <= set(objective) for objective in objectives):
        yield f"{where}: a threshold without op and value"


def _policy_problems(spec: Document, where: str) -> Iterator[str]:
    flags = [spec.get(name) for name in ("alertWhenNoData", "alertWhenResolved", "alertWhenBreaching")]
    if not all(isinstance(flag, bool) for flag in flags):
        yield f"{where}: alertWhen… are not all true or false"
    if len(spec.get("conditions", ())) != 1 or not spec.get("notificationTargets"):
        yield f"{where}: not exactly one condition and at least one target"
        return
    condition = spec["conditions"][0].get("spec", {}).get("condition", {})
    if condition.get("kind") != "burnrate" or condition.get("op") not in ("lte", "gte", "lt", "gt"):
        yield f"{where}: no burn-rate condition"
    if not all(DURATION.fullmatch(str(condition.get(name))) for name in ("lookbackWindow", "alertAfter")):
        yield f"{where}: a window that is no duration"
