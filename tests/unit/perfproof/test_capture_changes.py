"""Changes over the recurring captures: reported once, with what was beside them, and never a silent reference."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from perfproof.baseline_comparison import compare_with_history
from perfproof.capture_changes import (
    Beside,
    capture_series,
    change_words,
    changes_document,
    found_changes,
    interval_length,
    merged,
    read_changes,
)
from perfproof.change_points.acknowledged import read_acknowledged
from perfproof.errors import ArtifactError
from perfproof.moments import stamp
from perfproof.telemetry import document_bytes

Json = dict[str, Any]
HOUR = timedelta(hours=1)
FIRST = datetime(2026, 1, 1, tzinfo=UTC)


def start(hour: int) -> str:
    return stamp(FIRST + hour * HOUR)


def captures(*parts: tuple[float, int], unit: str = "ms", service: str = "shop") -> list[Json]:
    generator = np.random.default_rng(2)
    values = np.concatenate([np.full(n, value) for value, n in parts]) * generator.normal(1, 0.01, sum(n for _, n in parts))
    return [
        {
            "window": {"start": start(hour), "end": start(hour + 1)},
            "cells": [
                {
                    "service": service,
                    "metric_name": "p95",
                    "unit": unit,
                    "direction": "lower_is_better",
                    "value": None if math.isnan(value) else float(value),
                }
            ],
        }
        for hour, value in enumerate(values)
    ]


def reported(documents: list[Json], before: list[Json] | None = None, beside: Beside | None = None) -> tuple[list[Json], list[Json]]:
    found = found_changes(documents, reported_by="now")
    return merged(before or [], found, length=interval_length(documents[-1]), beside=lambda: beside or Beside())


def test_a_change_is_reported_once_however_often_it_is_looked_for() -> None:
    """From its first detection on, capture after capture, although its place may move a little."""
    documents = captures((100, 30), (103, 30))
    records: list[Json] = []
    announced = []
    for hour in range(15, 61):
        records, new = reported(documents[:hour], records)
        announced += new
    assert len(announced) == 1 and len(records) == 1
    assert announced[0]["kind"] == "regression" and announced[0]["series"] == "shop/p95"
    assert abs((datetime.fromisoformat(announced[0]["at"]) - FIRST) / HOUR - 30) <= 3


def test_the_same_captures_again_say_nothing() -> None:
    """And the record stays, byte for byte."""
    documents = captures((100, 30), (130, 30))
    first, new = reported(documents)
    again, silent = reported(documents, first)
    assert len(new) == 1 and silent == []
    assert document_bytes(changes_document(again)) == document_bytes(changes_document(first))
    assert read_changes(document_bytes(changes_document(first)), where="changes.json") == first


def test_up_and_down_again_are_two_reports() -> None:
    """Of different kinds, in the order of time."""
    records, _ = reported(captures((100, 30), (150, 20), (100, 30)))
    assert [(r["kind"], r["at"]) for r in records] == [("regression", start(30)), ("improvement", start(50))]


def test_what_happened_within_one_capture_stands_beside_it() -> None:
    """Of this service, from one interval before to one after; an incident that lasted into it too."""
    deployments = [
        {"service": "shop", "build": f"b{hour}", "deployed_at": stamp(FIRST + hour * HOUR + HOUR / 2), "change": "x"}
        for hour in (27, 28, 29, 31, 32)
    ]
    deployments.append({"service": "other", "build": "o", "deployed_at": start(30), "change": "x"})
    incidents = [
        {"id": "I1", "title": "disk <full>\n", "started_at": start(10), "ended_at": None, "services": ["shop"]},
        {"id": "I2", "title": "over", "started_at": start(10), "ended_at": start(11), "services": ["shop"]},
        {"id": "I3", "title": "elsewhere", "started_at": start(30), "ended_at": None, "services": ["other"]},
    ]
    _, new = reported(captures((100, 30), (130, 30)), beside=Beside(deployments, incidents))
    text = change_words(new[0])
    assert [line.split(" at ")[0] for line in new[0]["beside"][:2]] == ["deployment of b29", "deployment of b31"]
    assert "I1" in text and not any(word in text for word in ("b27", "b28", "b32", "I2", "I3", "deployment of o", "\n"))


def test_what_nobody_knows_is_said() -> None:
    """No deployment source is not "no deployment"."""
    _, new = reported(captures((100, 30), (130, 30)), beside=Beside(unknown=("deployments unknown",)))
    assert "deployments unknown" in change_words(new[0])
    assert "no deployment or incident beside it" in change_words(reported(captures((100, 30), (130, 30)))[1][0])


def test_gaps_and_other_units_are_missing_and_not_filled() -> None:
    """A gap moves no index; seconds among milliseconds are no value."""
    documents = captures((100, 30), (math.nan, 5), (130, 30))
    series = capture_series(documents)[0]
    assert [math.isnan(v) for v in series.values[28:37]] == [False] * 2 + [True] * 5 + [False] * 2
    assert reported(documents)[0][0]["at"] == start(35)
    assert all(math.isnan(v) for v in capture_series([*captures((0.1, 3), unit="s"), *captures((100, 1))])[0].values[:3])


@pytest.mark.parametrize(
    "document", [[], {}, {"schema_version": 1}, {"schema_version": 1, "changes": [{}]}, {"schema_version": 2, "changes": []}]
)
def test_a_damaged_record_is_an_error(document: Any) -> None:
    """It is not taken for "nothing was reported"."""
    with pytest.raises(ArtifactError):
        read_changes(json.dumps(document).encode(), where="changes.json")


# The comparison with the history


def compared(history: list[Json], value: float, *, acks: Json | None = None, limit: float = 20) -> Json:
    document = captures((value, 1))[0]
    document["window"] = {"start": start(len(history)), "end": start(len(history) + 1)}
    document["cells"][0]["value"] = value
    read = read_acknowledged(json.dumps(acks or {}).encode(), where="acks.json")
    return compare_with_history(document, history, limit_percent=limit, acknowledged=read)


def accepted(hour: int) -> Json:
    return {"shop/p95": [{"time": start(hour), "reason": "larger basket", "by": "owner"}]}


def test_the_reference_is_the_last_stable_part() -> None:
    """80 after an improvement: 100, the level before it, is now a regression at 20 %."""
    history = captures((100, 30), (80, 30))
    finding = compared(history, 99)["findings"][0]
    assert finding["previous"] == pytest.approx(80, abs=1) and finding["change"] == "regressed"
    assert compared(history, 82)["findings"][0]["change"] == "within_limit"


def test_a_regression_that_nobody_accepted_is_never_a_silent_pass() -> None:
    """110 is now usual, and within 20 % of both levels: inconclusive until somebody accepts it."""
    history = captures((100, 30), (110, 30))
    document = compared(history, 110)
    assert (document["regressed"], document["findings"][0]["change"]) == ([], "inconclusive")
    assert "baseline not stable" in document["inconclusive"][0] and start(30) in document["inconclusive"][0]
    assert document["inconclusive"] == document["unknown"]
    agreed = compared(history, 110, acks=accepted(30))
    assert (agreed["inconclusive"], agreed["findings"][0]["change"]) == ([], "within_limit")
    assert agreed["findings"][0]["previous"] == pytest.approx(110, abs=1)


def test_against_the_level_before_it_a_regression_is_named() -> None:
    """150 against the 100 that were: regressed, whatever has become usual since."""
    finding = compared(captures((100, 30), (150, 30)), 150)["findings"][0]
    assert finding["change"] == "regressed" and finding["previous"] == pytest.approx(100, abs=1)


def test_too_few_captures_after_an_accepted_change_decide_nothing() -> None:
    """Five are inconclusive, six are a reference."""
    for after, change in ((5, "inconclusive"), (6, "within_limit")):
        document = compared(captures((100, 30), (150, after)), 150, acks=accepted(30))
        assert document["findings"][0]["change"] == change


def test_an_entry_for_another_change_accepts_nothing() -> None:
    """Ten captures away, or of another metric."""
    history = captures((100, 30), (110, 30))
    for acks in (accepted(40), {"shop/p50": accepted(30)["shop/p95"]}):
        assert compared(history, 110, acks=acks)["findings"][0]["change"] == "inconclusive"


def test_a_stable_history_is_compared_as_before() -> None:
    """No change, no acknowledgement needed."""
    assert compared(captures((100, 40)), 110)["findings"][0]["change"] == "within_limit"
    assert compared(captures((100, 40)), 130)["findings"][0]["change"] == "regressed"
