"""Markdown artifacts: the headings that each must have, with something written under every one."""

from __future__ import annotations

import re
from collections.abc import Iterator

from perfproof.artifacts import Artifact

REQUIRED_HEADINGS: dict[str, tuple[str, ...]] = {
    Artifact.HYPOTHESIS_LOG.value: ("# Hypothesis log",),
    Artifact.PROFILING_REPORT.value: ("# Profiling report", "## Flame graphs", "## Query plans"),
    Artifact.CAPACITY_ANALYSIS.value: ("# Capacity analysis", "## Utilization", "## Scaling policies", "## Cost impact"),
    Artifact.INSTRUMENTATION_LOG.value: ("# Instrumentation update log", "## Dashboards", "## Alerts", "## Tracing"),
    Artifact.PERFORMANCE_REPORT.value: (
        "# Performance report",
        "## Intake summary",
        "## Baseline",
        "## Diagnostics",
        "## Optimization",
        "## Validation",
        "## SLO updates",
        "## Gates",
        "## Approvals",
        "## Evidence",
    ),
    Artifact.IMPROVEMENT_NOTES.value: ("# Continuous improvement notes",),
}
# The labels of the two protocols are configured, so only the beginning of these headings is fixed.
RECOMMENDATIONS = "## Recommendations for "
RECOMMENDATIONS_REQUIRED = 2
HEADING = re.compile(r"^(#{1,6}) +(.*?)(?: +#+)? *$")
MAX_HEADING = 300
MAX_LINKING_LINE = 2000
COMMENT = ("<!--", "-->")
LINK = re.compile(r"(?<!\\)\]\(<?([^()<>\s]{1,300})>?\)")
CODE_SPAN = re.compile(r"(`+)(?:(?!`).)*\1")
ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:|#|//", re.IGNORECASE)
FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})")
FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
PLACEHOLDER = re.compile(r"^\W*(?:tbd|todo|fixme|to be done|placeholder|lorem ipsum)\b.*$", re.IGNORECASE)


def markdown_problems(artifact: str, text: str) -> list[str]:
    """What is wrong with the Markdown artifact of that name: a heading that is missing, twice there, or has nothing under it.

    Headings inside code blocks do not count; a heading's content reaches to the next heading of its level or above. Comments and
    placeholders (TBD, TODO) are no content.
    """
    headings = _headings(text)
    required = REQUIRED_HEADINGS[artifact]
    complaints = []
    for heading in required:
        matches = [i for i, (title, _, _) in enumerate(headings) if title == heading]
        if not matches:
            complaints.append(f"heading {heading!r} is missing")
        elif len(matches) > 1:
            complaints.append(f"heading {heading!r} stands there {len(matches)} times")
        elif not _has_content(headings, matches[0]):
            complaints.append(f"nothing stands under {heading!r}")
    if artifact == Artifact.IMPROVEMENT_NOTES:
        complaints += _recommendation_problems(headings)
    return complaints


def linked_names(text: str) -> list[str]:
    """What the Markdown in `text` shows or links as a file beside it, each once; code and addresses elsewhere are left out."""
    lines = [CODE_SPAN.sub("", line[:MAX_LINKING_LINE]) for line, code in _lines(text) if not code]
    found = dict.fromkeys(target for line in lines for target in LINK.findall(line))
    return [target for target in found if not ELSEWHERE.match(target)]


def _recommendation_problems(headings: list[tuple[str, int, list[str]]]) -> list[str]:
    places = [i for i, (title, _, _) in enumerate(headings) if title.startswith(RECOMMENDATIONS) and len(title) > len(RECOMMENDATIONS)]
    titles = {headings[i][0] for i in places}
    complaints = [f"nothing stands under {headings[i][0]!r}" for i in places if not _has_content(headings, i)]
    if len(titles) < RECOMMENDATIONS_REQUIRED:
        complaints.append(f"{len(titles)} of {RECOMMENDATIONS_REQUIRED} headings {RECOMMENDATIONS.strip()!r} with a protocol's name")
    return complaints


def _headings(text: str) -> list[tuple[str, int, list[str]]]:
    """(heading, level, lines up to the next heading) in the order of the text."""
    result: list[tuple[str, int, list[str]]] = []
    for line, code in _lines(_without_comments(FRONT_MATTER.sub("", text.replace("\r\n", "\n")))):
        heading = HEADING.match(line) if not code and len(line) <= MAX_HEADING else None
        if heading is not None:
            result.append((f"{heading[1]} {heading[2]}", len(heading[1]), []))
        elif result:
            result[-1][2].append(line)
    return result


def _lines(text: str) -> Iterator[tuple[str, bool]]:
    """Each line, and whether it belongs to a block of code; the fences do."""
    fence = ""
    for line in text.split("\n"):
        mark = FENCE.match(line)
        yield line, bool(fence or mark)
        if fence and mark and mark[1][0] == fence[0] and len(mark[1]) >= len(fence) and not line.strip(" `~"):
            fence = ""
        elif not fence and mark:
            fence = mark[1]


def _without_comments(text: str) -> str:
    """`text` without what stands in comments. A comment that does not end is text; a pattern would look for its end again and again."""
    begin, end = COMMENT
    kept = []
    at = 0
    while (start := text.find(begin, at)) >= 0 and (stop := text.find(end, start + len(begin))) >= 0:
        kept.append(text[at:start])
        at = stop + len(end)
    return "".join([*kept, text[at:]])


def _has_content(headings: list[tuple[str, int, list[str]]], place: int) -> bool:
    level = headings[place][1]
    lines = list(headings[place][2])
    for _, other, body in headings[place + 1 :]:
        if other <= level:
            break
        lines += body
    return any(line.strip() and not PLACEHOLDER.match(line) and re.search(r"\w", line) for line in lines)
