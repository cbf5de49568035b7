"""Improvements and promised gains over cycles."""

from __future__ import annotations

from typing import Any

from perfproof.cycles.trends import trends


def summary(run: str, at: str, percent: float | None) -> dict[str, Any]:
    return {
        "run": run, "started_at": at, "ended_at": None, "protocol": "demo", "services": ["shop"], "target_metric": "p95",
        "improvement_percent": percent, "verdict": "proved", "state": "passed",
    }  # fmt: skip


def record(number: int, promised: float | None = 20.0, realized: float | None = 10.0, **more: Any) -> dict[str, Any]:
    return {
        "run": f"run-{number}", "validated_at": "2025-02-16T10:00:00Z", "validation_sha256": f"{number:064d}", "service": "shop",
        "target_metric": "p95", "optimizations": [{"id": "OPT-1", "title": "Index", "cause": "query"}], "cause": "query",
        "promised_percent": promised, "stated_percent": None, "bounded": False, "realized_percent": realized, "realized_low": 5.0,
        "realized_high": 15.0, "ratio": 0.5, "kept": "short", "status": "pass", **more,
    }  # fmt: skip


def test_improvements_are_those_that_were_measured_oldest_first() -> None:
    """A cycle without one has no point."""
    found = trends([summary("b", "2025-02-17", 5.0), summary("c", "2025-02-18", None), summary("a", "2025-02-16", -3.0)], promised=[])
    assert [(i["run"], i["improvement_percent"]) for i in found["improvements"]] == [("a", -3.0), ("b", 5.0)]
    assert "<svg" in found["improvement_svg"]


def test_a_validation_that_several_cycles_hand_on_counts_once() -> None:
    """Each cycle's document holds the history of those before it."""
    first, second = record(1), record(2, 30.0, 30.0, kept="kept")
    found = trends([], promised=[{"records": [first]}, {"records": [first, second]}])["gains"]
    assert [r["run"] for r in found["records"]] == ["run-1", "run-2"]
    (cause,) = found["by_cause"]
    assert (cause["cause"], cause["validated"], cause["ratio"], cause["kept"], cause["short"]) == ("query", 2, 0.8, 1, 1)


def test_nothing_measured_is_no_picture() -> None:
    """An empty page says so in words."""
    assert trends([], promised=[]) == {
        "improvements": [], "gains": {"records": [], "by_cause": []}, "improvement_svg": None, "gains_svg": None,
    }  # fmt: skip


def test_documents_of_another_shape_give_what_they_have() -> None:
    """A figure that is none is null, a record without validation is none."""
    odd = record(1, promised="much", realized=True, cause=None, kept=7, optimizations="x")  # type: ignore[arg-type]
    found = trends([], promised=[None, [], {"records": 1}, {"records": [{}, 5, odd]}])["gains"]
    (kept,) = found["records"]
    assert (kept["promised_percent"], kept["realized_percent"], kept["cause"], kept["kept"], kept["optimizations"]) == (
        None, None, "unknown", "unknown", [],
    )  # fmt: skip
    assert found["by_cause"][0]["ratio"] is None
