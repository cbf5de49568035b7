"""The first page of the report: what changed, whether it is proved, what got worse, who agreed, what was excused."""

from __future__ import annotations

from perfproof.artifacts import Artifact, gate_result_name
from perfproof.report.blocks import Block, Code, Mark, Paragraph, Section, Table, Tone, change, figure, percent, sentence
from perfproof.report.evidence import Document, Evidence, pictures
from perfproof.report.gates import decision_mark, judged, not_passed
from perfproof.report.minute import implemented, minute

STATUS = {"pass": Tone.GOOD, "fail": Tone.BAD}
TARGET = {
    "proved": ("The improvement is proved", Tone.GOOD),
    "met": ("The threshold is reached in the measured values, but the improvement is not proved", Tone.WARNING),
    "short": ("The improvement is short of the threshold", Tone.BAD),
    "inconclusive": ("The measurement does not decide whether the improvement reaches the threshold", Tone.WARNING),
}
ASSURANCE = {
    "A1": "A1: each person was authenticated by Airflow; the act is signed by the deployment, not by the person's own key",
    "A2": "A2: each person signed with a key of their own",
}


def summary(evidence: Evidence) -> Section:
    """What a product owner reads first."""
    validation = evidence.validation
    blocks: list[Block] = [_headline(validation)]
    excused = not_passed(evidence)
    if excused:
        blocks.append(Paragraph(excused, strong=True, mark=Mark("NOT A PLAIN PASS", Tone.WARNING)))
    blocks += [
        minute(evidence),
        *evidence.origin(Artifact.VALIDATION_REPORT),
        _before_and_after(validation),
        *pictures(evidence, "change-intervals"),
        *evidence.origin(Artifact.OPTIMIZATION_PLAN),
        *_what_changed(evidence),
        *evidence.origin(Artifact.VALIDATION_REPORT, Artifact.SLO_UPDATE_RECORD, *(gate_result_name(g["gate"]) for g in judged(evidence))),
        _verdicts(evidence),
        _about(evidence),
    ]
    return Section("Summary", tuple(blocks))


def _headline(validation: Document) -> Paragraph:
    before, after, gain = validation["baseline"], validation["optimized"], validation["improvement"].get("percentage")
    unit, count = before.get("unit"), validation["regression_count"]
    if isinstance(gain, int | float):
        word = "improved" if gain > 0 else "got worse" if gain < 0 else "did not change"
        by = f" by {percent(abs(gain))}" if gain else ""
        values = f"{figure(before.get('value'), unit)} before, {figure(after.get('value'), unit)} after"
        told = f"{validation['target_metric']} {word}{by}: {values}."
    else:
        told = f"The change of {validation['target_metric']} is UNKNOWN: a side has no value."
    status = str(validation["status"])
    return Paragraph(
        f"{told} {_count(count)} detected.", strong=True, mark=Mark(f"VALIDATION {status.upper()}", STATUS.get(status, Tone.WARNING))
    )


def _count(count: int) -> str:
    return "No regression" if count == 0 else f"{count} regression{'' if count == 1 else 's'}"


def _before_and_after(validation: Document) -> Table:
    rows = []
    verdict = validation.get("verdict") or {}
    target, optimized, unit = validation["baseline"], validation["optimized"], validation["baseline"].get("unit")
    words, tone = TARGET.get(str(verdict.get("label")), (str(validation["status"]), Tone.NEUTRAL))
    rows.append(
        (
            f"{validation['target_metric']} (target)",
            figure(target.get("value"), unit),
            figure(optimized.get("value"), unit),
            change(target.get("value"), optimized.get("value"), unit),
            Mark(str(verdict.get("label") or words), tone),
        )
    )
    for guard in validation.get("guards") or ():
        tone = {"no regression": Tone.GOOD, "regression": Tone.BAD}.get(str(guard["label"]), Tone.WARNING)
        rows.append(
            (
                guard["metric"],
                figure(guard.get("baseline"), guard.get("unit")),
                figure(guard.get("optimized"), guard.get("unit")),
                change(guard.get("baseline"), guard.get("optimized"), guard.get("unit")),
                Mark(str(guard["label"]), tone),
            )
        )
    return Table(("Metric", "Before", "After", "Change", "Verdict"), tuple(rows), "The target and every guard metric, before and after")


