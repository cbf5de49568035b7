"""When the measuring looks at its blocks, at which confidence, and what it does next.

A rule that looks several times and stops when it likes the answer has that many chances to be wrong. Here the doubt that
`confidence` allows (5 % at 95 %) is divided among the looks, so that the chance that any look's interval misses the truth is
at most the sum, whatever the looks have to do with each other (Bonferroni's inequality) and for whatever reason the measuring
stops: repeated confidence intervals, C. Jennison and B. W. Turnbull, Journal of the Royal Statistical Society B 51 (1989).
A regression is claimed as in a single look, and held back by what it takes besides: fresh blocks that say it again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from perfproof.config import Measurement
from perfproof.judging.levels import blocks_to_claim
from perfproof.judging.verdicts import GuardLabel, GuardVerdict, blocks_at_least


@dataclass(frozen=True, slots=True)
class Design:
    """`first` blocks a side, then `step` more before each further look, `most` at all, fresh ones for a confirmation included.

    `step` 0 means that there is one look. `confidence` is that of all looks together.
    """

    first: int
    step: int
    most: int
    confidence: float

    @property
    def sizes(self) -> tuple[int, ...]:
        """Blocks a side at each look, the last one with what is left."""
        sizes = [self.first]
        while self.step > 0 and sizes[-1] < self.most:
            sizes.append(min(sizes[-1] + self.step, self.most))
        return tuple(sizes)

    def confidence_at(self, look: int) -> float:
        """The confidence at which look 1, 2, … is judged.

        A look may use the part of the doubt that its new blocks are of all blocks. Where that is too little for its blocks to
        decide anything (4 a side are nothing above 97 %), it decides nothing and leaves its part to the next look.
        """
        doubt, total = 1 - self.confidence, self.sizes[-1]
        kept = before = 0.0
        level = self.confidence
        for size in self.sizes[:look]:
            kept += doubt * (size - before) / total
            before, level = size, 1 - kept
            if size >= blocks_at_least(level):
                kept = 0.0
        return level

    def decides(self, look: int) -> bool:
        """Whether the blocks of this look suffice for its confidence."""
        return self.sizes[look - 1] >= blocks_at_least(self.confidence_at(look))

    @property
    def confirmation(self) -> int:
        """Fresh blocks a side by which a regression is confirmed: as many as the first look has, or as blaming a change takes."""
        return max(self.first, blocks_to_claim(self.confidence))

    def document(self) -> dict[str, Any]:
        """The field `design` of `evidence/measurement.json`."""
        return {"first": self.first, "step": self.step, "most": self.most, "confidence": self.confidence}


def design_of(measurement: Measurement, *, confidence: float, one_endpoint: bool = False) -> Design:
    """The design that a load profile asks for. With one endpoint there is one look: its baseline cannot be measured again."""
    step = 0 if one_endpoint else measurement.step
    return Design(measurement.blocks, step, measurement.most_blocks, confidence)


class GuardState(StrEnum):
    """What is known of a guard at a look."""

    CLEAR = "no regression"
    SEEN = "regression seen"
    CONFIRMED = "regression"
    OPEN = "inconclusive"


@dataclass(frozen=True, slots=True)
class Measure:
    """`blocks` more a side, then look again."""

    blocks: int
    reason: str


@dataclass(frozen=True, slots=True)
class Confirm:
    """`blocks` fresh ones a side, judged alone."""

    blocks: int
    reason: str


@dataclass(frozen=True, slots=True)
class Stop:
    """Measure no more; what is undecided stays so."""

    reason: str


Step = Measure | Confirm | Stop


def next_step(design: Design, *, look: int, used: int, target_decided: bool, guards: Mapping[str, GuardState]) -> Step:
    """What follows look 1, 2, … after `used` blocks a side, those of confirmations included.

    A regression that was seen is measured again first. Then it stops if target and guards are decided, or if the budget has no
    room for the next look.
    """
    room = design.most - used
    seen = [name for name, state in guards.items() if state is GuardState.SEEN]
    if seen and room >= design.confirmation:
        return Confirm(design.confirmation, f"{_listed(seen)} looks worse, and no regression is reported before it was measured twice")
    open_guards = [name for name, state in guards.items() if state in (GuardState.OPEN, GuardState.SEEN)]
    undecided = ([] if target_decided else ["the target"]) + open_guards
    if not undecided:
        return Stop("target and guards are decided")
    what = f"{_listed(undecided)} {'is' if len(undecided) == 1 else 'are'} not decided"
    if look == len(design.sizes):
        return Stop(f"{what}, and {'it was the only look' if look == 1 else 'it was the last look'}")
    more = design.sizes[look] - design.sizes[look - 1]
    if room < more:
        return Stop(f"{what}, and of {design.most} blocks a side {used} are used: too few are left for the next look")
    return Measure(more, what)


def guard_state(verdict: GuardVerdict, *, confirmed_before: bool, again: bool | None) -> GuardState:
    """What is known of a guard; `again` says whether fresh blocks repeat its regression (None: there are none yet).

    A confirmed regression stays one. One that fresh blocks do not repeat is open: the next look may decide it.
    """
    if confirmed_before:
        return GuardState.CONFIRMED
    if verdict.label is not GuardLabel.REGRESSION:
        return GuardState(verdict.label.value)
    if again is None:
        return GuardState.SEEN
    return GuardState.CONFIRMED if again else GuardState.OPEN


def repeated(fresh: GuardVerdict) -> bool:
    """Whether fresh blocks, judged alone, say "worse by more than the margin" again, at the usual confidence.

    The stricter level at which a regression is claimed was passed by the blocks before. Both by chance: at 95 % at most 0.5 %
    of 2.5 % for each look, if blocks are independent. To ask for the stricter level twice would miss most real regressions.
    """
    return fresh.label is GuardLabel.REGRESSION or fresh.looks_worse


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
