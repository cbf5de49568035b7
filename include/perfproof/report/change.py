"""The sections about the change: what was planned, how it was judged, and the objectives that follow from it."""

from __future__ import annotations

from typing import Any

from perfproof.artifacts import Artifact
from perfproof.report.blocks import Block, Code, Mark, Paragraph, Section, Subheading, Table, Tone, change, figure, percent, sentence
from perfproof.report.evidence import MEASUREMENT, Document, Evidence, pictures
from perfproof.report.minute import implemented
from perfproof.report.moved import moved
from perfproof.report.summary import TARGET

RISKS = {"high": Tone.BAD, "medium": Tone.WARNING}


def optimization(evidence: Evidence) -> Section:
    """The plan and what became of it."""
    done = implemented(evidence)
    blocks: list[Block] = [*evidence.origin(Artifact.OPTIMIZATION_PLAN)]
    empty = len(blocks)
    for task in evidence.plan["tasks"]:
        risk = str(task.get("risk"))
        facts = (
            ("Implemented", Mark("yes", Tone.GOOD) if task["id"] in done else Mark("no", Tone.WARNING)),
            ("Owner", task.get("owner")),
            ("Risk", (Mark(risk, RISKS.get(risk, Tone.NEUTRAL)), str(task.get("risk_notes") or ""))),
            ("Expected gain", (percent(task.get("expected_gain_percent")), sentence(task.get("gain_basis")))),
            ("Cause", str(task.get("cause")).replace("_", " ")),
            ("Finding", task.get("finding")),
            ("Hypothesis", task.get("hypothesis")),
            ("Baseline", f"{task.get('baseline_metric')} {figure(task.get('baseline_value'), task.get('baseline_unit'))}"),
        )
        blocks.append(Table((f"{task['id']}: {task['title']}", ""), facts))
    blocks += [
        Paragraph(f"Not planned: {item.get('id')} {item.get('title') or ''}. {sentence(item.get('reason'))}")
        for item in evidence.plan.get("not_planned") or ()
    ]
    if len(blocks) == empty:
        blocks.append(Paragraph("Nothing was planned."))
    return Section("Optimization", tuple(blocks))


def validation(evidence: Evidence) -> Section:
    """The judge's answer with its intervals, and how far this gate can be trusted here."""
    document = evidence.validation
    verdict = document.get("verdict") or {}
    words, tone = TARGET.get(str(verdict.get("label")), ("No verdict is recorded", Tone.WARNING))
    blocks: list[Block] = [
        *evidence.origin(Artifact.VALIDATION_REPORT, MEASUREMENT),
        Paragraph(sentence(verdict.get("reason")) or f"Status {document['status']}.", mark=Mark(words, tone)),
        *_method(document),
        Table(
            ("Target", "Before", "After", "Improvement", _interval_name(verdict), "Required", "Verdict"),
            (
                (
                    document["target_metric"],
                    figure(document["baseline"].get("value"), document["baseline"].get("unit")),
                    figure(document["optimized"].get("value"), document["optimized"].get("unit")),
                    percent(document["improvement"].get("percentage")),
                    interval(verdict, "%"),
                    f"at least {percent(verdict['threshold_percent'])}" if "threshold_percent" in verdict else None,
                    Mark(str(verdict.get("label") or document["status"]), tone),
                ),
            ),
            "The verdict about the target",
        ),
        *pictures(evidence, "latency-distribution"),
        *pictures(evidence, "blocks"),
        *_regressions(document),
        *_guards(document),
        *_unguarded(document),
        *moved(evidence),
        *_trust(document),
    ]
    return Section("Validation", tuple(blocks))


def _method(document: Document) -> list[Block]:
    if "interleaved" not in document:
        return []
    turns = "in turns, so that both saw the same environment"
    if not document["interleaved"]:
        turns = "ONE AFTER THE OTHER, so the environment may have changed between"
    old, new = (document.get("verdict") or {}).get("blocks") or (None, None)
    told = f"{old} valid blocks of the old build and {new} of the new one were measured {turns}. Mode: {document.get('mode')}."
    return [Paragraph(told), *_looks(document.get("sequential") or {})]


def _looks(sequential: Document) -> list[Block]:
    """How often it was looked, how many blocks that took, and why no more were measured."""
    looks = sequential.get("looks")
    if not looks:
        return []
    last = looks[-1].get("look")
    count = {1: "One look", 2: "Two looks", 3: "Three looks"}.get(last, f"{last} looks")
    used, most = sequential.get("used_blocks"), sequential.get("most_blocks")
    told = f"{count}, {used} of at most {most} blocks a side, stopped because {sentence(sequential.get('stopped_because'))}"
    table = tuple(
        (
            f"{look.get('look')}{', with fresh blocks' if look.get('confirmation_blocks') else ''}",
            look.get("blocks"),
            percent(100 * look["confidence"]) if isinstance(look.get("confidence"), int | float) else None,
            look.get("target"),
            tuple(f"{name}: {label}" for name, label in (look.get("guards") or {}).items()) or None,
            f"{look.get('next')}: {sentence(look.get('reason'))}",
        )
        for look in looks
    )
    return [Paragraph(told), Table(("Look", "Blocks a side", "Confidence", "Target", "Guards", "What follows"), table, "Looks at the data")]


