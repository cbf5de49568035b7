"""The section about what was known when the cycle began: pains by rank, what came after what, what nobody watches."""

from __future__ import annotations

from typing import Any

from perfproof.artifacts import Artifact
from perfproof.report.blocks import Block, Mark, Paragraph, Section, Subheading, Table, Tone, figure, rows, sentence
from perfproof.report.evidence import Document, Evidence

STATUSES = {"ok": Tone.GOOD, "missing": Tone.BAD}
WATCHED = {"yes": Tone.GOOD, "partly": Tone.WARNING, "no": Tone.BAD}
MAX_EVENTS = 40
MAX_COINCIDENCES = 10
MAX_PAINS = 20
MAX_INCIDENTS = 20


def intake(evidence: Evidence) -> Section:
    """What was known when the cycle began."""
    document = evidence.intake
    alerts, incidents, deployments = (_counted(document, word) for word in ("alert", "incident", "deployment"))
    blocks: list[Block] = [
        *evidence.origin(Artifact.INTAKE_REPORT),
        *_pains(document),
        Paragraph(f"{alerts}, {incidents} and {deployments} were read."),
    ]
    if document["incidents"]:
        shown = document["incidents"][:MAX_INCIDENTS]
        blocks.append(
            Table(("Incident", "What happened", "Severity", "Impact"), rows(shown, "id", "title", "severity", "impact"), "Incidents")
        )
        blocks += _more(len(document["incidents"]) - len(shown))
    blocks += [*_watched(document), *_timeline(document)]
    header = ("Source", "Provides", "Critical", "Status", "Reason")
    blocks.append(Table(header, tuple(_source(s) for s in document["sources"]), "Where this was read"))
    return Section("Intake summary", tuple(blocks))


def _pains(document: Document) -> list[Block]:
    found = document["pain_points"]
    if not found:
        return [Paragraph("No metric is beyond its objective, and nothing was reported.")]
    shown = found[:MAX_PAINS]
    plain = tuple(
        (p.get("service"), p.get("symptom"), figure(p.get("value"), p.get("unit")), figure(p.get("slo_target"), p.get("unit")),
         p.get("business_impact"))
        for p in shown
    )  # fmt: skip
    columns = ("Service", "Symptom", "Measured", "SLO target", "Business impact")
    # Reports of earlier versions have no ranks.
    if not all("rank" in p for p in shown):
        return [Table(columns, plain, "What hurts"), *_more(len(found) - len(shown))]
    ranked = tuple(
        (p["rank"], *cells, tuple(str(r) for r in p.get("rank_reasons") or ()) or None) for p, cells in zip(shown, plain, strict=True)
    )
    return [Table(("Rank", *columns, "Ranked by"), ranked, "What hurts, by business impact"), *_more(len(found) - len(shown))]


def _more(count: int) -> list[Block]:
    return [Paragraph(f"{count} more in {Artifact.INTAKE_REPORT}.")] if count > 0 else []


def _watched(document: Document) -> list[Block]:
    table = tuple(
        (
            f"{w.get('slo_name')} ({w.get('metric')})",
            w.get("service"),
            Mark(str(w.get("watched")), WATCHED.get(str(w.get("watched")), Tone.WARNING)),
            tuple(str(name) for name in w.get("alerts") or ()) or None,
            w.get("reason"),
        )
        for w in document.get("watched") or ()
    )
    if not table:
        return []
    header = ("Objective", "Service", "Watched", "Alerts", "Why")
    findings = [Paragraph(sentence(f.get("text")), mark=Mark("NOT WATCHED", Tone.WARNING)) for f in document.get("findings") or ()]
    return [Subheading("What is watched today"), Table(header, table, "Whether an alert watches what each objective measures"), *findings]


def _timeline(document: Document) -> list[Block]:
    events, near = document.get("timeline") or (), document.get("coincidences") or ()
    if not events:
        return []
    blocks: list[Block] = [Subheading("What happened when")]
    if near:
        closest = sorted(near, key=lambda c: (int(c.get("minutes") or 0), str(c.get("what"))))[:MAX_COINCIDENCES]
        pairs = tuple((c.get("service"), c.get("what"), (c.get("second") or {}).get("at")) for c in closest)
        blocks.append(Paragraph("Close in time is no cause: the diagnostics below decide about causes."))
        blocks.append(Table(("Service", "Shortly after each other", "At"), pairs, "What came shortly after what, the closest first"))
        blocks += _more(len(near) - len(closest))
    shown = events[-MAX_EVENTS:]
    table = tuple((e.get("at"), str(e.get("kind")).replace("_", " "), e.get("what"), e.get("service"), e.get("source")) for e in shown)
    blocks.append(Table(("At", "What", "Told", "Service", "Source"), table, "Alerts, incidents, deployments and missed targets in time"))
    earlier = len(events) - len(shown) + int(document.get("timeline_left_out") or 0)
    if earlier > 0:
        blocks.append(Paragraph(f"{earlier} earlier ones are not shown."))
    return blocks


def _counted(document: Document, word: str) -> str:
    count = len(document[f"{word}s"])
    return f"{count} {word}{'' if count == 1 else 's'}"


def _source(source: Document) -> tuple[Any, ...]:
    status = str(source.get("status"))
    mark = Mark(status if status == "ok" else status.upper(), STATUSES.get(status, Tone.WARNING))
    return source.get("name"), source.get("provides"), source.get("critical"), mark, source.get("reason")
