"""Validators of supplied files: what they take, and one clear line for everything else."""

from __future__ import annotations

import io
import json
import stat
import struct
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfproof.errors import ArtifactError, PerfproofError
from perfproof.improvement import backlog
from perfproof.inputs import monitoring_package
from perfproof.inputs.backlog import validate_backlog
from perfproof.inputs.line_summary import OTHER, summarise_lines
from perfproof.inputs.monitoring_package import read_members, validate_monitoring_package
from perfproof.inputs.reports import validate_deployment_report, validate_incident_report
from perfproof.telemetry import document_bytes

NOW = datetime(2025, 2, 16, 10, 0, tzinfo=UTC)
RULES = """
groups:
  - name: shop
    rules:
      - record: shop:p95
        expr: histogram_quantile(0.95, x)
      - alert: OrdersSlow
        expr: shop:p95 > 0.25
        for: 10m
        labels: {severity: page}
      - alert: Unlabelled
        expr: up == 0
"""
DEPLOYMENTS = """---
report: deployment
generated_at: 2025-02-16T09:00:00Z
service: shop
---
# Deployments of the week

Some words for people.

## Deployments

| Service | Build | Deployed at | Change |
|---|---|---|---|
| shop | 1.4.2 | 2025-02-15T20:00:00Z | Shows \\| items |
| shop | 1.4.3 | 2025-02-15T22:00:00+02:00 |  |

## Notes
| not | read |
"""
INCIDENTS = """---
report: incident
generated_at: 2025-02-16T09:00:00Z
service: shop
---
## Incidents
| ID | Title | Started at | Ended at | Severity | Services | Impact |
|----|-------|------------|----------|----------|----------|--------|
| INC-1 | Orders slow | 2025-02-14T18:00:00Z | 2025-02-14T19:00:00Z | SEV2 | shop, payment | 300 customers waited |
| INC-2 | Again | 2025-02-15T18:00:00Z | ongoing | | shop | |
"""


def zipped(files: dict[str, str | bytes], *, change: Callable[[zipfile.ZipInfo], None] | None = None) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            if change:
                change(info)
            archive.writestr(info, content)
    return out.getvalue()


def refused(validate: Callable[..., Any], data: bytes) -> str:
    with pytest.raises(ArtifactError) as caught:
        validate(data, where="FILE")
    line = str(caught.value)
    assert "\n" not in line
    assert "FILE" in line
    assert "Fix: " in line
    return line


def test_a_package_gives_its_alerts_and_dashboards() -> None:
    """Prometheus rules, listed alerts and dashboards; what a rule leaves out is UNKNOWN; recording rules are no alerts."""
    listed = json.dumps([{"name": "CpuHigh", "expression": "cpu > 80", "severity": "ticket", "for": "5m"}])
    data = zipped(
        {
            "package.json": json.dumps({"generated_at": "2025-02-16T08:00:00Z"}),
            "rules/shop.yaml": RULES,
            "alerts.json": listed,
            "dashboards/shop.json": json.dumps({"title": "Shop", "panels": []}),
            "README.txt": "for people",
        }
    )
    found = validate_monitoring_package(data, where="FILE")
    rule = {"service": None, "state": "rule", "started_at": None, "ended_at": None, "source": "rules/shop.yaml"}
    assert found.items["alerts"] == (
        {"name": "OrdersSlow", "expression": "shop:p95 > 0.25", "severity": "page", "for": "10m", **rule},
        {"name": "Unlabelled", "expression": "up == 0", "severity": "UNKNOWN", "for": "0s", **rule},
        {"name": "CpuHigh", "expression": "cpu > 80", "severity": "ticket", "for": "5m", **rule, "source": "alerts.json"},
    )
    assert found.items["dashboards"] == ({"name": "Shop", "file": "dashboards/shop.json", "panels": 0, "expressions": []},)
    assert found.dated == datetime(2025, 2, 16, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    "name", ["../evil", "a/../../evil", "/etc/passwd", "C:/evil", "a\\..\\evil", "a//b", "./a", "a/./b", "..", "rules/.."]
)
def test_a_path_that_leaves_the_archive_is_refused(name: str) -> None:
    """Zip-slip in every spelling, although nothing is ever unpacked to disk."""
    assert "ART-337" in refused(validate_monitoring_package, zipped({name: "x", "rules/a.yaml": RULES}))


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK])
def test_links_and_devices_are_refused(kind: int) -> None:
    """Plain files only."""

    def change(info: zipfile.ZipInfo) -> None:
        info.create_system = 3
        info.external_attr = (kind | 0o644) << 16

    assert "ART-338" in refused(validate_monitoring_package, zipped({"rules/a.yaml": RULES}, change=change))


