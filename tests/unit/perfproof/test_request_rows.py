"""Requests in the CSV files of other tools: times, units and failures are understood or refused, never guessed."""

from __future__ import annotations

from typing import Any

import pytest

from perfproof.errors import ArtifactError
from perfproof.inputs.request_rows import has_requests, request_rows


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([1_700_000_000, 1_700_000_001.5], [0, 1.5]),
        (["1700000000000", "1700000001500"], [0, 1.5]),
        (["2026-01-01T10:00:00Z", "2026-01-01T11:00:01.5+01:00"], [0, 1.5]),
        (["2026-01-01 10:00:00", "2026-01-01 10:00:01.5"], [0, 1.5]),
        ([5.5, 4.0], [1.5, 0]),
    ],
)
def test_times_are_seconds_milliseconds_or_iso(times: list[Any], expected: list[float]) -> None:
    """Counted from the earliest request."""
    assert request_rows({"timestamp": times, "latency": [1, 1]}, where="x").intended_start.tolist() == expected


@pytest.mark.parametrize(
    ("column", "milliseconds"),
    [("latency", 20), ("Elapsed", 20), ("response_time_ms", 20), ("latency_s", 20_000), ("duration_seconds", 20_000)],
)
def test_the_name_tells_the_unit(column: str, milliseconds: float) -> None:
    """Milliseconds, unless the ending says seconds."""
    assert request_rows({"time": [0], column: ["20"]}, where="x").latency_ms.tolist() == pytest.approx([milliseconds])


@pytest.mark.parametrize(
    ("column", "cells", "expected"),
    [
        ("success", ["true", "FALSE", "1", "0"], [True, False, True, False]),
        ("ok", [True, False, 1, 0], [True, False, True, False]),
        ("status", ["200", "302", "404", "503"], [True, True, False, False]),
        ("responseCode", ["200", "", "Non HTTP response code", "-1"], [True, False, False, False]),
        ("build", ["a", "b", "c", "d"], [True, True, True, True]),
    ],
)
def test_what_failed_is_failed(column: str, cells: list[Any], expected: list[bool]) -> None:
    """By success, ok or the status; where no column says, all succeeded."""
    assert request_rows({"time": [0, 1, 2, 3], "latency": [1] * 4, column: cells}, where="x").ok.tolist() == expected


def test_a_request_without_a_latency_failed() -> None:
    """It is not left out: that would make errors fast."""
    rows = request_rows({"time": [0, 1, 2], "latency": ["5", "", "nan"]}, where="x")
    assert (rows.ok.tolist(), len(rows)) == ([True, False, False], 3)


@pytest.mark.parametrize(
    "table",
    [
        {"time": ["", 1], "latency": [1, 1]},
        {"time": ["soon", 1], "latency": [1, 1]},
        {"time": ["inf", 1], "latency": [1, 1]},
        {"time": [0, 1], "latency": [1, -1]},
        {"time": [0, 1], "latency": [1, "fast"]},
        {"time": [0, 1], "latency": [1, 1], "success": ["yes", "no"]},
        {"time": [0, 1], "value": [1, 1]},
    ],
)
def test_what_cannot_be_is_refused(table: dict[str, list[Any]]) -> None:
    """With the column, in one line."""
    with pytest.raises(ArtifactError) as caught:
        request_rows(table, where="x.csv")
    assert str(caught.value).startswith(("ART-470", "ART-466")) and "\n" not in str(caught.value)


def test_a_time_and_a_latency_make_requests() -> None:
    """One of them alone does not."""
    assert has_requests({"timestamp": [], "latency": []})
    assert not has_requests({"timestamp": []}) and not has_requests({"latency": [], "value": []})
