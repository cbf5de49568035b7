"""The document of a test with user journeys, and what its figures cannot say.

Users wait for each answer. When the service stands still they send nothing, so the bad time leaves few requests and little
trace in a percentile. Such figures show where journeys break; no target and no change is judged by them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from perfproof.load.figures import error_rate, errors, latencies, percentiles, rounded, started, statuses, throughput, upper_bounds
from perfproof.load.journeys import JourneyPlan
from perfproof.load.rows import Rows
from perfproof.load.summary import GeneratorSummary, Outcome
from perfproof.load.verdict import MAX_CPU_PERCENT

CLOSED = "closed"
LIMITATIONS = (
    "closed model: users wait for each answer, so a service that stands still is asked less; its percentiles are lower bounds",
    "no request has an intended start: latency counts from the real start and cannot show coordinated omission",
    "the rate is what the users reached, not what was offered: no target of throughput or latency is judged by it",
)


def summarise_journeys(
    rows: Rows, *, plan: JourneyPlan, summary: GeneratorSummary, service: str, endpoint: str, rows_reference: Mapping[str, str]
) -> dict[str, Any]:
    """`evidence/load-journeys.json`: figures in ms and requests/s of what began once all users were there.

    `valid` says that the test ran as planned; `limitations` what it is no measurement of even then.
    """
    measured = rows.between(plan.warmup_seconds, plan.duration)
    invalid = _invalid_reasons(measured, plan=plan, summary=summary)
    return {
        "scenario": plan.scenario.value,
        "engine": plan.engine.value,
        "model": CLOSED,
        "limitations": list(LIMITATIONS),
        "service": service,
        "endpoint": endpoint,
        "build": summary.build,
        "started_at": summary.started_at,
        "seconds": plan.seconds,
        "warmup_seconds": rounded(plan.warmup_seconds),
        "users": plan.users,
        "workers": plan.workers,
        "file": {"path": plan.file, "sha256": plan.file_sha256},
        "offered_rate": None,
        "achieved_rate": rounded(started(measured, end=plan.duration) / plan.seconds),
        "requests": len(measured),
        "errors": errors(measured),
        "dropped": 0,
        "valid": not invalid,
        "invalid_reasons": invalid,
        "throughput": rounded(throughput(rows, begin=plan.warmup_seconds, end=plan.duration)),
        "latency": {**latencies(measured), "unit": "ms"},
        "service_time": {**percentiles(measured.service_time_ms), "unit": "ms"},
        "error_rate": error_rate(measured),
        "upper_95": upper_bounds(measured),
        "by_transaction": _by_name(measured),
        "statuses": statuses(measured),
        "aborted": summary.reason,
        "generator": {"outcome": summary.outcome.value, "cpu_percent": rounded(summary.cpu_percent), "version": summary.generator},
        "plan_sha256": plan.digest,
        "rows": dict(rows_reference),
    }


def _invalid_reasons(measured: Rows, *, plan: JourneyPlan, summary: GeneratorSummary) -> list[str]:
    reasons = []
    if summary.outcome is not Outcome.COMPLETED:
        reasons.append(f"the test was {summary.outcome}: {summary.reason or 'no reason given'}")
    if not len(measured):
        reasons.append("no request after all users were there")
    if not summary.cpu_percent <= MAX_CPU_PERCENT:
        reasons.append(f"a Locust process used {summary.cpu_percent:.0f} % of a core, {MAX_CPU_PERCENT:.0f} % allowed")
    if summary.build_after is not None and summary.build_after != summary.build:
        reasons.append(f"the build changed during the test from {summary.build} to {summary.build_after}")
    if summary.plan_sha256 != plan.digest:
        reasons.append("the rows belong to another plan")
    return reasons


def _by_name(rows: Rows) -> dict[str, dict[str, Any]]:
    found = {}
    for name in np.unique(rows.transaction).tolist():
        own = rows.where(rows.transaction == name)
        found[str(name)] = {"requests": len(own), "errors": errors(own), **latencies(own)}
    return found
