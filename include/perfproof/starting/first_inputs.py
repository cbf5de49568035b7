"""Templates of the files that a cycle starts from: valid, so that it starts, and saying of themselves that nobody has filled them in."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from perfproof.inputs.reports import DEPLOYMENT_COLUMNS, INCIDENT_COLUMNS
from perfproof.moments import stamp
from perfproof.starting.given import Given

TEMPLATE = "template of perfproof init, not exported from monitoring"
UNITS = {"ms": "ms", "req/s": "reqps", "percent": "percent"}


def first_inputs(given: Given, *, now: datetime) -> Mapping[str, bytes]:
    """The three files by name. They hold what `given` says and nothing else: one dashboard of its queries, one deployment, no incident."""
    return {
        "MONITORING-PACKAGE.zip": _monitoring_package(given, now),
        "DEPLOYMENT-REPORT.md": _report(
            "deployment", given, now, "Correct the row: build, moment and change of what runs now, and add earlier ones.",
            "Deployments", DEPLOYMENT_COLUMNS,
            [(given.service, given.build, stamp(now), "UNKNOWN: written by perfproof init, which knows neither moment nor change")],
        ),
        "INCIDENT-REPORT.md": _report(
            "incident", given, now, "Nobody has listed incidents here yet. Without one, delete this paragraph.",
            "Incidents", INCIDENT_COLUMNS, [],
        ),
    }  # fmt: skip


def _monitoring_package(given: Given, now: datetime) -> bytes:
    instance = f"{given.baseline.host}:{given.baseline.port}"
    panels: list[dict[str, Any]] = [
        {
            "id": number,
            "type": "timeseries",
            "title": metric.name,
            "fieldConfig": {"defaults": {"unit": UNITS[metric.unit]}},
            "targets": [{"refId": "A", "expr": metric.query.replace("$instance", instance).replace("$window", "5m")}],
        }
        for number, metric in enumerate(given.metrics, start=1)
    ]
    documents = {
        "package.json": {"generated_at": stamp(now), "service": given.service, "note": TEMPLATE},
        f"dashboards/{given.service}.json": {"title": f"{given.service} ({TEMPLATE})", "schemaVersion": 39, "panels": panels},
    }
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as package:
        for name, document in documents.items():
            package.writestr(zipfile.ZipInfo(name, now.timetuple()[:6]), json.dumps(document, indent=2) + "\n")
    return archive.getvalue()


def _report(
    kind: str, given: Given, now: datetime, note: str, title: str, columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]
) -> bytes:
    head = f"---\nreport: {kind}\ngenerated_at: {stamp(now)}\nservice: {given.service}\n---\n\n# {kind.capitalize()} report\n\n{note}\n\n"
    lines = [columns, tuple("---" for _ in columns), *(tuple(cell.replace("|", "\\|") for cell in row) for row in rows)]
    return (head + f"## {title}\n\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines)).encode()
