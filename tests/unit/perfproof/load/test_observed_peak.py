"""The telemetry's own peak, and whether the tested one covers it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from perfproof.config import Protocol
from perfproof.load.observed_peak import comparison, observed_peak, peak_of_baseline, samples_in, uncovered


def answer(*values: object) -> str:
    """A Prometheus answer with one series."""
    return json.dumps(
        {"status": "success", "data": {"resultType": "matrix", "result": [{"metric": {}, "values": list(enumerate(values))}]}}
    )


def test_the_peak_is_the_stated_quantile_and_one_burst_does_not_make_it() -> None:
    """Nearest rank: of 200 samples two may lie above."""
    peak = observed_peak("throughput", [float(i) for i in range(1, 199)] + [900.0, 901.0])
    assert peak is not None
    assert (peak.rate, peak.samples, peak.quantile) == (198, 200, 0.99)


def test_what_is_no_rate_is_no_sample() -> None:
    """NaN, infinite and negative values; nothing left is nothing known, and never 0."""
    peak = observed_peak("throughput", [float("nan"), float("inf"), -3.0, 5.0])
    assert peak is not None
    assert (peak.rate, peak.samples) == (5, 1)
    assert observed_peak("throughput", [float("nan")]) is None


def test_the_samples_of_every_line_count_and_what_is_no_answer_has_none() -> None:
    """Long windows are asked in parts."""
    assert samples_in(f"{answer('1', '2.5')}\n{answer('3')}") == [1, 2.5, 3]
    assert samples_in("not JSON\n[]\n{}") == []


def test_the_baseline_s_throughput_is_read_from_its_kept_answers(demo: Protocol) -> None:
    """Latencies are no rates; without the document nobody knows."""
    service = demo.services[0]
    document = {"answers": {"throughput": answer("10", "12"), "orders_latency_p95": answer("900")}}
    peak = peak_of_baseline(service, document)
    assert peak is not None
    assert (peak.metric, peak.rate) == ("throughput", 12)
    assert peak_of_baseline(service, None) is None
    assert peak_of_baseline(replace(service, metrics=()), document) is None


@pytest.mark.parametrize(("tested", "covered"), [(12.0, True), (11.9, False)])
def test_a_tested_peak_below_the_observed_one_is_a_finding(tested: float, covered: bool) -> None:
    """At the observed rate it is covered."""
    entry = comparison("shop", tested, observed_peak("throughput", [10.0, 12.0]))
    assert entry["covered"] is covered
    found = uncovered([entry])
    assert len(found) == (not covered)
    if found:
        assert "below what the telemetry saw: 12 requests/s" in found[0]["issue"]


def test_without_telemetry_nothing_is_covered_and_nothing_is_blamed() -> None:
    """Unknown is neither."""
    entry = comparison("shop", 30, None)
    assert entry["covered"] is None
    assert uncovered([entry]) == []
