"""The findings as text and as JSON, and the exit code that follows from them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from perfproof.doctor.finding import Area, Finding, State

VERSION = 1
MARKS = {State.OK: "ok", State.PROBLEM: "PROBLEM", State.NOT_CHECKED: "NOT CHECKED"}


def in_order(findings: Sequence[Finding]) -> list[Finding]:
    """The findings by area, each once."""
    areas = list(Area)
    return sorted(dict.fromkeys(findings), key=lambda finding: areas.index(finding.area))


def counts(findings: Sequence[Finding]) -> dict[str, int]:
    """How many findings there are of each state."""
    return {state.value: sum(1 for finding in findings if finding.state is state) for state in State}


def exit_code(findings: Sequence[Finding]) -> int:
    """0 without a problem, 1 with one. Nothing found at all is a problem of its own: nobody looked."""
    return 0 if findings and not any(finding.state is State.PROBLEM for finding in findings) else 1


def as_text(findings: Sequence[Finding]) -> str:
    """One line for each finding under the name of its area, then the counts."""
    lines = []
    ordered = in_order(findings)
    for area in Area:
        of_area = [finding for finding in ordered if finding.area is area]
        if of_area:
            lines += [area.value, *(f"  {MARKS[finding.state]:<11}  {finding.line}" for finding in of_area)]
    told = counts(ordered)
    problems, unlooked = told[State.PROBLEM], told[State.NOT_CHECKED]
    lines.append(f"{problems} problem{'' if problems == 1 else 's'}, {unlooked} not checked, {told[State.OK]} ok")
    return "\n".join(lines) + "\n"


def as_json(findings: Sequence[Finding]) -> str:
    """{document, version, counts, findings}; a finding is {area, state, code, where, what, got, expected, fix}."""
    ordered = in_order(findings)
    document = {
        "document": "doctor",
        "version": VERSION,
        "counts": counts(ordered),
        "findings": [_document(finding) for finding in ordered],
    }
    # In ASCII, no character of a foreign text can do anything to a terminal.
    return json.dumps(document, indent=2) + "\n"


def _document(finding: Finding) -> dict[str, Any]:
    return {
        "area": finding.area.value,
        "state": finding.state.value,
        "code": finding.code,
        "where": finding.where,
        "what": finding.what,
        "got": finding.got,
        "expected": finding.expected,
        "fix": finding.fix,
    }
