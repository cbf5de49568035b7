"""Addresses and passwords of the demo's databases."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from perfproof_demo.database import connect, database_urls
from perfproof_demo.errors import DemoError
from perfproof_demo.postgres_server import passwords
from perfproof_demo.settings import DemoSettings, Side


def test_passwords_are_made_once_and_are_the_owners_to_read(tmp_path: Path) -> None:
    """Two demos have different passwords; one demo keeps its own, in a file of mode 0600."""
    first = passwords(DemoSettings(home=tmp_path / "a"))
    assert first == passwords(DemoSettings(home=tmp_path / "a"))
    assert not set(first.values()) & set(passwords(DemoSettings(home=tmp_path / "b")).values())
    assert len(set(first.values())) == 3
    assert stat.S_IMODE((tmp_path / "a" / "database.json").stat().st_mode) == 0o600


def test_every_side_has_a_database_of_its_own(tmp_path: Path) -> None:
    """Same server, two databases, and roles that are not the administrator."""
    settings = DemoSettings(home=tmp_path)
    baseline, candidate = (database_urls(settings, side) for side in Side)
    assert baseline.shop.endswith("@127.0.0.1:18132/shop_baseline")
    assert candidate.reader.endswith("@127.0.0.1:18132/shop_candidate")
    assert baseline.reader.startswith("postgresql://perfproof_demo_reader:")


def test_another_server_keeps_its_parameters(tmp_path: Path) -> None:
    """DEMO_DATABASE_URL's host, port and parameters stay; user, password and database are replaced."""
    settings = DemoSettings(home=tmp_path, database_url="postgresql://root:p%40ss@db.example:6432/postgres?sslmode=require")
    urls = database_urls(settings, Side.BASELINE)
    assert urls.administrator == "postgresql://root:p%40ss@db.example:6432/shop_baseline?sslmode=require"
    assert urls.shop.endswith("@db.example:6432/shop_baseline?sslmode=require")
    assert "p%40ss" not in urls.shop


def test_a_server_that_does_not_answer_is_named_without_its_password() -> None:
    """The error line may end up in a log."""
    with pytest.raises(DemoError) as caught:
        connect("postgresql://root:geheim@127.0.0.1:9/postgres")
    assert "127.0.0.1:9" in str(caught.value)
    assert "geheim" not in str(caught.value)
