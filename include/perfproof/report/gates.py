"""Gates, waivers, approvals and digests in the report. A waived gate is never shown as a passed one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from perfproof.artifacts import gate_result_name
from perfproof.report.blocks import Block, Inventory, Item, Listing, Mark, Paragraph, Section, Subheading, Table, Tone
from perfproof.report.evidence import Document, Evidence

# Gate 4 judges this very report, so a result of it that is there now is about an older one.
LAST_GATE_SHOWN = 3
TONES = {"PASS": Tone.GOOD, "WAIVED": Tone.WARNING, "FAIL": Tone.BAD, "INDETERMINATE": Tone.WARNING}
COMPARISONS = {">=": "at least", "<=": "at most", "==": "exactly"}


def judged(evidence: Evidence) -> list[Document]:
    """The gates that the report shows, in order."""
    return sorted((g for g in evidence.gates if g["gate"] <= LAST_GATE_SHOWN), key=lambda gate: int(gate["gate"]))


def decision_mark(evidence: Evidence, gate: Document) -> Mark:
    """What a gate comes to with its waivers. A waiver makes it WAIVED at best: PASS stands only where the gate itself passed."""
    outcome = str(gate["outcome"])
    decided = evidence.decisions.get(int(gate["gate"]), outcome)
    shown = outcome if decided == "PASS" else decided
    return Mark(shown, TONES.get(shown, Tone.WARNING))


def not_passed(evidence: Evidence) -> str | None:
    """One sentence about the gates that did not pass by themselves, or None."""
    told = [f"gate {g['gate']} ({g['name']}) is {decision_mark(evidence, g).text}" for g in judged(evidence) if g["outcome"] != "PASS"]
    if not told:
        return None
    return f"This cycle did not pass on its own: {'; '.join(told)}. What was missed, and who excused what, stands under Gates."


def gates(evidence: Evidence) -> Section:
    """Every criterion, what is not met first, the protocol's failure text and the waivers."""
    blocks: list[Block] = []
    for gate in judged(evidence):
        mark = decision_mark(evidence, gate)
        criteria = sorted(gate["criteria"], key=lambda c: c.get("met") is True)
        met = sum(1 for c in criteria if c.get("met") is True)
        blocks += [
            Subheading(f"Gate {gate['gate']}: {gate['name']}"),
            *evidence.origin(gate_result_name(int(gate["gate"]))),
            Paragraph(f"{met} of {len(criteria)} criteria met, evaluated at {gate.get('evaluated_at')}.", mark=mark),
            Table(
                ("Criterion", "Met", "Actual", "Required", "Why"),
                tuple(_criterion(evidence, gate, c, mark) for c in criteria),
                "Criteria, what is not met first",
            ),
        ]
        if gate.get("text"):
            blocks.append(Listing(str(gate["text"])))
    blocks += [
        Subheading("Gate 4: Governance & Communication"),
        Paragraph("It judges this report too, so it is evaluated afterwards: its result stands in the manifest and in gate-4-result.json."),
        Subheading("Waivers"),
    ]
    if evidence.waivers:
        header = ("Excused", "Gate", "Metric and limit", "Reason", "Approved by", "Asked for by", "Expires", "Is about")
        blocks.append(Table(header, tuple(_waiver(evidence, w) for w in evidence.waivers), "What was excused"))
    else:
        blocks.append(Paragraph("No criterion was waived."))
    return Section("Gates", tuple(blocks))


def _criterion(evidence: Evidence, gate: Document, criterion: Document, decision: Mark) -> tuple[Any, ...]:
    met = criterion.get("met")
    if met is True:
        mark = Mark("met", Tone.GOOD)
    else:
        word = "NOT met" if met is False else "not decided"
        excused = decision.text == "WAIVED" and any(w.get("criterion") == criterion["criterion"] for w in _in_force(evidence, gate))
        mark = Mark(f"{word}, WAIVED" if excused else word, Tone.WARNING if excused or met is None else Tone.BAD)
    required = f"{COMPARISONS.get(str(criterion['comparison']), criterion['comparison'])} {_exact(criterion['threshold'])}"
    return str(criterion["criterion"]).replace("_", " "), mark, _exact(criterion.get("actual")), required, criterion.get("reason")


