"""What dashboards of a monitoring package show, in the forms that Grafana exports, and what is refused."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import pytest

from perfproof.errors import ArtifactError
from perfproof.inputs.dashboards import dashboard
from perfproof.inputs.monitoring_package import validate_monitoring_package


def panel(*expressions: Any, **more: Any) -> dict[str, Any]:
    return {"type": "timeseries", "title": "p", "targets": [{"expr": e} for e in expressions], **more}


def read(document: Any) -> dict[str, Any]:
    return dashboard(document, file="dashboards/a.json", where="FILE")


def test_expressions_of_panels_are_read_once_each() -> None:
    """In their order, of rows too; targets of other systems have none, and a row shows nothing itself."""
    row = {"type": "row", "panels": [panel("up"), panel("b")]}
    board = read({"title": "Shop", "panels": [panel("a", "b"), row, panel(None, "", {"x": 1}), {"type": "text"}]})
    assert board == {"name": "Shop", "file": "dashboards/a.json", "panels": 5, "expressions": ["a", "b", "up"]}


def test_old_rows_and_answers_of_the_api_are_read() -> None:
    """Version 4 had rows of panels; the API wraps the board."""
    old = {"title": "Old", "rows": [{"panels": [panel("a")]}, {"panels": None}]}
    assert read(old)["expressions"] == ["a"]
    assert read({"dashboard": old, "meta": {}}) == read(old)


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ({"panels": []}, "ART-330"),
        ([], "ART-330"),
        ({"dashboard": {"panels": []}}, "ART-330"),
        ({"title": "x", "panels": 5}, "ART-778"),
        ({"title": "x", "panels": ["y"]}, "ART-778"),
        ({"title": "x", "panels": [{"targets": {"expr": "a"}}]}, "ART-778"),
        ({"title": "x", "panels": [panel("a")] * 1001}, "ART-778"),
        ({"title": "x", "panels": [{"panels": [{"panels": [{"panels": [{}]}]}]}]}, "ART-778"),
    ],
)
def test_what_is_no_dashboard_is_refused(document: Any, code: str) -> None:
    """One line, with the file."""
    with pytest.raises(ArtifactError, match=f"{code} FILE"):
        read(document)


def test_many_long_expressions_are_bounded() -> None:
    """What cannot be read as an expression is left out rather than carried along."""
    board = read({"title": "x", "panels": [panel(*(f"m{n}" for n in range(600)), "a" * 9000)]})
    assert len(board["expressions"]) == 500


def test_the_package_tells_rules_recordings_and_services() -> None:
    """The label `service` of a rule, and what recording rules read."""
    rules = """
groups:
  - name: shop
    rules:
      - {record: "shop:p95", expr: "histogram_quantile(0.95, x)"}
      - {alert: OrdersSlow, expr: "shop:p95 > 0.25", labels: {severity: page, service: shop}}
      - {alert: NoLabels, expr: up == 0, labels: [x]}
"""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as package:
        package.writestr("rules/shop.yaml", rules)
        package.writestr("dashboards/a.json", json.dumps({"title": "Shop", "panels": [panel("shop:p95")]}))
    found = validate_monitoring_package(archive.getvalue(), where="FILE").items
    assert [(alert["name"], alert["service"], alert["state"], alert["source"]) for alert in found["alerts"]] == [
        ("OrdersSlow", "shop", "rule", "rules/shop.yaml"),
        ("NoLabels", None, "rule", "rules/shop.yaml"),
    ]
    assert found["recordings"] == ({"name": "shop:p95", "expression": "histogram_quantile(0.95, x)"},)
    assert found["dashboards"][0]["expressions"] == ["shop:p95"]
