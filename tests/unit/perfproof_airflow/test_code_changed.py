"""Which version of perfproof worked on a cycle: the first is in the log's beginning, each later one is an entry."""

from __future__ import annotations

from typing import Any

import pytest

from perfproof.evidence import EntryType
from perfproof_airflow import cycle as module
from perfproof_airflow.cycle import Cycle


def changes(cycle: Cycle) -> list[dict[str, Any]]:
    """What the log says of versions."""
    return [dict(entry.body) for entry in cycle.store.of_type(EntryType.CODE_CHANGED)]


def test_tasks_of_the_version_that_began_say_nothing(unopened: Any) -> None:
    """The genesis names it already."""
    unopened.open()
    assert changes(unopened.cycle()) == []


def test_another_version_is_recorded_once_and_each_change_back_too(unopened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also while old and new workers alternate: the order of the entries is that of the work."""
    began = module.__version__
    unopened.open()
    for number, version in enumerate(["9.9.9", "9.9.9", began, "9.9.9"]):
        monkeypatch.setattr(module, "__version__", version)
        found = changes(unopened.cycle())
        assert len(found) == (1, 1, 2, 3)[number]
    assert found == [{"from": began, "to": "9.9.9"}, {"from": "9.9.9", "to": began}, {"from": began, "to": "9.9.9"}]
