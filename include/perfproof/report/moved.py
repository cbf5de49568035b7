"""What the change moved in profile and database: beside the verdict, and no part of it."""

from __future__ import annotations

from typing import Any

from perfproof.report.blocks import Block, Code, Mark, Paragraph, Picture, Subheading, Table, Tone, figure, percent, sentence
from perfproof.report.evidence import PLAN_DIFF, Document, Evidence

MAX_FUNCTIONS = 6
MAX_STATEMENTS = 6
MAX_STATEMENT = 160
VERDICTS = {"consistent": Tone.GOOD, "not consistent": Tone.WARNING}
NO_GATE = "This decides no gate: a profile says where the time went, not how long a request took."


def moved(evidence: Evidence) -> list[Block]:
    """Profiles and statements of both sides, as far as the cycle compared them."""
    return [*_profiles(evidence), *_statements(evidence)]


def _profiles(evidence: Evidence) -> list[Block]:
    if not evidence.profile_comparisons:
        return []
    names = (f"evidence/profile-comparison-{document.get('service')}.json" for document in evidence.profile_comparisons)
    blocks: list[Block] = [Subheading("What the change moved in the profile"), *evidence.origin(*names), Paragraph(NO_GATE)]
    for document in evidence.profile_comparisons:
        blocks += _profile(document, evidence)
    return blocks


def _profile(document: Document, evidence: Evidence) -> list[Block]:
    service = str(document.get("service"))
    if document.get("status") != "compared":
        return [Paragraph(sentence(f"{service}: not compared. {document.get('reason')}"), mark=Mark("INCONCLUSIVE", Tone.WARNING))]
    samples = document.get("samples") or {}
    counts = f"{figure(samples.get('baseline'))} samples before, {figure(samples.get('candidate'))} after"
    verdict = document.get("verdict")
    mark = None if verdict is None else Mark(str(verdict), VERDICTS.get(str(verdict), Tone.WARNING))
    blocks: list[Block] = [Paragraph(f"{service}: {counts}. {sentence(document.get('verdict_reason'))}", mark=mark)]
    header = (f"Function of {service}", "Before", "After", "Difference", "Change")
    named = document.get("named") or ()
    if named:
        columns = (f"Named by the plan, {header[0].lower()}", *header[1:])
        blocks.append(Table(columns, tuple(_function(c) for c in named), "What the plan named"))
    grew = document.get("grew") or ()
    if grew:
        blocks.append(Paragraph(f"What grew, of {sentence(document.get('grew_of'))}"))
        blocks.append(Table(header, tuple(_function(c) for c in grew[:MAX_FUNCTIONS]), "What grew"))
    else:
        blocks.append(Paragraph(f"No function grew of {document.get('grew_of')}, as far as these samples can tell."))
    name = str((document.get("flame_graph") or {}).get("name"))
    if name in evidence.pictures:
        blocks.append(Picture(name, evidence.pictures[name], evidence.descriptions.get(name, "")))
    return blocks


def _function(change: Document) -> tuple[Any, ...]:
    low, high = change.get("low_points"), change.get("high_points")
    known = all(isinstance(end, int | float) for end in (low, high))
    return (
        Code(str(change.get("function"))),
        percent(change.get("before_percent")),
        percent(change.get("after_percent")),
        f"{low:+.4g} to {high:+.4g} points" if known else None,
        change.get("change"),
    )


def _statements(evidence: Evidence) -> list[Block]:
    services = (evidence.query_plan_diff or {}).get("services") or ()
    if not services:
        return []
    blocks: list[Block] = [Subheading("What the change moved in the database"), *evidence.origin(PLAN_DIFF)]
    for service in services:
        blocks += _service(service)
    return blocks


def _service(service: Document) -> list[Block]:
    name = service.get("service")
    if service.get("status") != "compared":
        return [Paragraph(sentence(f"{name}: not compared. {service.get('reason')}"), mark=Mark("NOT COMPARED", Tone.WARNING))]
    calls, spent = (service.get(key) or {} for key in ("calls_per_request", "ms_per_request"))
    told = (
        f"{name}, per request: {figure(calls.get('before'))} statements before, {figure(calls.get('after'))} after; "
        f"{figure(spent.get('before'), 'ms')} in the database before, {figure(spent.get('after'), 'ms')} after. "
        "One run a side, counted under the same load."
    )
    statements = service.get("statements") or ()
    shown = statements[:MAX_STATEMENTS]
    blocks: list[Block] = [Paragraph(told)]
    if shown:
        header = (f"Statement of {name}", "Calls per request", "Mean", "Plan", "Rows removed", "Findings")
        blocks.append(Table(header, tuple(_statement(s) for s in shown), "Statements before and after"))
    left = len(statements) - len(shown) + int(service.get("left_out") or 0)
    if left > 0:
        blocks.append(Paragraph(f"{left} more in evidence/query-plan-diff.json."))
    for key, word in (("findings_gone", "Gone"), ("findings_new", "New")):
        blocks += [Paragraph(f"{word}: {sentence(f.get('text'))}") for f in service.get(key) or ()]
    return blocks


def _statement(statement: Document) -> tuple[Any, ...]:
    written = " ".join(str(statement.get("statement")).split())
    before, after = (statement.get(side) or {} for side in ("before", "after"))
    plan = statement.get("plan") or {}
    removed = plan.get("rows_removed") or {}
    scans = tuple(f"{s.get('relation')}: {_read(s.get('before'))} -> {_read(s.get('after'))}" for s in plan.get("scans") or ())
    change = {"gone": "not called any more", "new": "not called before"}.get(str(statement.get("change")))
    findings = tuple(
        f"{word}: {f.get('text')}"
        for key, word in (("findings_gone", "gone"), ("findings_new", "new"), ("findings_unknown", "not known on the other side"))
        for f in statement.get(key) or ()
    )
    return (
        Code(written if len(written) <= MAX_STATEMENT else written[: MAX_STATEMENT - 1] + "…"),
        _pair(before.get("calls_per_request"), after.get("calls_per_request")),
        _pair(before.get("mean_ms"), after.get("mean_ms"), "ms"),
        scans or change or ("the same" if plan else None),
        _pair(removed.get("before"), removed.get("after")) if removed else None,
        findings or None,
    )


def _read(ways: Any) -> str:
    return ", ".join(str(way) for way in ways or ()) or "not read"


def _pair(before: Any, after: Any, unit: str | None = None) -> str:
    return f"{figure(before, unit)} -> {figure(after, unit)}"
