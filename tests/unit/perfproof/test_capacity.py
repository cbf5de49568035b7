"""Capacity, utilization, scaling and cost from the documents of a cycle."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from perfproof.capacity import capacity_document, per_1000_requests
from perfproof.capacity_report import capacity_markdown
from perfproof.config import Protocol, load_protocol
from perfproof.telemetry import document_bytes

NOW = datetime(2025, 2, 16, 15, 0, tzinfo=UTC)


@pytest.fixture
def demo() -> Protocol:
    """The protocol file that ships with the package: peak 30 requests/s, p99 500 ms, errors 0.5 %."""
    path = Path(__file__).resolve().parents[3] / "include" / "protocols" / "demo.yaml"
    return load_protocol(path.read_bytes(), where="demo.yaml")


def step(rate: float, *, p99: float | None = 100, errors: float = 0.0, concurrency: float = 1.0, **changes: Any) -> dict[str, Any]:
    """A step of a stress test that holds unless told otherwise."""
    figures = {"rate": rate, "complete": True, "p95": p99, "p99": p99, "error_rate": errors, "achieved_rate": rate}
    return {**figures, "throughput": rate, "concurrency": concurrency, **changes}


def stress(*steps: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The document of a stress test."""
    return {"scenario": "stress", "service": "shop", "valid": True, "invalid_reasons": [], "steps": list(steps), **changes}


PEAK = {"scenario": "peak", "service": "shop", "valid": True, "invalid_reasons": [], "throughput": 30.0}


def cell(name: str, kind: str, value: float | None, **changes: Any) -> dict[str, Any]:
    """A cell of the baseline."""
    return {"metric_name": name, "service": "shop", "kind": kind, "value": value, "unit": "percent", "reasons": [], **changes}


BASELINE = {
    "cells": [
        cell("throughput", "throughput", 20.0),
        cell("cpu_utilization", "utilization", 60.0),
        cell("memory_utilization", "utilization", 25.0),
    ]
}


def analyze(demo: Protocol, *documents: dict[str, Any], baseline: dict[str, Any] = BASELINE) -> dict[str, Any]:
    """The capacity document of the demo."""
    return capacity_document(
        demo.services,
        load_documents=documents,
        baseline=baseline,
        profile=demo.load.profiles["demo"],
        cost=demo.cost,
        optimizations=demo.optimizations,
        now=NOW,
        derived_from=[{"name": "load-test-results.json", "sha256": "0" * 64}],
    )


@pytest.mark.parametrize(
    ("steps", "knee", "headroom"),
    [
        ([step(20), step(40), step(60, p99=501), step(80)], 40, 33.3),
        ([step(20), step(40, errors=0.6), step(60)], 20, -33.3),
        ([step(20), step(40), step(60, achieved_rate=55)], 40, 33.3),
        ([step(20), step(40), step(60, complete=False)], 40, 33.3),
        ([step(20, p99=900), step(40)], None, None),
        ([step(20, p99=None)], None, None),
    ],
)
def test_the_limit_is_the_highest_step_that_holds_with_all_below_it(
    demo: Protocol, steps: list[dict[str, Any]], knee: float | None, headroom: float | None
) -> None:
    """A later step that happens to hold does not count, nor does one that was cut short or not offered in full."""
    capacity = analyze(demo, stress(*steps), PEAK)["services"][0]["capacity"]
    assert capacity["knee_rate"] == knee
    assert capacity["headroom_percent"] == headroom
    assert capacity["headroom_is_lower_bound"] is (None if knee is None else False)


def test_when_every_step_holds_the_headroom_is_a_lower_bound(demo: Protocol) -> None:
    """The limit was not found, and the report says so."""
    document = analyze(demo, stress(step(20), step(40), step(60)), PEAK)
    assert document["services"][0]["capacity"]["headroom_is_lower_bound"] is True
    assert "at least" in capacity_markdown(document)
    assert "above the highest step" in capacity_markdown(document)


