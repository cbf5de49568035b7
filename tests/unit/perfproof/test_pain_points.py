"""The order of pains by business impact, against the written rule, and the words that explain each rank."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from perfproof.config import Service, load_protocol
from perfproof.pain_points import pain_points, severity_level

DEMO = Path(__file__).parents[3] / "include" / "protocols" / "demo.yaml"
NOW = datetime(2025, 2, 16, 10, 0, tzinfo=UTC)
STAMP = "2025-02-16T10:00:00Z"


@pytest.fixture(scope="module")
def shop() -> Service:
    return load_protocol(DEMO.read_bytes(), where="demo").service("shop")


def other(shop: Service, **changes: Any) -> Service:
    return dataclasses.replace(shop, name="mail", **changes)


def metric(name: str, value: float, service: str = "shop") -> dict[str, Any]:
    return {"service": service, "metric": name, "value": value, "unit": "ms", "timestamp": STAMP}


def incident(name: str, severity: str = "SEV2", *, started: str = "2025-02-16T08:00:00Z", ended: str | None = "2025-02-16T09:00:00Z",
             service: str = "shop") -> dict[str, Any]:  # fmt: skip
    return {
        "id": name, "title": "Slow", "started_at": started, "ended_at": ended, "severity": severity, "services": [service],
        "impact": "UNKNOWN",
    }  # fmt: skip


def ranked(services: list[Service], **found: Any) -> list[dict[str, Any]]:
    every: dict[str, Any] = {"metrics": [], "slos": [], "incidents": [], "backlog": [], "now": NOW, **found}
    points = pain_points(services, **every)
    assert [point["rank"] for point in points] == list(range(1, len(points) + 1))
    return points


def test_a_critical_service_comes_before_a_worse_miss_of_another(shop: Service) -> None:
    """The first rule decides, and the reasons begin with it."""
    metrics = [metric("orders_latency_p95", 260.0), metric("orders_latency_p95", 900.0, "mail")]
    first, second = ranked([other(shop, critical=False), shop], metrics=metrics)
    assert (first["service"], second["service"]) == ("shop", "mail")
    assert first["rank_reasons"] == ["critical service", "target missed by 4 %"]
    assert second["rank_reasons"] == ["service that is not critical", "target missed by 260 %"]


def test_a_target_is_missed_by_the_larger_of_value_and_time(shop: Service) -> None:
    """30 points of the time below the objective weigh more than a value 4 percent above the target."""
    slow = {"service": "shop", "slo_name": "Orders latency p95", "met": False, "adherence_percent": 69.0}
    (point,) = ranked([shop], metrics=[metric("orders_latency_p95", 260.0)], slos=[slow])
    assert point["rank_reasons"][1] == "share of the time missed by 30 %"


def test_incidents_rank_by_severity_then_duration(shop: Service) -> None:
    """SEV1 before SEV2, the longer before the shorter, unknown like level 3; one that is not over counts until now."""
    incidents = [
        incident("short", "P2"),
        incident("low", "low", started="2025-02-10T08:00:00Z"),
        incident("unknown", "UNKNOWN"),
        incident("lasts", "SEV-2", started="2025-02-16T05:00:00Z", ended=None),
        incident("grave", "SEV1", ended="2025-02-16T08:01:00Z"),
    ]
    points = ranked([shop], incidents=incidents)
    assert [p["symptom"].split(":")[0].split()[1] for p in points] == ["grave", "lasts", "short", "unknown", "low"]
    assert points[0]["rank_reasons"] == ["critical service", "severity SEV1", "lasted 1 min"]
    assert points[1]["rank_reasons"][2] == "has lasted 5 h and is not over"
    assert points[3]["rank_reasons"][1] == "severity not known, ranked like level 3"


def test_equal_pains_rank_by_the_traffic_that_they_touch(shop: Service) -> None:
    """A pain of the service with 30 of 40 requests a second before the same pain of the other; the share is in the reasons."""
    metrics = [metric("throughput", 10.0), metric("throughput", 30.0, "mail")]
    first, second = ranked([shop, other(shop)], metrics=metrics, incidents=[incident("a"), incident("b", service="mail")])
    assert (first["service"], first["rank_reasons"][-1]) == ("mail", "75 % of the measured requests")
    assert (second["service"], second["rank_reasons"][-1]) == ("shop", "25 % of the measured requests")


def test_traffic_that_is_not_measured_everywhere_is_not_told(shop: Service) -> None:
    """A share needs the whole: without one service's throughput nobody knows it, and the order stays that of the run."""
    points = ranked(
        [shop, other(shop)], metrics=[metric("throughput", 30.0, "mail")], incidents=[incident("a"), incident("b", service="mail")]
    )
    assert [point["service"] for point in points] == ["shop", "mail"]
    assert not any("requests" in reason for point in points for reason in point["rank_reasons"])


def test_a_metric_of_a_transaction_weighs_as_much_as_that(shop: Service) -> None:
    """The share of the transaction that the metric's name begins with."""
    share = next(t.weight for t in shop.transactions if t.name == "orders") / sum(t.weight for t in shop.transactions)
    (point,) = ranked([shop], metrics=[metric("throughput", 10.0), metric("orders_latency_p95", 300.0)])
    assert point["rank_reasons"][-1] == f"{100 * share:.3g} % of the measured requests"


@pytest.mark.parametrize(
    ("severity", "level"),
    [
        ("SEV1", 1),
        ("sev-2", 2),
        ("P3", 3),
        ("Priority 4", 4),
        ("S0", 0),
        ("critical", 1),
        ("High", 2),
        ("warning", 3),
        ("low", 4),
        ("2", 2),
    ],
)
def test_severities_of_many_teams_are_understood(severity: str, level: int) -> None:
    """Numbers and words, in any case."""
    assert severity_level(severity) == (level, True)


@pytest.mark.parametrize("severity", ["UNKNOWN", "", None, "SEV9", "purple", "1.5", 7, "sev1 or 2"])
def test_other_severities_are_not_guessed(severity: Any) -> None:
    """Ranked like level 3, and said so."""
    assert severity_level(severity) == (3, False)
