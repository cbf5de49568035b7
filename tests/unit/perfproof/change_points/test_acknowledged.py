"""Accepted changes: an entry accepts the change it names, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from perfproof.change_points.acknowledged import read_acknowledged
from perfproof.errors import ArtifactError

WHY = {"reason": "larger instance", "by": "owner"}


def of(entries: list[dict[str, Any]], changes: list[int], times: tuple[str, ...] = ()) -> list[bool]:
    read = read_acknowledged(json.dumps({"s": entries}).encode(), where="acks.json")
    return [entry is not None for entry in read.of("s", changes, times=times)]


@pytest.mark.parametrize(("index", "expected"), [(30, True), (33, True), (27, True), (34, False), (26, False)])
def test_an_entry_belongs_to_the_change_within_three_values(index: int, expected: bool) -> None:
    """A change moves a little as more is measured."""
    assert of([{**WHY, "index": index}], [30]) == [expected]


def test_one_entry_accepts_one_change_the_nearest() -> None:
    """Two changes near one entry, and two entries near one change."""
    assert of([{**WHY, "index": 31}], [28, 32]) == [False, True]
    assert of([{**WHY, "index": 30}, {**WHY, "index": 31}], [30]) == [True]
    assert of([{**WHY, "index": 30}, {**WHY, "index": 34}], [30, 34]) == [True, True]


def test_a_time_is_the_text_of_the_series_or_a_moment() -> None:
    """The first value at or after the moment; a time that is none accepts nothing."""
    hours = tuple(f"2026-01-01T{hour:02d}:00:00Z" for hour in range(24))
    assert of([{**WHY, "time": hours[12]}], [12], hours) == [True]
    assert of([{**WHY, "time": "2026-01-01T12:30:00+01:00"}], [12], hours) == [True]
    assert of([{**WHY, "time": "2026-02-01"}], [12], hours) == [False]
    assert of([{**WHY, "time": "build-7"}], [1], ("build-6", "build-7")) == [True]
    assert of([{**WHY, "time": "build-9"}], [1], ("build-6", "build-7")) == [False]


@pytest.mark.parametrize(
    "document",
    [
        [],
        {"s": {}},
        {"s": [{"index": 1, "reason": " ", "by": "owner"}]},
        {"s": [{"index": 1, "reason": "x"}]},
        {"s": [{"index": 1, "reason": "x", "by": ""}]},
        {"s": [WHY]},
        {"s": [{**WHY, "index": 1, "time": "2026-01-01"}]},
        {"s": [{**WHY, "index": -1}]},
        {"s": [{**WHY, "index": "1"}]},
        {"s": [{**WHY, "index": 1, "who": "me"}]},
    ],
)
def test_a_file_with_a_slip_is_refused(document: Any) -> None:
    """In one line with its place; nothing is accepted by half an entry."""
    with pytest.raises(ArtifactError) as caught:
        read_acknowledged(json.dumps(document).encode(), where="acks.json")
    assert "acks.json" in str(caught.value) and "\n" not in str(caught.value)


def test_an_entry_of_an_unknown_series_is_refused() -> None:
    """A name that is misspelt would accept nothing, without a word."""
    read = read_acknowledged(json.dumps({"p96": [{**WHY, "index": 1}]}).encode(), where="acks.json")
    with pytest.raises(ArtifactError, match="ART-475"):
        read.require_known(["p95"], where="acks.json")
