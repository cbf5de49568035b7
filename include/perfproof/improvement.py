"""What a cycle hands on: notes for the neighbouring protocols, and the backlog that the next cycle starts from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from perfproof import markdown as md
from perfproof.config import Labels
from perfproof.inputs.backlog import DRIFT, MAX_ITEMS, SCHEMA_VERSION
from perfproof.moments import stamp
from perfproof.promised_gains import gain_lines
from perfproof.report.blocks import sentence
from perfproof.slo import achievement


def backlog(
    *, plan: Mapping[str, Any], hypotheses: Mapping[str, Any], validation: Mapping[str, Any], load_results: Mapping[str, Any],
    considered: Sequence[str], run: str, now: datetime, promised: Mapping[str, Any] | None = None,
    inherited: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:  # fmt: skip
    """`performance-intake-backlog.json`, as `perfproof.inputs.backlog` reads it in the next cycle.

    It holds planned work that was not done, open hypotheses, breached load targets, regressed and undecided guards, and
    metrics that nobody guards, and of `inherited` (the backlog of this cycle's intake) the drifts that its change did not mitigate
    and what is about services that it did not consider. `metric` is None where an item is about none. `promised_gains` are the
    records of `promised` (`perfproof.promised_gains`), so that each cycle hands the whole history on.
    """
    done = set(validation.get("optimizations") or [validation["optimization_id"]])
    # What was measured belongs to the service that was measured; an old report without it is about the first one considered.
    measured = str(validation.get("service") or (considered[0] if considered else ""))
    items: list[dict[str, Any]] = []

    def add(kind: str, service: Any, title: Any, why: Any, metric: Any = None) -> None:
        items.append(
            {
                "id": f"BLG-{len(items) + 1:03d}",
                "kind": kind,
                "service": str(service),
                "title": str(title).strip() or "UNKNOWN",
                "reason": str(why),
                "metric": None if metric is None else str(metric),
            }
        )

    for task in plan["tasks"]:
        if task["id"] not in done:
            add("optimization", task["service"], task["title"], "planned in this cycle and not implemented", task.get("baseline_metric"))
    for task in plan.get("not_planned") or ():
        why = f"proposed and not planned: {task.get('reason') or 'no reason given'}"
        add("optimization", task.get("service") or measured, task.get("title") or task.get("id"), why)
    for hypothesis in hypotheses["hypotheses"]:
        if hypothesis["status"] == "open":
            why = f"not decided: {hypothesis['confirming_evidence']}"
            add("hypothesis", hypothesis["service"], hypothesis["symptom"], why, hypothesis.get("metric"))
    for bottleneck in load_results.get("bottlenecks") or ():
        add("load", bottleneck["service"], bottleneck["issue"], f"severity {bottleneck['severity']} before the optimization")
    for guard in validation.get("guards") or ():
        if guard["label"] != "no regression":
            title = f"{guard['metric']}: {'worse after the change' if guard['label'] == 'regression' else 'not decided'}"
            add("guard", measured, title, guard["reason"], guard["metric"])
    for entry in validation.get("unguarded") or ():
        add("unguarded", measured, f"{entry['metric']}: no guard watches it", entry["reason"], entry["metric"])
    for item in inherited:
        if item["kind"] == DRIFT:
            if not _mitigated(item, validation, measured) and all(item["id"] != other["id"] for other in items):
                items.append({**_handed_on(item, run), "id": str(item["id"])})
        elif item["service"] not in considered:
            items.append({**_handed_on(item, run), "id": f"BLG-{len(items) + 1:03d}"})
    document = {"schema_version": SCHEMA_VERSION, "created_at": stamp(now), "run": run, "items": items[:MAX_ITEMS]}
    return document if promised is None else {**document, "promised_gains": list(promised["records"])}


def _mitigated(drift: Mapping[str, Any], validation: Mapping[str, Any], measured: str) -> bool:
    """Whether the cycle proved an improvement of the very metric that drifted."""
    about = (drift["service"], drift["metric"]) == (measured, validation.get("target_metric"))
    return about and validation.get("status") == "pass"


def _handed_on(item: Mapping[str, Any], run: str) -> dict[str, Any]:
    """An inherited item as this cycle hands it on: without what this cycle's own intake said about it, with who has carried it."""
    kept = {key: value for key, value in item.items() if key not in ("type", "from", "taken_by")}
    return {**kept, "carried_by": [*item.get("carried_by", ()), run]}


def improvement_notes(
    *, backlog_document: Mapping[str, Any], slo_record: Mapping[str, Any], validation: Mapping[str, Any], labels: Labels,
    recipients: Mapping[str, str], report_sha256: str, now: datetime, promised: Mapping[str, Any] | None = None,
) -> str:  # fmt: skip
    """`continuous-improvement-notes.md`: recommendations for the next protocol and for monitoring, each with its recipient."""
    lines = [
        "# Continuous improvement notes",
        "",
        f"Written at {stamp(now)}. The report they follow has SHA-256 {md.code(report_sha256)}.",
        "",
    ]
    lines += _heading(labels.next_protocol, recipients["next_protocol"])
    changes = ", ".join(str(name) for name in validation.get("optimizations") or [validation["optimization_id"]])
    told = f"{validation['target_metric']}: {achievement(validation['improvement'].get('percentage'))} ({changes})"
    lines.append(f"- {md.text(sentence(told))}")
    if promised is not None:
        lines += [f"- Promised and realized gains over cycles, {md.text(line)}" for line in gain_lines(promised)]
    for item in backlog_document["items"]:
        lines.append(
            f"- {md.text(item['id'])} ({md.text(item['kind'])}): {md.text(sentence(item['title']))} {md.text(sentence(item['reason']))}"
        )
    if not backlog_document["items"]:
        lines.append("- Nothing is left open by this cycle.")
    # Two headings of the same name would be one: the labels are configured and may be equal.
    monitoring = labels.monitoring if labels.monitoring != labels.next_protocol else f"{labels.monitoring} (monitoring)"
    lines += ["", *_heading(monitoring, recipients["monitoring"])]
    for update in slo_record["updates"]:
        alerts = "; ".join(str(threshold) for threshold in update["alert_thresholds"])
        lines.append(f"- Watch {md.text(update['slo_name'])} at {md.text(update['new_target'])}. Alerts: {md.text(sentence(alerts))}")
    watched = validation.get("unguarded") or ()
    for entry in watched:
        lines.append(f"- Watch {md.text(entry['metric'])} after the rollout. {md.text(sentence(entry['reason']))}")
    if not slo_record["updates"] and not watched:
        lines.append("- No objective changed and every metric was guarded: monitoring stays as it is.")
    return "\n".join(lines) + "\n"


def _heading(label: str, recipient: str) -> list[str]:
    return [f"## Recommendations for {md.text(label)}", "", f"Recipient: {md.text(recipient)}", ""]
