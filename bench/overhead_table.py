"""The table of `make bench`: a line for each ratio, with its goal, or with the command that gives it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from paired import Ratio

HEAD = "| what, over what | ratio | 95 % interval | pairs | goal |\n|---|---|---|---|---|\n"


@dataclass(frozen=True, slots=True)
class Line:
    """One ratio. `goal` is the most that it may be; None for a line that only informs."""

    what: str
    ratio: Ratio
    goal: float | None = None

    @property
    def missed(self) -> bool:
        """Whether even the lower end of the interval is above the goal (the median, where there is no interval)."""
        return self.goal is not None and (self.ratio.median if self.ratio.low is None else self.ratio.low) > self.goal

    def row(self) -> str:
        """As Markdown."""
        ratio = self.ratio
        interval = "too few pairs" if ratio.low is None or ratio.high is None else f"{ratio.low:.2f} to {ratio.high:.2f}"
        goal = (
            "" if self.goal is None else f"{self.goal:g}{', missed' if self.missed else ', met' if ratio.median <= self.goal else ', open'}"
        )
        return f"| {self.what} | **{ratio.median:.2f}** | {interval} | {ratio.pairs} | {goal} |\n"


def table(lines: Sequence[Line], *, elsewhere: Sequence[tuple[str, str]] = ()) -> str:
    """All lines. `elsewhere` are ratios that have a command of their own."""
    rows = [line.row() for line in lines] + [f"| {what} | `{command}` | | | |\n" for what, command in elsewhere]
    return HEAD + "".join(rows)
