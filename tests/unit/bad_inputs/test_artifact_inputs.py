"""Files that are not what they must be: refused with one line, or a gate that does not pass and says why; nothing is written."""

from __future__ import annotations

import copy
import dataclasses
import io
import json
import os
import shutil
import socket
import stat
import struct
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from modules import load

from perfproof.artifacts import Artifact
from perfproof.baseline import read_baseline
from perfproof.config import load_protocol
from perfproof.errors import ArtifactError, PerfproofError
from perfproof.expectations import plain_check
from perfproof.gates import Outcome
from perfproof.gates.assembly import Facts, evaluate_gate
from perfproof.inputs.backlog import validate_backlog
from perfproof.inputs.monitoring_package import validate_monitoring_package
from perfproof.inputs.reports import validate_deployment_report, validate_incident_report
from perfproof.parameters import read_parameters
from perfproof.prerequisites import check_required, examine_artifacts
from perfproof.schemas import linked_names, read_baseline_csv, validate_artifact
from perfproof.telemetry import document_bytes
from perfproof_airflow.hooks.workspace import Workspace

REPOSITORY = Path(__file__).resolve().parents[3]
DEMO = REPOSITORY / "include" / "protocols" / "demo.yaml"
PROTOCOL = load_protocol(DEMO.read_bytes(), where="demo.yaml")
NOW = datetime(2025, 2, 16, 18, 0, tzinfo=UTC)
Make = Callable[[Path], object]

GATES: Any = load("gates_by_hand", REPOSITORY / "tests" / "unit" / "perfproof" / "gates" / "conftest.py")
CYCLES: Any = load("complete_cycle", REPOSITORY / "tests" / "faults" / "complete_cycle.py")

# 1. Files that people and other protocols supply

RULES = "groups:\n  - name: g\n    rules:\n      - alert: Slow\n        expr: up == 0\n"
DEPLOYMENTS = """---
report: deployment
generated_at: 2025-02-16T09:00:00Z
service: shop
---
## Deployments
| Service | Build | Deployed at | Change |
|---|---|---|---|
| shop | 1.4.2 | 2025-02-15T20:00:00Z | none |
"""


def raw(data: bytes | str) -> Make:
    """A file with just this content."""
    return lambda path: path.write_bytes(data.encode() if isinstance(data, str) else data)


