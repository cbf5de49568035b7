"""The input files of the prerequisites are what perfproof's validators accept, with what the demo knows."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from perfproof.inputs.monitoring_package import validate_monitoring_package
from perfproof.inputs.reports import validate_deployment_report, validate_incident_report
from perfproof_demo.deployment import Deployment
from perfproof_demo.errors import DemoError
from perfproof_demo.inputs import Observation, deployment_report, incident_report, monitoring_package
from perfproof_demo.settings import DemoSettings

NOW = datetime(2025, 2, 16, 10, 0, tzinfo=UTC)


def put(settings: DemoSettings, number: int, side: str, build: str) -> None:
    """One change reference, as a deployment leaves it."""
    settings.change_directory.mkdir(exist_ok=True)
    deployment = Deployment(f"CHG-{number}", side, build, build.partition(".")[0], (), "2025-02-15T20:00:00Z")
    (settings.change_directory / f"CHG-{number}.json").write_text(json.dumps(asdict(deployment)))


def test_the_deployment_report_lists_the_baseline_only(tmp_path: Path) -> None:
    """In the order of the changes, not of their names: CHG-10 is after CHG-9."""
    settings = DemoSettings(home=tmp_path)
    put(settings, 9, "baseline", "shop-aaaaaaaa.9")
    put(settings, 10, "baseline", "shop-bbbbbbbb.10")
    put(settings, 11, "candidate", "shop-cccccccc.11")
    supplied = validate_deployment_report(deployment_report(settings, now=NOW).encode(), where="report")
    assert supplied.dated == NOW
    assert [item["build"] for item in supplied.items["deployments"]] == ["shop-aaaaaaaa.9", "shop-bbbbbbbb.10"]
    assert supplied.items["deployments"][1]["change"] == "CHG-10"


def test_a_demo_without_a_baseline_has_no_deployment_report(tmp_path: Path) -> None:
    """Nothing is invented."""
    with pytest.raises(DemoError, match="nothing is deployed"):
        deployment_report(DemoSettings(home=tmp_path), now=NOW)


def test_the_incident_is_what_was_measured() -> None:
    """Its times and figures are those of the observation, and it says whose they are."""
    observation = Observation(NOW, NOW + timedelta(seconds=2), (10.0, 90.0, 20.0))
    (incident,) = validate_incident_report(incident_report(observation, now=NOW).encode(), where="report").items["incidents"]
    assert incident["started_at"] == "2025-02-16T10:00:00Z"
    assert incident["ended_at"] == "2025-02-16T10:00:02Z"
    assert incident["services"] == ["shop"]
    assert incident["impact"] == "The demo's own observation: 3 order histories, one at a time: median 20.0 ms and longest 90.0 ms"


def test_the_monitoring_package_holds_alerts_and_a_dashboard_of_the_baseline(tmp_path: Path) -> None:
    """The validator finds three alert rules, each about the baseline's instance at its real port."""
    package = monitoring_package(DemoSettings(home=tmp_path, port_base=20_000), now=NOW)
    supplied = validate_monitoring_package(package, where="package")
    assert supplied.dated == NOW
    assert [alert["name"] for alert in supplied.items["alerts"]] == ["OrdersLatencyHigh", "ShopErrors", "ShopDown"]
    assert all('instance="127.0.0.1:20001"' in alert["expression"] for alert in supplied.items["alerts"])
    (board,) = supplied.items["dashboards"]
    assert (board["name"], board["file"], board["panels"]) == ("Demo shop", "dashboards/shop.json", 7)
    assert all('instance="127.0.0.1:20001"' in expression for expression in board["expressions"])
