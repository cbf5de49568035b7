"""Grafana panels of objectives: budget left, and the burn rate of each window with the lines above which an alert fires."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from typing import Any

from perfproof.markdown import visible
from perfproof.slos.burn_rates import bad_share
from perfproof.slos.objective import Objective, require_distinct
from perfproof.slos.prometheus_rules import LEFT, ratio, selector
from perfproof.slos.promql import duration

SCHEMA_VERSION = 39
HEIGHT, WIDTH = 8, 24
# Chosen above the dashboard: a name of ours would exist in no Grafana.
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
Panel = dict[str, Any]


def grafana_dashboard(objectives: Sequence[Objective]) -> bytes:
    """A dashboard (JSON) of the objectives, which reads the series that `prometheus_rules` records."""
    require_distinct(objectives)
    services = ", ".join(dict.fromkeys(objective.service for objective in objectives))
    document = {
        "title": f"{services}: error budgets",
        "uid": dashboard_uid(f"perfproof-budgets-{services}".replace(", ", "-")),
        "schemaVersion": SCHEMA_VERSION,
        "time": {"from": "now-7d", "to": "now"},
        "templating": {"list": [datasource_variable()]},
        "panels": budget_panels(objectives, first_id=1, top=0),
    }
    return (json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def dashboard_uid(name: str) -> str:
    """`name` if Grafana takes it as an identifier, else what it takes of it, with a digest so that two names stay apart."""
    if re.fullmatch(r"[A-Za-z0-9_-]{1,40}", name):
        return name
    return f"{re.sub(r'[^A-Za-z0-9_-]+', '-', name)[:31]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def datasource_variable() -> dict[str, Any]:
    """The variable by which a viewer chooses the Prometheus that all panels ask."""
    return {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "refresh": 1, "hide": 0}


def with_datasource(panel: Panel) -> Panel:
    """`panel` with the data source, for itself and for each of its targets."""
    return {**panel, "datasource": DATASOURCE, "targets": [{"datasource": DATASOURCE, **target} for target in panel["targets"]]}


def budget_panels(objectives: Sequence[Objective], *, first_id: int, top: int) -> list[Panel]:
    """Three panels in one row for each objective that has a budget, with ids from `first_id` on, the first row at `top`."""
    panels: list[Panel] = []
    for row, objective in enumerate(o for o in objectives if bad_share(o.percent) > 0):
        place = top + row * HEIGHT
        left = selector(objective, LEFT)
        panels += [
            _panel(f"{objective.name}: budget left", "stat", left, x=0, y=place, width=4, steps=_budget_steps()),
            _panel(f"{objective.name}: budget left", "timeseries", left, x=4, y=place, width=8, steps=_budget_steps()),
            _burn(objective, x=12, y=place, width=12),
        ]
    return [{"id": first_id + number, **with_datasource(panel)} for number, panel in enumerate(panels)]


def _budget_steps() -> list[dict[str, Any]]:
    return [{"color": "red", "value": None}, {"color": "orange", "value": 0.1}, {"color": "green", "value": 0.25}]


def _panel(title: str, kind: str, expression: str, *, x: int, y: int, width: int, steps: list[dict[str, Any]]) -> Panel:
    return {
        "title": visible(title),
        "type": kind,
        "gridPos": {"h": HEIGHT, "w": width, "x": x, "y": y},
        "targets": [{"refId": "A", "expr": expression}],
        "fieldConfig": {"defaults": {"unit": "percentunit", "thresholds": {"mode": "absolute", "steps": steps}}, "overrides": []},
    }


def _burn(objective: Objective, *, x: int, y: int, width: int) -> Panel:
    alerts = objective.alerts.alerts
    budget = bad_share(objective.percent)
    windows = sorted({window for alert in alerts for window in (alert.pair.long, alert.pair.short)})
    factors = sorted({round(alert.factor, 3): alert.pair.severity.value for alert in alerts}.items())
    colours = {"page": "red", "ticket": "orange"}
    steps: list[dict[str, Any]] = [
        {"color": "green", "value": None},
        *({"color": colours[severity], "value": factor} for factor, severity in factors),
    ]
    panel = _panel(f"{objective.name}: burn rate", "timeseries", "", x=x, y=y, width=width, steps=steps)
    targets = [
        {"refId": chr(ord("A") + number), "expr": f"{ratio(objective, window)} / {budget:.9g}", "legendFormat": duration(window)}
        for number, window in enumerate(windows)
    ]
    defaults = {**panel["fieldConfig"]["defaults"], "unit": "none", "custom": {"thresholdsStyle": {"mode": "line"}}}
    return {**panel, "targets": targets, "fieldConfig": {"defaults": defaults, "overrides": []}}