def zipped(*entries: tuple[str, bytes | str], kind: int = stat.S_IFREG, packing: int = zipfile.ZIP_DEFLATED) -> bytes:
    """An archive with these entries."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in entries:
            info = zipfile.ZipInfo(name)
            info.create_system, info.external_attr, info.compress_type = 3, (kind | 0o644) << 16, packing
            archive.writestr(info, content)
    return out.getvalue()


def encrypted() -> bytes:
    """An archive whose entry says that it is encrypted."""
    data = bytearray(zipped(("rules/a.yaml", RULES)))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.index(signature) + offset
        data[at : at + 2] = struct.pack("<H", struct.unpack("<H", data[at : at + 2])[0] | 1)
    return bytes(data)


def baseline(**changes: Any) -> dict[str, Any]:
    """A baseline of an earlier cycle, as this version writes it."""
    cell = {
        "metric_name": "latency_p95", "service": "shop", "kind": "latency", "value": 100.0, "unit": "ms", "direction": "lower_is_better",
        "collection_method": "query", "source": "prometheus", "query": "q", "timestamp": "2025-02-16T10:00:00Z", "samples_expected": 30,
        "samples_valid": 30, "coverage": 1.0, "staleness_seconds": 0.0, "reasons": [], "critical": True, "raw_sha256": "ab" * 32,
    }  # fmt: skip
    document = {
        "schema_version": 1, "collected_at": "2025-02-16T10:00:00Z", "collection_methodology": "m",
        "window": {"start": "2025-02-16T09:59:00Z", "end": "2025-02-16T10:00:00Z", "step_seconds": 2},
        "requirements": {"min_coverage": 0.9, "min_samples": 10, "max_staleness_seconds": 10}, "protocol_sha256": "cd" * 32,
        "baseline_completeness": 100, "metrics_collected": 1, "metrics_required": 1, "missing_metrics": [], "cells": [cell], "slos": [],
        "builds": {"shop": "1"},
    }  # fmt: skip
    for dotted, new in changes.items():
        *parents, last = dotted.split("__")
        place: Any = document
        for key in parents:
            place = place[int(key)] if isinstance(place, list) else place[key]
        place[last] = new
    return document


def earlier(**changes: Any) -> Make:
    """That baseline as a file, with one value changed."""
    return raw(document_bytes(baseline(**changes)))


def linked(path: Path) -> None:
    target = path.parent / "elsewhere"
    target.write_bytes(zipped(("rules/a.yaml", RULES)))
    path.symlink_to(target)


def pipe(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as end:
        here = Path.cwd()
        os.chdir(path.parent)  # the address of a socket is short
        end.bind(path.name)
        os.chdir(here)


PACKAGE, BASELINE, BACKLOG, REPORT = (
    "MONITORING-PACKAGE.zip",
    "baseline-metrics.json",
    "performance-intake-backlog.json",
    "DEPLOYMENT-REPORT.md",
)
BACKLOG_HEAD = '"created_at":"2025-02-16T10:00:00Z","run":"r","items":[]}'
# Case, the file's name in the protocol, how it is made, status, words of the reason.
SUPPLIED: list[tuple[str, str, Make, str, str]] = [
    ("missing", PACKAGE, lambda path: None, "missing", "no file at"),
    ("symlink", PACKAGE, linked, "invalid", "ART-396"),
    ("FIFO", PACKAGE, pipe, "invalid", "ART-396"),
    ("device", PACKAGE, device, "invalid", "ART-396"),
    ("a directory", PACKAGE, lambda path: path.mkdir(), "invalid", "not a regular file"),
    ("zip: empty", PACKAGE, raw(zipped()), "invalid", "ART-334"),
    ("zip: empty file", PACKAGE, raw(b""), "invalid", "ART-333"),
    ("zip: none", PACKAGE, raw(b"PK\x03\x04 no archive"), "invalid", "ART-333"),
    ("zip: truncated", PACKAGE, raw(zipped(("rules/a.yaml", RULES))[:-30]), "invalid", "ART-333"),
    ("zip: zip-slip", PACKAGE, raw(zipped(("../../evil", "x"))), "invalid", "ART-337"),
    ("zip: zip-slip, absolute", PACKAGE, raw(zipped(("/etc/cron.d/evil", "x"))), "invalid", "ART-337"),
    ("zip: symlink", PACKAGE, raw(zipped(("rules/a.yaml", "/etc/passwd"), kind=stat.S_IFLNK)), "invalid", "ART-338"),
    ("zip: device", PACKAGE, raw(zipped(("rules/a.yaml", ""), kind=stat.S_IFCHR)), "invalid", "ART-338"),
    ("zip: bomb", PACKAGE, raw(zipped(("rules/a.yaml", b"\0" * (1 << 20)))), "invalid", "ART-336"),
    ("zip: bomb in one entry beyond its limit", PACKAGE, raw(zipped(("rules/a.yaml", b"ab" * (1 << 20)))), "invalid", "ART-336"),
    ("zip: bomb in bzip2", PACKAGE, raw(zipped(("rules/a.yaml", b"\0" * (8 << 20)), packing=zipfile.ZIP_BZIP2)), "invalid", "ART-342"),
    ("zip: lzma", PACKAGE, raw(zipped(("rules/a.yaml", RULES), packing=zipfile.ZIP_LZMA)), "invalid", "ART-342"),
    ("zip: encrypted", PACKAGE, raw(encrypted()), "invalid", "ART-339"),
    ("zip: two entries of one name", PACKAGE, raw(zipped(("rules/a.yaml", RULES), ("RULES/a.yaml", RULES))), "invalid", "ART-335"),
    ("zip: rules with an alias bomb", PACKAGE, raw(zipped(("rules/a.yaml", "a: &a [x]\nb: [*a]\n"))), "invalid", "ART-341"),
    ("zip: alerts with a duplicate key", PACKAGE, raw(zipped(("alerts.json", '[{"name":"a","name":"b"}]'))), "invalid", "ART-111"),
    ("wrong schema version: backlog", BACKLOG, raw('{"schema_version":2,' + BACKLOG_HEAD), "invalid", "ART-381"),
    ("wrong schema version: backlog, true for 1", BACKLOG, raw('{"schema_version":true,' + BACKLOG_HEAD), "invalid", "ART-381"),
    ("wrong schema version: backlog, text", BACKLOG, raw('{"schema_version":"1",' + BACKLOG_HEAD), "invalid", "ART-381"),
    ("wrong schema version: baseline", BASELINE, earlier(schema_version=2), "invalid", "ART-311"),
    ("wrong schema version: baseline, true for 1", BASELINE, earlier(schema_version=True), "invalid", "ART-310"),
    ("sha256 63 hex", BASELINE, earlier(protocol_sha256="a" * 63), "invalid", "ART-318"),
    ("sha256 upper case", BASELINE, earlier(protocol_sha256="AB" * 32), "invalid", "ART-318"),
    ("sha256 with a line break", BASELINE, earlier(cells__0__raw_sha256="ab" * 32 + "\n"), "invalid", "ART-318"),
    ("sha256 other algorithm", BASELINE, earlier(cells__0__raw_sha256="sha1:" + "ab" * 20), "invalid", "ART-318"),
    ("sha256 as a list", BASELINE, earlier(protocol_sha256=["ab" * 32]), "invalid", "ART-310"),
    ("declared figure that the cells do not give", BASELINE, earlier(baseline_completeness=97), "invalid", "ART-312"),
    ("declared coverage that the samples do not give", BASELINE, earlier(cells__0__coverage=0.5), "invalid", "ART-312"),
    ("more samples than steps", BASELINE, earlier(cells__0__samples_valid=31), "invalid", "ART-316"),
    ("a latency below zero", BASELINE, earlier(cells__0__value=-1.0), "invalid", "ART-319"),
    ("an error rate of 250 %", BASELINE, earlier(cells__0__kind="error_rate", cells__0__unit="percent", cells__0__value=250), "invalid",
        "ART-319"),
    ("value null with samples", BASELINE, earlier(cells__0__value=None), "invalid", "ART-317"),
    ("unknown unit", BASELINE, earlier(cells__0__unit="furlong"), "invalid", "ART-122"),
    ("window without its ends", BASELINE, earlier(window={}), "invalid", "ART-310"),
    ("builds that are no text", BASELINE, earlier(builds={"shop": 7}), "invalid", "ART-310"),
    ("no cells", BASELINE, earlier(cells=[], baseline_completeness=0, metrics_collected=0, metrics_required=0), "invalid", "ART-315"),
    ("NaN", BASELINE, raw(json.dumps(baseline(cells__0__value=float("nan")))), "invalid", "ART-111"),
    ("a byte order mark in JSON", BASELINE, raw(b"\xef\xbb\xbf" + document_bytes(baseline())), "invalid", "ART-111"),
    ("brackets 900 deep", BASELINE, raw("[" * 900 + "]" * 900), "invalid", "ART-"),
    ("report without a section", REPORT, raw(DEPLOYMENTS.replace("## Deployments", "## Others")), "invalid", "ART-369"),
    ("report with the section twice", REPORT, raw(DEPLOYMENTS + "\n## Deployments\n"), "invalid", "ART-369"),
    ("report: column reordered", REPORT, raw(DEPLOYMENTS.replace("| Service | Build", "| Build | Service")), "invalid", "ART-370"),
    ("report: ragged row", REPORT, raw(DEPLOYMENTS.replace("| none |", "| none | more |")), "invalid", "ART-371"),
    ("report: service null", REPORT, raw(DEPLOYMENTS.replace("| shop |", "| null |")), "invalid", "ART-372"),
    ("report: NUL byte", REPORT, raw(DEPLOYMENTS.replace("none", "no\0ne")), "invalid", "ART-301"),
    ("report: naive time", REPORT, raw(DEPLOYMENTS.replace("20:00:00Z", "20:00:00")), "invalid", "ART-132"),
    ("report of another kind", REPORT, raw(DEPLOYMENTS.replace("report: deployment", "report: incident")), "invalid", "ART-366"),
    ("report dated in the future", REPORT, raw(DEPLOYMENTS.replace("2025-02-16T09", "2025-03-16T09")), "invalid", "in the future"),
    ("report that is stale", REPORT, raw(DEPLOYMENTS.replace("2025-02-16T09", "2024-02-16T09")), "stale", "days old"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "make", "status", "words"), [row[1:] for row in SUPPLIED], ids=[row[0] for row in SUPPLIED])
def test_a_bad_supplied_file_keeps_the_cycle_from_starting(
    name: str, make: Make, status: str, words: str, tmp_path: Path, check: Callable[..., None]
) -> None:
    """Looked at through the workspace, judged by the prerequisites: one line for all of them, and no file made or changed."""
    artifact = next(a for a in PROTOCOL.prerequisites if a.name == name)
    path = tmp_path / artifact.path
    path.parent.mkdir(parents=True)
    make(path)
    before = sorted(str(p) for p in tmp_path.rglob("*"))
    found = Workspace(tmp_path).find(artifact.path)
    only = dataclasses.replace(PROTOCOL, prerequisites=(dataclasses.replace(artifact, required=True),))
    (finding,) = examine_artifacts(only, {name: found}, now=NOW)
    assert finding["status"] == status
    assert words in finding["reason"] and finding["reason"].isprintable()
    with pytest.raises(ArtifactError) as blocked:
        check_required([finding])
    check(blocked.value, code="ART-391", words=f"got {name} is {status}: ")
    assert sorted(str(p) for p in tmp_path.rglob("*")) == before


# 2. The directory of a run, given to `perfproof gate`


def as_link(name: str) -> Make:
    """A run directory in which one entry is a link to something outside."""

    def make(directory: Path) -> None:
        outside = directory.parent / "outside"
        outside.mkdir()
        (outside / "f.json").write_text("{}")
        (directory / name).symlink_to(outside if name == "evidence" else outside / "f.json")

    return make


def opened_by(kind: Callable[[Path], object]) -> Make:
    """A run directory whose log begins with something that is no file."""

    def make(directory: Path) -> None:
        (directory / "log").mkdir()
        kind(directory / "log" / "00000000.json")

    return make


def one_file(name: str, data: bytes | str) -> Make:
    """A run directory with one artifact."""
    return lambda directory: (directory / name).write_bytes(data.encode() if isinstance(data, str) else data)


TWICE = '{"report_date":"a","report_date":"b"}'
INTAKE = Artifact.INTAKE_REPORT.value
DIRECTORIES: list[tuple[str, Make, str, str]] = [
    ("symlink", as_link(INTAKE), "ART-212", "not a regular file"),
    ("symlink of the evidence directory", as_link("evidence"), "ART-212", "evidence: a link"),
    ("FIFO", lambda directory: os.mkfifo(directory / INTAKE), "ART-212", "not a regular file"),
    ("device", lambda directory: device(directory / INTAKE), "ART-212", "not a regular file"),
    ("FIFO for the first entry of the log", opened_by(lambda path: os.mkfifo(path)), "ART-210", "no regular file"),
    ("symlink for the first entry of the log", opened_by(lambda path: path.symlink_to("/dev/zero")), "ART-210", "a link"),
    ("first entry missing", lambda directory: (directory / "log").mkdir(), "ART-210", "No such file"),
    ("nothing there", lambda directory: None, "GAT-120", "nothing that this gate judges"),
    ("duplicate JSON key", one_file(INTAKE, TWICE), "ART-111", "duplicate key"),
    ("NaN", one_file(INTAKE, '{"a":NaN}'), "ART-111", "NaN is not a number"),
    ("byte order mark", one_file(INTAKE, "\ufeff{}"), "ART-111", "BOM"),
]


@pytest.mark.parametrize(("make", "code", "words"), [row[1:] for row in DIRECTORIES], ids=[row[0] for row in DIRECTORIES])
def test_a_bad_run_directory_is_one_line_and_no_gate(
    make: Make, code: str, words: str, tmp_path: Path, refused_by_command: Callable[..., None]
) -> None:
    """Exit 2, one line, nothing written, and no pipe is waited for."""
    directory = tmp_path / "run"
    directory.mkdir()
    make(directory)
    refused_by_command("gate", "baseline", str(directory), "--protocol", str(DEMO), code=code, words=words)


@pytest.mark.parametrize(
    ("protocol", "code", "words"),
    [(None, "GAT-122", "no protocol file is known"), ("absent.yaml", "CFG-180", "No such file"), (".", "CFG-180", "Is a directory")],
)
def test_a_bad_protocol_file_for_a_gate_is_one_line(
    protocol: str | None, code: str, words: str, tmp_path: Path, refused_by_command: Callable[..., None]
) -> None:
    """As `perfproof check` says it."""
    given = [] if protocol is None else ["--protocol", str(tmp_path / protocol)]
    (tmp_path / "run").mkdir()
    refused_by_command("gate", "baseline", str(tmp_path / "run"), *given, code=code, words=words)


# 3. Artifacts whose content the gates do not take over


def manifest_with(**changes: Any) -> Callable[[Any], Any]:
    """Gate 4 on a manifest whose first artifact is listed otherwise; `digest` replaces that of the subject."""

    def run(cycle: Any) -> Any:
        files = cycle.artifacts()
        manifest = json.loads(files[Artifact.MANIFEST])
        if "digest" in changes:
            manifest["subject"][0]["digest"] = changes["digest"]
        manifest["predicate"]["artifacts"][0] |= {key: value for key, value in changes.items() if key != "digest"}
        return cycle.gate_4(artifacts={**files, Artifact.MANIFEST.value: document_bytes(manifest)})

    return run


def rewritten(name: str, change: Callable[[bytes], bytes]) -> Callable[[Any], Any]:
    """Gate 4 on artifacts of which one was changed after the manifest was made."""

    def run(cycle: Any) -> Any:
        files = cycle.artifacts()
        return cycle.gate_4(artifacts={**files, name: change(files[name])})

    return run


def changed(attribute: str, *path: Any, to: Any, gate: int) -> Callable[[Any], Any]:
    """A gate on documents of which one value was changed."""

    def run(cycle: Any) -> Any:
        *parents, last = path
        place = getattr(cycle, attribute)
        for key in parents:
            place = place[key]
        if to is ...:
            del place[last]
        else:
            place[last] = to
        return getattr(cycle, f"gate_{gate}")()

    return run


def table(change: Callable[[str], str]) -> Callable[[Any], Any]:
    """Gate 1 on a baseline table that was changed."""
    return lambda cycle: cycle.gate_1(baseline_csv=change(cycle.baseline_csv().decode()).encode("utf-8", "surrogateescape"))


def swapped(text: str) -> str:
    return text.replace("metric_name,service", "service,metric_name", 1)


def last_line_twice(text: str) -> str:
    return text + text.splitlines()[-1] + "\n"


def without_words_under_gates(data: bytes) -> bytes:
    return data.replace(b"## Gates\n\nSomething was found and is written here.", b"## Gates\n")


def peak_with_tolerance_zero(cycle: Any) -> Any:
    """950 of 1000 requests/s declared as met."""
    profile = dataclasses.replace(cycle.profile, targets=dataclasses.replace(cycle.profile.targets, throughput_tolerance=0.0))
    profile = dataclasses.replace(profile, peak=dataclasses.replace(profile.peak, rate=1000))
    cycle.load_results["results"]["throughput"] = {"target": 1000, "actual": 950, "unit": "req/s", "status": "met"}
    return cycle.gate_2(profile=profile)


def gate_of_28_9(cycle: Any) -> Any:
    """A validation report that declares 28.9 % where its values give 8 %."""
    cycle.validation["baseline"]["value"], cycle.validation["optimized"]["value"] = 450, 414
    return cycle.gate_3()


REPORT_MD, TABLE = Artifact.PERFORMANCE_REPORT.value, Artifact.BASELINE_CSV.value
JUDGED: list[tuple[str, Callable[[Any], Any], str]] = [
    ("missing", lambda cycle: cycle.gate_4(artifacts={k: v for k, v in cycle.artifacts().items() if k != TABLE}), f"{TABLE} is missing"),
    ("sha256 wrong", manifest_with(sha256="cd" * 32), "has another digest than predicate.artifacts lists"),
    ("sha256 63 hex", manifest_with(digest={"sha256": "a" * 63}), "$.subject[0].digest.sha256"),
    ("sha256 upper case", manifest_with(digest={"sha256": "AB" * 32}), "$.subject[0].digest.sha256"),
    ("sha256 other algorithm", manifest_with(digest={"sha512": "ab" * 64}), "'sha256' is a required property"),
    ("verified_by empty", manifest_with(verified_by={"kind": "gate", "id": ""}), "artifacts[0].verified_by"),
    ("verified_by blank", manifest_with(verified_by={"kind": "gate", "id": " "}), "artifacts[0].verified_by"),
    ("verified_by null", manifest_with(verified_by=None), "verified"),
    ('verified_by "system"', manifest_with(verified_by={"kind": "person", "id": "System"}), "verified by no gate or person"),
    ("verified_by = role name", manifest_with(verified_by={"kind": "person", "id": "Product Owner"}), "verified by no gate or person"),
    ("verified_by = role key", manifest_with(verified_by={"kind": "person", "id": "product_owner"}), "verified by no gate or person"),
    ("declared completeness that the cells do not give", changed("baseline", "baseline_completeness", to=97, gate=1), "declares 97"),
    ("declared completeness as text", changed("baseline", "baseline_completeness", to="100", gate=1), "which is no number"),
    ('"met" at 950/1000 with tolerance 0', peak_with_tolerance_zero, "throughput status declares 'met'"),
    ("28.9 declared, 8 in the evidence", gate_of_28_9, "improvement.percentage declares 28.9, the evidence gives 8"),
    ("percentile order broken (p95 > p99)", changed("load_results", "results", "latency", "p99", to=150.0, gate=2), "not in order"),
    ("regression_count != len(regressions)", changed("validation", "regression_count", to=1, gate=3), "regression_count declares 1"),
    ("regression_count as text", changed("validation", "regression_count", to="0", gate=3), "regression_count"),
    ("`meets_threshold` as text", changed("validation", "improvement", "meets_threshold", to="true", gate=3), "meets_threshold"),
    ("CSV: header missing", table(lambda text: text.partition("\n")[2]), "line 1: the columns are"),
    ("CSV: header reordered", table(swapped), "line 1: the columns are service,metric_name"),
    ("CSV: extra column", table(lambda text: text.replace("timestamp", "timestamp,more", 1)), "line 1: the columns are"),
    ("CSV: ragged row", table(lambda text: text + "a,b\n"), "2 cells, expected 6"),
    ("CSV: duplicate (metric, service)", table(last_line_twice), "stands there twice"),
    ("CSV: other delimiter", table(lambda text: text.replace(",", ";")), "line 1: the columns are metric_name;service"),
    ("CSV: quote unclosed", table(lambda text: text + '"a,b'), "no CSV in UTF-8"),
    ("CSV: NUL byte", table(lambda text: text + "\0"), "holds a NUL byte"),
    ("CSV: byte order mark", table(lambda text: "\ufeff" + text), "byte order mark"),
    ("CSV: value NaN", table(lambda text: text.replace(",82.0,", ",NaN,", 1)), "value NaN is no finite number"),
    ("CSV: value 1e999", table(lambda text: text.replace(",82.0,", ",1e999,", 1)), "value 1e999 is no finite number"),
    ("CSV: value with a decimal comma", table(lambda text: text.replace(",82.0,", ',"82,0",', 1)), "value 82,0 is no finite number"),
    ("CSV: value that differs from the document", table(lambda text: text.replace(",82.0,", ",28.0,", 1)), "differs from baseline-metrics"),
    ("CSV: formula for a name", table(lambda text: text.replace("api_latency_p95", "=1+1", 1)), "is no identifier"),
    ("CSV: empty", table(lambda text: ""), "line 1: the columns are"),
    ("report without a section", rewritten(REPORT_MD, lambda data: data.replace(b"## Approvals", b"## Others")),
        "'## Approvals' is missing"),

           ("report with an empty section", rewritten(REPORT_MD, without_words_under_gates), "nothing stands under '## Gates'"),
    ("report with a link to a missing attachment", lambda cycle: cycle.gate_4(lost_attachments=["evidence/a.svg"]),
        "it links evidence/a.svg, which is not there"),
    ("CRLF changes that alter the hash", rewritten(REPORT_MD, lambda data: data.replace(b"\n", b"\r\n")), "has another digest"),
    ("BOM changes that alter the hash", rewritten(Artifact.OPTIMIZATION_PLAN.value, lambda data: b"\xef\xbb\xbf" + data), "invalid JSON"),
    ("optimization without baseline reference", changed("plan", "baseline", to=..., gate=3), "baseline of the plan"),
    ("optimization with another baseline's digest", changed("plan", "baseline", "sha256", to="cd" * 32, gate=3),
        "is not the baseline-metrics"),
    ("SLO update without validation reference", changed("slo_record", "traces_to", to=..., gate=4),
        "do not trace to the validation report"),
    ("SLO update that cites another proposal", changed("slo_record", "proposal", "sha256", to="cd" * 32, gate=4), "another SLO proposal"),
]  # fmt: skip


@pytest.mark.parametrize(("judge", "words"), [row[1:] for row in JUDGED], ids=[row[0] for row in JUDGED])
def test_an_artifact_that_is_not_what_it_says_fails_its_gate(judge: Callable[[Any], Any], words: str) -> None:
    """From a cycle in which everything else is right: not a pass, and the reason names it."""
    result = judge(GATES.Cycle())
    assert result.outcome is not Outcome.PASS
    said = " ".join([*result.reasons, json.dumps(result.document())])
    assert words in said, result.reasons


def test_the_cycle_that_the_rows_spoil_passes() -> None:
    """Else they would show nothing."""
    assert [getattr(GATES.Cycle(), f"gate_{n}")().outcome for n in (1, 2, 3, 4)] == [Outcome.PASS] * 4


@pytest.mark.parametrize(("shown", "passes"), [("evidence/report-p95.svg", True), ("evidence/absent.svg", False), ("../x.svg", False)])
def test_a_picture_of_the_report_must_be_in_evidence(shown: str, passes: bool) -> None:
    """Found by gate 4 as its task evaluates it, and whatever is linked is never opened as a path."""
    cycle = GATES.Cycle()
    files = {**cycle.artifacts(), "evidence/report-p95.svg": b"<svg/>", "evidence/slo-proposal.json": document_bytes(cycle.proposal)}
    files[REPORT_MD] += f"\n![p95]({shown})\n".encode()
    facts = Facts(PROTOCOL, read_parameters({}, PROTOCOL), approvals=(), deliveries=(), now=NOW, check=plain_check)
    result = evaluate_gate(4, read=files.get, facts=facts)
    assert (f"it links {shown}" not in json.dumps(result.document())) is passes


def test_what_a_report_links_is_read_without_code_and_addresses() -> None:
    """Escaped brackets, code and anchors are no links to files."""
    text = "![a](evidence/a.svg) [b](b.md) `[c](c)` \\[d\\](d) [e](#e) [f](https://x.test/f)\n\n```\n[g](g)\n```\n"
    assert linked_names(text) == ["evidence/a.svg", "b.md"]


# 4. The evidence of a closed cycle (F48), through `perfproof verify`


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete cycle."""
    return Path(CYCLES.write_cycle(tmp_path_factory.mktemp("closed")))


