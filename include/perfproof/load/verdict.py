"""Is a load test a measurement at all, and which figures does it give?

Order matters: first valid or not, then targets. An invalid test says nothing about the service, neither good nor bad.
Rules and limits: achieved below 97 % of the planned rate, more than 0.5 % dropped, a generator above 80 % CPU or late
itself, too few samples for a percentile that is judged, a build that changed, a test that was cut short.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perfproof.errors import LoadError
from perfproof.load.plan import LoadPlan, Scenario
from perfproof.load.rows import NoAnswer, Rows, percentile
from perfproof.statistics.counts import wilson
from perfproof.statistics.percentiles import percentile_interval, smallest_sample
from perfproof.strict import build

MIN_ACHIEVED = 0.97
MAX_DROPPED = 0.005
MAX_CPU_PERCENT = 80.0
MAX_START_ERROR_MS = 25.0
MAX_START_ERROR_SHARE = 0.10
# A request of the last moment may start a little later than the stage ends.
START_SLACK_SECONDS = 0.1
SHARES = {"p50": 0.50, "p95": 0.95, "p99": 0.99}
# Fewer samples give the percentile's 95 % interval no upper end: 6, 72 and 368.
SAMPLES_NEEDED = {name: smallest_sample(share) for name, share in SHARES.items()}
# Fewer good answers than this after the last failure could be luck.
MIN_PROOF_OF_RECOVERY = 10
JUDGED = {
    Scenario.PEAK: ("p50", "p95", "p99"),
    Scenario.STRESS: (),
    Scenario.FAILURE: (),
    Scenario.MEASUREMENT: ("p95",),
}


class Outcome(StrEnum):
    """How a generator ended. `aborted`: a stop condition of the plan; `stopped`: a signal, the lease, the deadline."""

    COMPLETED = "completed"
    ABORTED = "aborted"
    STOPPED = "stopped"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class GeneratorSummary:
    """What the generator says about itself. `cpu_percent` is of one core; `reason` tells why it did not complete.

    `refusal` holds the parts of a LoadError when the target was refused before any load.
    """

    outcome: Outcome
    reason: str | None
    started_at: str
    seconds: float
    cpu_percent: float
    start_error_p95_ms: float
    planned: int
    sent: int
    dropped: int
    build: str
    build_after: str | None
    plan_sha256: str
    generator: str
    refusal: dict[str, str] | None = None


def read_summary(document: Any, *, where: str = "generator summary") -> GeneratorSummary:
    """The summary in `document`. Raises LoadError for unknown keys and wrong types."""
    return build(GeneratorSummary, document, where=where, error=LoadError)


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
        "offered_rate": _round(plan.measured_requests / seconds),
        "achieved_rate": _round(_started(measured, plan.duration) / seconds),
        "requests": int(measured.sent.sum()),
        "errors": _errors(measured),
        "dropped": int((~measured.sent).sum()),
        "valid": not invalid,
        "invalid_reasons": invalid,
        "throughput": _round(_throughput(rows, plan.warmup_seconds, plan.duration)),
        "latency": {**_latencies(measured), "unit": "ms"},
        "service_time": {**percentiles(measured.service_time_ms[measured.sent]), "unit": "ms"},
        "error_rate": error_rate(measured),
        "upper_95": upper_bounds(measured),
        "by_transaction": by_transaction(measured, plan=plan),
        "statuses": _statuses(measured),
        "aborted": summary.reason,
        "generator": {
            "outcome": summary.outcome.value,
            "cpu_percent": _round(summary.cpu_percent),
            "start_error_p95_ms": _round(summary.start_error_p95_ms),
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
    # Stress looks for the limit: ending at it, after a step that stood, is its result.
    found_limit = plan.scenario is Scenario.STRESS and summary.outcome is Outcome.ABORTED
    if cut_short and not (found_limit and len(rows.between(0, plan.warmup_seconds + plan.stages[0].seconds)) >= plan.stages[0].requests):
        reasons.append(f"the test was {summary.outcome}: {summary.reason or 'no reason given'}")
    if not len(measured):
        return [*reasons, "no request after the warm-up"]
    # Beyond its limit the service makes requests late and dropped; the steps of a stress test say so one by one.
    if not cut_short and plan.scenario is not Scenario.STRESS:
        achieved = _started(measured, plan.duration) / plan.measured_requests
        if achieved < MIN_ACHIEVED:
            reasons.append(f"only {achieved:.1%} of the planned requests started in time, {MIN_ACHIEVED:.0%} needed")
    dropped = float((~measured.sent).mean())
    if dropped > MAX_DROPPED and plan.scenario is not Scenario.STRESS:
        reasons.append(f"{dropped:.1%} of the requests were dropped at {plan.max_in_flight} open ones, {MAX_DROPPED:.1%} allowed")
    if not summary.cpu_percent <= MAX_CPU_PERCENT:
        reasons.append(f"the generator used {summary.cpu_percent:.0f} % of a core, {MAX_CPU_PERCENT:.0f} % allowed")
    p95 = percentile(measured.latency_ms[measured.sent], 95) or 0.0
    allowed = max(MAX_START_ERROR_MS, MAX_START_ERROR_SHARE * p95)
    if not summary.start_error_p95_ms <= allowed:
        reasons.append(f"the generator started late: p95 {summary.start_error_p95_ms:.1f} ms, {allowed:.1f} ms allowed")
    sent = int(measured.sent.sum())
    reasons += [f"{name} needs {SAMPLES_NEEDED[name]} samples, there are {sent}" for name in judged if sent < SAMPLES_NEEDED[name]]
    if summary.build_after is not None and summary.build_after != summary.build:
        reasons.append(f"the build changed during the test from {summary.build} to {summary.build_after}")
    if summary.plan_sha256 != plan.digest:
        reasons.append("the rows belong to another plan")
    return reasons


def error_rate(rows: Rows) -> float | None:
    """Failed requests among those sent, in percent; None when none were sent."""
    sent = int(rows.sent.sum())
    return _round(100.0 * _errors(rows) / sent) if sent else None


def upper_bounds(rows: Rows) -> dict[str, float | None]:
    """Upper ends of the two-sided 95 % intervals: p50, p95, p99 in ms (order statistics), error rate in percent (Wilson).

    None where the samples are too few for a finite end.
    """
    sent = int(rows.sent.sum())
    if not sent:
        return dict.fromkeys((*SHARES, "error_rate"))
    latencies = rows.latency_ms[rows.sent].tolist()
    ends = {name: _optional(percentile_interval(latencies, share).high) for name, share in SHARES.items()}
    return {**ends, "error_rate": _round(100.0 * wilson(_errors(rows), sent, confidence=0.95).high)}


def by_transaction(rows: Rows, *, plan: LoadPlan) -> dict[str, dict[str, Any]]:
    """Requests, errors and latency percentiles (ms, None without samples) of each transaction of the plan."""
    result = {}
    for transaction in plan.transactions:
        own = rows.where(rows.transaction == transaction.name)
        result[transaction.name] = {"requests": int(own.sent.sum()), "errors": _errors(own), **_latencies(own)}
    return result


def failure_outcome(rows: Rows, *, plan: LoadPlan, fault: str, injected_at: float, recover_within_seconds: float) -> dict[str, Any]:
    """How the service came through `fault`, injected `injected_at` seconds after the test began (warm-up included).

    It has recovered once no request fails any more: `recovered_after_seconds` is from the injection to the end of the
    last failed request, None when too few requests succeeded after it to tell.
    """
    after = rows.where(rows.sent & (rows.end >= injected_at))
    failed = after.where(~after.ok)
    last = float(failed.end.max()) if len(failed) else injected_at
    proof = int(after.where(after.ok & (after.intended_start >= last)).sent.sum())
    took = round(last - injected_at, 3) if proof >= MIN_PROOF_OF_RECOVERY else None
    return {
        "fault": fault,
        "at_second": round(injected_at - plan.warmup_seconds, 3),
        "errors_during": len(failed),
        "recovered_after_seconds": took,
        "recover_within_seconds": recover_within_seconds,
        "recovered": took is not None and took <= recover_within_seconds,
        "requests_after_recovery": proof,
    }


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
                "errors": _errors(own),
                "dropped": int((~own.sent).sum()),
                "achieved_rate": _round(_started(own, end) / stage.seconds),
                "throughput": _round(_throughput(rows, begin, end)),
                "concurrency": _round(open_requests / stage.seconds),
                **_latencies(own),
                "error_rate": error_rate(own),
            }
        )
        begin = end
    return steps


def _latencies(rows: Rows) -> dict[str, Any]:
    sent = int(rows.sent.sum())
    few = [name for name, needed in SAMPLES_NEEDED.items() if sent < needed]
    return {**percentiles(rows.latency_ms[rows.sent]), "too_few_samples_for": few}


def percentiles(values: NDArray[np.float64]) -> dict[str, float | None]:
    """p50, p95 and p99 of `values` by nearest rank, None without values."""
    return {name: _optional(percentile(values, 100.0 * share)) for name, share in SHARES.items()}


def _throughput(rows: Rows, begin: float, end: float) -> float:
    """Good answers per second: counted when they end, whenever they were due."""
    return float((rows.ok & (rows.end >= begin) & (rows.end < end)).sum()) / (end - begin)


def _started(rows: Rows, end: float) -> int:
    return int((rows.sent & (rows.start < end + START_SLACK_SECONDS)).sum())


def _errors(rows: Rows) -> int:
    return int((rows.sent & ~rows.ok).sum())


def _statuses(rows: Rows) -> dict[str, int]:
    codes, counts = np.unique(rows.status, return_counts=True)
    names = {int(member): member.name.lower() for member in NoAnswer}
    return {names.get(int(code), str(code)): int(count) for code, count in zip(codes, counts, strict=True)}


def _optional(value: float | None) -> float | None:
    return None if value is None else _round(value)


def _round(value: float) -> float:
    """Three decimals: microseconds of latency, and no digits that a clock does not carry."""
    return round(float(value), 3)
