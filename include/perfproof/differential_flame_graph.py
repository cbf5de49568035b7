"""What changed from one profile to another, as a flame graph: every frame with its shares before and after."""

from __future__ import annotations

from perfproof.flame_graph import Box, draw, layout
from perfproof.profiles import Profile


def differential_flame_graph(before: Profile, after: Profile, *, title: str) -> str:
    """SVG of what changed from `before` to `after`, both as shares of their own weights.

    Red frames grew, blue frames shrank, the stronger the larger the part of the frame that came or went. A frame is as wide as
    the mean of its two shares, so that what is gone stays visible. Shares add up to 1: where one frame shrinks, others grow.
    """
    caption = (
        f"{before.amount} before, {after.amount} after. Red frames have a larger share after, blue ones a smaller; "
        "width is the mean of both shares."
    )
    return draw(layout(before, after), title=title, caption=caption, colour=_colour, words=_words)


def _words(box: Box) -> str:
    points = 100 * (box.after - box.before)
    return f"{100 * box.before:.1f} % before, {100 * box.after:.1f} % after ({points:+.1f} points)"


def _colour(box: Box) -> str:
    """White for no change, full colour when a frame appeared or is gone."""
    larger = max(box.before, box.after)
    strength = abs(box.after - box.before) / larger if larger else 0.0
    pale = round(245 - 150 * strength)
    return f"#f5{pale:02x}{pale:02x}" if box.after >= box.before else f"#{pale:02x}{pale:02x}f5"
