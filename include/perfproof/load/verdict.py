"""Is a load test a measurement at all, and which figures does it give?

Order matters: first valid or not, then targets. An invalid test says nothing about the service, neither good nor bad.
Rules and limits: achieved below 97 % of the planned rate, more than 0.5 % dropped, a generator above 80 % CPU or late
itself, too few samples for a percentile that is judged, a build that changed, a test that was cut short.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from perfproof.load.figures import (
    SAMPLES_NEEDED,
    by_transaction,
    error_rate,
    errors,
    latencies,
    percentiles,
    rounded,
    start_error_p95,
    started,
    statuses,
    throughput,
    upper_bounds,
)
from perfproof.load.plan import LoadPlan, Scenario
from perfproof.load.rows import Rows, percentile
from perfproof.load.summary import GeneratorSummary, Outcome

MIN_ACHIEVED = 0.97
MAX_DROPPED = 0.005
MAX_CPU_PERCENT = 80.0
MAX_START_ERROR_MS = 25.0
MAX_START_ERROR_SHARE = 0.10
JUDGED = {
    Scenario.PEAK: ("p50", "p95", "p99"),
    Scenario.STRESS: (),
    Scenario.FAILURE: (),
    Scenario.REPLAY: ("p50", "p95", "p99"),
    Scenario.JOURNEYS: (),
    Scenario.MEASUREMENT: ("p95",),
}


def summarise(
    rows: Rows,
    *,
    plan: LoadPlan,
    summary: GeneratorSummary,
    service: str,
    endpoint: str,
    rows_reference: Mapping[str, str],
    fault: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The document of one load test (`evidence/load-<scenario>.json`).

    `endpoint` is its label (baseline or candidate), `rows_reference` is {"name", "sha256"} of the rows' file, `fault`
    the outcome of an injected fault. Latencies are in ms from the intended start, over all requests that were sent,
    failed ones included: a time-out counts with the time that was waited. The warm-up is never in.
    """
    measured = rows.between(plan.warmup_seconds, plan.duration)
    seconds = plan.measured_seconds
    invalid = invalid_reasons(rows, plan=plan, summary=summary, judged=JUDGED[plan.scenario])
    document: dict[str, Any] = {
        "scenario": plan.scenario.value,
        "service": service,
        "endpoint": endpoint,
        "build": summary.build,
        "started_at": summary.started_at,
        "seconds": seconds,
        "warmup_seconds": plan.warmup_seconds,
        "offered_rate": rounded(plan.measured_requests / seconds),
        "achieved_rate": rounded(started(measured, end=plan.duration) / seconds),
        "requests": int(measured.sent.sum()),
        "errors": errors(measured),
        "dropped": int((~measured.sent).sum()),
        "valid": not invalid,
        "invalid_reasons": invalid,
        "throughput": rounded(throughput(rows, begin=plan.warmup_seconds, end=plan.duration)),
        "latency": {**latencies(measured), "unit": "ms"},
        "service_time": {**percentiles(measured.service_time_ms[measured.sent]), "unit": "ms"},
        "error_rate": error_rate(measured),
        "upper_95": upper_bounds(measured),
        "by_transaction": by_transaction(measured, plan=plan),
        "statuses": statuses(measured),
        "aborted": summary.reason,
        "generator": {
            "outcome": summary.outcome.value,
            "cpu_percent": rounded(summary.cpu_percent),
            "start_error_p95_ms": start_error_p95(measured),
            "version": summary.generator,
        },
        "plan_sha256": plan.digest,
        "rows": dict(rows_reference),
    }
    if plan.scenario is Scenario.STRESS:
        document["steps"] = _steps(rows, plan)
    if fault is not None:
        document["fault"] = dict(fault)
    return document


def invalid_reasons(rows: Rows, *, plan: LoadPlan, summary: GeneratorSummary, judged: Sequence[str]) -> list[str]:
    """Why the test is no measurement, one line each; empty when it is one. `judged` names the percentiles it must carry."""
    measured = rows.between(plan.warmup_seconds, plan.duration)
    reasons = []
    cut_short = summary.outcome is not Outcome.COMPLETED
    # Stress looks for the limit: ending at it, after a whole step, is its result.
    first = plan.stages[0]
    stood = len(rows.between(plan.warmup_seconds, plan.warmup_seconds + first.seconds)) >= first.requests
    found_limit = plan.scenario is Scenario.STRESS and summary.outcome is Outcome.ABORTED and stood
    if cut_short and not found_limit:
        reasons.append(f"the test was {summary.outcome}: {summary.reason or 'no reason given'}")
    if not len(measured):
        return [*reasons, "no request after the warm-up"]
    if not cut_short and len(rows) != plan.total_requests:
        reasons.append(f"there are {len(rows)} rows for {plan.total_requests} planned requests")
    # Beyond its limit the service makes requests late and dropped; the steps of a stress test say so one by one.
    if not cut_short and plan.scenario is not Scenario.STRESS:
        achieved = started(measured, end=plan.duration) / plan.measured_requests
        if achieved < MIN_ACHIEVED:
            reasons.append(f"only {achieved:.1%} of the planned requests started in time, {MIN_ACHIEVED:.0%} needed")
    dropped = float((~measured.sent).mean())
    if dropped > MAX_DROPPED and plan.scenario is not Scenario.STRESS:
        reasons.append(f"{dropped:.1%} of the requests were dropped at {plan.max_in_flight} open ones, {MAX_DROPPED:.1%} allowed")
    if not summary.cpu_percent <= MAX_CPU_PERCENT:
        reasons.append(f"the generator used {summary.cpu_percent:.0f} % of a core, {MAX_CPU_PERCENT:.0f} % allowed")
    sent = int(measured.sent.sum())
    late = start_error_p95(measured) or 0.0
    allowed = max(MAX_START_ERROR_MS, MAX_START_ERROR_SHARE * (percentile(measured.latency_ms[measured.sent], 95) or 0.0))
    if late > allowed:
        reasons.append(f"the generator started late: p95 {late:.1f} ms, {allowed:.1f} ms allowed")
    reasons += [f"{name} needs {SAMPLES_NEEDED[name]} samples, there are {sent}" for name in judged if sent < SAMPLES_NEEDED[name]]
    if summary.build_after is not None and summary.build_after != summary.build:
        reasons.append(f"the build changed during the test from {summary.build} to {summary.build_after}")
    if summary.plan_sha256 != plan.digest:
        reasons.append("the rows belong to another plan")
    return reasons


def _steps(rows: Rows, plan: LoadPlan) -> list[dict[str, Any]]:
    steps = []
    begin = plan.warmup_seconds
    for stage in plan.stages:
        end = begin + stage.seconds
        own = rows.between(begin, end)
        complete = len(own) >= stage.requests
        open_requests = float(np.nansum(np.minimum(rows.end, end).clip(min=begin) - rows.start.clip(begin, end)))
        steps.append(
            {
                "rate": stage.rate,
                "seconds": stage.seconds,
                "complete": complete,
                "requests": int(own.sent.sum()),
                "errors": errors(own),
                "dropped": int((~own.sent).sum()),
                "achieved_rate": rounded(started(own, end=end) / stage.seconds),
                "throughput": rounded(throughput(rows, begin=begin, end=end)),
                "concurrency": rounded(open_requests / stage.seconds),
                **latencies(own),
                "error_rate": error_rate(own),
            }
        )
        begin = end
    return steps