def _what_changed(evidence: Evidence) -> list[Block]:
    done = implemented(evidence)
    changes: dict[int, list[str]] = {}
    for record in evidence.approvals:
        if record.get("step") == "implementation" and record.get("decision") == "approve":
            changes.setdefault(int(record.get("map_index", -1)), []).append(str(record.get("comment") or "no reference"))
    rows = tuple(
        (task["id"], task["title"], task.get("owner"), "; ".join(changes.get(place, ())) or None)
        for place, task in enumerate(evidence.plan["tasks"])
        if task["id"] in done
    )
    return [Table(("Optimization", "What changed", "Owner", "Implementation"), rows, "What was implemented")] if rows else []


def _verdicts(evidence: Evidence) -> Table:
    validation, record = evidence.validation, evidence.slo_record
    verdict = validation.get("verdict") or {}
    words, tone = TARGET.get(str(verdict.get("label")), ("No verdict is recorded", Tone.WARNING))
    count = validation["regression_count"]
    worse = ", ".join(f"{r['metric']} ({_worse(r)})" for r in validation["regressions"]) or "No guard metric got worse beyond its margin"
    people = "; ".join(dict.fromkeys(f"{a['name']}, {a['role']}" for u in record["updates"] for a in u["approvers"] if a.get("name")))
    targets = " ".join(f"{u['slo_name']}: {u['previous_target']} before, {u['new_target']} now." for u in record["updates"])
    approved = record["approval_status"] == "approved"
    rows = [
        ("Improvement", Mark(str(verdict.get("label") or "unknown"), tone), f"{sentence(words)} {sentence(verdict.get('reason'))}".strip()),
        ("Regressions", Mark(_count(count), Tone.BAD if count else Tone.GOOD), sentence(worse)),
        (
            "SLO updates",
            Mark(f"{record['approval_status']}, {record['approval_percentage']:g} %", Tone.GOOD if approved else Tone.BAD),
            f"{targets} {f'Signed by {people}.' if people else 'Nobody has approved.'}",
        ),
        *((f"Gate {gate['gate']}", decision_mark(evidence, gate), str(gate["name"])) for gate in judged(evidence)),
    ]
    if not evidence.waivers:
        rows.append(("Waivers", Mark("none", Tone.GOOD), "No criterion was excused."))
    else:
        named = "; ".join(f"gate {w.get('gate')}, {w.get('criterion')}, by {w.get('approver')}" for w in evidence.waivers)
        rows.append(("Waivers", Mark(f"{len(evidence.waivers)} granted", Tone.WARNING), sentence(named[:1].upper() + named[1:])))
    return Table(("Question", "Answer", "In words"), tuple(rows), "Verdicts, gates and waivers")


def _worse(regression: Document) -> str:
    share = regression.get("regression_percentage")
    return f"{share:+g} %" if isinstance(share, int | float) else "from zero"


def _about(evidence: Evidence) -> Table:
    builds = evidence.validation.get("builds") or {}
    return Table(
        ("About this cycle", ""),
        (
            ("Objective", evidence.parameters["objective"]),
            ("Environment", evidence.parameters["environment"]),
            ("Build before", Code(str(builds["baseline"])) if builds.get("baseline") else None),
            ("Build after", Code(str(builds["candidate"])) if builds.get("candidate") else None),
            ("Validated at", evidence.validation.get("validation_date")),
            ("Run", Code(evidence.run)),
            ("Assurance of approvals", ASSURANCE.get(evidence.assurance, evidence.assurance)),
        ),
    )
