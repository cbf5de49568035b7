"""Before and after: the values of the measured blocks and the intervals of the verdict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from perfproof.pages.blocks import Chart, Mark, Paragraph, Ref, ShownBlock, Table, Tone
from perfproof.pages.charts import Interval, intervals_chart, number, sides_chart
from perfproof.report.blocks import figure, percent

TONES = {"no regression": "pp-good", "regression": "pp-bad", "proved": "pp-good", "not proved": "pp-bad"}
SIDES = ("baseline", "candidate")


def validation(document: Mapping[str, Any]) -> tuple[ShownBlock, ...]:
    """The values of both sides, and every interval beside what it must keep."""
    blocks: list[ShownBlock] = []
    samples = document.get("samples") or {}
    before, after = (list((samples.get(side) or {}).get("values") or ()) for side in SIDES)
    metric, unit = str(document["target_metric"]), str((document.get("baseline") or {}).get("unit") or "")
    sides = sides_chart(before, after, title=f"{metric} of each measured block, before and after the change", unit=f"{metric} in {unit}")
    if sides is not None:
        blocks.append(Chart(sides, f"{metric} of each measured block: dots before, squares after, a line at each median"))
    verdict = document.get("verdict") or {}
    target = Interval(
        metric, number(verdict.get("ci_low")), number(verdict.get("ci_high")), number(verdict.get("improvement_percent")),
        number(verdict.get("threshold_percent")), TONES.get(str(verdict.get("label")), "pp-open"),
    )  # fmt: skip
    improvement = intervals_chart([target], title=f"Interval of the improvement of {metric}", unit="percent better")
    if improvement is not None and verdict:
        blocks.append(Chart(improvement, "The improvement with its interval; all of it must lie right of the dashed threshold"))
    blocks += _guards(document)
    return tuple(blocks)


def _guards(document: Mapping[str, Any]) -> list[ShownBlock]:
    """One chart for each scale, since percent and points have no common axis."""
    by_scale: dict[str, list[Interval]] = {}
    for guard in document.get("guards") or ():
        row = Interval(
            str(guard.get("metric")), number(guard.get("ci_low")), number(guard.get("ci_high")), number(guard.get("worsening")),
            number(guard.get("margin_percent")), TONES.get(str(guard.get("label")), "pp-open"),
        )  # fmt: skip
        by_scale.setdefault(str(guard.get("scale")), []).append(row)
    found: list[ShownBlock] = []
    for scale, rows in by_scale.items():
        svg = intervals_chart(rows, title=f"Guard metrics, {scale}", unit=f"worse by, {scale} (left of 0 is better)")
        if svg is not None:
            found.append(Chart(svg, "Guard metrics with their intervals; all of each must lie left of its dashed margin"))
    return found


def measurement(document: Mapping[str, Any]) -> tuple[ShownBlock, ...]:
    """Every measured block in order, with its guards, and the distribution of p95 on both sides."""
    blocks = document["blocks"]
    builds = document.get("builds") or {}
    turns = "in turns" if document.get("interleaved") is True else "one after the other"
    told = (
        f"{document.get('service')}: {len(blocks)} blocks of {figure(document.get('block_seconds'), 's')} at "
        f"{figure(document.get('rate'), 'req/s')}, {turns}, from {document.get('started_at')}. "
        f"Builds: {builds.get('baseline')} before, {builds.get('candidate')} after."
    )
    shown: list[ShownBlock] = [Paragraph(told)]
    before, after = ([b.get("p95") for b in blocks if b.get("side") == side and b.get("valid") is True] for side in SIDES)
    chart = sides_chart(before, after, title="p95 of each valid block over all transactions", unit="p95 in ms, over all transactions")
    if chart is not None:
        shown.append(Chart(chart, "p95 of each valid block over all transactions: dots before, squares after"))
    guards = list(dict.fromkeys(str(name) for block in blocks for name in block.get("guards") or {}))
    header = ("Block", "Side", "Valid", "Requests", "Errors", "p50", "p95", "p99", *guards, "Rows")
    shown.append(Table(header, tuple(_block(block, guards) for block in blocks), "Measured blocks in their order"))
    return tuple(shown)


def _block(block: Mapping[str, Any], guards: list[str]) -> tuple[Any, ...]:
    reasons = "; ".join(map(str, block.get("invalid_reasons") or ()))
    valid = Mark("valid", Tone.GOOD) if block.get("valid") is True else Mark(f"INVALID: {reasons}", Tone.BAD)
    values = block.get("guards") or {}
    rows = block.get("rows") or {}
    return (
        block.get("order"), block.get("side"), valid, figure(block.get("requests")), figure(block.get("errors")),
        *(figure(block.get(p), "ms") for p in ("p50", "p95", "p99")),
        *(percent(values.get(name)) if name.endswith("_rate") else figure(values.get(name)) for name in guards),
        Ref(str(rows["name"])) if rows.get("name") else None,
    )  # fmt: skip
