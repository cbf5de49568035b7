"""`perfproof prune` on whole cycles: lists by default, removes with a record, keeps what somebody needs, and verify still tells."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from command_line import run
from modules import load

from perfproof.evidence.local import LocalBackend
from perfproof.evidence.views import point_latest
from perfproof.retention import read_removed
from perfproof.run_key import run_key

ROOT = Path(__file__).parents[4]
CYCLES: Any = load("complete_cycle", ROOT / "tests" / "faults" / "complete_cycle.py")
FIRST, SECOND, OPEN, WAITING = (run_key("performance_optimization", name) for name in ("manual__1", "manual__2", "manual__3", "manual__4"))
OLD = ("--older-than", "30")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two old cycles that were handed off, the second the newest, an old one that never was closed, and one of today."""
    root = tmp_path_factory.mktemp("evidence")
    CYCLES.write_cycle(root, CYCLES.Plan())
    CYCLES.write_cycle(root, CYCLES.Plan(run_id="manual__2", start=datetime(2025, 3, 1, 8, 0, tzinfo=UTC)))
    CYCLES.write_cycle(root, CYCLES.Plan(run_id="manual__3", upto=1))
    CYCLES.write_cycle(root, CYCLES.Plan(run_id="manual__4", upto=1, start=datetime.now(UTC).replace(microsecond=0)))
    point_latest(root, SECOND)
    (root / "history" / "demo").mkdir(parents=True)
    return root


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    """A copy to be changed."""
    return Path(shutil.copytree(made, tmp_path / "evidence", symlinks=True))


@pytest.fixture
def prune(root: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, dict[str, Any]]]:
    """Exit code, and what became of each cycle."""

    def call(*arguments: str) -> tuple[int, dict[str, Any]]:
        capsys.readouterr()
        code = run("prune", "--root", str(root), "--json", *arguments)
        return code, {cycle["run"]: cycle for cycle in json.loads(capsys.readouterr().out)["cycles"]}

    return call


def cycles_in(root: Path) -> set[str]:
    """The cycles that are there."""
    return {
        path.name for path in root.iterdir() if path.is_dir() and not path.is_symlink() and path.name not in ("history", "removed-cycles")
    }


def test_without_delete_nothing_is_written(root: Path, prune: Callable[..., Any]) -> None:
    """A list, and the same directory as before."""
    before = sorted(str(path) for path in root.rglob("*"))
    code, found = prune(*OLD)
    assert code == 0
    assert {name for name, cycle in found.items() if cycle["kept"] is None} == {FIRST}
    assert not any(cycle["removed"] for cycle in found.values())
    assert sorted(str(path) for path in root.rglob("*")) == before


def test_an_old_cycle_goes_whole_after_a_record(root: Path, prune: Callable[..., Any]) -> None:
    """The others stay as they verify, and the record holds what a copy can be compared with."""
    shutil.copytree(root / FIRST, root.parent / "copy")
    code, found = prune(*OLD, "--delete")
    assert code == 0 and found[FIRST]["removed"]
    assert cycles_in(root) == {SECOND, OPEN, WAITING}
    assert run("verify", str(root / "latest")) == 0
    (record,) = read_removed(LocalBackend(root))
    assert (record.run, record.document["run_id"], record.document["outcome"]) == (FIRST, "manual__1", "verified")
    assert record.document["gates"] == {"1": "PASS", "2": "PASS", "3": "PASS", "4": "PASS"}
    assert run("verify", str(root.parent / "copy"), "--anchor", record.anchor) == 0
    assert run("verify", str(root.parent / "copy"), "--anchor", f"{record.document['entries'] + 1}:{record.document['head']}") == 1


def test_verify_tells_what_retention_removed(root: Path, prune: Callable[..., Any], capsys: pytest.CaptureFixture[str]) -> None:
    """By the name of the cycle, and by a change that only it proved."""
    prune(*OLD, "--delete", "--changes")
    record = read_removed(LocalBackend(root))[0]
    assert run("verify", str(root / FIRST)) == 3
    assert f"{FIRST} was removed on" in (told := capsys.readouterr().err) and record.anchor in told
    shutil.rmtree(root / SECOND)
    assert run("verify", "--change", CYCLES.CHANGE, "--root", str(root)) == 2
    assert f"{FIRST} was removed on" in capsys.readouterr().err


