"""What a cycle hands on: notes for the neighbouring protocols, and the backlog that the next cycle starts from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from perfproof import markdown as md
from perfproof.config import Labels
from perfproof.moments import stamp


def backlog(
    *, plan: Mapping[str, Any], hypotheses: Mapping[str, Any], validation: Mapping[str, Any], load_results: Mapping[str, Any],
    considered: Sequence[str], run: str, now: datetime,
) -> dict[str, Any]:  # fmt: skip
    """`performance-intake-backlog.json`: planned work that was not done, open hypotheses, breached load targets, short guards."""
    done = set(validation.get("optimizations") or [validation["optimization_id"]])
    items: list[dict[str, Any]] = []

    def add(kind: str, service: str, title: str, why: str) -> None:
        items.append({"id": f"BLG-{len(items) + 1:03d}", "kind": kind, "service": service, "title": title, "reason": why})

    for task in plan["tasks"]:
        if task["id"] not in done:
            add("optimization", task["service"], task["title"], "planned in this cycle and not implemented")
    for hypothesis in hypotheses["hypotheses"]:
        if hypothesis["status"] == "open":
            add("hypothesis", hypothesis["service"], hypothesis["symptom"], f"not decided: {hypothesis['confirming_evidence']}")
    for bottleneck in load_results.get("bottlenecks", ()):
        add("load", str(bottleneck["service"]), str(bottleneck["issue"]), f"severity {bottleneck['severity']} before the optimization")
    for guard in validation.get("guards", ()):
        if guard["label"] != "no regression":
            add("guard", str(considered[0]) if considered else "", str(guard["metric"]), str(guard["reason"]))
    for entry in validation.get("unguarded", ()):
        add("unguarded", str(considered[0]) if considered else "", str(entry["metric"]), str(entry["reason"]))
    return {"created_at": stamp(now), "run": run, "items": items}


def improvement_notes(
    *, backlog_document: Mapping[str, Any], slo_record: Mapping[str, Any], validation: Mapping[str, Any], labels: Labels,
    recipients: Mapping[str, str], report_sha256: str, now: datetime,
) -> str:  # fmt: skip
    """`continuous-improvement-notes.md`: recommendations for the next protocol and for monitoring, each with its recipient."""
    lines = ["# Continuous improvement notes", "", f"Written at {stamp(now)}. The report they follow has sha256 {md.code(report_sha256)}.", ""]
    lines += [f"## Recommendations for {labels.next_protocol}", "", f"Recipient: {md.text(recipients['next_protocol'])}", ""]
    gained = validation["improvement"]["percentage"]
    lines.append(f"- {md.text(validation['target_metric'])} improved by {gained} % with {md.text(', '.join(validation.get('optimizations', [])))}.")
    for item in backlog_document["items"]:
        lines.append(f"- {md.text(item['id'])} ({md.text(item['kind'])}): {md.text(item['title'])}. {md.text(item['reason'])}.")
    if not backlog_document["items"]:
        lines.append("- Nothing is left open by this cycle.")
    lines += ["", f"## Recommendations for {labels.monitoring}", "", f"Recipient: {md.text(recipients['monitoring'])}", ""]
    for update in slo_record["updates"]:
        alerts = "; ".join(update["alert_thresholds"])
        lines.append(f"- Watch {md.text(update['slo_name'])} at {md.text(update['new_target'])}. Alerts: {md.text(alerts)}.")
    for entry in validation.get("unguarded", ()):
        lines.append(f"- {md.text(entry['metric'])} was not guarded ({md.text(entry['reason'])}): watch it after the rollout.")
    return "\n".join(lines) + "\n"
