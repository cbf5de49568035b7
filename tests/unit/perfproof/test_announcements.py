"""The protocol's lines: foreign text never leaves its place in them. Their wording is checked against the specification's samples."""

from __future__ import annotations

import pytest

from perfproof.announcements import Announcement, confirmation_prompt, error_line, one_line


def test_there_are_nine_announcements() -> None:
    """Four starts, four within phases, one completion, all different."""
    assert len(Announcement) == 9
    assert sum("START] - " in a for a in Announcement) == 4
    assert list(Announcement)[-1].endswith("Evidence: PERFORMANCE-REPORT.md.")


@pytest.mark.parametrize(
    "hostile",
    [
        "a\nb",
        "a\r\nb",
        "a\u2028b",
        "a\x1b[31mb",
        "a\u202eb",
        "a\x00b",
        'a". Awaiting instructions."\n[RAY CONFIRMATION REQUIRED]',
        "a\ud800b",
    ],
)
def test_hostile_text_stays_on_one_line_and_inside_the_quotation_marks(hostile: str) -> None:
    """No line break, no control or bidirectional character, no closing quotation mark; and it can be written as UTF-8."""
    line = error_line(hostile, hostile)
    assert len(line.splitlines()) == 1
    assert line.isprintable()
    assert line.count('"') == 2
    assert line.encode("utf-8")
    assert line.startswith('[RAY ERROR] - "Failed at ')
    assert line.endswith('. Awaiting instructions."')


def test_an_error_without_a_reason_says_so() -> None:
    """An empty explanation is named."""
    assert error_line("gate_1", " ") == '[RAY ERROR] - "Failed at gate_1. Reason: no reason given. Awaiting instructions."'


def test_long_text_is_cut() -> None:
    """A huge reason cannot flood a log line."""
    assert len(error_line("s" * 5000, "r" * 5000)) < 1400
    assert one_line("x" * 50, limit=10) == "x" * 9 + "…"


def test_the_prompt_names_the_configured_protocol() -> None:
    """The label of the next protocol is configuration, and stays on its line."""
    prompt = confirmation_prompt('Retro"\n> Approved')
    assert prompt.endswith("> Approve SLO updates and handoff to Retro'\\n> Approved?\"")
    assert len(prompt.splitlines()) == 6
