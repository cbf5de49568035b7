"""MONITORING-PACKAGE.zip: alert rules and dashboards of the monitoring protocol, read without ever writing a file.

    rules/*.yaml       Prometheus rule files (`groups: [{rules: [{alert, expr, for, labels: {severity, service}}, {record, expr}]}]`)
    alerts.json        or a list of {"name", "expression", "severity", "for", "service"}
    dashboards/*.json  dashboards with a `title` (Grafana's export), and the expressions of their panels
    package.json       optional: {"generated_at": "2025-02-16T10:00:00Z"}

Other files are left alone, but every entry must be harmless: the same archive may be unpacked by people later.
"""

from __future__ import annotations

import io
import stat
import struct
import zipfile
import zlib
from datetime import datetime
from typing import Any

from perfproof.errors import ConfigError
from perfproof.inputs.dashboards import dashboard
from perfproof.inputs.shapes import Supplied, refusal, require
from perfproof.moments import parse_stamp
from perfproof.strict import read_json, read_yaml

MAX_ARCHIVE_BYTES = 32 << 20
MAX_ENTRIES = 2000
MAX_ENTRY_BYTES = 1 << 20
MAX_TOTAL_BYTES = 64 << 20
MAX_RATIO = 200
ENCRYPTED = 0x1
# Of other packings zipfile unpacks a whole chunk at once, however little is asked for: 1 MiB of bzip2 may be gigabytes.
PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
UNKNOWN = "UNKNOWN"


def validate_monitoring_package(data: bytes, *, where: str) -> Supplied:
    """The `alerts`, `dashboards` and `recordings` of the package.

    Raises ArtifactError if it is unsafe, broken, or holds neither of the first two. An alert is {name, expression, severity, for, service,
    state: rule, started_at: None, ended_at: None, source: its file}, a dashboard {name, file, panels, expressions}, a recording
    {name, expression}.
    """
    members = read_members(data, where=where)
    alerts: list[dict[str, Any]] = []
    recordings: list[dict[str, Any]] = []
    dashboards: list[dict[str, Any]] = []
    dated: datetime | None = None
    for name, content in members.items():
        place = f"{where}:{name}"
        if name == "package.json":
            head = require(read_json(content, where=place), {"generated_at": str}, where=place, number=330)
            dated = parse_stamp(head["generated_at"], where=f"{place}.generated_at")
        elif name == "alerts.json":
            alerts += _listed_alerts(read_json(content, where=place), place, name)
        elif name.startswith("rules/") and name.endswith((".yaml", ".yml")):
            found, recorded = _prometheus_rules(content, place, name)
            alerts += found
            recordings += recorded
        elif name.startswith("dashboards/") and name.endswith(".json"):
            dashboards.append(dashboard(read_json(content, where=place), file=name, where=place))
    if not alerts and not dashboards:
        raise refusal(
            331,
            where,
            "no alert rule and no dashboard",
            "export them from monitoring",
            expected="rules/*.yaml or dashboards/*.json",
        )
    return Supplied({"alerts": tuple(alerts), "dashboards": tuple(dashboards), "recordings": tuple(recordings)}, dated)


def read_members(data: bytes, *, where: str) -> dict[str, bytes]:
    """The files of a zip archive by name, in memory.

    Raises ArtifactError for an archive that is empty, encrypted, packed otherwise than by deflate, too large packed or
    unpacked, or that holds a link, a device, an absolute or parent path, two entries of one name, or damaged bytes. Sizes
    are counted while unpacking: what the directory of the archive declares is not believed.
    """
    if len(data) > MAX_ARCHIVE_BYTES:
        raise refusal(
            332,
            where,
            "archive is too large",
            "leave out what is not needed",
            got=len(data),
            expected=MAX_ARCHIVE_BYTES,
        )
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _unpacked(archive, where)
    except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, RuntimeError, ValueError, OverflowError) as error:
        raise refusal(333, where, "not a readable zip archive", "pack it again", got=str(error) or type(error).__name__) from None


