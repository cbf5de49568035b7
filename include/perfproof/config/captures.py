"""What follows from what the recurring capture finds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RecurringCaptures:
    """A drift always opens an item for the next intake; `trigger_cycle` also starts a cycle, which waits for its prioritization."""

    trigger_cycle: bool = False
