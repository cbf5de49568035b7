"""Looks at the files of a workspace without touching any: what a run would find there, and where it could write."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from perfproof.config import Protocol
from perfproof.errors import ArtifactError, PerfproofError
from perfproof.evidence.views import LATEST
from perfproof.input_file import read_input
from perfproof.parameters import Parameters
from perfproof.prerequisites import MAX_FILE_BYTES, FileFound, directory_record
from perfproof.preview import Found


def look(protocol: Protocol, parameters: Parameters, *, root: Path, evidence: str | None) -> Found:
    """What lies below `root`. `evidence` is the directory of evidence, None where evidence is kept elsewhere."""
    journeys = protocol.load.profiles[parameters.load_profile].journeys
    directories = [protocol.context_directory, protocol.instrumentation_directory]
    return Found(
        files={artifact.name: find(root, artifact.path) for artifact in protocol.prerequisites},
        journeys=None if journeys is None else find(root, journeys.file),
        paths={source.name: path_problem(root, source.path) for source in protocol.sources if source.path is not None},
        directories=writable_directories(root, directories if evidence is None else [evidence, *directories]),
    )


def find(root: Path, path: str) -> FileFound:
    """What is at `path`, as a run would find it: no link is followed but `latest`, and no file with a second name is read."""
    try:
        problem = _problem_on_the_way(root, path)
        if problem is not None:
            return FileFound(path, None, None, problem)
        found = (root / path).stat()
        if not stat.S_ISREG(found.st_mode):
            return FileFound(path, None, None, "not a regular file")
        if found.st_nlink > 1:
            return FileFound(path, None, None, "a file with a second name")
        data = read_input(root / path, limit=MAX_FILE_BYTES, error=ArtifactError, number=396)
    except FileNotFoundError:
        return FileFound(path, None, None)
    except OSError as error:
        return FileFound(path, None, None, f"cannot be read: {error.strerror}")
    except PerfproofError as error:
        return FileFound(path, None, None, str(error))
    if len(data) > MAX_FILE_BYTES:
        return FileFound(path, None, None, f"larger than {MAX_FILE_BYTES} bytes")
    return FileFound(path, data, datetime.fromtimestamp(found.st_mtime, UTC))


def path_problem(root: Path, path: str) -> str | None:
    """Why a source's path cannot be read now, None if it can."""
    try:
        problem = _problem_on_the_way(root, path)
        if problem is not None:
            return problem
        (root / path).stat()
    except FileNotFoundError:
        return f"nothing at {path}"
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"
    return None if os.access(root / path, os.R_OK) else f"no permission to read {path}"


def writable_directories(root: Path, paths: Sequence[str]) -> list[dict[str, Any]]:
    """A `directory_record` of each: whether this process could write there, judged by permissions and without writing."""
    return [directory_record(path=path, error=_not_writable(root / path)) for path in paths]


def _not_writable(directory: Path) -> str | None:
    nearest = directory
    while not os.path.lexists(nearest) and nearest != nearest.parent:
        nearest = nearest.parent
    if not nearest.is_dir():
        return f"{nearest.name} on the way is no directory"
    return None if os.access(nearest, os.W_OK | os.X_OK) else f"no permission to write to {nearest.name or nearest}"


def _problem_on_the_way(root: Path, path: str) -> str | None:
    here = root
    for part in path.rstrip("/").split("/"):
        here /= part
        if not here.is_symlink():
            continue
        target = str(here.readlink())
        if part != LATEST or "/" in target or target in (".", ".."):
            return "a link, or something that is no directory, on the way"
    return None
