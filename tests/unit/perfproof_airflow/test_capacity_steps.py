"""Capacity and cost in the evidence: what they are reckoned from, and a price that cannot be had."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from perfproof.errors import TelemetryError
from perfproof.prices import Price
from perfproof_airflow.capacity_steps import COST_CHANGE, analyze, publish_cost_change

VALIDATION = "optimization-validation-report.json"
QUOTED = Price("USD", "AWS Price List", "2025-02-14", instance="m7i.large", vcpu=2, gib=8, instance_hour=0.1197)


@pytest.fixture
def priced(unopened: Any) -> Any:
    """A run whose protocol file asks for the Price List."""
    path = unopened.workspace / "include" / "protocols" / "demo.yaml"
    document = yaml.safe_load(path.read_bytes())
    document["cost"]["aws"] = {"connection": "prices", "region": "eu-central-1", "instance_type": "m7i.large"}
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    unopened.open()
    return unopened


def step(rate: float) -> dict[str, Any]:
    figures = {"rate": rate, "complete": True, "p95": 100.0, "p99": 100.0, "error_rate": 0.0, "achieved_rate": rate}
    return {**figures, "throughput": rate, "concurrency": 1.0}


def cell(name: str, kind: str, value: float) -> dict[str, Any]:
    return {"metric_name": name, "service": "shop", "kind": kind, "value": value, "unit": "percent", "reasons": []}


def answered(*values: float) -> str:
    """A Prometheus answer to a range query."""
    return json.dumps(
        {"status": "success", "data": {"resultType": "matrix", "result": [{"values": [[n, str(v)] for n, v in enumerate(values)]}]}}
    )


def analyzed(run: Any) -> dict[str, Any]:
    """The entry of the shop in capacity.json."""
    common = {"service": "shop", "valid": True, "invalid_reasons": []}
    stress = run.publish("evidence/load-stress.json", {**common, "scenario": "stress", "steps": [step(40), step(60)]})
    peak = run.publish("evidence/load-peak.json", {**common, "scenario": "peak", "throughput": 30.0})
    cells = [cell("throughput", "throughput", 20.0), cell("cpu_utilization", "utilization", 30.0)]
    answers = {"cpu_utilization": answered(*[30.0] * 24, 90.0), "throughput": answered(*[20.0] * 99, 45.0, 45.0)}
    run.publish("evidence/baseline-shop.json", {"service": "shop", "answers": answers})
    baseline = run.publish("baseline-metrics.json", {"cells": cells})
    reference = analyze(run.cycle("diagnostics.analyze_capacity_and_cost"), scenarios=[peak, stress], baseline=baseline)
    return run.cycle().document(reference)["services"][0]


def test_percentiles_and_target_come_from_the_samples_of_the_baseline(run: Any) -> None:
    """25 samples carry a p95, and the observed peak of 45 requests/s is above the configured 30."""
    entry = analyzed(run)
    assert entry["utilization"][0]["percentiles"]["p95"]["value"] == 30.0
    assert entry["utilization"][0]["percentiles"]["p99"]["value"] is None
    assert (entry["capacity"]["room"]["target_rate"], entry["capacity"]["room"]["target_source"]) == (45.0, "observed peak")
    assert entry["cost"]["price"]["source"] == "protocol file" and "note" not in entry["cost"]["price"]


def test_the_price_list_is_asked_and_kept_with_its_day(priced: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once: what the cycle used stands in its evidence."""
    monkeypatch.setattr("perfproof_airflow.hooks.aws_prices.AwsPricesHook.price", lambda *_, **__: QUOTED)
    cost = analyzed(priced)["cost"]
    assert (cost["price"]["source"], cost["price"]["as_of"], cost["price"]["instance_hour"]) == ("AWS Price List", "2025-02-14", 0.1197)
    assert cost["hourly"] == pytest.approx(0.1197 / 2)


def test_a_price_that_cannot_be_had_leaves_the_table_and_says_so(priced: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cost is no reason to halt a cycle, and no reason to show another price as this one."""

    def fail(*_: Any, **__: Any) -> Price:
        raise TelemetryError(815, where="AWS Price List", what="the filters match 2 prices", fix="name one")

    monkeypatch.setattr("perfproof_airflow.hooks.aws_prices.AwsPricesHook.price", fail)
    price = analyzed(priced)["cost"]["price"]
    assert price["source"] == "protocol file" and "AWS Price List was not used: TEL-815" in price["note"]


def test_the_cost_of_the_change_uses_the_price_of_the_analysis(priced: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that before and after differ by the change alone."""
    monkeypatch.setattr("perfproof_airflow.hooks.aws_prices.AwsPricesHook.price", lambda *_, **__: QUOTED)
    analyzed(priced)
    blocks = [
        {
            "side": side, "order": n, "started_at": f"2025-02-16T10:{n:02d}:00Z", "requests": 150, "errors": 0, "valid": True,
            "invalid_reasons": [], "guards": {"cpu_ms_per_request": 10.0 if side == "baseline" else 5.0, "memory_rss": 64.0},
        }
        for n, side in enumerate(("baseline", "candidate") * 4)
    ]  # fmt: skip
    builds = {"baseline": "b1", "candidate": "b2"}
    priced.publish("evidence/measurement.json", {"service": "shop", "builds": builds, "blocks": blocks, "block_seconds": 6})
    priced.publish(VALIDATION, {"optimization_id": "OPT-001", "optimizations": ["OPT-001", "OPT-002"]})
    document = priced.cycle().document(publish_cost_change(priced.cycle("governance.publish_report")))
    assert document["price"]["source"] == "AWS Price List" and document["optimizations"] == ["OPT-001", "OPT-002"]
    assert document["change_percent"] == -50.0 and COST_CHANGE in priced.live()