def outside(path: Path) -> None:
    """The file under a second name elsewhere, and a change made through that name."""
    second = path.parent.parent / "second-name"
    os.link(path, second)
    with second.open("ab") as file:
        file.write(b" ")


def replaced_by_link(path: Path) -> None:
    kept = path.parent.parent / "kept"
    path.rename(kept)
    path.symlink_to(kept)


def replaced_by_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def edited(change: Callable[[bytes], bytes]) -> Make:
    """The file with other bytes."""

    def make(path: Path) -> None:
        data = path.read_bytes()
        path.unlink()
        path.write_bytes(change(data))

    return make


EVIDENCE: list[tuple[str, Make]] = [
    ("changed", edited(lambda data: data.replace(b"1", b"2", 1))),
    ("missing", lambda path: path.unlink()),
    ("CRLF changes that alter the hash", edited(lambda data: data.replace(b"\n", b"\r\n"))),
    ("BOM changes that alter the hash", edited(lambda data: b"\xef\xbb\xbf" + data)),
    ("symlink", replaced_by_link),
    ("FIFO", replaced_by_pipe),
    ("hard link outside, changed through the other name", outside),
]


@pytest.mark.parametrize("name", [TABLE, REPORT_MD])
@pytest.mark.parametrize("make", [row[1] for row in EVIDENCE], ids=[row[0] for row in EVIDENCE])
def test_a_changed_artifact_of_a_closed_cycle_is_named(
    make: Make, name: str, closed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 1, the file in the answer."""
    from perfproof.cli import main

    directory = Path(shutil.copytree(closed, tmp_path / "run" / closed.name))
    (directory / name).chmod(0o644)
    make(directory / name)
    with pytest.raises(SystemExit) as ended:
        main(["verify", str(directory)])
    assert ended.value.code == 1
    assert name in capsys.readouterr().out


NOT_APPLICABLE = {
    "hard link outside, for a supplied file": "a second name cannot be told from the first; what was read is kept under its own digest, so "
    "that a later change through the other name changes nothing in the evidence",
    "hard link outside, unchanged": "the same bytes under the same digest; a change is found, as the row above shows",
}

# 5. Anything at all


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 2**53), st.floats(), st.text(max_size=6),
    st.sampled_from(["NaN", "ab" * 32, "2025-02-16T10:00:00Z", "ms", "pass", "\ud800", "\x1b[31m\n=1"]),
)  # fmt: skip
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4), max_leaves=10
)


def places(node: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path to every part of a document."""
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [path for key, child in children for path in ((*at, key), *places(child, (*at, key)))]


BY_HAND = GATES.Cycle()
DOCUMENTS: dict[str, Any] = {
    BASELINE: baseline(),
    BACKLOG: {
        "created_at": "2025-02-16T10:00:00Z", "run": "r",
        "items": [{"id": "a", "kind": "k", "service": "s", "title": "t", "reason": "r"}],
    },
    **{name: json.loads(data) for name, data in BY_HAND.artifacts().items() if name.endswith(".json")},
}  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn) -> tuple[str, bytes]:
    """A valid document with one to three parts replaced or deleted, or any JSON under its name."""
    name = draw(st.sampled_from(sorted(DOCUMENTS)))
    document: Any = copy.deepcopy(DOCUMENTS[name])
    if draw(st.integers(0, 5)) == 0:
        document = draw(JSON)
    for _ in range(draw(st.integers(1, 3))):
        found = places(document)
        if not found:
            break
        *parents, last = draw(st.sampled_from(found))
        place = document
        for key in parents:
            place = place[key]
        if draw(st.booleans()):
            place[last] = draw(JSON)
        else:
            del place[last]
    return name, json.dumps(document).encode("utf-8", "surrogatepass")


