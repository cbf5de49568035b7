"""What a change can save at most, from the share of the time that what it changes takes.

Source: G. M. Amdahl, "Validity of the single processor approach to achieving large scale computing capabilities", AFIPS 30 (1967).
"""

from __future__ import annotations

import math

from perfproof.telemetry import Direction


def largest_gain(share: float, *, direction: Direction, speedup: float = math.inf) -> float:
    """The largest relative gain (0.25 is 25 %) in a metric when what takes `share` of the time (0 to 1) becomes `speedup` times faster.

    Time per request falls by share * (1 - 1/speedup) =: g at most. A rate, where higher is better, rises by g / (1 - g): infinite
    when all of the time goes away. ValueError unless 0 <= share <= 1 and speedup >= 1.
    """
    if not 0 <= share <= 1 or not speedup >= 1:
        raise ValueError("a share lies between 0 and 1, and a speedup is 1 at least")
    saved = share * (1 - 1 / speedup)
    if direction is Direction.LOWER:
        return saved
    return saved / (1 - saved) if saved < 1 else math.inf
