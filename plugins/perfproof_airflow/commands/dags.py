"""`perfproof dags`: the directory of the DAG files that belong to this installation, for a DAGs folder or a DAG bundle.

Exit codes: 0 printed, 2 this installation has no DAG files.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from perfproof.errors import ParameterError

PACKAGE = Path(__file__).resolve().parents[1]
# A wheel carries them inside the package; an editable install leaves them in the checkout.
PLACES = (PACKAGE / "dags", PACKAGE.parents[1] / "dags")
FILES = ("baseline_capture.py", "performance_approvals.py", "performance_optimization.py")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """There are none."""
    parser.description = "the directory of the DAG files that belong to this installation"


def run(_options: argparse.Namespace) -> int:
    """Prints the directory."""
    sys.stdout.write(f"{directory(PLACES)}\n")
    return 0


def directory(places: tuple[Path, ...]) -> Path:
    """The first of `places` that holds all of FILES. Raises ParameterError if none does."""
    for place in places:
        if all((place / name).is_file() for name in FILES):
            return place
    raise ParameterError(
        721,
        where="perfproof dags",
        what="this installation has no DAG files",
        expected=f"{', '.join(FILES)} in {places[0]}",
        fix="install the wheel again, or take dags/ of the checkout that it was built from",
    )