def read(name: str, data: bytes) -> object:
    """The document by the reader of its name."""
    if name == BASELINE:
        return read_baseline(data, where=name)
    return validate_backlog(data, where=name) if name == BACKLOG else validate_artifact(name, data)


@settings(max_examples=300, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(mutated() | st.tuples(st.sampled_from(sorted(DOCUMENTS)), st.binary(max_size=30)))
def test_any_document_is_valid_or_exactly_one_line(case: tuple[str, bytes]) -> None:
    """Never another exception; what is taken can be written again."""
    name, data = case
    try:
        found = read(name, data)
    except PerfproofError as error:
        assert str(error).isprintable() and len(str(error)) <= 600
    else:
        assert all(problem.isprintable() for problem in found) if isinstance(found, list) and name != BASELINE else found is not None


FIELDS = st.sampled_from(
    ["metric_name", "service", "value", "unit", "collection_method", "timestamp", "api", "1.5", "ms", "q", "2025-02-16T10:00:00Z", "",
     "NaN", "1e999", "=1", '"', "\0", "\ufeff", "\r", "a,b", "NA", "x" * 200000]
)  # fmt: skip
ROWS = st.lists(st.lists(FIELDS, max_size=7).map(",".join), max_size=5).map("\n".join)
HEADER = "metric_name,service,value,unit,collection_method,timestamp\n"


@settings(max_examples=200, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(ROWS | ROWS.map(lambda text: HEADER + text), st.sampled_from(["utf-8", "utf-16", "latin-1"]))
def test_any_table_is_rows_or_complaints(text: str, encoding: str) -> None:
    """A table without a complaint has rows of text and finite numbers only."""
    rows, complaints = read_baseline_csv(text.encode(encoding, "replace"))
    assert complaints or any(row.value is not None and row.value.is_finite() for row in rows)
    assert all(len(complaint) < 1000 and complaint.isprintable() for complaint in complaints)


ARCHIVE = zipped(("rules/a.yaml", RULES), ("alerts.json", "[]"), ("dashboards/d.json", '{"title":"t"}'))


@settings(max_examples=200, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.integers(0, len(ARCHIVE) - 1), st.integers(0, 255)), min_size=1, max_size=6), st.integers(0, len(ARCHIVE)))
def test_any_damage_to_an_archive_is_one_line(changes: list[tuple[int, int]], cut: int) -> None:
    """Bytes changed, end cut off: ArtifactError or what was packed."""
    data = bytearray(ARCHIVE)
    for place, value in changes:
        data[place] = value
    for archive in (bytes(data), bytes(data[:cut])):
        try:
            validate_monitoring_package(archive, where="FILE")
        except ArtifactError as error:
            assert str(error).isprintable()


