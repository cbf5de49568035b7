"""The thirteen artifacts of Protocol 18, under their exact names, and the phase that writes each."""

from __future__ import annotations

from enum import StrEnum


class Artifact(StrEnum):
    """A closed set: no file path of a cycle is ever built from input."""

    INTAKE_REPORT = "performance-intake-report.json"
    BASELINE_CSV = "baseline-metrics.csv"
    HYPOTHESIS_LOG = "hypothesis-log.md"
    PROFILING_REPORT = "profiling-report.md"
    LOAD_TEST_RESULTS = "load-test-results.json"
    CAPACITY_ANALYSIS = "capacity-analysis.md"
    OPTIMIZATION_PLAN = "optimization-plan.json"
    VALIDATION_REPORT = "optimization-validation-report.json"
    INSTRUMENTATION_LOG = "instrumentation-update-log.md"
    SLO_UPDATE_RECORD = "slo-update-record.json"
    PERFORMANCE_REPORT = "PERFORMANCE-REPORT.md"
    MANIFEST = "performance-report-manifest.json"
    IMPROVEMENT_NOTES = "continuous-improvement-notes.md"


# What the next cycle starts from; not among the thirteen.
BASELINE_JSON = "baseline-metrics.json"
INTAKE_BACKLOG = "performance-intake-backlog.json"
PREREQUISITES = "prerequisites.json"
REPORT_HTML = "PERFORMANCE-REPORT.html"


def gate_result_name(gate: int) -> str:
    """File name of the result of gate 1 to 4."""
    return f"gate-{gate}-result.json"


MEDIA_TYPES = {
    ".json": "application/json",
    ".csv": "text/csv",
    ".md": "text/markdown",
    ".html": "text/html",
    ".svg": "image/svg+xml",
    ".gz": "application/gzip",
    ".txt": "text/plain",
    ".yaml": "application/yaml",
}


def media_type(name: str) -> str:
    """Media type by the ending of a file name; `application/octet-stream` for an unknown one."""
    dot = name.rfind(".")
    return MEDIA_TYPES.get(name[dot:], "application/octet-stream")