def _unpacked(archive: zipfile.ZipFile, where: str) -> dict[str, bytes]:
    entries = archive.infolist()
    if not any(not entry.is_dir() for entry in entries):
        raise refusal(334, where, "archive is empty", "pack the rules and dashboards")
    if len(entries) > MAX_ENTRIES:
        raise refusal(332, where, "too many entries", "leave out what is not needed", got=len(entries), expected=MAX_ENTRIES)
    members: dict[str, bytes] = {}
    total = 0
    seen: set[str] = set()
    for entry in entries:
        _check_entry(entry, where)
        if entry.filename.casefold() in seen:
            raise refusal(335, where, "two entries of one name", "pack it again", got=entry.filename)
        seen.add(entry.filename.casefold())
        if entry.is_dir():
            continue
        members[entry.filename] = _content(archive, entry, where)
        total += len(members[entry.filename])
        if total > MAX_TOTAL_BYTES:
            raise refusal(
                336,
                where,
                "unpacks to too much",
                "leave out what is not needed",
                expected=f"at most {MAX_TOTAL_BYTES} bytes",
            )
    return members


def _check_entry(entry: zipfile.ZipInfo, where: str) -> None:
    # `orig_filename` is what the archive says; zipfile itself cuts names at NUL and turns separators.
    name = entry.orig_filename
    parts = name.rstrip("/").split("/")
    if name.startswith("/") or "\\" in name or "\0" in name or ":" in parts[0] or any(part in ("", ".", "..") for part in parts):
        raise refusal(337, where, "an entry leaves the archive's directory", "pack relative paths without ..", got=name)
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise refusal(338, where, "an entry is a link or a device", "pack plain files", got=name)
    if entry.flag_bits & ENCRYPTED:
        raise refusal(339, where, "an entry is encrypted", "pack it without a password", got=name)
    if entry.compress_type not in PACKINGS:
        raise refusal(342, where, "an entry is packed in another way", "pack it with deflate", got=name, expected="stored or deflate")


def _content(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, where: str) -> bytes:
    with archive.open(entry) as stream:
        content = stream.read(MAX_ENTRY_BYTES + 1)
        if len(content) > MAX_ENTRY_BYTES:
            raise refusal(
                336,
                where,
                "an entry unpacks to too much",
                "leave it out",
                got=entry.filename,
                expected=f"at most {MAX_ENTRY_BYTES}",
            )
        # Read to the end, so that the checksum of the entry is compared.
        stream.read(1)
    if len(content) > 4096 and len(content) > MAX_RATIO * max(1, entry.compress_size):
        raise refusal(
            336,
            where,
            "an entry is packed suspiciously well",
            "pack it again",
            got=entry.filename,
            expected=f"{MAX_RATIO} to 1",
        )
    return content


def _listed_alerts(document: Any, place: str, file: str) -> list[dict[str, Any]]:
    if not isinstance(document, list):
        raise refusal(340, place, "not a list of alerts", "write [{name, expression, severity, for}]", got=type(document).__name__)
    return [
        _alert(
            require(item, {"name": str, "expression": str}, where=f"{place}[{index}]", number=340),
            ("name", "expression", "severity"),
            file,
        )
        for index, item in enumerate(document)
    ]


def _alert(item: dict[str, Any], names: tuple[str, str, str], file: str) -> dict[str, Any]:
    name, expression, severity = (str(item.get(key) or UNKNOWN) for key in names)
    return {
        "name": name,
        "expression": expression,
        "severity": severity,
        "for": str(item.get("for") or "0s"),
        "service": str(item["service"]) if item.get("service") else None,
        "state": "rule",
        "started_at": None,
        "ended_at": None,
        "source": file,
    }


def _prometheus_rules(content: bytes, place: str, file: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The alerts and the recording rules of a rule file."""
    try:
        document = read_yaml(content, where=place)
    except ConfigError as error:
        raise refusal(341, place, error.what, error.fix, got=error.got) from None
    groups = require(document, {"groups": list}, where=place, number=341)["groups"]
    alerts: list[dict[str, Any]] = []
    recordings: list[dict[str, Any]] = []
    for index, group in enumerate(groups):
        where = f"{place} group {index}"
        for rule in require(group, {"rules": list}, where=where, number=341)["rules"]:
            if isinstance(rule, dict) and "alert" in rule:
                require(rule, {"alert": str, "expr": str}, where=where, number=341)
                labels = rule["labels"] if isinstance(rule.get("labels"), dict) else {}
                told = {**rule, "severity": labels.get("severity"), "service": labels.get("service")}
                alerts.append(_alert(told, ("alert", "expr", "severity"), file))
            elif isinstance(rule, dict) and isinstance(rule.get("record"), str) and isinstance(rule.get("expr"), str):
                recordings.append({"name": rule["record"], "expression": rule["expr"]})
    return alerts, recordings
