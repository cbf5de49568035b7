"""The history of baselines: every metric with its changes, what was accepted, and text of others as text."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from content_rig import HOSTILE, START, harmless
from pages_rig import Pages, pages

from perfproof.cycles.series_svg import series_svg
from perfproof.evidence import MemoryBackend
from perfproof.moments import stamp
from perfproof_airflow import settings
from perfproof_airflow.web.cycles import CycleReader

STARTS = [stamp(START + timedelta(hours=i)) for i in range(60)]


def change(**changes: Any) -> dict[str, Any]:
    """A change of level that was reported."""
    return {
        "series": "shop/latency_p95",
        "unit": "ms",
        "at": STARTS[40],
        "kind": "regression",
        "before": 80.0,
        "after": 112.0,
        "percent": 40.0,
        "p": 0.001,
        "reported_by": "x",
        "beside": ["deployment of shop-2 at 10:00", "incident INC-7 from 09:00: slow"],
        "words": "line",
        **changes,
    }


def history(**changes: Any) -> dict[str, Any]:
    """Two series, the first with a change."""
    values = [80.0] * 40 + [112.0] * 19 + [None]
    return {
        "protocol": "demo",
        "captures": 60,
        "from": STARTS[0],
        "to": STARTS[-1],
        "unreadable": [{"name": "a.json", "problem": "ART-1 torn"}],
        "series": [
            {
                "series": f"shop/{metric}",
                "service": "shop",
                "metric": metric,
                "unit": "ms",
                "direction": "lower_is_better",
                "points": [{"at": at, "value": value} for at, value in zip(STARTS, values, strict=True)],
                "latest": None,
                "changes": [change()] if metric == "latency_p95" else [],
                "svg": series_svg(values, changes=[40], title=metric, unit="ms"),
            }
            for metric in ("latency_p95", "memory")
        ],
        "deployments": ["deployment of shop-2 at 10:00"],
        "incidents": ["incident INC-7 from 09:00: slow"],
        "changes": [change(), change(series="shop/memory", at=STARTS[50], percent=None)],
        **changes,
    }


class Histories(CycleReader):
    """A reader with one history."""

    def __init__(self, document: dict[str, Any] | None) -> None:
        super().__init__(MemoryBackend())
        self.document = document

    def protocols_with_history(self) -> list[str]:
        return [] if self.document is None else ["demo"]

    def baselines(self, protocol: str) -> dict[str, Any] | None:
        assert protocol == "demo"
        return self.document


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty workspace with a directory of protocols."""
    (tmp_path / "include" / "protocols").mkdir(parents=True)
    monkeypatch.setattr(settings, "workspace_root", lambda: tmp_path)
    return tmp_path / "include" / "protocols"


def look(document: dict[str, Any] | None) -> Pages:
    return pages(reader=Histories(document))  # type: ignore[arg-type]


def test_each_metric_has_a_picture_its_changes_and_its_values() -> None:
    """With what was deployed and what went wrong beside a change; a value that was not measured says so."""
    page = harmless(look(history()).client.get("/perfproof/baselines").text)
    assert len(page.all("svg")) == 2
    assert "60 captures of demo" in page.words
    for words in (
        "deployment of shop-2",
        "incident INC-7",
        "Not acknowledged",
        "from zero",
        "not measured",
        "Left out: a.json",
        "lower is better",
    ):
        assert words in page.words
    assert "The newest 50 of 60 values" in page.words


def test_an_accepted_change_says_who_accepted_it_and_why(workspace: Path) -> None:
    """The file beside the protocol is what counts, and a change moves by a capture or two."""
    (workspace / "demo.acknowledged.json").write_text(
        json.dumps({"shop/latency_p95": [{"index": 39, "reason": "twice the data", "by": "ann"}]})
    )
    page = harmless(look(history()).client.get("/perfproof/baselines").text)
    assert page.words.count("acknowledged by ann: twice the data") == 2
    assert page.words.count("Not acknowledged") == 1


def test_a_damaged_list_of_accepted_changes_accepts_nothing(workspace: Path) -> None:
    """And the page says why."""
    (workspace / "demo.acknowledged.json").write_text("[]")
    page = harmless(look(history()).client.get("/perfproof/baselines").text)
    assert "so nothing counts as acknowledged" in page.words
    assert "Not acknowledged" in page.words


def test_service_and_metric_narrow_the_page() -> None:
    """Case of the metric does not matter; nothing that matches is said."""
    client = look(history()).client
    assert len(harmless(client.get("/perfproof/baselines", params={"metric": "MEM"}).text).all("svg")) == 1
    assert "No metric matches" in harmless(client.get("/perfproof/baselines", params={"service": "<script>"}).text).words


def test_without_captures_the_page_says_what_writes_them() -> None:
    """And a protocol without history is not found."""
    client = look(None).client
    assert "baseline_capture" in harmless(client.get("/perfproof/baselines").text).words
    assert client.get("/perfproof/baselines", params={"protocol": "../../etc"}).status_code == 404


@pytest.mark.parametrize("text", HOSTILE)
def test_text_of_others_is_text(text: str) -> None:
    """In names, units, reports of deployments and incidents, and in what could not be read."""
    document = history(
        unreadable=[{"name": text, "problem": text}],
        deployments=[text],
        incidents=[text],
        changes=[change(series=text, kind=text, beside=[text], at=text)],
    )
    for one in document["series"]:
        one.update(series=text, service=text, metric=text, unit=text, changes=[change(beside=[text], kind=text)])
        one["svg"] = series_svg([1.0, 2.0], changes=[], title=text, unit=text)
    harmless(look(document).client.get("/perfproof/baselines").text)
