"""Prerequisites: artifacts that are there, current and valid; a system that can be measured."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from perfproof.config import MirrorCheck, MirrorKind, Protocol, load_protocol
from perfproof.errors import ArtifactError, TelemetryError
from perfproof.prerequisites import (
    FileFound,
    access_record,
    check_record,
    check_required,
    check_system_state,
    directory_record,
    examine_artifacts,
    examine_mirror,
    missing_required,
    prerequisites_document,
    system_state,
)
from perfproof.telemetry import document_bytes, sha256_hex

DEMO = Path(__file__).parents[3] / "include" / "protocols" / "demo.yaml"
NOW = datetime(2025, 2, 16, 10, 0, tzinfo=UTC)
DEPLOYMENTS = """---
report: deployment
generated_at: {generated_at}
service: shop
---
## Deployments
| Service | Build | Deployed at | Change |
|---|---|---|---|
| shop | 1.4.2 | 2025-02-15T20:00:00Z | Shows items |
"""


@pytest.fixture(scope="module")
def protocol() -> Protocol:
    return load_protocol(DEMO.read_bytes(), where="demo.yaml")


def report(generated_at: str = "2025-02-16T09:00:00Z", *, modified_at: datetime | None = NOW) -> FileFound:
    return FileFound("DEPLOYMENT-REPORT.md", DEPLOYMENTS.format(generated_at=generated_at).encode(), modified_at)


def finding(protocol: Protocol, name: str, found: FileFound | None) -> dict[str, Any]:
    files = {} if found is None else {name: found}
    return next(item for item in examine_artifacts(protocol, files, now=NOW) if item["name"] == name)


def test_a_current_valid_artifact_is_ok(protocol: Protocol) -> None:
    """Digest, dates and age stand in the finding."""
    found = report()
    item = finding(protocol, "DEPLOYMENT-REPORT.md", found)
    assert found.data is not None
    assert (item["status"], item["reason"], item["sha256"]) == ("ok", None, sha256_hex(found.data))
    assert (item["dated"], item["modified_at"], item["age_days"]) == ("2025-02-16T09:00:00Z", "2025-02-16T10:00:00Z", 0.042)


@pytest.mark.parametrize(
    ("found", "status", "words"),
    [
        (None, "missing", "no file at"),
        (report("2025-01-01T00:00:00Z"), "stale", "46.4 days old, 30 allowed"),
        (report("2025-02-17T10:00:00Z"), "invalid", "in the future"),
        (FileFound("p", b"not a report", NOW), "invalid", "no head"),
        (FileFound("p", None, None, "a link on the way"), "invalid", "a link on the way"),
    ],
)
def test_each_defect_of_an_artifact_is_named(protocol: Protocol, found: FileFound | None, status: str, words: str) -> None:
    """Missing, stale and invalid, with the reason in words."""
    item = finding(protocol, "DEPLOYMENT-REPORT.md", found)
    assert item["status"] == status
    assert words in item["reason"]
    assert missing_required([item]) == ["DEPLOYMENT-REPORT.md"]


def test_touching_a_file_does_not_make_it_current(protocol: Protocol) -> None:
    """The date that the report names counts, not that of its directory entry."""
    assert finding(protocol, "DEPLOYMENT-REPORT.md", report("2025-01-01T00:00:00Z", modified_at=NOW))["status"] == "stale"


def test_an_old_directory_entry_does_not_make_a_report_stale(protocol: Protocol) -> None:
    """Nor does copying with an old date."""
    assert finding(protocol, "DEPLOYMENT-REPORT.md", report(modified_at=NOW - timedelta(days=400)))["status"] == "ok"


def test_an_optional_artifact_may_be_absent(protocol: Protocol) -> None:
    """ "If available": absent is an answer of its own, not ok and not missing."""
    item = finding(protocol, "performance-intake-backlog.json", None)
    assert item["status"] == "absent_optional"
    check_required([item])


def test_an_optional_artifact_that_is_there_must_be_valid(protocol: Protocol) -> None:
    """A broken or outdated optional file blocks the cycle rather than being passed over."""
    broken = finding(protocol, "performance-intake-backlog.json", FileFound("p", b"{}", NOW))
    old = document_bytes({"created_at": "2024-11-01T00:00:00Z", "run": "r", "items": []})
    stale = finding(protocol, "performance-intake-backlog.json", FileFound("p", old, NOW))
    assert [broken["status"], stale["status"]] == ["invalid", "stale"]
    for item in (broken, stale):
        with pytest.raises(ArtifactError, match=r"ART-391 .*performance-intake-backlog\.json"):
            check_required([item])


def test_all_blocking_artifacts_are_named_in_one_line(protocol: Protocol) -> None:
    """A person supplies everything at once instead of one file per attempt."""
    findings = examine_artifacts(protocol, {}, now=NOW)
    with pytest.raises(ArtifactError) as caught:
        check_required(findings)
    line = str(caught.value)
    assert "MONITORING-PACKAGE.zip is missing" in line
    assert "DEPLOYMENT-REPORT.md is missing" in line
    assert "\n" not in line


def check(tolerance: float = 0.05, production: float = 120_000) -> MirrorCheck:
    return MirrorCheck("rows in orders", MirrorKind.SQL, "select 1", production, tolerance)


@pytest.mark.parametrize(
    ("found", "tolerance", "status"),
    [
        (120_000, 0.0, "ok"),
        (119_999, 0.0, "mismatch"),
        (114_000, 0.05, "ok"),
        (126_000, 0.05, "ok"),
        (113_999, 0.05, "mismatch"),
        (None, 0.05, "unknown"),
        (float("nan"), 0.05, "unknown"),
        (float("inf"), 0.05, "unknown"),
    ],
)
def test_the_test_environment_mirrors_production_within_tolerance(found: float | None, tolerance: float, status: str) -> None:
    """At the bound is within; what could not be read is unknown, which is not ok."""
    record = examine_mirror(check(tolerance), found)
    assert record["status"] == status
    assert (record["reason"] is None) is (status == "ok")


def test_a_mirror_record_shows_its_figures() -> None:
    """What production has, what was found, and by how much it differs."""
    record = examine_mirror(check(), 60_000)
    assert (record["production"], record["found"], record["difference_percent"]) == (120_000, 60_000, -50.0)
    assert record["reason"] == "found 60000, production has 120000 (tolerance 5 %)"


def test_production_of_zero_needs_zero() -> None:
    """No share of zero can be named; only the same value mirrors it."""
    assert examine_mirror(check(0.5, 0), 0)["status"] == "ok"
    assert examine_mirror(check(0.5, 0), 1) | {"status": "mismatch", "difference_percent": None} == examine_mirror(check(0.5, 0), 1)


def state(**changes: Any) -> dict[str, Any]:
    parts: dict[str, Any] = {
        "access": [
            access_record(name="prometheus", provides="metrics", critical=True, error=None),
            access_record(name="traces", provides="traces", critical=False, error="no file"),
        ],
        "directories": [directory_record(path=".artifacts/performance", error=None)],
        "mirror": [examine_mirror(check(), 120_000)],
        "others": [check_record(name="approval key", error=None)],
    }
    return system_state(**{**parts, **changes})


def test_a_good_system_state_passes_with_its_unknowns(protocol: Protocol) -> None:
    """An optional source without answer is listed as unknown and blocks nothing."""
    check_system_state(state())
    document = prerequisites_document([], state=state(), protocol_sha256=protocol.digest, now=NOW)
    assert (document["status"], document["blocking"], document["unknown"]) == ("ok", [], ["traces (traces): no file"])
    assert document["verified_at"] == "2025-02-16T10:00:00Z"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"access": [access_record(name="prometheus", provides="metrics", critical=True, error="down")]},
            "no access to prometheus (metrics): down",
        ),
        ({"directories": [directory_record(path=".cursor/context-kit", error="read-only")]}, "no write permission to .cursor/context-kit"),
        ({"mirror": [examine_mirror(check(), 10)]}, "rows in orders does not mirror production"),
        ({"mirror": [examine_mirror(check(), None, error="no such table")]}, "no such table"),
        ({"others": [check_record(name="approval key", error="does not exist")]}, "approval key: does not exist"),
    ],
)
def test_each_defect_of_the_system_blocks(protocol: Protocol, changes: dict[str, Any], words: str) -> None:
    """Access, permission, sizing and the key of the acts; named in the error and in the document."""
    with pytest.raises(TelemetryError) as caught:
        check_system_state(state(**changes))
    assert words in str(caught.value)
    document = prerequisites_document([], state=state(**changes), protocol_sha256=protocol.digest, now=NOW)
    assert document["status"] == "blocked"
    assert any(words in line for line in document["blocking"])
