"""DEPLOYMENT-REPORT.md and INCIDENT-REPORT.md: Markdown with a head between `---` lines and one table that is read.

    ---
    report: deployment            (or incident)
    generated_at: 2025-02-16T09:00:00Z
    service: shop
    ---
    ## Deployments
    | Service | Build | Deployed at | Change |
    |---|---|---|---|
    | shop | 1.4.2 | 2025-02-15T20:00:00Z | Order history shows items |

The incident report has `## Incidents` with `ID | Title | Started at | Ended at | Severity | Services | Impact`. Text around
the table is for people and is left alone. A report without incidents has the table's header and no rows.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from perfproof.inputs.shapes import Supplied, decoded, refusal
from perfproof.moments import parse_stamp, stamp

MAX_REPORT_BYTES = 1 << 20
MAX_ROWS = 5000
MAX_CELL = 2000
HEAD_KEYS = ("report", "generated_at", "service")
DEPLOYMENT_COLUMNS = ("Service", "Build", "Deployed at", "Change")
INCIDENT_COLUMNS = ("ID", "Title", "Started at", "Ended at", "Severity", "Services", "Impact")
# What people write for an incident that has not ended, and for what nobody knows.
OPEN_MARKS = ("", "-", "–", "ongoing", "open")
UNKNOWN = "UNKNOWN"


def validate_deployment_report(data: bytes, *, where: str) -> Supplied:
    """The `deployments` {service, build, deployed_at, change}. Raises ArtifactError; a report without a deployment is one."""
    head, rows = _report(data, "deployment", "Deployments", DEPLOYMENT_COLUMNS, where)
    if not rows:
        raise refusal(362, where, "no deployment", "list at least what runs now")
    items = tuple(
        {
            "service": _filled(row["Service"], f"{place}.Service"),
            "build": _filled(row["Build"], f"{place}.Build"),
            "deployed_at": stamp(parse_stamp(row["Deployed at"], where=f"{place}.Deployed at")),
            "change": row["Change"] or UNKNOWN,
        }
        for place, row in rows
    )
    return Supplied({"deployments": items}, head)


def validate_incident_report(data: bytes, *, where: str) -> Supplied:
    """The `incidents` {id, title, started_at, ended_at, severity, services, impact}. `ended_at` is None while it lasts."""
    head, rows = _report(data, "incident", "Incidents", INCIDENT_COLUMNS, where)
    items = tuple(_incident(row, place) for place, row in rows)
    ids = [item["id"] for item in items]
    twice = next((name for index, name in enumerate(ids) if name in ids[:index]), None)
    if twice:
        raise refusal(363, where, "two incidents with one id", "give each its own", got=twice)
    return Supplied({"incidents": items}, head)


def _incident(row: dict[str, str], place: str) -> dict[str, Any]:
    started = parse_stamp(row["Started at"], where=f"{place}.Started at")
    ongoing = row["Ended at"].casefold() in OPEN_MARKS
    ended = None if ongoing else parse_stamp(row["Ended at"], where=f"{place}.Ended at")
    if ended is not None and ended < started:
        raise refusal(364, place, "ends before it starts", "correct the times", got=row["Ended at"])
    return {
        "id": _filled(row["ID"], f"{place}.ID"),
        "title": _filled(row["Title"], f"{place}.Title"),
        "started_at": stamp(started),
        "ended_at": None if ended is None else stamp(ended),
        "severity": row["Severity"] or UNKNOWN,
        "services": [name.strip() for name in row["Services"].split(",") if name.strip()],
        "impact": row["Impact"] or UNKNOWN,
    }


def _report(
    data: bytes, kind: str, section: str, columns: tuple[str, ...], where: str
) -> tuple[datetime, list[tuple[str, dict[str, str]]]]:
    if len(data) > MAX_REPORT_BYTES:
        raise refusal(365, where, "report is too large", "shorten it", got=len(data), expected=MAX_REPORT_BYTES)
    lines = decoded(data, where=where).split("\n")
    head, body = _front_matter(lines, where)
    if head["report"] != kind:
        raise refusal(366, f"{where}.report", "another kind of report", "supply the right file", got=head["report"], expected=kind)
    generated = parse_stamp(head["generated_at"], where=f"{where}.generated_at")
    return generated, _table(lines, body, section, columns, where)


def _front_matter(lines: list[str], where: str) -> tuple[dict[str, str], int]:
    if not lines or lines[0].strip() != "---":
        raise refusal(
            367,
            f"{where} line 1",
            "no head",
            "start with --- and report, generated_at, service",
            got=lines[0],
            expected="---",
        )
    end = next((number for number, line in enumerate(lines[1:64], start=1) if line.strip() == "---"), None)
    if end is None:
        raise refusal(367, where, "the head does not end", "close it with ---")
    head: dict[str, str] = {}
    for number, line in enumerate(lines[1:end], start=2):
        if not line.strip():
            continue
        key, colon, value = line.partition(":")
        if not colon or key.strip() in head:
            raise refusal(367, f"{where} line {number}", "not a new `key: value`", "correct that line", got=line)
        head[key.strip()] = value.strip().strip("\"'")
    absent = [key for key in HEAD_KEYS if not head.get(key)]
    if absent:
        raise refusal(368, where, "the head lacks a key", "add it", got=", ".join(absent), expected=", ".join(HEAD_KEYS))
    return head, end + 1


def _table(lines: list[str], body: int, section: str, columns: tuple[str, ...], where: str) -> list[tuple[str, dict[str, str]]]:
    heads = [number for number in range(body, len(lines)) if lines[number].strip() == f"## {section}"]
    if len(heads) != 1:
        raise refusal(
            369,
            where,
            "needs this section once",
            f"add ## {section}",
            got=f"{len(heads)} times",
            expected=f"## {section}",
        )
    number = heads[0] + 1
    while number < len(lines) and not lines[number].lstrip().startswith("|") and not lines[number].startswith("#"):
        number += 1
    header = _cells(lines[number]) if number < len(lines) else []
    if tuple(header) != columns:
        raise refusal(
            370, f"{where} ## {section}", "another table header", "write these columns in this order", got=" | ".join(header) or "no table",
            expected=" | ".join(columns),
        )  # fmt: skip
    rule = lines[number + 1].strip() if number + 1 < len(lines) else ""
    if not re.fullmatch(r"[|:\-\s]+", rule) or "-" not in rule:
        raise refusal(370, f"{where} line {number + 2}", "no rule below the table's header", "add |---|---|", got=rule)
    rows: list[tuple[str, dict[str, str]]] = []
    for index in range(number + 2, len(lines)):
        if not lines[index].lstrip().startswith("|"):
            break
        rows.append(_row(lines[index], columns, f"{where} line {index + 1}"))
        if len(rows) > MAX_ROWS:
            raise refusal(365, where, "too many rows", "shorten the report", expected=f"at most {MAX_ROWS}")
    return rows


def _row(line: str, columns: tuple[str, ...], place: str) -> tuple[str, dict[str, str]]:
    cells = _cells(line)
    if len(cells) != len(columns):
        raise refusal(371, place, "not as many cells as columns", "write | as \\|", got=len(cells), expected=len(columns))
    if any(len(cell) > MAX_CELL for cell in cells):
        raise refusal(365, place, "a cell is too long", "shorten it", expected=f"at most {MAX_CELL} characters")
    return place, dict(zip(columns, cells, strict=True))


def _cells(line: str) -> list[str]:
    inner = line.strip().removeprefix("|")
    if inner.endswith("|") and not inner.endswith("\\|"):
        inner = inner[:-1]
    return [cell.replace("\\|", "|").strip() for cell in re.split(r"(?<!\\)\|", inner)] if inner.strip() else []


def _filled(text: str, place: str) -> str:
    if not text or text.casefold() in ("null", "none", "n/a", "nan"):
        raise refusal(372, place, "empty", "fill it in", got=text)
    return text
