"""A baseline against the one before it and against the history."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfproof.baseline_comparison import compare_with_history, compare_with_previous, require_no_regression
from perfproof.errors import TelemetryError

LOWER, HIGHER = "lower_is_better", "higher_is_better"


def cell(value: float | None, *, metric: str = "p95", unit: str = "ms", direction: str = LOWER) -> dict[str, Any]:
    return {"service": "api", "metric_name": metric, "unit": unit, "direction": direction, "value": value}


def document(*cells: dict[str, Any]) -> dict[str, Any]:
    return {"collected_at": "2025-02-16T10:00:00Z", "cells": list(cells)}


def compared(now: dict[str, Any], then: dict[str, Any], *, limit: float = 20) -> dict[str, Any]:
    finding = compare_with_previous([document(now)], previous=document(then), limit_percent=limit)["findings"][0]
    return dict(finding)


@pytest.mark.parametrize(
    ("now", "then", "direction", "change", "worsening"),
    [
        (120.0, 100.0, LOWER, "within_limit", 20.0),
        (120.1, 100.0, LOWER, "regressed", 20.1),
        (50.0, 100.0, LOWER, "within_limit", -50.0),
        (84.0, 100.0, HIGHER, "within_limit", 16.0),
        (83.0, 100.0, HIGHER, "regressed", 17.0),
        (0.0, 100.0, HIGHER, "regressed", 100.0),
        (200.0, 100.0, HIGHER, "within_limit", -100.0),
        (0.0, 0.0, LOWER, "within_limit", 0.0),
        (0.0, 100.0, LOWER, "within_limit", -100.0),
    ],
)
def test_worse_by_more_than_the_factor_is_a_regression(now: float, then: float, direction: str, change: str, worsening: float) -> None:
    """At 20 %: more than 1.2 times the latency, or less than 1/1.2 of the throughput."""
    finding = compared(cell(now, direction=direction), cell(then, direction=direction))
    assert (finding["change"], finding["worsening_percent"]) == (change, worsening)


@pytest.mark.parametrize(
    ("now", "then", "words"),
    [
        (cell(None), cell(100.0), "no value now"),
        (cell(100.0), cell(None), "has no value"),
        (cell(100.0), cell(0.1, unit="s"), "has s"),
        (cell(100.0), cell(100.0, metric="other"), "not in the earlier baseline"),
        (cell(0.4, metric="error_rate", unit="percent"), cell(0.0, metric="error_rate", unit="percent"), "zero"),
    ],
)
def test_what_cannot_be_compared_is_unknown(now: dict[str, Any], then: dict[str, Any], words: str) -> None:
    """Missing data is never "no change"."""
    finding = compared(now, then)
    assert (finding["change"], finding["worsening_percent"]) == ("unknown", None)
    assert words in finding["reason"]


def test_a_first_cycle_has_only_unknown_findings() -> None:
    """Without an earlier baseline nothing is compared, which the document says, and nothing halts."""
    comparison = compare_with_previous([document(cell(1.0))], previous=None, limit_percent=20)
    assert (comparison["against"], comparison["regressed"]) == (None, [])
    assert comparison["unknown"] == ["api/p95: there is no earlier baseline"]
    require_no_regression(comparison)


def test_a_regression_against_the_previous_cycle_halts() -> None:
    """The halt names metric, both values, the reference and what to do."""
    comparison = compare_with_previous([document(cell(400.0))], previous=document(cell(100.0)), limit_percent=200)
    with pytest.raises(TelemetryError) as caught:
        require_no_regression(comparison)
    line = str(caught.value)
    assert line.startswith("TEL-255 ")
    for words in ("api/p95 100 -> 400 ms (4 times worse)", "the baseline of 2025-02-16T10:00:00Z", "at most 3 times worse", "Fix: "):
        assert words in line


@pytest.mark.parametrize(("now", "words"), [(20.0, "100 -> 20 ms (5 times worse)"), (0.0, "100 -> 0 ms (nothing is left)")])
def test_a_loss_is_told_on_the_scale_of_the_limit(now: float, words: str) -> None:
    """80 % less throughput would read as within a limit of 200 %; as a ratio both are on one scale."""
    then = document(cell(100.0, direction=HIGHER))
    comparison = compare_with_previous([document(cell(now, direction=HIGHER))], previous=then, limit_percent=200)
    with pytest.raises(TelemetryError) as caught:
        require_no_regression(comparison)
    assert words in str(caught.value) and "at most 3 times worse (regression_limit_percent 200)" in str(caught.value)


def test_the_history_is_compared_by_its_median() -> None:
    """One outlier among the earlier captures changes nothing."""
    history = [document(cell(value)) for value in (100.0, 101.0, 9_000.0, 99.0)]
    finding = compare_with_history(document(cell(150.0)), history, limit_percent=20)["findings"][0]
    assert (finding["previous"], finding["change"]) == (100.5, "regressed")


@pytest.mark.parametrize("earlier", [[], [100.0], [100.0, 100.0], [100.0, None, None, 100.0]])
def test_a_short_history_decides_nothing(earlier: list[float | None]) -> None:
    """Fewer than three earlier values: unknown, however bad the new one looks."""
    comparison = compare_with_history(document(cell(9e9)), [document(cell(v)) for v in earlier], limit_percent=20)
    assert comparison["findings"][0]["change"] == "unknown"


def test_the_history_in_another_unit_does_not_count() -> None:
    """Milliseconds are not compared with seconds."""
    comparison = compare_with_history(document(cell(100.0)), [document(cell(0.1, unit="s"))] * 5, limit_percent=20)
    assert comparison["findings"][0]["change"] == "unknown"


@given(st.floats(0.001, 1e6), st.floats(0.001, 1e6), st.sampled_from([LOWER, HIGHER]))
def test_only_one_of_two_opposite_comparisons_can_be_a_regression(one: float, two: float, direction: str) -> None:
    """If this is a regression from that, then that is none from this; and nothing regresses against itself."""
    forth = compared(cell(one, direction=direction), cell(two, direction=direction))["change"]
    back = compared(cell(two, direction=direction), cell(one, direction=direction))["change"]
    assert "regressed" not in (forth, back) or forth != back
    assert compared(cell(one, direction=direction), cell(one, direction=direction))["change"] == "within_limit"
