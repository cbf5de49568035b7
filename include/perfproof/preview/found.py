"""What was looked up for a preview. Whoever makes one says here what was looked at; the rest stays unchecked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from perfproof.prerequisites import FileFound


@dataclass(frozen=True, slots=True)
class Found:
    """None means that nobody looked.

    `files` are the prerequisites' files by their names, `journeys` is the Locust file of the load profile. `paths` says by the name of a
    source that is read from a path why it cannot be read (None: it can). `directories` are `directory_record`s. `connections` says by its
    id whether this Airflow knows a Connection. `answers` says by the name of a source why it does not answer (None: it does). `others` are
    `check_record`s of everything else.
    """

    files: Mapping[str, FileFound] | None = None
    journeys: FileFound | None = None
    paths: Mapping[str, str | None] | None = None
    directories: Sequence[Mapping[str, Any]] | None = None
    connections: Mapping[str, bool] | None = None
    answers: Mapping[str, str | None] | None = None
    others: Sequence[Mapping[str, Any]] = ()
