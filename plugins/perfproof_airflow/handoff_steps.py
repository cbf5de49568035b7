"""The handoff as the next protocol receives it: a package in its directory, and an asset event that names it."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflow.sdk.exceptions import AirflowException

from perfproof.artifacts import Artifact
from perfproof.errors import PerfproofError
from perfproof.evidence.package import closed_entries, package_sha256, write_package
from perfproof_airflow import settings
from perfproof_airflow.cycle import Cycle, now
from perfproof_airflow.inbox import take_drifts

log = logging.getLogger(__name__)
READABLE = 0o644


def hand_over(cycle: Cycle) -> dict[str, Any]:
    """Closes the drifts that the closed cycle took, delivers its package, and answers what the asset event says.

    An error is left to Airflow's retries and is no halt: the log is closed, and an entry after that would open it again.
    """
    take_drifts(cycle, now=now(), handed_off=True)
    try:
        return handoff_event(cycle, package=deliver_package(cycle))
    except PerfproofError as error:
        raise AirflowException(str(error)) from None


def deliver_package(cycle: Cycle) -> dict[str, str] | None:
    """Writes the closed cycle's package into the directory of the next protocol; the answer is {name, sha256}, None without a directory.

    At once: a reader sees no package or a whole one. A retry writes the same bytes.
    """
    directory = cycle.protocol.distribution.next_protocol.directory
    if directory is None:
        log.info("no package: %s has no directory in the protocol file", cycle.protocol.distribution.next_protocol.name)
        return None
    path = f"{directory.rstrip('/')}/{cycle.run}/{cycle.run}.zip"
    place = settings.workspace_root() / path
    place.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=place.parent, prefix=".package-", suffix=".new")
    try:
        with os.fdopen(descriptor, "w+b") as stream:
            write_package(stream, cycle.store)
            digest = package_sha256(stream)
            os.fchmod(stream.fileno(), READABLE)
            os.fsync(stream.fileno())
        Path(temporary).replace(place)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return {"name": path, "sha256": digest}


def handoff_event(cycle: Cycle, *, package: Mapping[str, str] | None) -> dict[str, Any]:
    """What the asset event says: run, manifest and package with their digests, the improvement that was measured, the assurance."""
    manifest = cycle.reference(Artifact.MANIFEST)
    content = cycle.document(manifest)
    return {
        "run": cycle.run,
        "dag_id": cycle.dag_id,
        "run_id": cycle.run_id,
        "protocol": cycle.protocol.name,
        "to": cycle.protocol.labels.next_protocol,
        "manifest": cycle.source(manifest),
        "report": cycle.source(cycle.reference(Artifact.PERFORMANCE_REPORT)),
        "package": None if package is None else dict(package),
        "log_head": closed_entries(cycle.store)[-1].sha256,
        "improvement": _improvement(cycle),
        "assurance": content["predicate"]["assurance"],
    }


def _improvement(cycle: Cycle) -> dict[str, Any] | None:
    """Target metric, measured improvement and status of the validation; None for a cycle without one."""
    if cycle.store.live(Artifact.VALIDATION_REPORT) is None:
        return None
    report = cycle.document(Artifact.VALIDATION_REPORT)
    return {
        "service": report.get("service"),
        "target_metric": report.get("target_metric"),
        "percentage": (report.get("improvement") or {}).get("percentage"),
        "status": report.get("status"),
        "optimizations": list(report.get("optimizations") or ()),
    }
