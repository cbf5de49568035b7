"""The intake report: pains with their business impact, halts for critical sources, and what stays unknown."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from perfproof.config import Protocol, Provides, Service, load_protocol
from perfproof.errors import TelemetryError
from perfproof.intake import intake_report, pain_points, require_critical, require_critical_sources, source_document
from perfproof.parameters import Parameters, read_parameters
from perfproof.schemas import document_problems

DEMO = Path(__file__).parents[3] / "include" / "protocols" / "demo.yaml"
NOW = datetime(2025, 2, 16, 10, 0, tzinfo=UTC)
STAMP = "2025-02-16T10:00:00Z"
INCIDENT = {
    "id": "INC-1",
    "title": "Orders slow",
    "started_at": "2025-02-14T18:00:00Z",
    "ended_at": None,
    "severity": "SEV2",
    "services": ["shop"],
    "impact": "300 customers waited",
}
LEFT = {
    "id": "BKL-001",
    "kind": "slo_missed",
    "service": "shop",
    "title": "Quotes slow",
    "metric": "quote_latency_p95",
    "reason": "260 of 250 ms",
}
ITEMS: dict[Provides, dict[str, list[dict[str, Any]]]] = {
    Provides.METRICS: {"metrics": [{"samples": 2}]},
    Provides.LOGS: {"logs": [{"lines": 5}]},
    Provides.TRACES: {"traces": [{"lines": 6}]},
    Provides.ALERTS: {
        "alerts": [{"name": "OrdersSlow", "expression": "x", "severity": "page", "for": "10m"}],
        "dashboards": [{"name": "Shop"}],
    },
    Provides.INCIDENTS: {"incidents": [INCIDENT]},
    Provides.DEPLOYMENTS: {"deployments": [{"service": "shop", "build": "1", "deployed_at": STAMP, "change": "x"}]},
    Provides.BACKLOG: {"backlog": [LEFT]},
}


@pytest.fixture(scope="module")
def protocol() -> Protocol:
    return load_protocol(DEMO.read_bytes(), where="demo.yaml")


@pytest.fixture(scope="module")
def parameters(protocol: Protocol) -> Parameters:
    return read_parameters({"protocol": "demo"}, protocol)


def documents(protocol: Protocol, **errors: str) -> list[dict[str, Any]]:
    """The document of every source; those named in `errors` did not answer."""
    return [
        source_document(s, fetched_at=NOW, error=errors[s.name])
        if s.name in errors
        else source_document(s, fetched_at=NOW, items={} if s.name == "drifts" else ITEMS[s.provides], sha256="c" * 64)
        for s in protocol.sources
    ]


def baseline(
    protocol: Protocol, *, value: float | None = 300.0, met: bool | None = False, adherence: float | None = 40.0
) -> dict[str, Any]:
    cells = [
        {
            "service": "shop",
            "metric_name": spec.name,
            "value": value if spec.name == "orders_latency_p95" else 1.0,
            "unit": spec.unit.value,
            "timestamp": STAMP,
        }
        for spec in protocol.services[0].metrics
    ]
    slo = {"service": "shop", "slo_name": "Orders latency p95", "met": met, "adherence_percent": adherence}
    return {"cells": cells, "slos": [slo]}


def reported(
    protocol: Protocol, parameters: Parameters, *, sources: list[dict[str, Any]] | None = None, **of_baseline: Any
) -> dict[str, Any]:
    found = documents(protocol) if sources is None else sources
    return intake_report(
        run="r",
        protocol=protocol,
        parameters=parameters,
        sources=[(document, "d" * 64) for document in found],
        baseline=baseline(protocol, **of_baseline),
        now=NOW,
    )


def test_the_report_consolidates_every_source(protocol: Protocol, parameters: Parameters) -> None:
    """Metrics, alerts, dashboards, incidents, deployments and backlog; valid by the schema of the artifact."""
    report = reported(protocol, parameters)
    assert document_problems("performance-intake-report.json", report) == []
    assert [len(report[key]) for key in ("sources", "metrics", "alerts", "dashboards", "incidents", "deployments", "backlog")] == [
        8, 7, 1, 1, 1, 1, 1,
    ]  # fmt: skip
    assert report["alerts"][0]["name"] == "OrdersSlow"
    assert report["sources"][0] == {
        "name": "prometheus", "provides": "metrics", "critical": True, "status": "ok", "reason": None, "sha256": "d" * 64,
    }  # fmt: skip
    assert report["unknown"] == []


def test_pains_carry_their_business_impact(protocol: Protocol, parameters: Parameters) -> None:
    """A missed target, an incident, and what the last cycle left; the incident's own impact counts for it."""
    missed, incident, left = reported(protocol, parameters)["pain_points"]
    service = protocol.services[0]
    assert missed["symptom"] == "Orders latency p95: 300 ms against a target of 250 ms, kept 40 % of the time (99 % asked)"
    assert (missed["metric"], missed["value"], missed["slo_target"]) == ("orders_latency_p95", 300.0, 250.0)
    assert missed["business_impact"] == service.business_impact
    assert missed["evidence"] == [f"metric orders_latency_p95 at {STAMP}"]
    assert (incident["symptom"], incident["business_impact"]) == ("Incident INC-1: Orders slow", "300 customers waited")
    assert (left["metric"], left["evidence"]) == ("quote_latency_p95", ["backlog item BKL-001: 260 of 250 ms"])