def _exact(value: Any) -> str:
    """A figure beside its threshold, with enough digits that a miss does not round onto it."""
    return f"{value + 0.0:.6g}" if isinstance(value, int | float) and not isinstance(value, bool) else "–"


def _in_force(evidence: Evidence, gate: Document) -> list[Document]:
    return [w for w in evidence.waivers if w.get("gate") == gate["gate"] and w.get("result_sha256") == _digest(evidence, int(gate["gate"]))]


def _digest(evidence: Evidence, gate: int) -> str | None:
    return next((str(s["sha256"]) for s in evidence.sources if s["name"] == gate_result_name(gate)), None)


def _waiver(evidence: Evidence, waiver: Document) -> tuple[Any, ...]:
    current = waiver.get("result_sha256") is not None and waiver["result_sha256"] == _digest(evidence, int(waiver.get("gate") or 0))
    scope = f"{waiver['metric']} up to {waiver.get('limit')} %" if waiver.get("metric") else None
    return (
        Mark(f"{str(waiver.get('criterion')).replace('_', ' ')} WAIVED", Tone.WARNING),
        waiver.get("gate"), scope, waiver.get("reason"), waiver.get("approver"), waiver.get("requester"), waiver.get("expires_at"),
        "the result above" if current else "an earlier result",
    )  # fmt: skip


def approvals(evidence: Evidence) -> Section:
    """Who decided what, when, through which channel and how sure that is."""
    if not evidence.approvals:
        return Section("Approvals", (Paragraph("No approval is recorded."),))
    asked = "Each record binds the person to the digest of what was shown; the records are in the directory approvals."
    return Section(
        "Approvals",
        (
            Paragraph(asked),
            Table(
                ("Step", "Role", "Person", "Decision", "When", "Comment", "How"),
                tuple(_approval(record, evidence.assurance) for record in _in_order(evidence.approvals)),
                "Decisions in time",
            ),
            Paragraph("The handoff is asked for after this report is published; its approval stands in the manifest."),
        ),
    )


def _in_order(records: Sequence[Document]) -> list[Document]:
    return sorted(records, key=lambda r: (str(r.get("decided_at")), str(r.get("step")), str(r.get("map_index")), str(r.get("role"))))


def _approval(record: Document, assurance: str) -> tuple[Any, ...]:
    person = record.get("person") or {}
    decision = str(record.get("decision"))
    tone = {"approve": Tone.GOOD, "reject": Tone.BAD, "halt": Tone.BAD}.get(decision, Tone.WARNING)
    place = record.get("map_index")
    mapped = f" {place + 1}" if isinstance(place, int) and place >= 0 and record.get("step") in ("implementation", "rollback") else ""
    how = f"{record.get('channel')}, {record.get('assurance', assurance)}"
    return (
        f"{str(record.get('step')).replace('_', ' ')}{mapped}", record.get("role_label"), f"{person.get('name')} ({person.get('id')})",
        Mark(decision, tone), record.get("decided_at"), record.get("comment") or None, how,
    )  # fmt: skip


def sources(evidence: Evidence) -> Section:
    """The digests of everything that the report was made from."""
    return Section(
        "Evidence",
        (
            Paragraph("Every figure above stands in one of these files. The manifest lists what each derives from and who verified it."),
            Paragraph("To check all of it without Airflow: perfproof verify, with this directory."),
            Inventory(tuple(Item(str(s["name"]), str(s["sha256"]), _bytes(s.get("size"))) for s in evidence.sources)),
        ),
    )


def _bytes(size: Any) -> int | None:
    return size if isinstance(size, int) and not isinstance(size, bool) else None
