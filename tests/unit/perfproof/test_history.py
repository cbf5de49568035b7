"""The history of recurring captures: names, intervals, and which of two captures stays."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfproof import history
from perfproof.errors import ParameterError
from perfproof.history import Decision, before, check_interval, decide, entry_interval, entry_name, entry_path, newest, part_path

START = datetime(2025, 2, 16, 9, tzinfo=UTC)
END = START + timedelta(hours=1)
NAME = "20250216T090000Z_20250216T100000Z.json"


def captured(*, completeness: float = 100, valid: int = 60, protocol: str = "a" * 64, at: str = "2025-02-16T10:01:00Z") -> dict[str, Any]:
    cells = [{"service": "api", "metric_name": "p95", "value": 1.0, "samples_valid": valid}]
    return {"collected_at": at, "protocol_sha256": protocol, "baseline_completeness": completeness, "cells": cells}


def test_the_interval_alone_names_the_file() -> None:
    """In whatever time zone the interval is given."""
    east = timezone(timedelta(hours=2))
    assert entry_name(START, END) == entry_name(START.astimezone(east), END.astimezone(east)) == NAME


@given(st.integers(946_684_800, 4_102_444_800), st.integers(1, 86_400 * 31))
def test_a_name_reads_back_as_its_interval(start: int, seconds: int) -> None:
    """Every name that is written is understood."""
    begin = datetime.fromtimestamp(start, UTC)
    end = begin + timedelta(seconds=seconds)
    assert entry_interval(entry_name(begin, end)) == (begin, end)


@pytest.mark.parametrize(
    "name",
    ["", "x.json", "20250230T090000Z_20250301T090000Z.json", "20250216T100000Z_20250216T090000Z.json", f"{NAME}.tmp", f".{NAME}", "parts"],
)
def test_other_files_are_no_captures(name: str) -> None:
    """Temporary files, impossible dates and reversed intervals are left out."""
    assert entry_interval(name) is None


@pytest.mark.parametrize(
    ("start", "end", "words"),
    [
        (None, END, "the run has none"),
        (START, None, "the run has none"),
        (START, START, "not a span"),
        (END, START, "not a span"),
        (START, START + timedelta(days=32), "not a span"),
        (START.replace(tzinfo=None), END.replace(tzinfo=None), "no time zone"),
        (START, END + timedelta(days=9), "not over yet"),
    ],
)
def test_an_interval_that_cannot_be_captured_is_refused(start: datetime | None, end: datetime | None, words: str) -> None:
    """One line each, before anything is asked."""
    with pytest.raises(ParameterError) as caught:
        check_interval(start, end, now=END)
    assert words in str(caught.value)


def test_an_interval_that_just_ended_is_captured() -> None:
    """The end itself is over."""
    assert check_interval(START, END, now=END) == (START, END)


@pytest.mark.parametrize("protocol", ["../x", "", "Demo", "a/b", "a..b"])
def test_no_path_leaves_the_history(protocol: str) -> None:
    """Names are identifiers or nothing is built from them."""
    with pytest.raises(ParameterError):
        entry_path("history", protocol, NAME)
    with pytest.raises(ParameterError):
        part_path("history", "demo", NAME, protocol)


def test_paths_are_below_the_protocol() -> None:
    """One file per interval; the parts beside it."""
    assert entry_path("h/", "demo", NAME) == f"h/demo/{NAME}"
    assert part_path("h", "demo", NAME, "shop") == f"h/demo/parts/{NAME.removesuffix('.json')}/shop.json"


@pytest.mark.parametrize(
    ("existing", "new", "decision"),
    [
        (None, captured(), Decision.WRITE),
        (captured(), captured(at="2026-01-01T00:00:00Z"), Decision.KEEP),
        (captured(completeness=80), captured(), Decision.WRITE),
        (captured(), captured(completeness=80), Decision.KEEP),
        (captured(valid=58), captured(valid=60), Decision.WRITE),
        (captured(valid=60), captured(valid=58), Decision.KEEP),
        (captured(), captured(completeness=80, protocol="b" * 64), Decision.WRITE),
    ],
)
def test_the_fuller_capture_stays(existing: dict[str, Any] | None, new: dict[str, Any], decision: Decision) -> None:
    """Same telemetry: kept; more: written; less: kept; another protocol file: written."""
    assert decide(existing, new) is decision


def test_equally_full_captures_with_other_values_keep_the_first() -> None:
    """What was seen first is not rewritten by a later answer that holds no more."""
    other = copy.deepcopy(captured())
    other["cells"][0]["value"] = 2.0
    assert decide(captured(), other) is Decision.KEEP


def test_the_newest_captures_before_a_moment_in_order() -> None:
    """Captures that end later, parts and strangers do not belong to the past of an interval."""
    names = [entry_name(START + timedelta(hours=h), END + timedelta(hours=h)) for h in range(5)]
    assert before([*reversed(names), "parts", "x.json"], END + timedelta(hours=2), limit=2) == names[1:3]
    assert before(names, START, limit=9) == []
    assert before(names, END, limit=0) == []


def test_a_long_history_is_read_from_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The moments of a year of names are not read to find the newest: only those of the captures that are looked at."""
    names = [entry_name(START + hour * timedelta(hours=1), START + (hour + 1) * timedelta(hours=1)) for hour in range(500)]
    assert newest([*names, "parts", "changes.json"], limit=3) == names[-3:]
    assert newest(names, limit=0) == []
    read: list[str] = []

    def counted(name: str) -> tuple[datetime, datetime] | None:
        read.append(name)
        return entry_interval(name)

    monkeypatch.setattr(history, "entry_interval", counted)
    assert before(names, END + timedelta(days=30), limit=4) == names[-4:]
    assert len(read) == 4