def test_a_value_beyond_the_sla_says_so(protocol: Protocol, parameters: Parameters) -> None:
    """The agreement with customers is more than the objective."""
    assert "beyond the SLA of 500" in reported(protocol, parameters, value=600.0)["pain_points"][0]["symptom"]


def test_a_target_that_is_kept_is_no_pain(protocol: Protocol, parameters: Parameters) -> None:
    """Nothing is invented where the objective is met."""
    points = reported(protocol, parameters, value=100.0, met=True, adherence=100.0)["pain_points"]
    assert [point["symptom"].split(":")[0] for point in points] == ["Incident INC-1", "Left by an earlier cycle"]


def test_a_good_median_with_bad_adherence_is_a_pain(protocol: Protocol, parameters: Parameters) -> None:
    """Kept at the median but not for the share of time that the objective asks."""
    points = reported(protocol, parameters, value=200.0, met=False, adherence=60.0)["pain_points"]
    assert points[0]["metric"] == "orders_latency_p95"


def test_a_metric_without_value_is_unknown_and_no_pain(protocol: Protocol, parameters: Parameters) -> None:
    """Neither good nor bad: unknown."""
    report = reported(protocol, parameters, value=None, met=None, adherence=None)
    assert "shop/orders_latency_p95: no value" in report["unknown"]
    assert all(point["metric"] != "orders_latency_p95" for point in report["pain_points"])


@pytest.mark.parametrize("name", ["prometheus", "monitoring", "incidents", "deployments"])
def test_a_missing_critical_source_halts(protocol: Protocol, parameters: Parameters, name: str) -> None:
    """Telemetry or incident data critical and absent: the cycle pauses with the source and why."""
    sources = documents(protocol, **{name: "no file there"})
    document = next(d for d in sources if d["source"] == name)
    assert document["status"] == "missing"
    with pytest.raises(TelemetryError, match=rf"TEL-265 .*{name}.*no file there"):
        require_critical(document)
    with pytest.raises(TelemetryError, match=rf"TEL-265 .*{name}.*no file there"):
        reported(protocol, parameters, sources=sources)


def test_a_critical_source_that_was_never_asked_halts(protocol: Protocol) -> None:
    """Leaving out a document is no way round the halt."""
    with pytest.raises(TelemetryError, match=r"incidents \(incidents\): never asked"):
        require_critical_sources([d for d in documents(protocol) if d["source"] != "incidents"], protocol)


@pytest.mark.parametrize("name", ["access_log", "traces", "backlog"])
def test_a_missing_optional_source_stays_unknown(protocol: Protocol, parameters: Parameters, name: str) -> None:
    """The cycle goes on, and the report says what nobody knows."""
    sources = documents(protocol, **{name: "no file there"})
    document = next(d for d in sources if d["source"] == name)
    assert (document["status"], document["items"]) == ("unknown", [])
    require_critical(document)
    report = reported(protocol, parameters, sources=sources)
    assert [line for line in report["unknown"] if "no file there" in line] == [f"{document['provides']} from {name}: no file there"]


def test_an_incident_without_impact_takes_the_services_and_says_so(protocol: Protocol, parameters: Parameters) -> None:
    """The impact of the incident is unknown; what the service's owner wrote is all there is."""
    sources = documents(protocol)
    for document in sources:
        document["items"] = [{**i, "impact": "UNKNOWN"} if i["type"] == "incidents" else i for i in document["items"]]
    report = reported(protocol, parameters, sources=sources)
    assert report["pain_points"][1]["business_impact"] == protocol.services[0].business_impact
    assert "incident INC-1: impact" in report["unknown"]


