"""Markdown artifacts: the headings that each must have, with something written under every one."""

from __future__ import annotations

import re

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
    fence = ""
    body = re.sub(r"<!--.*?-->", "", FRONT_MATTER.sub("", text.replace("\r\n", "\n")), flags=re.DOTALL)
    for line in body.split("\n"):
        mark = FENCE.match(line)
        if fence:
            if mark and mark[1][0] == fence[0] and len(mark[1]) >= len(fence) and not line.strip(" `~"):
                fence = ""
        elif mark:
            fence = mark[1]
        elif (heading := HEADING.match(line)) is not None:
            result.append((f"{heading[1]} {heading[2]}", len(heading[1]), []))
            continue
        if result:
            result[-1][2].append(line)
    return result


def _has_content(headings: list[tuple[str, int, list[str]]], place: int) -> bool:
    level = headings[place][1]
    lines = list(headings[place][2])
    for _, other, body in headings[place + 1 :]:
        if other <= level:
            break
        lines += body
    return any(line.strip() and not PLACEHOLDER.match(line) and re.search(r"\w", line) for line in lines)
