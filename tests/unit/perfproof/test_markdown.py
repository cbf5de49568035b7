"""Text of others in Markdown: nothing of it becomes markup."""

from __future__ import annotations

import pytest

from perfproof import markdown as md


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        "[x](http://evil)",
        "![x](http://evil)",
        "a|b",
        "# head",
        "`code`",
        "**bold**",
        "a\nb",
        "\x1b[31mred",
        "<img src=x>",
    ],
)
def test_plain_text_stays_plain(hostile: str) -> None:
    """No unescaped special character and no line break is left."""
    shown = md.text(hostile)
    assert "\n" not in shown and "\x1b" not in shown
    previous = ""
    for character in shown:
        if character in "<>[]|`*#":
            assert previous == "\\"
        previous = character


def test_a_code_span_is_fenced_by_more_backticks_than_it_holds() -> None:
    """Backticks inside cannot end the span."""
    assert md.code("a``b") == "```a``b```"


def test_a_code_block_cannot_be_closed_from_inside() -> None:
    """The fence is longer than any run of backticks in the text."""
    assert md.block("x\n````\ny").startswith("`````\n")


def test_table_cells_are_escaped_unless_they_are_our_own() -> None:
    """A pipe of others is escaped; a Cell is taken as it is."""
    assert md.table(("A",), [["x|y"], [md.Cell("`z`")]]).splitlines()[2:] == ["| x\\|y |", "| `z` |"]
