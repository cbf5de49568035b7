"""A block of the comparison and its guard metrics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from perfproof.config import Guard, GuardKind
from perfproof.load.blocks import Side, summarise_block
from perfproof.load.plan import LoadPlan, Scenario
from perfproof.load.rows import Rows
from perfproof.load.summary import GeneratorSummary
from perfproof.telemetry import Direction, Unit

LOWER = Direction.LOWER
GUARDS = (
    Guard("cpu", GuardKind.COUNTER_PER_REQUEST, Unit.CPU_PER_REQUEST, LOWER, 0.05, 0.3, series="cpu_seconds_total", factor=1000),
    Guard("memory", GuardKind.GAUGE, Unit.MEBIBYTES, LOWER, 0.05, 6, series="resident_bytes", factor=1 / 1048576),
    Guard("errors", GuardKind.ERROR_RATE, Unit.PERCENT, LOWER, 0, 0.5),
)
BEFORE = {"cpu_seconds_total": 10.0, "resident_bytes": 1048576.0 * 60}
AFTER = {"cpu_seconds_total": 12.2, "resident_bytes": 1048576.0 * 64}


@pytest.fixture
def block(plan: LoadPlan, rows_of: Callable[..., Rows], summary_of: Callable[..., GeneratorSummary]) -> Callable[..., dict[str, Any]]:
    """Makes a block from the metrics around it."""
    measurement = replace(plan, scenario=Scenario.MEASUREMENT)

    def make(before: dict[str, float], after: dict[str, float]) -> dict[str, Any]:
        return summarise_block(
            rows_of(measurement, status=lambda due: 500 if due > 10.9 else 200),
            plan=measurement,
            summary=summary_of(measurement),
            metrics_before=before,
            metrics_after=after,
            guards=GUARDS,
            side=Side.CANDIDATE,
            order=3,
            rows_reference={"name": "evidence/rows.csv.gz", "sha256": "0" * 64},
        )

    return make


def test_counters_are_spread_over_every_request_and_gauges_are_read_at_the_end(block: Callable[..., dict[str, Any]]) -> None:
    """2.2 s of CPU over 440 requests (40 of the warm-up) are 5 ms each."""
    result = block(BEFORE, AFTER)
    assert result["valid"], result["invalid_reasons"]
    assert result["guards"]["cpu"] == pytest.approx(5.0)
    assert result["guards"]["memory"] == pytest.approx(64.0)
    assert result["guards"]["errors"] == pytest.approx(100 * result["errors"] / 400, abs=0.001)
    assert (result["side"], result["order"], result["requests"]) == ("candidate", 3, 400)


@pytest.mark.parametrize(
    ("before", "after", "guard", "words"),
    [
        (BEFORE, {**AFTER, "cpu_seconds_total": 1.0}, "cpu", "backwards"),
        ({"resident_bytes": 1.0}, AFTER, "cpu", "before the block"),
        (BEFORE, {"cpu_seconds_total": 12.0}, "memory", "does not show"),
        (BEFORE, {**AFTER, "resident_bytes": float("nan")}, "memory", "does not show"),
    ],
)
def test_a_guard_that_was_not_seen_makes_the_block_invalid(
    block: Callable[..., dict[str, Any]], before: dict[str, float], after: dict[str, float], guard: str, words: str
) -> None:
    """A restarted service or a missing series is no zero."""
    result = block(before, after)
    assert result["guards"][guard] is None
    assert not result["valid"]
    assert any(words in reason for reason in result["invalid_reasons"])
