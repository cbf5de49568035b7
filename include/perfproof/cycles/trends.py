"""Over the cycles: what each gained, and what plans promised against what validations found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from perfproof.cycles import bodies
from perfproof.cycles.series_svg import pairs_svg, series_svg
from perfproof.gates.figures import mappings
from perfproof.promised_gains import carried, gains_by_cause

PROMISED_GAINS = "evidence/promised-gains.json"
FIELDS = ("run", "started_at", "ended_at", "protocol", "services", "target_metric", "improvement_percent", "verdict", "state")
_WORDS = ("run", "validated_at", "service", "target_metric", "cause", "kept", "status", "validation_sha256")
_FIGURES = ("promised_percent", "stated_percent", "realized_percent", "realized_low", "realized_high", "ratio")


def trends(summaries: Sequence[Mapping[str, Any]], *, promised: Iterable[Any]) -> dict[str, Any]:
    """Improvements of the cycles that measured one, oldest first, and every validated change of `promised`.

    `summaries` are cycle summaries in any order; `promised` are documents of `perfproof.promised_gains`, oldest first: each holds the
    history of those before, and a validation counts once.
    """
    measured = [s for s in summaries if s.get("improvement_percent") is not None]
    improvements = [{key: s[key] for key in FIELDS} for s in sorted(measured, key=lambda s: (str(s["started_at"]), s["run"]))]
    records: list[dict[str, Any]] = []
    for document in promised:
        records = carried(records, [found for r in mappings(document, "records") if (found := _record(r)) is not None])
    return {
        "improvements": improvements,
        "gains": {"records": records, "by_cause": gains_by_cause(records)},
        "improvement_svg": series_svg(
            [i["improvement_percent"] for i in improvements], title="Improvement by cycle", unit="%", ends=_days(improvements, "started_at")
        )
        if improvements
        else None,
        "gains_svg": pairs_svg(
            [(r["promised_percent"], r["realized_percent"]) for r in records], title="Promised and realized gain", unit="%",
            ends=_days(records, "validated_at"),
        )
        if records
        else None,
    }  # fmt: skip


def _days(items: Sequence[Mapping[str, Any]], key: str) -> tuple[str, str]:
    first, last = (str(items[place].get(key) or "")[:10] for place in (0, -1))
    return first, last


def _record(record: Mapping[str, Any]) -> dict[str, Any] | None:
    """The record as far as it has the shape of one; None if it names no validation."""
    words = {key: bodies.text(record, key) for key in _WORDS}
    if words["validation_sha256"] is None:
        return None
    optimizations = [{key: bodies.text(o, key) for key in ("id", "title", "cause")} for o in mappings(record, "optimizations")]
    known = {**words, "cause": words["cause"] or "unknown", "kept": words["kept"] or "unknown"}
    return {**known, **{key: bodies.figure(record, key) for key in _FIGURES}, "optimizations": optimizations}
