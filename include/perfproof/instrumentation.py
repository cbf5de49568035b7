"""Monitoring that follows the new expectation: alert rules, a dashboard, a tracing threshold, and the log of them.

Phase 3 prepares, phase 4 applies after the SLO approval and supersedes the log.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import yaml

from perfproof import markdown as md
from perfproof.config import Service
from perfproof.moments import stamp
from perfproof.slo import ALERT_WINDOWS
from perfproof.telemetry import Direction

RULES, DASHBOARD, TRACING = "alert-rules.yaml", "dashboard.json", "tracing.json"


def _query(service: Service, metric: str, window: str) -> str:
    spec = service.metric(metric)
    query = spec.query if spec else ""
    substitutes = {"$instance": service.endpoints.baseline.instance, "$service": service.name, "$window": window}
    for name, value in substitutes.items():
        query = query.replace(name, value)
    return query


def instrumentation_files(*, service: Service, updates: Sequence[Mapping[str, Any]]) -> dict[str, bytes]:
    """The files that make monitoring follow `updates` (of an SLO proposal or of the provisional one), by name."""
    rules, panels, thresholds = [], [], []
    for update in updates:
        spec = service.metric(str(update["metric"]))
        lower = spec is None or spec.direction is Direction.LOWER
        sign, target = (">" if lower else "<"), update["new_value"]
        for severity, long, short in ALERT_WINDOWS:
            sides = [f"({_query(service, str(update['metric']), window)}) {sign} {target:g}" for window in (long, short)]
            rules.append(
                {
                    "alert": f"{service.name}_{update['metric']}_{severity}",
                    "expr": " and ".join(sides),
                    "labels": {"severity": severity, "service": service.name},
                    "annotations": {
                        "summary": f"{update['metric']} beyond {update['new_target']} over {long} and {short}",
                        "escalation": str(update["escalation_policy"]),
                    },
                }
            )
        panels.append(
            {
                "title": str(update["slo_name"]),
                "type": "timeseries",
                "targets": [{"expr": _query(service, str(update["metric"]), "5m")}],
                "fieldConfig": {"defaults": {"unit": str(update["unit"]), "thresholds": {"steps": [{"color": "red", "value": target}]}}},
            }
        )
        thresholds.append({"service": service.name, "metric": str(update["metric"]), "slow_above": target, "unit": str(update["unit"])})
    group = {"groups": [{"name": f"perfproof-{service.name}", "rules": rules}]}
    return {
        RULES: yaml.safe_dump(group, sort_keys=False, allow_unicode=True, width=1000).encode(),
        DASHBOARD: (json.dumps({"title": f"{service.name}: objectives", "panels": panels}, indent=2) + "\n").encode(),
        TRACING: (json.dumps({"keep_traces": thresholds}, indent=2) + "\n").encode(),
    }


def instrumentation_log(
    *,
    state: str,
    service: Service,
    updates: Sequence[Mapping[str, Any]],
    files: Mapping[str, Mapping[str, str]],
    directory: str,
    validation_ref: Mapping[str, str],
    builds: Mapping[str, str],
    now: datetime,
) -> str:
    """`instrumentation-update-log.md`. `state` is `prepared` or `applied`; `files` maps each name to its digest.

    The three headings are the spec's (phase 3, step 3): dashboards, alerts and tracing.
    """
    verb = {"prepared": "Prepared, not yet applied: it takes effect after the SLO approval", "applied": "Applied"}[state]
    lines = [
        "# Instrumentation update log",
        "",
        f"- State: **{state}**. {verb}.",
        f"- Written at {stamp(now)} for service {md.code(service.name)}, builds "
        + ", ".join(f"{side} {md.code(build)}" for side, build in builds.items())
        + ".",
        f"- Follows from {md.code(validation_ref['name'])} sha256 {md.code(validation_ref['sha256'])}.",
        f"- Directory: {md.code(directory)}",
        "",
    ]
    words = {
        "Dashboards": (DASHBOARD, "panel {slo_name}: red line at {new_target} (was {previous_target})"),
        "Alerts": (RULES, "{slo_name}: {alerts}"),
        "Tracing": (TRACING, "keep every trace of {service} slower than {new_target}"),
    }
    for heading, (name, sentence) in words.items():
        lines += [f"## {heading}", "", f"File {md.code(name)}, sha256 {md.code(files[name]['sha256'])}.", ""]
        for update in updates:
            filled = sentence.format(**{**update, "alerts": "; ".join(update["alert_thresholds"])})
            lines.append(f"- {md.text(filled)}")
        lines.append("")
    return "\n".join(lines)