def test_an_encrypted_entry_is_refused() -> None:
    """The flag in the directory of the archive is enough."""
    data = bytearray(zipped({"rules/a.yaml": RULES}))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.index(signature) + offset
        data[at : at + 2] = struct.pack("<H", struct.unpack("<H", data[at : at + 2])[0] | 1)
    assert "ART-339" in refused(validate_monitoring_package, bytes(data))


def test_a_bomb_is_refused() -> None:
    """Megabytes of zeros in a few kilobytes, within the limit of one entry."""
    assert "ART-336" in refused(validate_monitoring_package, zipped({"rules/a.yaml": b"\0" * (1 << 20)}))


def test_an_entry_beyond_its_limit_is_refused() -> None:
    """The limit holds for what comes out, whatever the directory declares."""
    assert "ART-336" in refused(validate_monitoring_package, zipped({"x": b"\0" * ((1 << 20) + 1)}))


def test_a_size_that_the_archive_denies_is_counted() -> None:
    """An entry that declares fewer bytes than it unpacks to is refused, not believed."""
    data = bytearray(zipped({"rules/a.yaml": b"\0" * 5_000_000}))
    at = data.index(b"PK\x01\x02") + 24
    data[at : at + 4] = struct.pack("<I", 10)
    refused(validate_monitoring_package, bytes(data))


