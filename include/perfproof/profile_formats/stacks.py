"""What every reader of a profile builds: stacks of clean frames with whole weights, bounded whatever the file says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from perfproof.errors import ProfileError
from perfproof.profiles import Profile, Weight

MAX_STACKS = 200_000
MAX_DEPTH = 400
# All stacks together: 200,000 stacks of 400 frames would be 640 MB of pointers.
MAX_FRAMES = 4_000_000
MAX_FRAME = 300
# A 64-bit counter holds no more; beyond it a file is damaged or hostile.
MAX_WEIGHT = 2**63 - 1
CUT = "[deeper frames cut]"
UNNAMED = "[unnamed]"


def clean_frame(text: str) -> str:
    """`text` as the name of a frame: one line, printable, 300 characters at most, no `;` (it parts the frames of collapsed stacks)."""
    # Nothing gets shorter by escaping, so what lies behind need not be looked at.
    stripped = text.strip()[: MAX_FRAME + 1]
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in stripped).replace(";", ":")
    return (shown if len(shown) <= MAX_FRAME else shown[: MAX_FRAME - 1] + "…") or UNNAMED


class Stacks:
    """Adds up weights by stack. `where` names the file in errors."""

    def __init__(self, *, where: str) -> None:
        self._where = where
        self._weights: Counter[tuple[str, ...]] = Counter()
        self._frames = 0

    def add(self, frames: Sequence[str], weight: int) -> None:
        """Adds `weight` to the stack of `frames`, clean and outermost first; what is deeper than 400 frames is cut.

        A weight of 0 adds nothing. Raises ProfileError for a negative or impossible weight, and for too many stacks.
        """
        if not 0 <= weight <= MAX_WEIGHT:
            raise ProfileError(
                106, where=self._where, what="not a weight", got=weight, expected="0 or more, within 64 bits",
                fix="export a profile, not the difference of two",
            )  # fmt: skip
        if not weight:
            return
        stack = tuple(frames) if len(frames) <= MAX_DEPTH else (*frames[:MAX_DEPTH], CUT)
        if stack not in self._weights:
            self._frames += len(stack)
            if len(self._weights) >= MAX_STACKS or self._frames > MAX_FRAMES:
                raise ProfileError(
                    104, where=self._where, what="too many different stacks", got=f"{len(self._weights) + 1} with {self._frames} frames",
                    expected=f"at most {MAX_STACKS} with {MAX_FRAMES} frames", fix="lower the rate, or profile for a shorter time",
                )  # fmt: skip
        self._weights[stack] += weight

    def profile(self, *, unread: int = 0, weight: Weight = Weight.SAMPLES, observed: float = 0.0) -> Profile:
        """What was added, as a profile."""
        return Profile(dict(self._weights), unread=unread, weight=weight, observed=observed)
