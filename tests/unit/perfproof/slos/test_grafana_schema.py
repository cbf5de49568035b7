"""Dashboards against what Grafana demands of the JSON it imports, in a schema of the project's own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from perfproof.config import Service
from perfproof.instrumentation import DASHBOARD, instrumentation_files
from perfproof.slos.exports import Format, export
from perfproof.slos.objective import Objective, objective_document

SOURCE = {
    "type": "object", "required": ["type", "uid"], "additionalProperties": False,
    "properties": {"type": {"const": "prometheus"}, "uid": {"const": "${datasource}"}},
}  # fmt: skip
PANEL = {
    "type": "object",
    "required": ["id", "type", "title", "gridPos", "datasource", "targets", "fieldConfig"],
    "properties": {
        "id": {"type": "integer", "minimum": 1},
        "type": {"enum": ["stat", "timeseries"]},
        "title": {"type": "string", "minLength": 1},
        "datasource": SOURCE,
        "gridPos": {
            "type": "object", "required": ["h", "w", "x", "y"], "additionalProperties": False,
            "properties": {
                "h": {"type": "integer", "minimum": 1}, "w": {"type": "integer", "minimum": 1, "maximum": 24},
                "x": {"type": "integer", "minimum": 0, "maximum": 23}, "y": {"type": "integer", "minimum": 0},
            },
        },
        "targets": {
            "type": "array", "minItems": 1,
            "items": {
                "type": "object", "required": ["refId", "expr", "datasource"],
                "properties": {
                    "refId": {"type": "string", "pattern": "^[A-Z]$"}, "expr": {"type": "string", "minLength": 1}, "datasource": SOURCE,
                },
            },
        },
        "fieldConfig": {
            "type": "object", "required": ["defaults", "overrides"], "additionalProperties": False,
            "properties": {"defaults": {"type": "object", "required": ["unit", "thresholds"]}, "overrides": {"type": "array"}},
        },
    },
}  # fmt: skip
VARIABLE = {
    "type": "object", "required": ["name", "type", "query"],
    "properties": {"name": {"const": "datasource"}, "type": {"const": "datasource"}, "query": {"const": "prometheus"}},
}  # fmt: skip
SCHEMA = {
    "type": "object",
    "required": ["title", "uid", "schemaVersion", "templating", "panels"],
    "properties": {
        "title": {"type": "string", "minLength": 1},
        # Grafana takes no longer one, and only these characters.
        "uid": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,40}$"},
        "schemaVersion": {"type": "integer", "minimum": 36},
        "templating": {"type": "object", "required": ["list"], "properties": {"list": {"type": "array", "minItems": 1, "items": VARIABLE}}},
        "panels": {"type": "array", "items": PANEL},
    },
}


def problems(dashboard: Any) -> list[str]:
    """What a schema finds, and what none can: ids that stand twice, and panels on top of each other."""
    found = [error.message for error in Draft202012Validator(SCHEMA).iter_errors(dashboard)]
    ids = [panel["id"] for panel in dashboard["panels"]]
    if len(set(ids)) < len(ids):
        found.append("an id twice")
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        if cells & taken or place["x"] + place["w"] > 24:
            found.append(f"panel {panel['id']} is on another, or beyond the edge")
        taken |= cells
        if len({target["refId"] for target in panel["targets"]}) < len(panel["targets"]):
            found.append("a refId twice")
    return found


def test_the_export_is_what_grafana_imports(every: Sequence[Objective]) -> None:
    """For each kind of objective."""
    assert problems(json.loads(export(Format.GRAFANA, every))) == []


def test_the_dashboard_of_a_cycle_is_what_grafana_imports(shop: Service, samples: Objective) -> None:
    """The metric itself above, the budgets of the same objective below."""
    update = {
        "metric": "orders_latency_p95", "slo_name": "Orders", "new_value": 60, "new_target": "60ms", "previous_target": "250ms",
        "escalation_policy": "page", "alert_thresholds": [], "objective": objective_document(samples),
    }  # fmt: skip
    dashboard = json.loads(instrumentation_files(service=shop, updates=[update])[DASHBOARD])
    assert len(dashboard["panels"]) == 4 and problems(dashboard) == []


@pytest.mark.parametrize("name", ["Ä shop {x}", "x" * 80])
def test_the_uid_is_one_that_grafana_takes(samples: Objective, name: str) -> None:
    """Whatever a service is called."""
    from dataclasses import replace

    assert problems(json.loads(export(Format.GRAFANA, [replace(samples, service=name)]))) == []


def test_the_schema_refuses_what_is_wrong(every: Sequence[Objective]) -> None:
    """A missing data source, an id twice, panels on each other."""
    for spoil in (
        lambda d: d["panels"][0].pop("datasource"), lambda d: d["panels"][0].update(id=2), lambda d: d["panels"][1]["gridPos"].update(x=0),
        lambda d: d.update(uid="a b"), lambda d: d["panels"][0]["targets"][0].update(expr=""),
    ):  # fmt: skip
        dashboard = json.loads(export(Format.GRAFANA, every))
        spoil(dashboard)
        assert problems(dashboard)
