"""Objectives as a Sloth specification (prometheus/v1), from which Sloth makes rules of its own windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from perfproof.errors import ArtifactError
from perfproof.markdown import visible
from perfproof.slos.burn_rates import Severity
from perfproof.slos.indicator import SliKind
from perfproof.slos.objective import Objective, require_distinct
from perfproof.slos.prometheus_rules import value_expression
from perfproof.slos.promql import template_text
from perfproof.telemetry import Direction

VERSION = "prometheus/v1"
WINDOW = "{{.window}}"
# Stands for the window while a query is filled and its braces are escaped; no query can hold it.
MARK = "\0window\0"


def sloth(objectives: Sequence[Objective]) -> bytes:
    """The specification of one service (YAML). Raises ArtifactError for objectives of several services: Sloth wants a file for each."""
    require_distinct(objectives)
    services = sorted({objective.service for objective in objectives})
    if len(services) != 1:
        raise ArtifactError(
            581, where="Sloth", what="not the objectives of one service", got=", ".join(services) or "none", fix="name one with --service"
        )
    document = {"version": VERSION, "service": services[0], "slos": [_slo(objective) for objective in objectives]}
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=1000).encode()


def _slo(objective: Objective) -> dict[str, Any]:
    annotations = {"summary": f"{objective.name}: the error budget is spent too fast", "escalation": objective.escalation}
    alerting: dict[str, Any] = {
        "name": f"{objective.slo.replace('-', '_')}_budget",
        "annotations": {key: template_text(text) for key, text in annotations.items()},
    }
    for severity in Severity:
        there = bool(objective.alerts.of(severity))
        alerting[f"{severity.value}_alert"] = {"labels": {"severity": severity.value}} if there else {"disable": True}
    return {
        "name": objective.slo,
        "objective": objective.percent,
        "description": visible(f"{objective.name}: {objective.metric}, target {objective.target:.12g} {objective.unit.value}"),
        "sli": _sli(objective),
        "alerting": alerting,
    }


def _sli(objective: Objective) -> dict[str, Any]:
    indicator = objective.indicator
    if indicator.kind is SliKind.REQUESTS:
        return {
            "events": {"error_query": _escaped(objective, indicator.bad_count), "total_query": _escaped(objective, indicator.total_count)}
        }
    sign = ">" if objective.direction is Direction.LOWER else "<"
    value = value_expression(objective)
    bad = _braces(f"(({value}) == ({value})) {sign} bool {objective.target:.12g}")
    return {"raw": {"error_ratio_query": f"avg_over_time(({bad})[{WINDOW}:1m])"}}


def _escaped(objective: Objective, query: str) -> str:
    return _braces(objective.filled(query, MARK)).replace(MARK, WINDOW)


def _braces(query: str) -> str:
    """Sloth reads queries as templates: braces of others must not begin an action."""
    return query.replace("{{", '{{ "{{" }}')
