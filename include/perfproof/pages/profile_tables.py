"""A profile and the statements of a database as tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from perfproof.pages.blocks import Code, Mark, Paragraph, ShownBlock, Table, Tone
from perfproof.report.blocks import figure, percent

MAX_ROWS = 200


def profile(document: Mapping[str, Any]) -> tuple[ShownBlock, ...]:
    """The hot functions of a profile, and what was profiled."""
    hot = document["hot_functions"]
    good = document.get("status") == "ok"
    told = (
        f"{document.get('service')}, build {document.get('build')}: {figure(document.get('samples'))} samples in "
        f"{figure(document.get('seconds'), 's')} by {document.get('profiler')}. {document.get('reason') or ''}"
    )
    blocks: list[ShownBlock] = [Paragraph(told, mark=None if good else Mark(str(document.get("status")), Tone.BAD))]
    rows = tuple((Code(str(h.get("function"))), percent(h.get("self_percent")), percent(h.get("total_percent"))) for h in hot[:MAX_ROWS])
    blocks.append(Table(("Function", "Own time", "With callees"), rows, "Functions with the most time of their own"))
    transactions = document.get("transactions") or ()
    if transactions:
        shares = tuple(
            (t.get("name"), percent(100 * float(t.get("weight") or 0)), t.get("profiled"), figure(t.get("requests")))
            for t in transactions
        )  # fmt: skip
        blocks.append(Table(("Transaction", "Share of the load", "Profiled", "Requests"), shares, "What ran meanwhile"))
    return tuple(blocks)


def statements(document: Mapping[str, Any]) -> tuple[ShownBlock, ...]:
    """The counters of every statement while load ran."""
    rows = sorted(document["rows"], key=lambda row: -float(row["total_ms"]))
    table = tuple(
        (Code(" ".join(str(r.get("statement")).split())), figure(r.get("calls")), figure(r.get("total_ms"), "ms"), figure(r.get("rows")))
        for r in rows[:MAX_ROWS]
    )
    told = f"{len(rows)} statements, counted while {figure(document.get('requests'))} requests were answered."
    return Paragraph(told), Table(("Statement", "Calls", "Time", "Rows"), table, "Statements, the most time first")
