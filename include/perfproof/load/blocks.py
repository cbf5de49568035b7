"""One block of the comparison: the load's own figures, and the guard metrics from the service's counters around it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from perfproof.config import Guard, GuardKind
from perfproof.load.figures import by_transaction, error_rate, errors, percentiles
from perfproof.load.plan import LoadPlan, Scenario
from perfproof.load.rows import Rows
from perfproof.load.summary import GeneratorSummary
from perfproof.load.verdict import JUDGED, invalid_reasons


class Side(StrEnum):
    """Which deployment a block measured."""

    BASELINE = "baseline"
    CANDIDATE = "candidate"


def summarise_block(
    rows: Rows,
    *,
    plan: LoadPlan,
    summary: GeneratorSummary,
    metrics_before: Mapping[str, float],
    metrics_after: Mapping[str, float],
    guards: Sequence[Guard],
    side: Side,
    order: int,
    rows_reference: Mapping[str, str],
) -> dict[str, Any]:
    """One entry of `blocks` in `evidence/measurement.json`.

    `metrics_before` and `metrics_after` are sums by series name, scraped right before and right after the whole test.
    So a counter's increase belongs to every request that was sent, warm-up included. A guard without a value is null,
    and the block is invalid: what was not seen did not stay good.
    """
    measured = rows.between(plan.warmup_seconds, plan.duration)
    invalid = invalid_reasons(rows, plan=plan, summary=summary, judged=JUDGED[Scenario.MEASUREMENT])
    values: dict[str, float | None] = {}
    for guard in guards:
        value, reason = _guard_value(guard, rows, measured, metrics_before, metrics_after)
        values[guard.name] = value
        if reason:
            invalid.append(f"guard {guard.name}: {reason}")
    return {
        "side": side.value,
        "order": order,
        "started_at": summary.started_at,
        "build": summary.build,
        "requests": int(measured.sent.sum()),
        "errors": errors(measured),
        "valid": not invalid,
        "invalid_reasons": invalid,
        **percentiles(measured.latency_ms[measured.sent]),
        "by_transaction": by_transaction(measured, plan=plan),
        "guards": values,
        "rows": dict(rows_reference),
    }


def _guard_value(
    guard: Guard, rows: Rows, measured: Rows, before: Mapping[str, float], after: Mapping[str, float]
) -> tuple[float | None, str | None]:
    """The guard's value in its unit, or None and why."""
    if guard.kind is GuardKind.ERROR_RATE:
        rate = error_rate(measured)
        return rate, None if rate is not None else "no request was sent"
    series = guard.series or ""
    end = after.get(series, math.nan)
    if not math.isfinite(end):
        return None, f"the endpoint does not show {series}"
    if guard.kind is GuardKind.GAUGE:
        return round(guard.factor * end, 6), None
    begin = before.get(series, math.nan)
    requests = int(rows.sent.sum())
    if not math.isfinite(begin):
        return None, f"the endpoint did not show {series} before the block"
    if end < begin:
        return None, f"{series} went backwards, the service was restarted"
    if not requests:
        return None, "no request was sent"
    return round(guard.factor * (end - begin) / requests, 6), None
