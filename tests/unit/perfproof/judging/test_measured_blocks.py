"""Reading measured blocks: whether the sides took turns, and where a metric is found."""

from __future__ import annotations

import pytest

from perfproof.judging.measured_blocks import Block, Side, interleaved


def blocks(sides: str) -> list[Block]:
    """Blocks in the order of the letters: A is the baseline, B the candidate."""
    side = {"A": Side.BASELINE, "B": Side.CANDIDATE}
    return [Block(side[letter], i, "2025-02-16T10:00:00Z", 1, 0, True, (), {}) for i, letter in enumerate(sides)]


@pytest.mark.parametrize(
    ("sides", "took_turns"),
    [
        ("ABABABAB", True),
        ("ABBAABBA", True),
        ("AABBABAB", True),
        ("AAAABBBB", False),
        ("AAAAAABBBBBBA", False),
        ("AB", False),
        ("AAAA", False),
        ("", False),
    ],
)
def test_taking_turns_is_read_from_the_order(sides: str, took_turns: bool) -> None:
    """One change of sides, or a token second one among many blocks, is one after the other."""
    assert interleaved(blocks(sides)) is took_turns
