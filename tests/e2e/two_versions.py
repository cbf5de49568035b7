"""Two versions of perfproof beside each other: wheels of two trees, unpacked, from which the processes of an Airflow import.

A directory on PYTHONPATH goes before the checkout that the environment was made for, with the wheel's own metadata in it: version and
entry points are then those of the wheel. `PERFPROOF_UPGRADE_FROM` names the commit that the older version is built from;
without it, it is this tree under another number.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from airflow_rig import REPOSITORY

OLDER, NEWER = "0.0.9", "0.1.1"
FROM = "PERFPROOF_UPGRADE_FROM"
PARTS = ("include", "plugins", "dags", "pyproject.toml", "README.md", "LICENSE")


@dataclass(frozen=True, slots=True)
class Version:
    """One version: its number, the directory to import from, and the tree that it was built from."""

    number: str
    code: Path
    tree: Path

    @property
    def dags(self) -> Path:
        """Its DAG files."""
        return self.tree / "dags"


def older(directory: Path) -> Version:
    """The version that is replaced."""
    return _built(directory, OLDER, commit=os.environ.get(FROM, ""))


def newer(directory: Path) -> Version:
    """The version of this tree, as it lies here."""
    return _built(directory, NEWER, commit="")


def _built(directory: Path, number: str, *, commit: str) -> Version:
    tree, code = directory / f"tree-{number}", directory / f"code-{number}"
    tree.mkdir(parents=True)
    if commit:
        archive = subprocess.run(
            [shutil.which("git") or "git", "archive", commit], cwd=REPOSITORY, check=True, capture_output=True, timeout=120
        ).stdout
        with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
            opened.extractall(tree, filter="data")
    else:
        for name in PARTS:
            source = REPOSITORY / name
            if source.is_dir():
                shutil.copytree(source, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy2(source, tree / name)
    project = tree / "pyproject.toml"
    project.write_text(re.sub(r'(?m)^version = "[^"]+"$', f'version = "{number}"', project.read_text(), count=1))
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(directory / f"dist-{number}")]
    subprocess.run(command, cwd=tree, check=True, capture_output=True, timeout=300)
    (wheel,) = (directory / f"dist-{number}").glob(f"perfproof-{number}-*.whl")
    with zipfile.ZipFile(wheel) as archive_of_wheel:
        archive_of_wheel.extractall(code)  # noqa: S202  built above
    return Version(number, code, tree)
