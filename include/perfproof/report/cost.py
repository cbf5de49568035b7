"""What a change does to the cost of requests, and how well plans kept their promises, for the report's section on validation."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from perfproof.promised_gains import gain_lines
from perfproof.report.blocks import Block, Mark, Paragraph, Section, Subheading, Table, Tone, figure, percent, sentence
from perfproof.report.evidence import COST_CHANGE, PROMISED_GAINS, Document, Evidence, pictures

KEPT = {"kept": Tone.GOOD, "short": Tone.BAD}
MAX_RECORDS = 20


def with_cost_and_promises(section: Section, evidence: Evidence) -> Section:
    """`section` with the cost before and after and the promised gains below it, as far as the cycle has them."""
    return replace(section, blocks=(*section.blocks, *_cost(evidence), *_promises(evidence)))


def _cost(evidence: Evidence) -> list[Block]:
    document = evidence.cost_change
    if document is None:
        return []
    price = document["price"]
    currency = str(price.get("currency") or "")
    told = (
        f"By what the measured blocks used of processor and memory. Price: {price.get('source')}, {price.get('as_of') or 'day not stated'}"
    )
    blocks: list[Block] = [Subheading("Cost of the change"), *evidence.origin(COST_CHANGE), Paragraph(sentence(told))]
    if document["reason"]:
        blocks.append(Paragraph(f"The cost of a request is unknown: {sentence(document['reason'])}", mark=Mark("UNKNOWN", Tone.WARNING)))
    header = ("", "Build", "CPU per request", "Memory per request", "Cost of 1,000 requests")
    rows = tuple(_side(name, document[name], currency) for name in ("before", "after"))
    blocks.append(Table(header, rows, "Use and cost of a request on both sides"))
    if document["change_percent"] is not None:
        ends = " to ".join("open" if document[end] is None else percent(document[end]) for end in ("ci_low", "ci_high"))
        level = f"{100 * document['confidence']:g} % interval {ends}"
        blocks.append(Paragraph(f"Cost of 1,000 requests changed by {percent(document['change_percent'])}, {level}."))
    return blocks


def _side(name: str, side: Document, currency: str) -> tuple[Any, ...]:
    return (
        name.capitalize(),
        side.get("build"),
        figure(side.get("cpu_ms_per_request"), "ms"),
        figure(side.get("memory_gib_seconds_per_request"), "GiB s"),
        figure(side.get("per_1000"), currency),
    )


def _promises(evidence: Evidence) -> list[Block]:
    document = evidence.promised_gains
    if document is None:
        return []
    records = list(document["records"])[-MAX_RECORDS:]
    rows = tuple(
        (
            str(record["validated_at"])[:10],
            tuple(f"{o['id']}: {o['title']}" for o in record["optimizations"]),
            str(record["cause"]).replace("_", " "),
            percent(record["promised_percent"]),
            percent(record["realized_percent"]),
            figure(record["ratio"]),
            Mark(str(record["kept"]), KEPT.get(str(record["kept"]), Tone.WARNING)),
        )
        for record in reversed(records)
    )
    blocks: list[Block] = [
        Subheading("Promised and realized gains over cycles"),
        *evidence.origin(PROMISED_GAINS),
        *(Paragraph(sentence(line)) for line in gain_lines(document)),
    ]
    if rows:
        header = ("Validated", "Optimizations", "Cause", "Promised", "Realized", "Realized / promised", "Promise")
        blocks += [Table(header, rows, "Promises, the newest first"), *pictures(evidence, "gain-history")]
    if document.get("not_carried"):
        blocks.append(Paragraph(f"No earlier cycles are in it: {sentence(document['not_carried'])}"))
    return blocks