@settings(max_examples=150, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(
        st.tuples(st.integers(0, len(DEPLOYMENTS) - 1), st.sampled_from(["|", "\n", "\0", "\\", "---", "\ufeff", "#", ":", "é"])),
        max_size=4,
    )
)
def test_any_report_is_read_or_one_line(changes: list[tuple[int, str]]) -> None:
    """Both reports, with signs put in anywhere."""
    text = DEPLOYMENTS
    for place, sign in changes:
        text = text[:place] + sign + text[place:]
    for validate in (validate_deployment_report, validate_incident_report):
        try:
            validate(text.encode(), where="FILE")
        except ArtifactError as error:
            assert str(error).isprintable()


@settings(max_examples=120, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(st.integers(1, 4), st.lists(mutated(), min_size=1, max_size=3))
def test_any_evidence_gives_a_gate_that_does_not_pass_or_one_line(gate: int, changes: list[tuple[str, bytes]]) -> None:
    """The gates as their tasks evaluate them, on evidence that somebody changed: never another exception."""
    files = {
        **BY_HAND.artifacts(),
        BASELINE: document_bytes(BY_HAND.baseline),
        "evidence/hypotheses.json": document_bytes(BY_HAND.hypotheses),
    }
    files["evidence/measurement.json"] = changes[0][1]
    files |= dict(changes)
    facts = Facts(PROTOCOL, read_parameters({}, PROTOCOL), approvals=(), deliveries=(), now=NOW, check=plain_check)
    try:
        result = evaluate_gate(gate, read=files.get, facts=facts)
    except PerfproofError as error:
        assert str(error).isprintable()
    else:
        assert result.outcome is not Outcome.PASS
        assert document_bytes(result.document())


def test_text_that_takes_long_to_read_is_not_read_for_long() -> None:
    """Comments that do not end, and headings of blanks: a megabyte of either is judged at once."""
    import time

    began = time.monotonic()
    for text in ("<!--" * 200_000, "# " + " " * 500_000 + "x", "[" * 300_000, "](" * 200_000, "`" * 300_000, "# a\n" + "`a" * 200_000):
        assert validate_artifact(REPORT_MD, text.encode())
        linked_names(text)
    assert time.monotonic() - began < 10
