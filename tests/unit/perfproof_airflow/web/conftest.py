"""The rig of the pages beside the tests, and a rule of who may answer that needs no real request."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def who_may_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """demo-owner may. What really decides is tested with the read model."""
    from perfproof_airflow.web import cards

    def answer(approval: Any, *, person_id: str, person_name: str, at: Any) -> tuple[bool, str, str | None]:
        may = person_id == "demo-owner"
        return may, f"{person_name} is asked about {approval['step']}", approval["roles"][0]["role"] if may else None

    monkeypatch.setattr(cards, "can_answer", answer)
