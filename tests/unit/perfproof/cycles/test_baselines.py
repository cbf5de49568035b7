"""The history of captures as series."""

from __future__ import annotations

from typing import Any

from perfproof.capture_changes import found_changes
from perfproof.cycles.baselines import baseline_history


def capture(hour: int, value: float | None, *, unit: str = "ms") -> dict[str, Any]:
    cell = {"service": "shop", "metric_name": "p95", "unit": unit, "direction": "lower_is_better", "value": value}
    return {"window": {"start": f"2025-02-16T{hour:02d}:00:00Z", "end": f"2025-02-16T{hour + 1:02d}:00:00Z"}, "cells": [cell]}


def change(at: str, **more: Any) -> dict[str, Any]:
    return {
        "series": "shop/p95", "unit": "ms", "at": at, "kind": "regression", "before": 10.0, "after": 20.0, "percent": 100.0, "p": 0.001,
        "reported_by": "x", "beside": [], **more,
    }  # fmt: skip


def test_a_series_has_a_point_for_each_capture_and_null_where_nothing_was_measured() -> None:
    """A value in another unit is none either."""
    found = baseline_history([capture(0, 10.0), capture(1, None), capture(2, 1.0, unit="s"), capture(3, 12.0)], protocol="demo")
    (series,) = found["series"]
    assert [p["value"] for p in series["points"]] == [10.0, None, None, 12.0]
    assert (series["service"], series["metric"], series["unit"], series["latest"]) == ("shop", "p95", "ms", 12.0)
    assert (found["captures"], found["from"], found["to"]) == (4, "2025-02-16T00:00:00Z", "2025-02-16T04:00:00Z")


def test_changes_are_at_their_series_with_what_was_beside_them() -> None:
    """Deployments and incidents once each, the newest change first."""
    beside = ["deployment of b2 at 2025-02-16T01:30:00Z", "incident INC-1 from x: slow"]
    records = [change("2025-02-16T01:00:00Z", beside=beside), change("2025-02-16T03:00:00Z", beside=beside[:1])]
    found = baseline_history([capture(h, 10.0 + h) for h in range(5)], protocol="demo", changes=records)
    assert (found["deployments"], found["incidents"]) == ([beside[0]], [beside[1]])
    assert [c["at"] for c in found["changes"]] == ["2025-02-16T03:00:00Z", "2025-02-16T01:00:00Z"]
    assert found["series"][0]["svg"].count("pp-change") == 2
    assert "shop/p95: regression" in found["series"][0]["changes"][0]["words"]


def test_a_change_before_the_captures_that_are_shown_is_told_and_not_drawn() -> None:
    """Its capture is older than what is read."""
    found = baseline_history([capture(5, 1.0), capture(6, 1.0)], protocol="demo", changes=[change("2025-02-15T00:00:00Z")])
    assert len(found["series"][0]["changes"]) == 1
    assert "pp-change" not in found["series"][0]["svg"]


def test_the_changes_that_captures_report_fit() -> None:
    """Records as `found_changes` makes them."""
    documents = [capture(h, 10.0 + (h % 3) * 0.1 + (10 if h >= 12 else 0)) for h in range(23)]
    records = found_changes(documents, reported_by="now")
    assert records
    found = baseline_history(documents, protocol="demo", changes=records)
    assert found["series"][0]["changes"][0]["at"] == "2025-02-16T12:00:00Z"
    assert found["series"][0]["svg"].count("pp-change") == 1


def test_without_captures_there_is_nothing() -> None:
    """What could not be read is named."""
    found = baseline_history([], protocol="demo", unreadable=[{"name": "x", "problem": "ART-310"}])
    assert (found["series"], found["from"], found["unreadable"]) == ([], None, [{"name": "x", "problem": "ART-310"}])
