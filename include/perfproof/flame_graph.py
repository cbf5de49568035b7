"""Flame graphs as SVG: the layout of frames, the drawing, and the graph of one profile.

A frame's width is its share of the weights, a frame stands on its caller. No script, nothing loaded from elsewhere, the
same bytes for the same profile; everything a process supplied is escaped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from xml.sax.saxutils import escape  # escapes, parses none  # nosec B406

from perfproof.profiles import Profile

WIDTH = 1200
ROW = 17
TOP = 46
BOTTOM = 12
CHARACTER = 6.6
MAX_DEPTH = 80
MAX_FRAMES = 4000
# Narrower frames would be invisible; they are left out and counted in the description.
LEAST_WIDTH = 0.4


@dataclass(slots=True)
class _Node:
    before: float = 0.0
    after: float = 0.0
    children: dict[str, _Node] = field(default_factory=dict)

    @property
    def width(self) -> float:
        return (self.before + self.after) / 2


@dataclass(frozen=True, slots=True)
class Box:
    """A frame as it is drawn: its place in pixels, and its shares (0 to 1) before and after, equal where there is one profile."""

    name: str
    depth: int
    left: float
    width: float
    before: float
    after: float


def flame_graph(profile: Profile, *, title: str) -> str:
    """SVG of `profile`. A profile without samples gives a graph that says so."""
    caption = f"{profile.amount}. Width is the share of {profile.weight.value}; a frame stands on its caller."
    return draw(
        layout(profile, profile), title=title, caption=caption,
        colour=lambda box: _colour(box.name), words=lambda box: f"{100 * box.after:.1f} %",
    )  # fmt: skip


def layout(before: Profile, after: Profile) -> list[Box]:
    """The boxes of all frames, outer before inner, left to right by name. A frame is as wide as the mean of its two shares."""
    root = _Node()
    for profile, side in ((before, "before"), (after, "after")):
        _add(root, profile.stacks, profile.total, side=side)
    return list(_boxes(root))


def _add(root: _Node, stacks: Mapping[tuple[str, ...], int], whole: int, *, side: str) -> None:
    for stack, weight in sorted(stacks.items()):
        share = weight / whole
        node = root
        _count(node, share, side)
        for frame in stack[:MAX_DEPTH]:
            node = node.children.setdefault(frame, _Node())
            _count(node, share, side)


def _count(node: _Node, share: float, side: str) -> None:
    if side == "before":
        node.before += share
    else:
        node.after += share


def _boxes(root: _Node) -> Iterator[Box]:
    waiting = [("all", root, 0, 0.0)]
    while waiting:
        name, node, depth, left = waiting.pop()
        yield Box(name, depth, left, WIDTH * node.width, node.before, node.after)
        inner: list[tuple[str, _Node, int, float]] = []
        for child_name, child in sorted(node.children.items()):
            inner.append((child_name, child, depth + 1, left))
            left += WIDTH * child.width
        waiting.extend(reversed(inner))


def draw(boxes: list[Box], *, title: str, caption: str, colour: Callable[[Box], str], words: Callable[[Box], str]) -> str:
    """SVG of `boxes`; `colour` gives a frame's fill, `words` what its tooltip says beside its name.

    Frames that are too narrow, too many or too deep to be seen are left out, and counted in the caption.
    """
    wide = [b for b in boxes if b.width >= LEAST_WIDTH]
    shown = wide
    if len(wide) > MAX_FRAMES:
        # The widest ones; ties by place, so that the choice is always the same.
        limit = sorted(wide, key=lambda b: (-b.width, b.depth, b.left, b.name))[:MAX_FRAMES]
        chosen = {id(b) for b in limit}
        shown = [b for b in wide if id(b) in chosen]
    left_out = len(boxes) - len(shown)
    if left_out:
        caption += f" {left_out} narrow frames are not drawn."
    if max((b.depth for b in boxes), default=0) >= MAX_DEPTH:
        caption += f" Frames beyond a depth of {MAX_DEPTH} are not drawn."
    depth = max((b.depth for b in shown), default=0)
    height = TOP + (depth + 1) * ROW + BOTTOM
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>{_text(title)}</title>",
        f"<desc>{_text(caption)}</desc>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        '<g font-family="monospace" font-size="11" fill="#111111">',
        f'<text x="8" y="18" font-size="14">{_text(title)}</text>',
        f'<text x="8" y="35" fill="#444444">{_text(caption)}</text>',
        *(_rectangle(b, height - BOTTOM - (b.depth + 1) * ROW, fill=colour(b), words=words(b)) for b in shown),
        "</g>",
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _rectangle(box: Box, top: float, *, fill: str, words: str) -> str:
    room = int((box.width - 6) / CHARACTER)
    label = ""
    if room >= 3:
        shown = box.name if len(box.name) <= room else box.name[: room - 1] + "…"
        label = f'<text x="{box.left + 3:.1f}" y="{top + 12:.1f}">{_text(shown)}</text>'
    return (
        f"<g><title>{_text(box.name)}: {_text(words)}</title>"
        f'<rect x="{box.left:.1f}" y="{top:.1f}" width="{max(box.width - 0.3, 0.1):.1f}" height="{ROW - 1}" fill="{fill}"/>{label}</g>'
    )


def _colour(name: str) -> str:
    """A warm colour that depends on the name alone, so that a function keeps its colour from graph to graph."""
    a, b, c = hashlib.sha256(name.encode("utf-8", "replace")).digest()[:3]
    return f"#{235 + a % 20:02x}{150 + b % 70:02x}{90 + c % 40:02x}"


def _text(value: str) -> str:
    """`value` as XML text: characters that XML does not allow become U+FFFD, markup is escaped."""
    return escape("".join(c if _allowed(c) else "�" for c in value), {'"': "&quot;"})


def _allowed(character: str) -> bool:
    point = ord(character)
    return character.isprintable() and not 0xD800 <= point <= 0xDFFF and point not in (0xFFFE, 0xFFFF)