def test_an_invalid_or_missing_stress_test_shows_no_capacity(demo: Protocol) -> None:
    """The reason takes the place of the number."""
    for documents in ([PEAK], [PEAK, stress(valid=False, invalid_reasons=["the generator used 95 % of a core"])]):
        entry = analyze(demo, *documents)["services"][0]
        assert entry["capacity"]["knee_rate"] is None
        assert entry["capacity"]["reason"]
        assert entry["scaling"]["instances_for_peak"] is None
        assert entry["cost"]["per_1000_at_knee"] is None


def test_light_steps_do_not_identify_the_law_and_say_so(demo: Protocol) -> None:
    """Four steps with hardly a request in service at once."""
    steps = [step(20, concurrency=0.3), step(40, concurrency=0.6), step(60, concurrency=0.9), step(80, concurrency=1.3)]
    document = analyze(demo, stress(*steps), PEAK)
    assert document["services"][0]["capacity"]["scalability"]["fit"] is None
    assert "not identifiable" in capacity_markdown(document)


def test_bending_steps_give_the_law(demo: Protocol) -> None:
    """The fit uses what was answered, not what was offered."""
    points = [(n, 50 * n / (1 + 0.1 * (n - 1) + 0.002 * n * (n - 1))) for n in (1.0, 2.0, 4.0, 8.0, 16.0)]
    steps = [step(20.0 * (i + 1), concurrency=n, throughput=x) for i, (n, x) in enumerate(points)]
    document = analyze(demo, stress(*steps), PEAK)
    assert document["services"][0]["capacity"]["scalability"]["fit"]["contention"] == pytest.approx(0.1)
    assert "Universal Scalability Law: one request at a time 50" in capacity_markdown(document)


def test_utilization_is_set_against_its_limit_and_carried_to_the_peak(demo: Protocol) -> None:
    """60 % of 1 core at 20 requests/s is 90 % at 30; memory does not grow with the requests."""
    cpu, memory = analyze(demo, stress(step(20)), PEAK)["services"][0]["utilization"]
    assert (cpu["used"], cpu["projected_percent_at_peak"], cpu["assessment"]) == (0.6, 90.0, "high")
    assert (memory["used"], memory["projected_percent_at_peak"], memory["assessment"]) == (128.0, None, "within limits")


def test_utilization_without_a_value_is_unknown(demo: Protocol) -> None:
    """Not zero, and not within limits."""
    baseline = {"cells": [cell("cpu_utilization", "utilization", None, reasons=["NODATA"])]}
    (cpu,) = analyze(demo, stress(step(20)), PEAK, baseline=baseline)["services"][0]["utilization"]
    assert (cpu["used"], cpu["projected_percent_at_peak"], cpu["assessment"]) == (None, None, "unknown")


def test_cost_is_that_of_the_declared_limits_over_the_requests(demo: Protocol) -> None:
    """1 core and half a GiB cost 0.0425 an hour; 30 requests/s make 108,000 requests of it."""
    cost = analyze(demo, stress(step(20), step(40)), PEAK)["services"][0]["cost"]
    assert cost["hourly"] == 0.0425
    assert cost["per_1000_at_peak"] == pytest.approx(0.0425 / 108, abs=1e-6)
    assert cost["per_1000_at_knee"] == pytest.approx(0.0425 / 144, abs=1e-6)
    first = cost["optimizations"][0]
    assert (first["id"], first["knee_rate_if_reached"]) == ("OPT-001", pytest.approx(66.7))
    assert first["per_1000_if_reached"] < cost["per_1000_at_knee"]
    assert per_1000_requests(1.0, rate=0.0) is None
    assert per_1000_requests(3.6, rate=1.0) == 1.0


def test_the_peak_needs_as_many_instances_as_the_limit_says(demo: Protocol) -> None:
    """30 requests/s on instances that hold 20 are 2."""
    assert analyze(demo, stress(step(20), step(40, p99=900)), PEAK)["services"][0]["scaling"]["instances_for_peak"] == 2


