"""Builds wheel and sdist from a clean clone, and the wheel once more from the sdist."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

SECONDS = 600
# What the wheel may hold at its top, beside its own metadata.
PACKAGES = ("perfproof", "perfproof_airflow", "perfproof_demo")


class NotBuilt(Exception):
    """Why there is no wheel to test, in a few lines."""


@dataclass(frozen=True, slots=True)
class Built:
    """The wheel, its version, the sdist, the locks, the commit, and how many changed files of the checkout are not in them."""

    wheel: Path
    version: str
    sdist: Path
    locks: Path
    commit: str
    left_out: int


def built(root: Path, scratch: Path) -> Built:
    """The wheel of the commit that `root` has checked out. The clone stays below `scratch`, and no environment ever imports from it."""
    clone = scratch / "clone"
    _run(["git", "clone", "--quiet", "--no-hardlinks", str(root), str(clone)], cwd=scratch)
    commit = _run(["git", "rev-parse", "--short", "HEAD"], cwd=clone).strip()
    left_out = len(_run(["git", "status", "--porcelain"], cwd=root).splitlines())
    wheel, sdist = _hatch(clone, scratch / "dist")
    with tarfile.open(sdist) as archive:
        archive.extractall(scratch / "unpacked", filter="data")
    again, _ = _hatch(next((scratch / "unpacked").iterdir()), scratch / "again")
    if wheel.read_bytes() != again.read_bytes():
        changed = sorted(_contents(wheel).items() ^ _contents(again).items())
        raise NotBuilt(f"the sdist builds another wheel than the clone: {', '.join(sorted({name for name, _ in changed})[:10])}")
    tops = {name.partition("/")[0] for name in _contents(wheel)}
    version = wheel.name.split("-")[1]
    strange = tops - {*PACKAGES, f"perfproof-{version}.dist-info"}
    if strange:
        raise NotBuilt(f"the wheel would put {', '.join(sorted(strange))} beside its packages")
    return Built(wheel, version, sdist, clone / "locks", commit, left_out)


def _hatch(source: Path, target: Path) -> tuple[Path, Path]:
    # With the hatchling of the lock, so without an index.
    _run([sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-t", "wheel", "-d", str(target)], cwd=source)
    wheels, sdists = list(target.glob("*.whl")), list(target.glob("*.tar.gz"))
    if len(wheels) != 1 or len(sdists) != 1:
        raise NotBuilt(f"expected one wheel and one sdist, got {len(wheels)} and {len(sdists)}")
    return wheels[0], sdists[0]


def _contents(wheel: Path) -> dict[str, int]:
    with zipfile.ZipFile(wheel) as archive:
        return {entry.filename: entry.CRC for entry in archive.infolist()}


def _run(command: list[str], *, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS, check=False)
    if done.returncode != 0:
        raise NotBuilt(f"{' '.join(command[:4])}: {(done.stderr or done.stdout).strip()[-800:]}")
    return done.stdout