def test_nothing_is_invented_where_nobody_wrote_an_impact(protocol: Protocol) -> None:
    """Neither incident nor service name an impact: UNKNOWN."""
    service: Service = dataclasses.replace(protocol.services[0], business_impact=" ")
    points = pain_points([service], metrics=[], slos=[], incidents=[{**INCIDENT, "impact": "UNKNOWN"}], backlog=[])
    assert points[0]["business_impact"] == "UNKNOWN"


def test_incidents_of_other_services_are_no_pain_of_this_one(protocol: Protocol) -> None:
    """An incident counts for the services that it names."""
    assert pain_points(protocol.services, metrics=[], slos=[], incidents=[{**INCIDENT, "services": ["mail"]}], backlog=[]) == []


def test_the_worst_missed_target_comes_first(protocol: Protocol) -> None:
    """By the share of the target that it is missed by."""
    shop = protocol.services[0]
    second = dataclasses.replace(shop.slos[0], name="Quote p95", metric="quote_latency_p95", target=100.0)
    service = dataclasses.replace(shop, slos=(*shop.slos, second))
    metrics = [
        {"service": "shop", "metric": "orders_latency_p95", "value": 300.0, "unit": "ms", "timestamp": STAMP},
        {"service": "shop", "metric": "quote_latency_p95", "value": 200.0, "unit": "ms", "timestamp": STAMP},
    ]
    points = pain_points([service], metrics=metrics, slos=[], incidents=[], backlog=[])
    assert [point["metric"] for point in points] == ["quote_latency_p95", "orders_latency_p95"]


def test_the_sources_are_joined_on_one_line_of_time(protocol: Protocol, parameters: Parameters) -> None:
    """Incident, deployment and missed target in order, each with its source; what came shortly before what is told as a fact."""
    sources = documents(protocol)
    for document in sources:
        if document["provides"] == Provides.DEPLOYMENTS:
            document["items"] = [{**item, "deployed_at": "2025-02-14T17:48:00Z"} for item in document["items"]]
    report = reported(protocol, parameters, sources=sources)
    assert document_problems("performance-intake-report.json", report) == []
    assert [(entry["at"], entry["kind"], entry["source"]) for entry in report["timeline"]] == [
        ("2025-02-14T17:48:00Z", "deployment", "deployments"),
        ("2025-02-14T18:00:00Z", "incident_started", "incidents"),
        (STAMP, "target_missed", "baseline"),
    ]
    assert [c["what"] for c in report["coincidences"]] == ["deployment 1 12 minutes before incident INC-1"]
    assert report["timeline_left_out"] == 0


def test_objectives_without_an_alert_are_a_finding(protocol: Protocol, parameters: Parameters) -> None:
    """What the team watches: an alert on `x` watches nothing of the shop, one on the objective's own series does."""
    report = reported(protocol, parameters)
    slos = protocol.services[0].slos
    assert [entry["watched"] for entry in report["watched"]] == ["no"] * len(slos)
    assert {finding["kind"] for finding in report["findings"]} == {"unwatched_objective"}
    sources = documents(protocol)
    spec = next(m for m in protocol.services[0].metrics if m.name == slos[0].metric)
    for document in sources:
        document["items"] = [{**i, "expression": f"{spec.query} > 1"} if i["type"] == "alerts" else i for i in document["items"]]
    watched = reported(protocol, parameters, sources=sources)["watched"][0]
    assert (watched["watched"], watched["alerts"]) == ("yes", ["OrdersSlow"])


def test_pains_have_ranks_and_reasons(protocol: Protocol, parameters: Parameters) -> None:
    """From one upwards, in words; an incident that is not over has lasted until the report."""
    points = reported(protocol, parameters)["pain_points"]
    assert [point["rank"] for point in points] == [1, 2, 3]
    assert points[0]["rank_reasons"][:2] == ["critical service", "share of the time missed by 59 %"]
    assert points[1]["rank_reasons"][:3] == ["critical service", "severity SEV2", "has lasted 40 h and is not over"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("timeline", [{"at": "yesterday", "kind": "deployment", "what": "x", "service": None, "source": "s"}]),
        ("timeline", [{"at": STAMP, "kind": "guess", "what": "x", "service": None, "source": "s"}]),
        ("coincidences", [{"service": "shop", "what": " "}]),
        ("watched", [{"watched": "maybe"}]),
        ("findings", [{"kind": "x"}]),
    ],
)
def test_the_schema_refuses_broken_lines(protocol: Protocol, parameters: Parameters, key: str, value: Any) -> None:
    """Fields were added to the artifact, and they are checked."""
    assert document_problems("performance-intake-report.json", {**reported(protocol, parameters), key: value})
