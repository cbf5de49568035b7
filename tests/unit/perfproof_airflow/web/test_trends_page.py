"""Trends: improvement by cycle and promises against what was found, with text of others as text."""

from __future__ import annotations

from typing import Any

import pytest
from content_rig import HOSTILE, harmless
from pages_rig import AT, Pages, pages

from perfproof.cycles.trends import trends
from perfproof.evidence import MemoryBackend
from perfproof_airflow.web.cycles import CycleReader


def summary(**changes: Any) -> dict[str, Any]:
    """What trends reads of a cycle."""
    return {
        "run": "manual__1-b3dbc7a3e99a4548",
        "started_at": AT,
        "ended_at": AT,
        "protocol": "demo",
        "services": ["shop"],
        "target_metric": "latency_p95",
        "improvement_percent": 81.8,
        "verdict": "proved",
        "state": "passed",
        **changes,
    }


def record(**changes: Any) -> dict[str, Any]:
    """One validated promise."""
    return {
        "run": "manual__1-b3dbc7a3e99a4548",
        "validated_at": AT,
        "validation_sha256": "ab" * 32,
        "service": "shop",
        "target_metric": "latency_p95",
        "optimizations": [{"id": "OPT-001", "title": "Index orders", "cause": "database_contention"}],
        "cause": "database_contention",
        "promised_percent": 40.0,
        "stated_percent": 40.0,
        "realized_percent": 81.8,
        "realized_low": 69.2,
        "realized_high": 89.3,
        "ratio": 2.0,
        "kept": "kept",
        "status": "pass",
        **changes,
    }


class Trends(CycleReader):
    """A reader of cycles that were summarized already."""

    def __init__(self, summaries: list[dict[str, Any]], records: list[dict[str, Any]]) -> None:
        super().__init__(MemoryBackend())
        self.document = trends(summaries, promised=[{"records": records}])

    def trends(self, *, limit: int = 200) -> dict[str, Any]:
        return self.document


def look(summaries: list[dict[str, Any]], records: list[dict[str, Any]]) -> Pages:
    return pages(reader=Trends(summaries, records))  # type: ignore[arg-type]


def test_improvements_and_promises_are_pictures_and_tables() -> None:
    """The newest cycle first, each a link, and a promise beside the interval of what was found."""
    older = summary(run="manual__0-aaaaaaaaaaaaaaaa", started_at="2026-11-01T00:00:00Z", improvement_percent=3.0)
    page = harmless(
        look([summary(), older], [record(), record(validation_sha256="cd" * 32, kept="short", realized_percent=12.0)])
        .client.get("/perfproof/trends")
        .text
    )
    assert len(page.all("svg")) == 2
    assert page.words.index("manual__1-") < page.words.index("manual__0-")
    for words in ("81.8 %", "3 %", "69.2 to 89.3 %", "Kept", "Fell short", "database contention", "OPT-001: Index orders"):
        assert words in page.words


def test_what_is_not_known_is_a_dash() -> None:
    """A gain without an interval, a cycle without services."""
    unknown = record(
        promised_percent=None, realized_percent=None, realized_low=None, realized_high=None, ratio=None, kept="unknown", run=None
    )
    page = harmless(look([summary(services=None, verdict=None)], [unknown]).client.get("/perfproof/trends").text)
    assert "None" not in page.words and "Unknown" in page.words


def test_without_cycles_the_page_says_so() -> None:
    """Both parts."""
    page = harmless(look([], []).client.get("/perfproof/trends").text)
    assert "No cycle has measured an improvement yet" in page.words and "No validated change is known yet" in page.words
    assert page.all("svg") == []


@pytest.mark.parametrize("text", HOSTILE)
def test_text_of_others_is_text(text: str) -> None:
    """In every field that evidence fills."""
    words = {"run": text, "started_at": text, "protocol": text, "services": [text], "target_metric": text, "verdict": text, "state": text}
    promise = {
        "run": text,
        "validated_at": text,
        "service": text,
        "target_metric": text,
        "cause": text,
        "kept": text,
        "status": text,
        "optimizations": [{"id": text, "title": text, "cause": text}],
    }
    harmless(look([summary(**words)], [record(**promise)]).client.get("/perfproof/trends").text)
