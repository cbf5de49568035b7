"""The inbox of the next intake: a drift once, offered until a cycle that took it was handed off or a person accepted it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from perfproof.change_points.acknowledged import NOTHING_ACKNOWLEDGED, read_acknowledged
from perfproof.errors import ArtifactError
from perfproof.inputs.backlog import validate_backlog
from perfproof.intake_inbox import (
    accepted_drifts,
    drift_id,
    drift_item,
    drifts_reported,
    inbox_document,
    mark,
    read_drift,
    read_mark,
)
from perfproof.telemetry import document_bytes

HOUR = timedelta(hours=1)
NOW = datetime(2025, 2, 18, 10, tzinfo=UTC)
EVIDENCE = [{"name": "history/demo/a.json", "sha256": "a" * 64, "uri": "file:///x"}]


def record(**changes: Any) -> dict[str, Any]:
    return {
        "series": "shop/p95", "unit": "ms", "at": "2025-02-17T05:00:00Z", "kind": "regression", "before": 50.0, "after": 60.0,
        "percent": 20.0, "p": 0.001, "reported_by": "one", "beside": ["deployment of build-7 at 2025-02-17T04:59:00Z"], **changes,
    }  # fmt: skip


def drift(**changes: Any) -> dict[str, Any]:
    return drift_item(record(**changes), protocol="demo", length=HOUR, evidence=EVIDENCE)


def inbox(drifts: list[dict[str, Any]], *marks: dict[str, Any], accepted: dict[str, str] | None = None) -> dict[str, Any]:
    return inbox_document(drifts, marks, protocol="demo", dated=NOW, accepted=accepted or {})


def test_an_item_says_metric_service_figures_interval_what_was_beside_and_the_captures() -> None:
    """Everything that an intake needs to judge it, without looking into the history."""
    item = drift()
    assert (item["service"], item["metric"], item["unit"], item["before"], item["after"]) == ("shop", "p95", "ms", 50.0, 60.0)
    assert item["interval"] == {"start": "2025-02-17T05:00:00Z", "end": "2025-02-17T06:00:00Z"}
    assert "build-7" in item["reason"] and item["beside"] == ["deployment of build-7 at 2025-02-17T04:59:00Z"]
    assert item["evidence"] == [{"name": "history/demo/a.json", "sha256": "a" * 64}]
    assert "50 to 60 ms" in item["title"]


def test_a_level_that_rose_from_zero_has_no_percentage() -> None:
    """And no infinite one."""
    assert "from zero" in drift(before=0.0, percent=None)["reason"]


def test_the_id_is_that_of_the_content() -> None:
    """The same change has one id, whatever is learned beside it; another metric, moment, direction or protocol has another."""
    same = {drift_id("demo", record()), drift_id("demo", record(beside=[], p=0.2, after=61.0, reported_by="two"))}
    others = [record(series="shop/p99"), record(at="2025-02-17T06:00:00Z"), record(kind="improvement"), record(unit="s")]
    assert len(same) == 1
    assert len({*same, drift_id("other", record()), *(drift_id("demo", other) for other in others)}) == 6


def test_only_changes_for_the_worse_that_this_capture_reported_open_an_item() -> None:
    """Neither an improvement, nor what was known before the inbox existed."""
    records = [record(), record(kind="improvement"), record(reported_by="long ago")]
    assert drifts_reported(records, reported_by="one") == [record()]


def test_the_view_is_a_backlog_that_an_intake_can_read() -> None:
    """Every field of the drift comes through, and who opened it."""
    supplied = validate_backlog(document_bytes(inbox([drift()])), where="intake-items.json")
    (item,) = supplied.items["backlog"]
    assert item["kind"] == "drift" and item["evidence"][0]["sha256"] == "a" * 64 and item["from"] == "baseline_capture of demo"
    assert supplied.dated == NOW


def test_an_empty_inbox_is_a_backlog_too() -> None:
    """A protocol file can name it before anything drifted."""
    assert validate_backlog(document_bytes(inbox([])), where="x").items["backlog"] == ()


def test_a_drift_that_a_cycle_took_is_offered_until_that_cycle_is_handed_off() -> None:
    """A cycle that was halted did not settle it; the item says who has it."""
    one = drift()
    taken = mark("run-1", [one["id"]], at=NOW, earlier=None)
    (item,) = inbox([one], taken)["items"]
    assert item["taken_by"] == [{"run": "run-1", "taken_at": "2025-02-18T10:00:00Z"}]
    done = mark("run-1", [one["id"]], at=NOW + HOUR, earlier=taken, handed_off=True)
    document = inbox([one], done)
    assert document["items"] == []
    assert document["closed"][0]["id"] == one["id"]
    assert document["closed"][0]["closed_by"] == "taken by the cycle run-1, which was handed off at 2025-02-18T11:00:00Z"


def test_one_halted_cycle_does_not_reopen_what_another_settled() -> None:
    """The state is kept for each cycle."""
    one = drift()
    halted = mark("run-2", [one["id"]], at=NOW + HOUR, earlier=None)
    done = mark("run-1", [one["id"]], at=NOW, earlier=None, handed_off=True)
    assert inbox([one], halted, done)["items"] == []


def test_a_mark_written_again_keeps_its_moments() -> None:
    """A retry changes nothing, and does not undo a handoff."""
    first = mark("run-1", ["b", "a"], at=NOW, earlier=None, handed_off=True)
    assert first["items"] == ["a", "b"]
    assert mark("run-1", ["a", "b"], at=NOW + HOUR, earlier=first) == first


def test_a_change_that_a_person_accepted_is_closed_with_his_words() -> None:
    """Within three captures of its time, as everywhere."""
    one = drift()
    entries = {"shop/p95": [{"time": "2025-02-17T08:00:00Z", "reason": "larger baskets", "by": "owner"}]}
    near = accepted_drifts([one], read_acknowledged(document_bytes(entries), where="x"))
    assert inbox([one], accepted=near)["closed"][0]["closed_by"] == "acknowledged by owner: larger baskets"
    entries["shop/p95"][0]["time"] = "2025-02-17T08:00:01Z"
    assert accepted_drifts([one], read_acknowledged(document_bytes(entries), where="x")) == {}
    by_place = {"shop/p95": [{"index": 5, "reason": "r", "by": "b"}]}
    assert accepted_drifts([one], read_acknowledged(document_bytes(by_place), where="x")) == {}
    assert accepted_drifts([one], NOTHING_ACKNOWLEDGED) == {}


def test_more_than_an_intake_reads_leaves_out_the_oldest_and_counts_them() -> None:
    """A backlog of more than 1000 items would be refused as a whole."""
    drifts = [drift(series=f"shop/m{number:04d}") for number in range(1_003)]
    document = inbox(drifts)
    assert (len(document["items"]), document["left_out"]) == (1_000, 3)
    validate_backlog(document_bytes(document), where="x")


@pytest.mark.parametrize(
    "change",
    [
        {"id": "../x"},
        {"metric": None},
        {"at": "yesterday"},
        {"interval": {"start": "2025-02-17T05:00:00Z"}},
        {"interval": 3},
        {"after": "60"},
    ],
)
def test_a_damaged_drift_is_refused(change: dict[str, Any]) -> None:
    """With its file, before a view is made of it."""
    with pytest.raises(ArtifactError, match=r"drifts/x\.json"):
        read_drift(document_bytes({**drift(), **change}), where="drifts/x.json")


@pytest.mark.parametrize("change", [{"items": [1]}, {"items": "a"}, {"run": None}, {"handed_off_at": 1}])
def test_a_damaged_mark_is_refused(change: dict[str, Any]) -> None:
    """With its file."""
    with pytest.raises(ArtifactError, match=r"ART-916 .*taken/x\.json"):
        read_mark(document_bytes({**mark("run-1", ["a"], at=NOW, earlier=None), **change}), where="taken/x.json")


def test_what_is_written_is_read_again() -> None:
    """Drift and mark."""
    assert read_drift(document_bytes(drift()), where="x") == drift()
    made = mark("run-1", ["a"], at=NOW, earlier=None)
    assert read_mark(document_bytes(made), where="x") == made
