"""The result of a gate and the record of an approval, as tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from perfproof.pages.blocks import Code, Listing, Mark, Paragraph, Ref, ShownBlock, Subheading, Table, Tone
from perfproof.report.blocks import figure
from perfproof.report.gates import COMPARISONS, TONES

CRITERIA = ("Criterion", "Met", "Actual", "Required", "May be waived", "Why")
DECISIONS = {"approve": Tone.GOOD, "reject": Tone.BAD, "halt": Tone.BAD}


def gate_result(document: Mapping[str, Any]) -> tuple[ShownBlock, ...]:
    """Every criterion, what is not met first, then figures, what it rests on, and the protocol's text of a failure."""
    outcome = str(document["outcome"])
    criteria = sorted(document["criteria"], key=lambda one: one.get("met") is True)
    met = sum(1 for one in criteria if one.get("met") is True)
    mark = Mark(outcome, TONES.get(outcome, Tone.WARNING))
    evaluated = document.get("expectations") or {}
    blocks: list[ShownBlock] = [
        Paragraph(
            f"Gate {document['gate']} ({document['name']}): {met} of {len(criteria)} criteria met, "
            f"evaluated at {document.get('evaluated_at')}.",
            mark=mark,
        ),
        *(Paragraph(str(reason)) for reason in document.get("reasons") or ()),
        Table(CRITERIA, tuple(map(_criterion, criteria)), "Criteria, what is not met first"),
    ]  # fmt: skip
    figures = document.get("figures") or {}
    if figures:
        blocks.append(Table(("Figures", ""), tuple((str(key).replace("_", " "), _value(value)) for key, value in figures.items())))
    if evaluated:
        suite = f"Suite {evaluated.get('suite')}: {evaluated.get('evaluated')} of {evaluated.get('expected')} expectations evaluated."
        blocks.append(Paragraph(suite))
    if document.get("text"):
        blocks += [Subheading("What the protocol says"), Listing(str(document["text"]))]
    return (*blocks, *_rests_on(document))


def approval(document: Mapping[str, Any]) -> tuple[ShownBlock, ...]:
    """Who decided what, about what, and what the record is bound to."""
    person = document["person"]
    decision = str(document["decision"])
    facts = (
        ("Step", str(document["step"]).replace("_", " ")),
        ("Role", document.get("role_label") or document.get("role")),
        ("Person", f"{person.get('name')} ({person.get('id')})"),
        ("In place of", _value(document.get("deputy_for"))),
        ("Decided at", document.get("decided_at")),
        ("Comment", document.get("comment") or None),
        ("By", f"{document.get('channel')}, assurance {document.get('assurance')}"),
        ("Request", document.get("request_id")),
        ("Digest of the request", Code(str(document.get("request_sha256")))),
        ("Digest of the subject", Code(str(document.get("subject_sha256")))),
    )
    told = Paragraph(
        f"{person.get('name')} for {document.get('role_label') or document.get('role')}.",
        mark=Mark(decision, DECISIONS.get(decision, Tone.WARNING)),
    )
    return (told, Table(("Record", ""), facts), *_rests_on(document))


def _criterion(one: Mapping[str, Any]) -> tuple[Any, ...]:
    met = one.get("met")
    mark = (
        Mark("met", Tone.GOOD) if met is True else Mark("NOT met", Tone.BAD) if met is False else Mark("not decided", Tone.WARNING)
    )  # fmt: skip
    actual, threshold = _exact(one.get("actual")), _exact(one.get("threshold"))
    required = f"{COMPARISONS.get(str(one.get('comparison')), one.get('comparison'))} {threshold or '–'}"
    name = str(one.get("criterion")).replace("_", " ")
    return name, mark, actual, required, one.get("waivable") is True, one.get("reason")


def _exact(value: Any) -> str | None:
    """Six digits, so that a miss does not round onto its threshold."""
    return f"{value:.6g}" if isinstance(value, int | float) and not isinstance(value, bool) else None


def _rests_on(document: Mapping[str, Any]) -> list[ShownBlock]:
    found = document.get("evidence") or ()
    rows = tuple((Ref(str(one.get("name"))), Code(str(one.get("sha256")))) for one in found)
    return [Table(("Evidence", "SHA-256"), rows, "What it rests on")] if rows else []


def _value(value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return figure(value)
    if isinstance(value, list):
        return tuple(_value(part) if not isinstance(part, Mapping | list) else str(part) for part in value) or "none"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {part}" for key, part in value.items())
    return str(value)
