"""Text of others in Markdown: nothing of it becomes markup."""

from __future__ import annotations

import re

import pytest
from markdown_it import MarkdownIt

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
    """No unescaped special character and no line break is left; what looks like an address stands in a code span."""
    shown = md.text(hostile)
    assert "\n" not in shown and "\x1b" not in shown
    shown = re.sub(r"`http://evil`", "", shown)
    assert "evil" not in shown
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


PIECES = (
    "<b>", "</b>", "<!--", "[x](y)", "![x](y)", "http://e.example", "HTTPS://E.EXAMPLE", "www.e.example", "mailto:a@e.example",
    "a@e.example", "`", "``", "|", "\\", "\\|", "*", "**", "_x_", "__", "~~", "#", "- ", "+ ", "1. ", "2) ", "---", "===", "> ",
    "&lt;", "&#60;", "$x$", ": ", "    ", "\n", "\r", "\t", "\x1b[0m", "\u202e", "\u00a0", "x", " ", "", "<http://e.example>",
    "[a]: http://e.example", "|-|", ":-:",
)  # fmt: skip


@pytest.mark.parametrize("context", ["line", "item", "heading", "strong", "cell", "code cell", "caption"])
def test_a_parser_sees_only_text_in_what_others_wrote(context: str) -> None:
    """Oracle: GitHub-like Markdown finds the same elements around any three pieces as around a harmless word."""
    parser = MarkdownIt("gfm-like")
    shapes = {
        "line": lambda s: md.text(s),
        "item": lambda s: f"- {md.text(s)}",
        "heading": lambda s: f"## For {md.text(s)}",
        "strong": lambda s: f"**{md.text('.' + s + '.')}**",
        "cell": lambda s: md.table(("A", s), [[s, "b"]]),
        "code cell": lambda s: md.table(("A", "B"), [[md.Cell(md.code(s)), "b"]]),
        "caption": lambda s: f"![{md.text(s)}](a.svg)",
    }
    kept = {"code_inline", "text", "text_special"}

    def elements(text: str) -> list[str]:
        tokens = [t for token in parser.parse(shapes[context](text)) for t in (token, *(token.children or ()))]
        return [t.type for t in tokens if t.type not in kept]

    wanted = {context: elements("word")}[context]
    for first in PIECES:
        for second in PIECES:
            for text in (f"word{first}{second}", f"{first}{second}word", f"{first} word {second}"):
                assert elements(text) == wanted, text


def test_metric_names_stay_readable() -> None:
    """An underscore inside a word, a decimal point, a sign and parentheses need no backslash."""
    assert md.text("orders_latency_p95 -72.4 % (8 blocks)") == "orders_latency_p95 -72.4 % (8 blocks)"
    assert md.text("58.7 ms") == "58.7 ms" and md.text("-5 %") == "-5 %"


def test_cut_text_says_so() -> None:
    """A very long text ends with a mark, not in the middle of a claim."""
    assert md.text("x" * 5000) == "x" * 1999 + "…"


def test_none_is_a_dash() -> None:
    """Missing is shown as missing."""
    assert md.text(None) == "–"
