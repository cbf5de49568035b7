"""Collapsed stacks, one line a stack, `outermost;…;innermost COUNT`, as py-spy's `raw` and the other samplers write them.

The form to keep: it can be compared, and the flame graphs are drawn from it.
"""

from __future__ import annotations

import re
from functools import lru_cache

from perfproof.errors import ProfileError
from perfproof.profile_formats.stacks import Stacks, clean_frame
from perfproof.profiles import Profile

MAX_CHARACTERS = 64 << 20

CACHED_FRAMES = 1 << 16

_LINE = re.compile(r"^(?P<stack>.*) (?P<count>[0-9]{1,15})$")


def parse_collapsed(text: str, *, where: str) -> Profile:
    """The profile in `text`. Equal stacks are added up; an empty text is a profile of no samples.

    Stacks deeper than 400 frames are cut at their inner end. Raises ProfileError with the line of what is no stack.
    """
    if len(text) > MAX_CHARACTERS:
        raise ProfileError(
            101, where=where, what="the profile is too large", got=f"{len(text)} characters", fix="profile for a shorter time"
        )
    stacks, unread = Stacks(where=where), 0
    # The same few thousand functions make up millions of frames.
    clean = lru_cache(maxsize=CACHED_FRAMES)(clean_frame)
    for number, line in enumerate(text.split("\n"), start=1):
        stripped = line.rstrip("\r")
        if not stripped.strip():
            continue
        match = _LINE.match(stripped)
        if match is None:
            raise ProfileError(
                102, where=f"{where} line {number}", what="not a collapsed stack", got=stripped, expected="frame;frame COUNT",
                fix="record it as raw (collapsed) stacks",
            )  # fmt: skip
        frames = [clean(frame) for frame in match["stack"].split(";") if frame.strip()]
        if frames:
            stacks.add(frames, int(match["count"]))
        else:
            # A sample taken while the stack changed: there, but of nothing.
            unread += int(match["count"])
    return stacks.profile(unread=unread)


def collapsed(profile: Profile) -> str:
    """`profile` as collapsed stacks in a fixed order, so that equal profiles have equal bytes."""
    return "".join(f"{';'.join(stack)} {count}\n" for stack, count in sorted(profile.stacks.items()))
