"""When a running test ends itself: share of failures and p99 over the last seconds, open requests included."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable

from perfproof.config import Abort


class StopConditions:
    """Holds the last `abort.over_seconds` of answers. Times are seconds since the test began."""

    def __init__(self, abort: Abort, *, lowest_rate: float) -> None:
        self._abort = abort
        self._recent: deque[tuple[float, float, bool]] = deque()
        # Few answers could be luck; a slow test has few in any span.
        self._enough = max(5, min(20, int(lowest_rate * abort.over_seconds / 2)))

    def add(self, *, at: float, latency_ms: float, ok: bool) -> None:
        """Notes an answer, or a request that got none."""
        self._recent.append((at, latency_ms, ok))

    def reached(self, *, now: float, open_since: Iterable[float]) -> str | None:
        """The reason to stop, or None. `open_since` are the intended starts of the requests that wait for an answer.

        One that has waited for the whole span counts as failed: a service that hangs fails nothing, and answers nothing.
        """
        span = self._abort.over_seconds
        while self._recent and self._recent[0][0] < now - span:
            self._recent.popleft()
        waiting = [now - since for since in open_since if now - since >= span]
        count = len(self._recent) + len(waiting)
        if count < self._enough:
            return None
        failed = 100.0 * (sum(not ok for _, _, ok in self._recent) + len(waiting)) / count
        if failed > self._abort.error_rate_percent:
            return f"{failed:.0f} % of the requests failed over {span:g} s, {self._abort.error_rate_percent:g} % allowed"
        latencies = sorted([latency for _, latency, _ in self._recent] + [1000.0 * age for age in waiting])
        p99 = latencies[math.ceil(0.99 * count) - 1]
        if p99 > self._abort.p99_ms:
            return f"p99 was {p99:.0f} ms over {span:g} s, {self._abort.p99_ms:g} ms allowed"
        return None
