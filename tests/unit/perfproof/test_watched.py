"""What the team already watches: an alert on the very series, on others of the name, on none, or nobody knows."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from perfproof.config import Service, load_protocol
from perfproof.watched import watch_findings, watched_objectives

DEMO = Path(__file__).parents[3] / "include" / "protocols" / "demo.yaml"
ORDERS = 'histogram_quantile(0.95, sum by (le) (rate(shop_request_seconds_bucket{instance="10.0.0.1:80",route="orders"}[5m]))) > 0.25'


@pytest.fixture(scope="module")
def shop() -> Service:
    service = load_protocol(DEMO.read_bytes(), where="demo").service("shop")
    return dataclasses.replace(service, slos=tuple(slo for slo in service.slos if slo.metric == "orders_latency_p95"))


def alert(expression: str, *, name: str = "OrdersSlow", service: str | None = None) -> dict[str, Any]:
    return {"name": name, "expression": expression, "severity": "page", "for": "10m", "service": service}


def judged(service: Service, *alerts: dict[str, Any], told: bool = True, **more: Any) -> dict[str, Any]:
    (entry,) = watched_objectives(
        [service], alerts=alerts, dashboards=more.get("dashboards", ()), recordings=more.get("recordings", ()), told=told
    )
    return entry


def test_an_alert_on_the_series_watches_the_objective(shop: Service) -> None:
    """Where it was scraped does not matter, nor its threshold; no finding follows."""
    entry = judged(shop, alert("up == 0", name="Down"), alert(ORDERS, service="shop"))
    assert (entry["watched"], entry["alerts"]) == ("yes", ["OrdersSlow"])
    assert watch_findings([entry]) == []


@pytest.mark.parametrize(
    "expression", ["shop_request_seconds_bucket > 1", 'rate(shop_request_seconds_bucket{route="orders",region="eu"}[5m]) > 1']
)
def test_an_alert_on_more_or_fewer_series_watches_it_partly(shop: Service, expression: str) -> None:
    """All routes together, or one region only: the objective may be missed unseen."""
    entry = judged(shop, alert(expression))
    assert entry["watched"] == "partly"
    (finding,) = watch_findings([entry])
    assert (finding["kind"], finding["service"]) == ("partly_watched_objective", "shop")


def test_an_alert_on_another_route_watches_nothing_of_it(shop: Service) -> None:
    """The same name with another value of a label is another series."""
    entry = judged(shop, alert(ORDERS.replace("orders", "quote")))
    assert (entry["watched"], entry["alerts"]) == ("no", [])
    assert "no alert reads the series" in watch_findings([entry])[0]["text"]


def test_an_alert_through_a_recording_rule_counts(shop: Service) -> None:
    """Most alerts are written on recorded series."""
    rule = {"name": "shop:orders", "expression": ORDERS.partition(" > ")[0]}
    assert judged(shop, alert("shop:orders > 0.25"), recordings=[rule])["watched"] == "yes"
    assert judged(shop, alert("shop:orders > 0.25"))["watched"] == "no"


def test_the_alert_of_another_service_does_not_count(shop: Service) -> None:
    """By its label, if that names a service of the run; a team's own word for the service is no other service."""
    other = dataclasses.replace(shop, name="mail", slos=())
    (entry,) = watched_objectives([shop, other], alerts=[alert(ORDERS, service="mail")], dashboards=[], recordings=[], told=True)
    assert entry["watched"] == "no"
    assert judged(shop, alert(ORDERS, service="Shop API"))["watched"] == "yes"


@pytest.mark.parametrize("expression", ["UNKNOWN", "", "no promql {"])
def test_an_alert_that_does_not_tell_its_expression_leaves_it_unknown(shop: Service, expression: str) -> None:
    """It may watch the objective: neither yes nor no."""
    assert judged(shop, alert(expression))["watched"] == "unknown"
    assert watch_findings([judged(shop, alert(expression))]) == []


def test_without_a_source_of_alerts_nothing_is_known(shop: Service) -> None:
    """Not having asked is not "nobody watches"."""
    entry = judged(shop, told=False)
    assert (entry["watched"], entry["reason"]) == ("unknown", "no source of alerts answered")


def test_a_metric_of_another_system_is_unknown(shop: Service) -> None:
    """A query that is no PromQL cannot be compared."""
    spec = next(m for m in shop.metrics if m.name == "orders_latency_p95")
    foreign = dataclasses.replace(shop, metrics=(dataclasses.replace(spec, query='{"Namespace": "AWS/ECS"}'),))
    assert judged(foreign, alert(ORDERS))["watched"] == "unknown"


def test_dashboards_that_show_the_series_are_named(shop: Service) -> None:
    """Shown is not watched: nobody is woken by a dashboard."""
    board = {"name": "Shop", "expressions": ["not promql {", ORDERS.partition(" > ")[0]]}
    entry = judged(shop, dashboards=[board, {"name": "Hosts", "expressions": ["node_load1"]}, {"name": "Old"}])
    assert (entry["watched"], entry["dashboards"]) == ("no", ["Shop"])
