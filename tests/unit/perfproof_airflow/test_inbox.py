"""The inbox on disk: each drift once, nothing lost between two writers, and a view that can be made again."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from perfproof.change_points.acknowledged import NOTHING_ACKNOWLEDGED
from perfproof.errors import ArtifactError
from perfproof.intake_inbox import drift_item
from perfproof_airflow.hooks.workspace import Workspace
from perfproof_airflow.inbox import Inbox

NOW = datetime(2025, 2, 18, 10, tzinfo=UTC)
VIEW = "history/demo/intake-items.json"


def drift(metric: str = "p95", **changes: Any) -> dict[str, Any]:
    record = {
        "series": f"shop/{metric}", "unit": "ms", "at": "2025-02-17T05:00:00Z", "kind": "regression", "before": 50.0, "after": 60.0,
        "percent": 20.0, "p": 0.001, "reported_by": "one", "beside": [],
    }  # fmt: skip
    return drift_item({**record, **changes}, protocol="demo", length=timedelta(hours=1), evidence=[])


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    """An inbox that nobody has written to."""
    return Inbox("demo", "history/demo", Workspace(tmp_path))


def refreshed(inbox: Inbox, dated: datetime = NOW) -> dict[str, Any]:
    return inbox.refresh(dated=dated, acknowledged=NOTHING_ACKNOWLEDGED)


def test_a_drift_that_is_there_stays_as_it_was_opened(inbox: Inbox) -> None:
    """What is learned beside it later does not change what was told to a cycle."""
    inbox.open([drift()])
    inbox.open([drift(beside=["deployment of b at 2025-02-17T05:00:00Z"])])
    assert inbox.drifts() == [drift()]


def test_the_view_never_becomes_older(inbox: Inbox, tmp_path: Path) -> None:
    """A capture of the past must not make the file look stale to the next cycle."""
    refreshed(inbox)
    assert refreshed(inbox, NOW - timedelta(days=300))["created_at"] == "2025-02-18T10:00:00Z"
    assert refreshed(inbox, NOW + timedelta(hours=1))["created_at"] == "2025-02-18T11:00:00Z"


def test_a_view_without_news_is_not_written_again(inbox: Inbox, tmp_path: Path) -> None:
    """Its file stays the same one."""
    inbox.open([drift()])
    refreshed(inbox)
    before = (tmp_path / VIEW).stat().st_ino
    refreshed(inbox)
    assert (tmp_path / VIEW).stat().st_ino == before


def test_a_view_that_was_damaged_or_removed_is_made_again(inbox: Inbox, tmp_path: Path) -> None:
    """It is derived; the drifts and the marks are what counts."""
    inbox.open([drift()])
    inbox.take("run-1", [drift()["id"]], at=NOW)
    whole = refreshed(inbox)
    for damage in (b"{", b"[]", b"\xff"):
        (tmp_path / VIEW).write_bytes(damage)
        assert refreshed(inbox) == whole
    (tmp_path / VIEW).unlink()
    assert refreshed(inbox) == whole


def test_what_another_writer_adds_in_between_is_in_the_view(inbox: Inbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It read before this one wrote, and wrote its view before this one: the last to look writes again."""
    inbox.open([drift()])
    real = Workspace.write
    other = [drift("p99")]

    def slow(self: Workspace, path: str, data: bytes) -> None:
        if path == VIEW and other:
            Inbox("demo", "history/demo", Workspace(tmp_path)).open([other.pop()])
        real(self, path, data)

    monkeypatch.setattr(Workspace, "write", slow)
    refreshed(inbox)
    assert {item["metric"] for item in json.loads((tmp_path / VIEW).read_bytes())["items"]} == {"p95", "p99"}


def test_a_cycle_that_took_nothing_leaves_no_mark(inbox: Inbox, tmp_path: Path) -> None:
    """A thousand cycles without drifts are no thousand files."""
    inbox.take("run-1", [], at=NOW, handed_off=True)
    assert not (tmp_path / "history").exists()


def test_a_mark_follows_a_new_intake_of_the_same_cycle(inbox: Inbox) -> None:
    """An intake that was cleared and found no drift any more takes none; the mark says so."""
    inbox.open([drift()])
    inbox.take("run-1", [drift()["id"]], at=NOW)
    inbox.take("run-1", [], at=NOW + timedelta(hours=1), handed_off=True)
    assert [item["taken_by"] for item in refreshed(inbox)["items"]] == [[]]


def test_a_damaged_drift_is_named_with_its_file(inbox: Inbox, tmp_path: Path) -> None:
    """And no view is made without it, since that would drop it silently."""
    inbox.open([drift()])
    (tmp_path / "history" / "demo" / "drifts" / f"{drift()['id']}.json").write_text("{}")
    with pytest.raises(ArtifactError, match=r"ART-915 history/demo/drifts/DRIFT-"):
        refreshed(inbox)


def test_files_of_other_names_are_no_drifts(inbox: Inbox, tmp_path: Path) -> None:
    """What a killed writer left under a temporary name, or a person beside them."""
    inbox.open([drift()])
    folder = tmp_path / "history" / "demo" / "drifts"
    (folder / ".x.json.tmp").write_text("{")
    (folder / ".hidden.json").write_text("{")
    (folder / "README.md").write_text("x")
    assert inbox.drifts() == [drift()]
