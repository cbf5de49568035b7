"""What a split's strength is worth after the best of all splits of all intervals was picked.

The search looks at many splits, so the strongest of them is strong without any change. Its null distribution depends on
nothing but the length of the series, since normal scores forget the values. In simulations of 10 to 2,560 values its tail
stays below the following, for every p up to 5 % and within their accuracy (the tests repeat a part of them):

    P(largest u >= x) = 1 - exp(-0.65 n exp(-x²/2))

the form of the largest of many dependent Gaussian statistics, their number in proportion to n. What is reported is
rarer still, because a change must also stand between its neighbours.
"""

from __future__ import annotations

import math

SPLITS_PER_VALUE = 0.65


def p_after_search(strength: float, *, length: int) -> float:
    """How likely a search of `length` independent values without a change finds a split as strong as `strength`."""
    return -math.expm1(-SPLITS_PER_VALUE * length * math.exp(-(strength**2) / 2))


def strength_needed(alpha: float, *, length: int) -> float:
    """The strength at which `p_after_search` is `alpha` (between 0 and 1)."""
    return math.sqrt(max(0.0, 2 * math.log(SPLITS_PER_VALUE * length / -math.log1p(-alpha))))
