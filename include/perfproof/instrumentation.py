"""Monitoring that follows the new expectation: alert rules, a dashboard, a tracing policy, and the log of them.

Phase 3 prepares, phase 4 applies after the SLO approval and supersedes the log.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import yaml

from perfproof import markdown as md
from perfproof.config import CloudWatchTarget, Service
from perfproof.moments import stamp
from perfproof.slo import ALERT_WINDOWS
from perfproof.slos.exports import exported_files
from perfproof.slos.grafana import SCHEMA_VERSION, budget_panels, dashboard_uid, datasource_variable, with_datasource
from perfproof.slos.promql import filled, template_text
from perfproof.slos.proposal import proposed_objectives
from perfproof.telemetry import Direction, MetricKind, Unit

RULES, DASHBOARD, TRACING = "alert-rules.yaml", "dashboard.json", "tracing.json"
# Units as Grafana names them; what it has no name for is shown as a plain number.
GRAFANA_UNITS = {Unit.MILLISECONDS: "ms", Unit.SECONDS: "s", Unit.PER_SECOND: "reqps", Unit.PERCENT: "percent", Unit.MEBIBYTES: "mbytes"}
MILLISECONDS = {Unit.MILLISECONDS: 1.0, Unit.SECONDS: 1000.0}
Update = Mapping[str, Any]


def instrumentation_files(*, service: Service, updates: Sequence[Update]) -> dict[str, bytes]:
    """The files that make monitoring follow `updates` (of an SLO proposal or of the provisional one), by name.

    Prometheus alert rules, a Grafana dashboard, and policies for the tail sampling processor of the OpenTelemetry Collector.
    """
    rules = [rule for update in updates for rule in _rules(service, update)]
    panels = [with_datasource(_panel(service, update, place)) for place, update in enumerate(updates)]
    panels += budget_panels(proposed_objectives(updates), first_id=len(panels) + 1, top=8 * len(panels))
    policies = [policy for update in updates if (policy := _policy(service, update)) is not None]
    group = {"groups": [{"name": f"perfproof-{service.name}", "rules": rules}]}
    dashboard = {
        "title": f"{service.name}: objectives",
        "uid": dashboard_uid(f"perfproof-{service.name}"),
        "schemaVersion": SCHEMA_VERSION,
        "templating": {"list": [datasource_variable()]},
        "panels": panels,
    }
    return {
        RULES: yaml.safe_dump(group, sort_keys=False, allow_unicode=True, width=1000).encode(),
        DASHBOARD: _json(dashboard),
        TRACING: _json({"processors": {"tail_sampling": {"policies": policies}}}),
    }


def slo_files(updates: Sequence[Update], *, cloudwatch: CloudWatchTarget | None = None) -> dict[str, bytes]:
    """The files that make the burn-rate alerts of `updates` live, by name: rules with their test, OpenSLO, Sloth, CloudWatch.

    They lie in a directory of their own, so that what reads all files of one kind beside it finds only what it can read.
    """
    return exported_files(proposed_objectives(updates), cloudwatch=cloudwatch)


def _json(document: Mapping[str, Any]) -> bytes:
    return (json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _query(service: Service, metric: str, window: str) -> str:
    spec = service.metric(metric)
    instance = service.endpoints.baseline.instance
    return filled(spec.query if spec else "", instance=instance, service=service.name, window=window)


def _lower(service: Service, metric: str) -> bool:
    spec = service.metric(metric)
    return spec is None or spec.direction is Direction.LOWER


def _rules(service: Service, update: Update) -> list[dict[str, Any]]:
    """One alert for each pair of windows: both must breach, so that it is neither hasty nor late to end."""
    metric = str(update["metric"])
    sign = ">" if _lower(service, metric) else "<"
    rules = []
    for severity, long, short in ALERT_WINDOWS:
        sides = [f"({_query(service, metric, window)}) {sign} {update['new_value']:.12g}" for window in (long, short)]
        rules.append(
            {
                "alert": f"{service.name}_{metric}_{severity}",
                "expr": " and ".join(sides),
                "labels": {"severity": severity, "service": service.name},
                "annotations": {
                    "summary": template_text(f"{metric} beyond {update['new_target']} over {long} and {short}"),
                    "escalation": template_text(str(update["escalation_policy"])),
                },
            }
        )
    return rules


def _panel(service: Service, update: Update, place: int) -> dict[str, Any]:
    metric, target = str(update["metric"]), update["new_value"]
    colours = ("green", "red") if _lower(service, metric) else ("red", "green")
    spec = service.metric(metric)
    return {
        "id": place + 1,
        "title": md.visible(update["slo_name"]),
        "type": "timeseries",
        "gridPos": {"h": 8, "w": 24, "x": 0, "y": 8 * place},
        "targets": [{"refId": "A", "expr": _query(service, metric, "5m")}],
        "fieldConfig": {
            "defaults": {
                "unit": GRAFANA_UNITS.get(spec.unit, "none") if spec else "none",
                "custom": {"thresholdsStyle": {"mode": "line"}},
                "thresholds": {
                    "mode": "absolute",
                    "steps": [{"color": colours[0], "value": None}, {"color": colours[1], "value": target}],
                },
            },
            "overrides": [],
        },
    }


def _policy(service: Service, update: Update) -> dict[str, Any] | None:
    """Keeps every trace of the service that is slower than the target. None where the metric is no latency."""
    spec = service.metric(str(update["metric"]))
    if spec is None or spec.kind is not MetricKind.LATENCY or spec.unit not in MILLISECONDS:
        return None
    threshold = max(1, round(update["new_value"] * MILLISECONDS[spec.unit]))
    return {
        "name": f"{service.name}_{spec.name}_slow",
        "type": "and",
        "and": {
            "and_sub_policy": [
                {"name": "service", "type": "string_attribute", "string_attribute": {"key": "service.name", "values": [service.name]}},
                {"name": "slow", "type": "latency", "latency": {"threshold_ms": threshold}},
            ]
        },
    }


def instrumentation_log(
    *,
    state: str,
    service: Service,
    updates: Sequence[Update],
    files: Mapping[str, Mapping[str, str]],
    directory: str | None,
    validation_ref: Mapping[str, str],
    builds: Mapping[str, str],
    now: datetime,
    where: Sequence[str] = (),
) -> str:
    """`instrumentation-update-log.md`. `state` is `prepared` or `applied`; `files` maps each name to its digest.

    `where` are lines of Markdown about what was changed at which place, made by `perfproof.applied_instrumentation`.

    The three headings are the spec's (phase 3, step 3): dashboards, alerts and tracing. Files beside those of the headings hold
    the same objectives for other tools, and are listed under the alerts.
    """
    meaning = {
        "prepared": "Nothing is changed yet: the files below take effect after the SLO approval.",
        "applied": "The SLO update is approved, and what is below was put where the last section says.",
    }[state]
    lines = [
        "# Instrumentation update log",
        "",
        f"- State: **{state}**. {meaning}",
        f"- Written at {stamp(now)} for service {md.code(service.name)}, builds "
        + ", ".join(f"{side} {md.code(build)}" for side, build in builds.items())
        + ".",
        f"- Follows from {md.code(validation_ref['name'])}, SHA-256 {md.code(validation_ref['sha256'])}.",
        *([f"- Directory: {md.code(directory)}"] if directory else []),
        "",
    ]
    said = {
        "Dashboards": (DASHBOARD, [_dashboard_line(update) for update in updates]),
        "Alerts": (RULES, [_alert_line(update, threshold) for update in updates for threshold in update["alert_thresholds"]]),
        "Tracing": (TRACING, [_tracing_line(service, update) for update in updates]),
    }
    for heading, (name, sentences) in said.items():
        lines += [f"## {heading}", "", f"File {md.code(name)}, SHA-256 {md.code(files[name]['sha256'])}.", ""]
        lines += [f"- {md.text(line)}" for line in sentences] or ["- No objective asks for a change here."]
        if heading == "Alerts":
            lines += _burn_rate_lines(updates, {other: files[other] for other in files if other not in (RULES, DASHBOARD, TRACING)})
        lines.append("")
    if where:
        lines += ["## What was changed, and where", "", *where, ""]
    return "\n".join(lines)


def _confirmed(update: Update) -> bool:
    return bool(update.get("previous_value") == update["new_value"])


def _dashboard_line(update: Update) -> str:
    target = f"line at {update['new_target']}"
    told = f"{target}, confirmed as it was" if _confirmed(update) else f"{target}, before: {update['previous_target']}"
    return f"Panel {update['slo_name']}: {told}."


def _alert_line(update: Update, threshold: str) -> str:
    told = " (target confirmed as it was)" if _confirmed(update) else ""
    return f"{update['slo_name']}: {threshold}{told}. Escalation: {str(update['escalation_policy']).rstrip('.')}."


def _burn_rate_lines(updates: Sequence[Update], files: Mapping[str, Mapping[str, str]]) -> list[str]:
    """The burn-rate alerts with their back-test, and the files that hold them."""
    lines = []
    for update in updates:
        alerts = update.get("burn_rate_alerts") or {}
        told = [alert["words"] for alert in alerts.get("alerts", ())]
        told += [f"left out: {reason}" for reason in alerts.get("left_out", ())]
        told += (update.get("back_test") or {}).get("words", ())
        lines += ["- " + md.text(f"{update['slo_name']}: {line}") for line in told]
    return lines + [f"- File {md.code(name)}, SHA-256 {md.code(reference['sha256'])}." for name, reference in files.items()]


def _tracing_line(service: Service, update: Update) -> str:
    if _policy(service, update) is None:
        return f"{update['metric']} is no latency, so no trace is slow by it: the sampling of traces is left as it is."
    told = ", as before" if _confirmed(update) else ""
    return f"Keep every trace of {service.name} that takes longer than {update['new_target']}{told}."
