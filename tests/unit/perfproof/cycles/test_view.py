"""`cycle-view.json`: fresh or not used, and a changed one is noticed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from perfproof.cycles.summary import store_summary
from perfproof.cycles.view import VIEW_VERSION, fresh_view, inspect_view, read_view, view_bytes, write_view
from perfproof.evidence import EvidenceStore, LocalBackend
from perfproof.evidence.names import CYCLE_VIEW
from perfproof.evidence.verdict import Outcome
from perfproof.evidence.verify import verify


@pytest.fixture
def on_disk(cycles: Callable[..., Any], tmp_path: Path) -> Any:
    """A cycle on local disk that waits for an answer, with its view."""
    cycle = cycles(LocalBackend(tmp_path))
    cycle.gate(1)
    cycle.ask()
    write_view(cycle.store)
    return cycle


def view_path(cycle: Any) -> Path:
    return Path(cycle.backend.root, cycle.run, CYCLE_VIEW)


def changed(cycle: Any, **values: Any) -> None:
    path = view_path(cycle)
    path.write_text(json.dumps({**json.loads(path.read_bytes()), **values}, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")


def findings(cycle: Any) -> list[tuple[str, Outcome]]:
    found = verify(Path(cycle.backend.root, cycle.run), checks=[inspect_view])
    return [(f.what, f.outcome) for f in found.findings if f.where == CYCLE_VIEW]


def test_a_fresh_view_is_the_summary(on_disk: Any) -> None:
    """What was written is what is read, without the log."""
    assert fresh_view(on_disk.backend, on_disk.run) == store_summary(on_disk.store)


def test_a_view_is_stale_as_soon_as_the_log_has_one_entry_more(on_disk: Any) -> None:
    """And fresh again when it was written again."""
    on_disk.publish("evidence/a.json")
    assert fresh_view(on_disk.backend, on_disk.run) is None
    write_view(on_disk.store)
    assert fresh_view(on_disk.backend, on_disk.run) == store_summary(on_disk.store)


def test_a_run_without_view_or_without_log_has_none(cycle: Any) -> None:
    """None is written for a run that was never opened."""
    assert fresh_view(cycle.backend, cycle.run) is None
    empty = EvidenceStore(cycle.backend, "other-0123456789abcdef")
    write_view(empty)
    assert cycle.backend.names("other-0123456789abcdef/") == []


@pytest.mark.parametrize(
    "values",
    [
        {"version": VIEW_VERSION + 1}, {"run": "another-0123456789abcdef"}, {"entries": -1}, {"entries": "4"}, {"entries": 10**9},
        {"state": "fine"}, {"state": "unreadable"}, {"gates": {}}, {"waiting": [1]}, {"more": 1}, {"entries": True},
    ],
)  # fmt: skip
def test_a_view_of_another_shape_is_not_read(on_disk: Any, values: dict[str, Any]) -> None:
    """The summary is computed then."""
    changed(on_disk, **values)
    assert fresh_view(on_disk.backend, on_disk.run) is None


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b"{", b"\xff", b'{"version":1}', b"[" * 100_000])
def test_bytes_that_are_no_view_are_not_read(on_disk: Any, data: bytes) -> None:
    """Whatever somebody put there."""
    view_path(on_disk).write_bytes(data)
    assert fresh_view(on_disk.backend, on_disk.run) is None


def test_a_link_in_the_place_of_the_view_is_not_followed(on_disk: Any, tmp_path: Path) -> None:
    """It could show any file of this machine."""
    path = view_path(on_disk)
    elsewhere = tmp_path / "elsewhere.json"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    assert fresh_view(on_disk.backend, on_disk.run) is None


def test_verify_has_nothing_to_say_of_a_view_that_is_what_the_log_says(on_disk: Any) -> None:
    """Also of one that is behind: it says what the log said then."""
    assert findings(on_disk) == []
    on_disk.publish("evidence/a.json")
    assert findings(on_disk) == []


@pytest.mark.parametrize("values", [{"state": "passed"}, {"waiting": []}, {"improvement_percent": 99.0}, {"head": "0" * 64}])
def test_verify_names_a_view_that_says_something_else(on_disk: Any, values: dict[str, Any]) -> None:
    """Pages would show it."""
    changed(on_disk, **values)
    assert fresh_view(on_disk.backend, on_disk.run) is not None
    assert findings(on_disk) == [("not what the log says", Outcome.TAMPERED)]


def test_verify_names_a_view_that_knows_more_than_the_log(on_disk: Any) -> None:
    """Whose tail was cut, or that belongs to a later copy."""
    last = Path(on_disk.backend.root, on_disk.run, "log", f"{len(on_disk.entries) - 1:08d}.json")
    last.unlink()
    assert [what for what, _ in findings(on_disk)] == ["knows 4 entries, there are 3: the tail was cut"]


def test_verify_names_a_view_that_is_none(on_disk: Any) -> None:
    """Bytes of this version's name that no version wrote."""
    changed(on_disk, entries="four")
    assert findings(on_disk) == [("not the view of this run", Outcome.TAMPERED)]


def test_verify_only_notes_a_view_of_another_version(on_disk: Any) -> None:
    """An upgrade must not look like tampering, and no page reads it."""
    changed(on_disk, version=VIEW_VERSION + 1, state="passed")
    assert [outcome for _, outcome in findings(on_disk)] == [Outcome.VERIFIED]


def test_without_the_check_a_view_is_no_part_of_what_verify_judges(on_disk: Any) -> None:
    """It is no evidence: whoever verifies with a part of the code is not told that it is foreign."""
    found = verify(Path(on_disk.backend.root, on_disk.run))
    assert [f.where for f in found.findings if f.where == CYCLE_VIEW] == []


def test_a_view_is_read_back_as_it_was_written(on_disk: Any) -> None:
    """With text of any kind."""
    summary = {**(store_summary(on_disk.store) or {}), "objective": "schneller </script> \u202e ☃"}
    assert read_view(view_bytes(summary), on_disk.run) == summary