def test_the_only_proof_of_a_change_stays_unless_it_is_given_up(root: Path, prune: Callable[..., Any]) -> None:
    """Both cycles prove the same change, the newer one is `latest`. Without it the older is the newest proof and the newest handoff."""
    shutil.rmtree(root / SECOND)
    (root / "latest").unlink()
    _, found = prune(*OLD, "--delete", "--changes")
    assert "newest cycle that was handed off" in found[FIRST]["kept"]
    assert FIRST in cycles_in(root)


def test_an_unfinished_cycle_goes_only_if_asked_and_never_while_it_may_go_on(root: Path, prune: Callable[..., Any]) -> None:
    """31 days at least, whatever number is given."""
    assert "not closed" in prune(*OLD)[1][OPEN]["kept"]
    _, found = prune("--older-than", "1", "--unfinished", "--delete")
    assert found[OPEN]["removed"] and not found[WAITING]["removed"]
    assert WAITING in cycles_in(root)


def test_a_tampered_cycle_stays_and_is_told(root: Path, prune: Callable[..., Any]) -> None:
    """Exit 1, and nothing of it is removed."""
    victim = root / FIRST / "optimization-validation-report.json"
    victim.unlink()
    victim.write_bytes(b"{}")
    code, found = prune(*OLD, "--delete")
    assert code == 1 and "does not verify" in found[FIRST]["kept"]
    assert (root / FIRST).is_dir() and read_removed(LocalBackend(root)) == []


def test_a_named_cycle_stays(prune: Callable[..., Any]) -> None:
    """Whatever its age."""
    assert prune(*OLD, "--keep", FIRST)[1][FIRST]["kept"] == "it was named to be kept"


def test_records_are_a_chain(root: Path, prune: Callable[..., Any]) -> None:
    """Two removals, two records; a changed, removed or inserted one is refused before anything is removed."""
    prune(*OLD, "--delete")
    prune(*OLD, "--unfinished", "--delete")
    first, second = read_removed(LocalBackend(root))
    assert second.document["prev"] == first.sha256
    file = root / "removed-cycles" / "00000000.json"
    data = file.read_bytes()
    file.unlink()
    assert run("prune", "--root", str(root), *OLD) == 2
    file.write_bytes(data.replace(b'"removed_by":"', b'"removed_by":"x'))
    assert run("prune", "--root", str(root), *OLD) == 2


def test_a_removal_that_was_killed_is_finished(root: Path, prune: Callable[..., Any]) -> None:
    """After the record, with the directory out of sight and half gone: the next call removes the rest, and records nothing twice."""
    prune(*OLD, "--delete")
    (root / f".removing-{FIRST}" / "log").mkdir(parents=True)
    code, found = prune(*OLD, "--delete")
    assert code == 0 and FIRST not in found
    assert not (root / f".removing-{FIRST}").exists() and len(read_removed(LocalBackend(root))) == 1


def test_a_cycle_that_was_recorded_and_not_yet_removed_goes_without_a_second_record(root: Path, prune: Callable[..., Any]) -> None:
    """Killed between the two."""
    shutil.copytree(root / FIRST, root.parent / "copy")
    prune(*OLD, "--delete")
    shutil.copytree(root.parent / "copy", root / FIRST)
    _, found = prune(*OLD, "--delete")
    assert found[FIRST]["removed"] and len(read_removed(LocalBackend(root))) == 1


@pytest.mark.parametrize("arguments", [("--older-than", "0"), ("--older-than", "nan"), ("--older-than", "30", "--root", "/nowhere/at/all")])
def test_what_is_no_age_or_no_directory_is_usage(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2 and one line."""
    assert run("prune", *arguments) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
