"""Statements of a service with what was found in their plans, and each plan as an indented tree."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from perfproof.errors import ProfileError
from perfproof.pages.blocks import Code, Listing, Mark, Paragraph, ShownBlock, Subheading, Table, Tone
from perfproof.query_plans import PlanNode, nodes
from perfproof.report.blocks import figure, percent

MAX_STATEMENTS = 50
MAX_SHOWN_NODES = 300
MAX_DEPTH = 40
CONDITIONS = ("Index Cond", "Hash Cond", "Merge Cond", "Recheck Cond", "Join Filter", "Filter", "Sort Key", "Group Key")


def query_plans(document: Mapping[str, Any]) -> tuple[ShownBlock, ...]:
    """Every service's statements: figures, findings, and plans."""
    blocks: list[ShownBlock] = []
    for service in document["services"]:
        found = service.get("statements") or ()
        blocks.append(Subheading(f"Database of {service.get('service')}"))
        blocks += [Paragraph(str(f.get("text")), mark=Mark("found", Tone.WARNING)) for f in service.get("findings") or ()]
        if not found:
            blocks.append(Paragraph("No statement was recorded."))
            continue
        header = ("No.", "Statement", "Share of time", "Calls", "Mean", "Rows", "Findings")
        table = tuple(_statement(place, one) for place, one in enumerate(found[:MAX_STATEMENTS], start=1))
        blocks.append(Table(header, table, "Statements with the most time in the database"))
        for place, one in enumerate(found[:MAX_STATEMENTS], start=1):
            blocks += _plan(place, one)
    return tuple(blocks)


def plan_tree(plan: Mapping[str, Any]) -> str:
    """A plan as PostgreSQL's EXPLAIN shows it: a node a line, indented, with rows, time and conditions."""
    lines: list[str] = []
    for place, node in enumerate(nodes(plan)):
        if place == MAX_SHOWN_NODES:
            lines.append("… more nodes are left out")
            break
        indent = "  " * min(node.depth, MAX_DEPTH)
        lines.append(f"{indent}{'-> ' if node.depth else ''}{node.label}  {_figures(node)}")
        for key in CONDITIONS:
            if key in node.raw:
                condition = node.raw[key]
                text = ", ".join(map(str, condition)) if isinstance(condition, list) else str(condition)
                lines.append(f"{indent}     {key}: {' '.join(text.split())}")
        removed = node.raw.get("Rows Removed by Filter")
        if removed:
            lines.append(f"{indent}     Rows Removed by Filter: {figure(removed)}")
    return "\n".join(lines)


def _figures(node: PlanNode) -> str:
    planned = f"planned {figure(node.planned_rows)} rows"
    if node.actual_rows is None:
        return f"({planned}, not run)"
    loops = f" x {figure(node.loops)}" if node.loops != 1 else ""
    return f"({planned}, gave {figure(node.actual_rows)}{loops} in {figure(node.raw.get('Actual Total Time'), 'ms')})"


def _statement(place: int, one: Mapping[str, Any]) -> tuple[Any, ...]:
    findings = tuple(str(f.get("text")) for f in one.get("findings") or ())
    return (
        place, Code(" ".join(str(one.get("statement")).split())), percent(one.get("share_percent")), figure(one.get("calls")),
        figure(one.get("mean_ms"), "ms"), figure(one.get("rows")), findings or None,
    )  # fmt: skip


def _plan(place: int, one: Mapping[str, Any]) -> list[ShownBlock]:
    if one.get("plan") is None:
        return [Paragraph(f"Plan {place}: none. {one.get('error') or ''}")]
    try:
        tree = plan_tree(one["plan"])
    except ProfileError as problem:
        return [Paragraph(f"Plan {place} cannot be shown: {problem.what}.", mark=Mark("not readable", Tone.WARNING))]
    ran = "run for these figures" if one.get("analyzed") is True else "not run, so the rows are guesses"
    values = ", ".join(f"${number} = {p.get('value')}" for number, p in enumerate(one.get("parameters") or (), start=1))
    return [Subheading(f"Plan {place} ({ran}{'; ' + values if values else ''})"), Listing(tree)]
