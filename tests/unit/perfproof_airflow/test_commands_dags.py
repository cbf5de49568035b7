"""`perfproof dags`: the DAG files that belong to an installation."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from perfproof.errors import ParameterError
from perfproof_airflow.commands import dags

ROOT = Path(__file__).parents[3]


def test_command_prints_the_directory_of_this_installation(capsys: pytest.CaptureFixture[str]) -> None:
    """One line, a directory with the three files; here that of the checkout, or that of a wheel."""
    assert dags.run(argparse.Namespace()) == 0
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1
    assert all((Path(printed.strip()) / name).is_file() for name in dags.FILES)


def test_files_are_those_of_the_repository() -> None:
    """A DAG file that is added must be named here too, or an installation without it would look complete."""
    assert set(dags.FILES) == {path.name for path in (ROOT / "dags").glob("*.py")}


def test_a_directory_that_lacks_one_file_is_passed_over(tmp_path: Path) -> None:
    """Half an installation does not count; the next place does."""
    half, whole = tmp_path / "half", tmp_path / "whole"
    for directory, names in ((half, dags.FILES[1:]), (whole, dags.FILES)):
        directory.mkdir()
        for name in names:
            (directory / name).touch()
    assert dags.directory((half, whole)) == whole
    with pytest.raises(ParameterError, match="PAR-721 perfproof dags: this installation has no DAG files"):
        dags.directory((half,))