def test_the_report_has_its_headings_and_escapes_what_others_wrote(demo: Protocol) -> None:
    """Names of metrics and policies are text, never markup."""
    hostile = replace(demo, services=(replace(demo.services[0], scaling_policy="<script>| [x](http://y)"),))
    baseline = {"cells": [cell("cpu | <img>", "utilization", 50.0)]}
    document = analyze(hostile, stress(step(20)), PEAK, baseline=baseline)
    document_bytes(document)
    markdown = capacity_markdown(document)
    lines = markdown.split("\n")
    for heading in ("# Capacity analysis", "## Utilization", "## Scaling policies", "## Cost impact"):
        assert lines.count(heading) == 1
    assert "<script>" not in markdown
    assert "<img>" not in markdown
    assert "](http" not in markdown


def bent(*, coherency: float, steps: tuple[float, ...] = (1, 2, 4, 8, 12, 16, 24)) -> dict[str, Any]:
    """A stress test on a law with a little scatter, whose first four steps hold."""
    scatter = (1.004, 0.997, 1.002, 0.996, 1.003, 0.998, 1.001)
    seen = [e * 50 * n / (1 + 0.05 * (n - 1) + coherency * n * (n - 1)) for n, e in zip(steps, scatter, strict=False)]
    return stress(
        *(
            step(20.0 * (i + 1), concurrency=float(n), throughput=x, p99=100 if i < 4 else 900)
            for i, (n, x) in enumerate(zip(steps, seen, strict=True))
        )
    )


def test_a_knee_within_the_tested_range_has_intervals(demo: Protocol) -> None:
    """And the report says them, with the instances for the target and two to spare."""
    document = analyze(demo, bent(coherency=0.01), PEAK)
    capacity = document["services"][0]["capacity"]
    assert capacity["throughput_peak"]["status"] == "reached"
    low, high = (capacity["scalability"]["intervals"]["coherency"][end] for end in ("low", "high"))
    assert low < 0.01 < high
    assert capacity["room"]["instances_n_plus_2"]["value"] == 3
    markdown = capacity_markdown(document)
    assert "Knee: throughput is highest at" in markdown and "With two instances to spare (N+2) the target needs 3 instances" in markdown


def test_a_knee_beyond_the_tested_range_is_not_claimed(demo: Protocol) -> None:
    """No number of an extrapolation stands in the report."""
    document = analyze(demo, bent(coherency=0.0004), PEAK)
    peak = document["services"][0]["capacity"]["throughput_peak"]
    assert (peak["status"], peak["throughput"], peak["concurrency"]) == ("not reached", None, None)
    markdown = capacity_markdown(document)
    assert "no knee claimed" in markdown and "throughput is highest" not in markdown.lower()
    assert f"{peak['law']['throughput']['value']:g}" not in markdown


def test_four_steps_have_no_fit(demo: Protocol) -> None:
    """Three parameters on four steps are no knowledge."""
    capacity = analyze(demo, bent(coherency=0.01, steps=(1, 4, 12, 24)), PEAK)["services"][0]["capacity"]
    assert capacity["scalability"]["fit"] is None and "5 needed" in capacity["scalability"]["reason"]
    assert capacity["throughput_peak"]["status"] == "unknown"
    assert capacity["room"]["headroom_percent"]["high"] is None


def test_the_price_stands_with_its_source_and_that_its_day_is_not_stated(demo: Protocol) -> None:
    """The demo's table names no day."""
    document = analyze(demo, stress(step(20), step(40)), PEAK)
    assert document["services"][0]["cost"]["price"] == {
        "currency": "USD", "source": "protocol file", "as_of": None, "core_hour": 0.04, "gib_hour": 0.005,
    }  # fmt: skip
    assert "0.04 USD per core and hour, 0.005 USD per GiB and hour; protocol file, the day is not stated." in capacity_markdown(document)
