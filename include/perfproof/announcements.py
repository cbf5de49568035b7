"""What the protocol says aloud, word for word: nine announcements, the error line and the confirmation prompt."""

from __future__ import annotations

from enum import StrEnum

from perfproof.artifacts import Artifact

REASON_LENGTH = 1000


class Announcement(StrEnum):
    """The nine announcements of Protocol 18, in the order in which a cycle makes them."""

    PHASE_1_START = "[MASTER RAY™ | PHASE 1 START] - Consolidating telemetry and incident evidence for performance triage..."
    PHASE_1_BASELINE = "[PHASE 1] Baseline capture in progress. Documenting SLO adherence and bottlenecks..."
    PHASE_2_START = "[MASTER RAY™ | PHASE 2 START] - Profiling critical transactions across services..."
    PHASE_2_LOAD = "[PHASE 2] Executing load scenarios to validate capacity and resilience..."
    PHASE_3_START = "[MASTER RAY™ | PHASE 3 START] - Publishing optimization backlog with ownership and risk notes..."
    PHASE_3_VALIDATION = "[PHASE 3] Validating optimization changes against baseline metrics..."
    PHASE_4_START = "[MASTER RAY™ | PHASE 4 START] - Documenting SLO updates and communicating performance improvements..."
    PHASE_4_REPORT = "[PHASE 4] Publishing performance report and distributing to stakeholders..."
    PHASE_4_COMPLETE = "[MASTER RAY™ | PHASE 4 COMPLETE] - Performance report published. Evidence: PERFORMANCE-REPORT.md."


def one_line(text: object, *, limit: int = REASON_LENGTH) -> str:
    """`text` as one line that cannot leave the quotation marks of a message.

    Line breaks, control and bidirectional characters are written as escapes, `"` becomes `'`, and what is longer than
    `limit` characters is cut with an ellipsis.
    """
    escaped = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text)).replace('"', "'")
    return escaped if len(escaped) <= limit else escaped[: limit - 1] + "…"


def error_line(step: str, reason: object) -> str:
    """The spec's `[RAY ERROR]` line. `step` and `reason` may be hostile: they stay within the line and its quotation marks."""
    explanation = one_line(reason).rstrip(". ") or "no reason given"
    return f'[RAY ERROR] - "Failed at {one_line(step, limit=200)}. Reason: {explanation}. Awaiting instructions."'


def confirmation_prompt(next_protocol: str = "Protocol 22") -> str:
    """The spec's `[RAY CONFIRMATION REQUIRED]` block; `next_protocol` is the label of the protocol that is handed to."""
    return (
        "[RAY CONFIRMATION REQUIRED]\n"
        '> "Performance optimization validation complete.\n'
        f"> - {Artifact.VALIDATION_REPORT}\n"
        f"> - {Artifact.PERFORMANCE_REPORT}\n"
        ">\n"
        f'> Approve SLO updates and handoff to {one_line(next_protocol, limit=80)}?"'
    )