def _interval_name(verdict: Document) -> str:
    confidence = verdict.get("confidence")
    return f"{100 * confidence:g} % interval" if isinstance(confidence, int | float) else "Interval"


def interval(verdict: Document, unit: str) -> str | None:
    """The interval of a verdict, None where the evidence gives none; an end without a bound is said to be open."""
    low, high = verdict.get("ci_low"), verdict.get("ci_high")
    if low is None and high is None:
        return None
    ends = [f"{end + 0.0:.4g}" if isinstance(end, int | float) else "open" for end in (low, high)]
    return f"{ends[0]} to {ends[1]} {unit}"


def _regressions(document: Document) -> list[Block]:
    found = document["regressions"]
    if not found:
        if _all_clear(document):
            return [Paragraph("No regression: every guard metric is within its margin.")]
        return [Paragraph("No regression was found, but not every guard is decided.", mark=Mark("UNDECIDED", Tone.WARNING))]
    header = ("Regression", "Before", "After", "Worse by")
    table = tuple(
        (r.get("metric"), figure(r.get("baseline")), figure(r.get("optimized")), percent(r.get("regression_percentage"))) for r in found
    )
    count = "1 metric" if len(found) == 1 else f"{len(found)} metrics"
    return [
        Paragraph(f"{count} got worse by more than the margin.", mark=Mark("REGRESSION", Tone.BAD)),
        Table(header, table, "Regressions"),
    ]


def _all_clear(document: Document) -> bool:
    return all(guard["label"] == "no regression" for guard in document.get("guards") or ())


def _guards(document: Document) -> list[Block]:
    guards = document.get("guards") or ()
    if not guards:
        return [Paragraph("No guard metric was judged.")]
    order = {"regression": 0, "inconclusive": 1}
    return [
        Subheading("Guard metrics"),
        Table(
            ("Guard", "Before", "After", "Change", "Verdict", "Why"),
            tuple(_guard(g) for g in sorted(guards, key=lambda g: order.get(str(g["label"]), 2))),
            "What must not get worse",
        ),
    ]


def _guard(guard: Document) -> tuple[Any, ...]:
    tone = {"no regression": Tone.GOOD, "regression": Tone.BAD}.get(str(guard["label"]), Tone.WARNING)
    return (
        guard["metric"],
        figure(guard.get("baseline"), guard.get("unit")),
        figure(guard.get("optimized"), guard.get("unit")),
        change(guard.get("baseline"), guard.get("optimized"), guard.get("unit")),
        Mark(str(guard["label"]), tone),
        guard.get("reason"),
    )


def _unguarded(document: Document) -> list[Block]:
    found = document.get("unguarded") or ()
    if not found:
        return []
    table = tuple(
        (
            u.get("metric"),
            figure(u.get("baseline"), u.get("unit")),
            figure(u.get("optimized"), u.get("unit")),
            change(u.get("baseline"), u.get("optimized"), u.get("unit")),
            u.get("reason"),
        )
        for u in found
    )
    return [Subheading("Seen, but not guarded"), Table(("Metric", "Before", "After", "Change", "Why"), table, "Reported only")]


def _trust(document: Document) -> list[Block]:
    notes = [
        ("Calibration of this gate on identical code", (document.get("calibration") or {}).get("note")),
        ("Drift since the baseline of phase 1", (document.get("drift") or {}).get("note")),
    ]
    table = tuple((name, sentence(note)) for name, note in notes if note)
    return [Subheading("How far this can be trusted"), Table(("Check", "Result"), table, "Calibration and drift")] if table else []


def slo_updates(evidence: Evidence) -> Section:
    """The objectives from now on, and who signed them."""
    record = evidence.slo_record
    approved = record["approval_status"] == "approved"
    blocks: list[Block] = [
        *evidence.origin(Artifact.SLO_UPDATE_RECORD),
        Paragraph(
            f"{record['approval_percentage']:g} % of the required approvals are there.",
            mark=Mark(str(record["approval_status"]), Tone.GOOD if approved else Tone.BAD),
        ),
    ]
    for update in record["updates"]:
        signed = tuple(
            f"{a.get('name') or 'nobody yet'}, {a.get('role')}: {a.get('approval_status')} {a.get('approval_timestamp') or ''}".strip()
            for a in update["approvers"]
        )
        blocks.append(
            Table(
                (f"SLO {update['slo_name']}", ""),
                (
                    ("Target", f"{update['previous_target']} before, {update['new_target']} now"),
                    ("Justification", sentence(update["justification"])),
                    ("Alerts", tuple(update.get("alert_thresholds") or ()) or None),
                    ("Escalation", update.get("escalation_policy")),
                    ("Signed by", signed or None),
                ),
            )
        )
    validation_ref = (record.get("traces_to") or {}).get("validation") or {}
    if validation_ref.get("sha256"):
        cited = (validation_ref.get("name"), Code(str(validation_ref["sha256"])))
        blocks.append(Table(("Traces to", "SHA-256"), (cited,), "What it rests on"))
    return Section("SLO updates", tuple(blocks))
