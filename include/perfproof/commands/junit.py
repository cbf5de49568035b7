"""Results as JUnit XML, which every CI system shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

# Written only; nothing is parsed.
from xml.etree import ElementTree as ET  # builds XML, parses none  # nosec B405


class Outcome(StrEnum):
    """What a case is in JUnit's terms. What was not decided is an error there: it must not look like a pass."""

    PASS = "pass"  # noqa: S105  no secret
    FAILURE = "failure"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Case:
    """One thing that was judged, with the answer in words."""

    name: str
    outcome: Outcome
    text: str


def junit(suite: str, cases: Sequence[Case]) -> str:
    """The XML document of `cases`."""
    counts = {outcome: sum(1 for case in cases if case.outcome is outcome) for outcome in Outcome}
    root = ET.Element(
        "testsuite", name=suite, tests=str(len(cases)), failures=str(counts[Outcome.FAILURE]), errors=str(counts[Outcome.ERROR])
    )
    for case in cases:
        element = ET.SubElement(root, "testcase", classname=suite, name=_printable(case.name))
        if case.outcome is Outcome.PASS:
            ET.SubElement(element, "system-out").text = _printable(case.text)
        else:
            ET.SubElement(element, case.outcome.value, message=_printable(case.text))
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _printable(text: str) -> str:
    """`text` without what XML cannot hold."""
    return "".join(c if c in "\n\t" or (c.isprintable() and not 0xD800 <= ord(c) <= 0xDFFF) else "�" for c in text)
