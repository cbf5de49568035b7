"""Utilization against limits, and its percentiles where there are samples enough."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from perfproof.config import Service, load_protocol
from perfproof.utilization import utilization


@pytest.fixture
def shop() -> Service:
    """One core and 512 MiB."""
    path = Path(__file__).resolve().parents[3] / "include" / "protocols" / "demo.yaml"
    return load_protocol(path.read_bytes(), where="demo.yaml").service("shop")


def cell(name: str, value: float | None, unit: str = "percent") -> dict[str, Any]:
    return {"metric_name": name, "service": "shop", "kind": "utilization", "value": value, "unit": unit, "reasons": []}


def entry(shop: Service, one: dict[str, Any], samples: list[float]) -> dict[str, Any]:
    (found,) = utilization(shop, [one], peak_rate=30, samples={one["metric_name"]: samples})
    return found


def test_percentiles_are_those_of_the_sorted_samples(shop: Service) -> None:
    """By nearest rank, against counting: 1 to 200."""
    found = entry(shop, cell("cpu_utilization", 50.0), [float(v) for v in range(200, 0, -1)])["percentiles"]
    for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
        counted = next(v for v in range(1, 201) if sum(s <= v for s in range(1, 201)) >= share * 200)
        assert found[name]["value"] == counted
        assert found[name]["low"] <= counted
    assert found["p95"]["high"] > 190 and found["p99"]["high"] is None


def test_percentiles_that_too_few_samples_carry_are_unknown(shop: Service) -> None:
    """Of 30 samples the p99 would be nothing but the largest."""
    found = entry(shop, cell("cpu_utilization", 50.0), [50.0] * 30)["percentiles"]
    assert found["p95"]["value"] == 50.0
    assert found["p99"] == {"value": None, "low": None, "high": None, "reason": "30 samples, 100 needed"}
    assert entry(shop, cell("cpu_utilization", 50.0), [])["percentiles"]["p50"]["reason"] == "0 samples, 5 needed"


def test_samples_that_are_no_numbers_are_none(shop: Service) -> None:
    """NaN neither counts nor passes."""
    found = entry(shop, cell("memory_utilization", 50.0), [math.nan] * 99 + [10.0] * 4)
    assert found["samples"] == 4 and found["percentiles"]["p50"]["value"] is None


def test_a_high_p95_is_high_although_the_median_is_not(shop: Service) -> None:
    """The baseline's cell is an average; the limit is met in the tail."""
    calm = entry(shop, cell("memory_utilization", 40.0), [40.0] * 100)
    tail = entry(shop, cell("memory_utilization", 40.0), [40.0] * 90 + [95.0] * 10)
    assert (calm["assessment"], tail["assessment"]) == ("within limits", "high")


def test_cores_and_mebibytes_are_set_against_their_limits(shop: Service) -> None:
    """Half a core is 50 %, 128 MiB of 512 are 25 %; percentiles are in percent too."""
    cpu = entry(shop, cell("cpu_used", 0.5, "cores"), [0.5] * 20)
    assert (cpu["percent"], cpu["used"], cpu["percentiles"]["p95"]["value"]) == (50.0, 0.5, 50.0)
    memory = entry(shop, cell("memory_used", 128.0, "MiB"), [])
    assert (memory["percent"], memory["used"], memory["assessment"]) == (25.0, 128.0, "within limits")


def test_a_unit_without_a_limit_is_unknown(shop: Service) -> None:
    """Milliseconds are no share of a core, and a queue has no declared limit."""
    for name, unit in (("cpu_wait", "ms"), ("queue", "count")):
        found = entry(shop, cell(name, 5.0, unit), [5.0] * 200)
        assert (found["percent"], found["assessment"]) == (None, "unknown")
        assert found["reasons"] and found["percentiles"]["p50"]["value"] is None