def test_many_entries_that_are_large_together_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit of all entries together."""
    monkeypatch.setattr(monitoring_package, "MAX_TOTAL_BYTES", 100)
    assert "ART-336" in refused(validate_monitoring_package, zipped({f"{n}": f"{n:050d}" for n in range(3)}))


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "ART-333"),
        (b"not a zip", "ART-333"),
        (zipped({"rules/a.yaml": RULES})[:-30], "ART-333"),
        (zipped({}), "ART-334"),
        (zipped({"folder/": ""}), "ART-334"),
        (zipped({"README.txt": "x"}), "ART-331"),
        (zipped({"a": "x", "A": "y"}), "ART-335"),
        (zipped({"rules/a.yaml": "groups: ["}), "ART-341"),
        (zipped({"rules/a.yaml": "groups: {}"}), "ART-341"),
        (zipped({"rules/a.yaml": "groups: [{rules: [{alert: A}]}]"}), "ART-341"),
        (zipped({"rules/a.yaml": "groups: [{rules: [{alert: A, alert: B, expr: x}]}]"}), "ART-341"),
        (zipped({"alerts.json": "{}"}), "ART-340"),
        (zipped({"alerts.json": '[{"name": 1, "expression": "x"}]'}), "ART-340"),
        (zipped({"alerts.json": '[{"name": "a", "name": "b"}]'}), "ART-111"),
        (zipped({"dashboards/a.json": "{}"}), "ART-330"),
        (zipped({"rules/a.yaml": RULES, "package.json": '{"generated_at": "yesterday"}'}), "ART-132"),
    ],
)
def test_a_package_that_cannot_be_read_is_one_line(data: bytes, code: str) -> None:
    """Broken, empty, or with something in it that is not what its place says."""
    assert code in refused(validate_monitoring_package, data)


def test_damaged_bytes_are_noticed() -> None:
    """The checksum of each entry is compared."""
    data = bytearray(zipped({"rules/a.yaml": RULES}))
    at = data.index(b"PK\x01\x02") + 16
    data[at] ^= 0xFF
    data[data.index(b"PK\x03\x04") + 14] ^= 0xFF
    assert "ART-333" in refused(validate_monitoring_package, bytes(data))


@given(st.binary(max_size=400), st.integers(0, 600), st.integers(1, 255))
def test_no_bytes_bring_the_reader_down(noise: bytes, place: int, flip: int) -> None:
    """Noise and damaged archives end in our own error or in members, never in anything else."""
    damaged = bytearray(zipped({"rules/a.yaml": RULES, "package.json": "{}"}))
    damaged[place % len(damaged)] ^= flip
    for data in (noise, bytes(damaged)):
        try:
            read_members(data, where="FILE")
        except PerfproofError as error:
            assert "\n" not in str(error)


def test_deployments_are_read_in_utc() -> None:
    """Escaped bars, other time zones, and an unknown change."""
    found = validate_deployment_report(DEPLOYMENTS.encode(), where="FILE")
    assert found.items["deployments"] == (
        {"service": "shop", "build": "1.4.2", "deployed_at": "2025-02-15T20:00:00Z", "change": "Shows | items"},
        {"service": "shop", "build": "1.4.3", "deployed_at": "2025-02-15T20:00:00Z", "change": "UNKNOWN"},
    )
    assert found.dated == datetime(2025, 2, 16, 9, tzinfo=UTC)


def test_line_ends_and_byte_order_mark_do_not_matter() -> None:
    """A report saved on another system says the same."""
    other = b"\xef\xbb\xbf" + DEPLOYMENTS.replace("\n", "\r\n").encode()
    assert validate_deployment_report(other, where="FILE") == validate_deployment_report(DEPLOYMENTS.encode(), where="FILE")


def test_incidents_keep_what_is_unknown_unknown() -> None:
    """No severity and no impact stay UNKNOWN; an incident that lasts has no end."""
    first, second = validate_incident_report(INCIDENTS.encode(), where="FILE").items["incidents"]
    assert first == {
        "id": "INC-1",
        "title": "Orders slow",
        "started_at": "2025-02-14T18:00:00Z",
        "ended_at": "2025-02-14T19:00:00Z",
        "severity": "SEV2",
        "services": ["shop", "payment"],
        "impact": "300 customers waited",
    }
    assert (second["ended_at"], second["severity"], second["impact"]) == (None, "UNKNOWN", "UNKNOWN")


def test_a_report_without_incidents_is_valid() -> None:
    """A quiet week has a table without rows."""
    quiet = "\n".join(INCIDENTS.split("\n")[:-3]) + "\n"
    assert validate_incident_report(quiet.encode(), where="FILE").items["incidents"] == ()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("---\nreport", "report", "no head"),
        ("service: shop\n---\n", "service: shop\n", "head"),
        ("report: deployment", "report: incident", "another kind of report"),
        ("service: shop", "", "lacks a key"),
        ("service: shop", "service: shop\nservice: shop", "key: value"),
        ("generated_at: 2025-02-16T09:00:00Z", "generated_at: 2025-02-16", "no"),
        ("generated_at: 2025-02-16T09:00:00Z", "generated_at: 2025-02-30T09:00:00Z", "not a moment"),
        ("## Deployments\n", "## Deployed\n", "needs this section once"),
        ("## Notes", "## Deployments", "needs this section once"),
        ("| Service | Build | Deployed at | Change |", "| Build | Service | Deployed at | Change |", "another table header"),
        ("| Service | Build | Deployed at | Change |", "| Service | Build | Deployed at |", "another table header"),
        ("|---|---|---|---|\n", "", "no rule"),
        ("| shop | 1.4.2 | 2025-02-15T20:00:00Z | Shows \\| items |", "| shop | 1.4.2 |", "not as many cells"),
        ("Shows \\| items", "Shows | items", "not as many cells"),
        ("| 1.4.2 |", "|  |", "empty"),
        ("| shop | 1.4.2", "| null | 1.4.2", "empty"),
        ("2025-02-15T20:00:00Z", "yesterday", "not a moment"),
        ("2025-02-15T20:00:00Z", "2025-02-15T20:00:00", "not a moment"),
        ("Some words", "Some \0 words", "NUL"),
        ("Shows", "S" * 3000, "too long"),
    ],
)
def test_a_report_that_is_not_in_its_form_is_refused(old: str, new: str, words: str) -> None:
    """Each deviation is one line with its place."""
    assert DEPLOYMENTS.count(old) >= 1
    assert words in refused(validate_deployment_report, DEPLOYMENTS.replace(old, new, 1).encode())


def test_a_deployment_report_without_a_deployment_is_refused() -> None:
    """What runs now is what the cycle is about."""
    lines = [line for line in DEPLOYMENTS.split("\n") if not line.startswith("| shop")]
    assert "no deployment" in refused(validate_deployment_report, "\n".join(lines).encode())


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("2025-02-14T19:00:00Z", "2025-02-14T17:00:00Z", "ends before it starts"),
        ("INC-2", "INC-1", "two incidents with one id"),
        ("| INC-1 |", "| |", "empty"),
    ],
)
def test_an_incident_that_contradicts_itself_is_refused(old: str, new: str, words: str) -> None:
    """Times in order, ids once."""
    assert words in refused(validate_incident_report, INCIDENTS.replace(old, new, 1).encode())


@pytest.mark.parametrize("data", [b"", b"\xff\xfe\x00", b"---", b"---\n---\n"])
def test_bytes_that_are_no_report_are_refused(data: bytes) -> None:
    """Empty, not text, and empty heads."""
    refused(validate_deployment_report, data)


@given(st.text(max_size=300))
def test_no_text_brings_the_report_reader_down(text: str) -> None:
    """Any text ends in our own error or in items."""
    for body in (text, DEPLOYMENTS + text, DEPLOYMENTS.replace("1.4.2", text)):
        try:
            validate_deployment_report(body.encode("utf-8", "surrogatepass"), where="FILE")
        except PerfproofError as error:
            assert "\n" not in str(error)


def written_backlog(*, left: bool = True) -> dict[str, Any]:
    """What the last phase of a cycle writes, with an item of every kind or with none."""
    tasks = [{"id": "OPT-001", "service": "shop", "title": "Index"}, {"id": "OPT-002", "service": "shop", "title": "Batch"}]
    open_one = {"status": "open", "service": "shop", "symptom": "slow", "confirming_evidence": "a plan"}
    return backlog(
        plan={"tasks": tasks if left else tasks[:1]},
        hypotheses={"hypotheses": [open_one] if left else []},
        validation={
            "optimizations": ["OPT-001"],
            "optimization_id": "OPT-001",
            "guards": [{"label": "inconclusive", "metric": "memory_rss", "reason": "too few blocks"}] if left else [],
            "unguarded": [{"metric": "quote_latency_p95", "reason": "no series"}] if left else [],
        },
        load_results={"bottlenecks": [{"service": "shop", "issue": "High p95", "severity": "high"}] if left else []},
        considered=["shop"],
        run="r",
        now=NOW,
    )


@pytest.mark.parametrize("left", [True, False])
def test_the_backlog_that_a_cycle_writes_is_read(left: bool) -> None:
    """Round trip with the writer, dated by its own moment; an empty backlog is a valid one."""
    document = written_backlog(left=left)
    found = validate_backlog(document_bytes(document), where="FILE")
    assert [item["title"] for item in found.items["backlog"]] == [item["title"] for item in document["items"]]
    assert len(found.items["backlog"]) == (5 if left else 0)
    assert [item["metric"] for item in found.items["backlog"]] == [item["metric"] for item in document["items"]]
    assert found.dated == NOW


ITEM = {"id": "BLG-001", "kind": "load", "service": "shop", "title": "High p95", "reason": "severity high"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schema_version": 2}, "another version"),
        ({"items": {}}, "wrong type"),
        ({"items": ["x"]}, "not a mapping"),
        ({"items": [{**ITEM, "title": " "}]}, "empty"),
        ({"items": [{**ITEM, "metric": 3}]}, "wrong type"),
        ({"items": [{k: v for k, v in ITEM.items() if k != "reason"}]}, "'reason' is missing"),
        ({"items": [ITEM, ITEM]}, "comes twice"),
        ({"items": [{**ITEM, "id": ""}]}, "empty"),
        ({"items": [ITEM] * 1001}, "too many"),
        ({"created_at": "2025-02-16"}, "not a moment"),
        ({"run": None}, "wrong type"),
    ],
)
def test_another_backlog_is_refused(change: dict[str, Any], words: str) -> None:
    """Another version or another shape is named."""
    assert words in refused(validate_backlog, document_bytes({**written_backlog(), **change}))


def lines(*records: Any) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def test_a_log_is_counted_by_outcome_and_age() -> None:
    """Lines, times in both forms, and how often each status and route."""
    data = lines(
        {"time": "2025-02-16T09:59:00Z", "route": "orders", "status": 200},
        {"time": NOW.timestamp() - 30, "route": "orders", "status": 500},
        {"route": "quote", "status": 200, "ok": True},
    )
    found = summarise_lines(data, cut=False, now=NOW)
    assert (found["lines"], found["malformed"], found["without_time"]) == (3, 0, 1)
    assert (found["oldest"], found["newest"], found["newest_age_seconds"]) == ("2025-02-16T09:59:00Z", "2025-02-16T09:59:30Z", 30.0)
    assert found["counts"] == {"route": {"orders": 2, "quote": 1}, "status": {"200": 2, "500": 1}}


def test_half_lines_at_both_ends_are_not_counted() -> None:
    """A tail begins in the middle of a line, and a writer is in the middle of the last."""
    found = summarise_lines(b'tatus": 200}\n{"status": 200}\n{"stat', cut=True, now=NOW)
    assert (found["lines"], found["malformed"]) == (1, 0)


@pytest.mark.parametrize("line", [b"text", b"[1]", b"1", b"null", b"{", b"\xff", b"[" * 5000, b'{"a":' + b"9" * 5000 + b"}"])
def test_lines_that_are_no_objects_are_counted_as_malformed(line: bytes) -> None:
    """They are neither read nor an end to reading."""
    found = summarise_lines(line + b'\n{"status": 1}\n', cut=False, now=NOW)
    assert (found["lines"], found["malformed"]) == (1, 1)


@pytest.mark.parametrize("time", ["yesterday", 1, 1e30, NOW.timestamp() * 1000, None, True, (NOW + timedelta(days=9)).timestamp()])
def test_a_time_that_cannot_be_is_no_time(time: Any) -> None:
    """Milliseconds, the future and nonsense do not make a log look fresh."""
    found = summarise_lines(lines({"time": time}), cut=False, now=NOW)
    assert (found["without_time"], found["newest"]) == (1, None)


def test_hostile_values_do_not_grow_the_summary() -> None:
    """Thousands of distinct values become fifty and a rest; long ones are cut."""
    found = summarise_lines(lines(*[{"route": f"/{n}" + "x" * 500} for n in range(2000)]), cut=False, now=NOW)
    routes = found["counts"]["route"]
    assert (len(routes), routes[OTHER]) == (51, 1950)
    assert max(map(len, routes)) == 100
