"""Requests gathered one by one into columns, with what no request can be refused."""

from __future__ import annotations

import math
from array import array

import numpy as np

from perfproof.load_files.form import Requests
from perfproof.load_files.refusals import empty, no_measurement, too_much

# 21 bytes each: 420 MB.
MOST_REQUESTS = 20_000_000
MOST_NAMES = 10_000
LONGEST_LATENCY_MS = 86_400_000.0
LONGEST_TEST_SECONDS = 31 * 86_400.0


class Columns:
    """Takes requests in the order of the file and gives them as `Requests`. Times are seconds, latencies ms."""

    def __init__(self, *, where: str) -> None:
        self.where = where
        self._start, self._latency, self._ok, self._name = array("d"), array("d"), bytearray(), array("i")
        self._names: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._start)

    def add(self, start: float, latency_ms: float, ok: bool, name: str, *, at: str | int) -> None:
        """One request. `at` says where it stands, for the error.

        Raises ArtifactError 484 for a latency that is negative, not finite or above a day, 487 for too many requests or names.
        """
        if not 0.0 <= latency_ms <= LONGEST_LATENCY_MS:
            raise no_measurement(f"{self.where} record {at}", "no latency", got=f"{latency_ms!r} ms", expected="0 ms to one day")
        if not math.isfinite(start):
            raise no_measurement(f"{self.where} record {at}", "no time", got=start)
        place = self._names.get(name)
        if place is None:
            place = self._names[name] = len(self._names)
            if place >= MOST_NAMES:
                fix = "give URLs that differ in a parameter one name"
                raise too_much(self.where, "too many names of requests", fix, expected=f"at most {MOST_NAMES}")
        if len(self._start) >= MOST_REQUESTS:
            raise too_much(self.where, "too many requests", "cut the file in parts", expected=f"at most {MOST_REQUESTS}")
        self._start.append(start)
        self._latency.append(latency_ms)
        self._ok.append(ok)
        self._name.append(place)

    def requests(self, *, fix: str = "give a file of a test that sent requests") -> Requests:
        """All of them. Raises ArtifactError 486 for none, and 484 for times that lie more than 31 days apart."""
        if not self._start:
            raise empty(self.where, "no requests", fix)
        start = np.frombuffer(self._start, dtype=np.float64)
        span = float(start.max() - start.min())
        if span > LONGEST_TEST_SECONDS:
            days = f"{span / 86400:.0f} days"
            raise no_measurement(self.where, "times that lie too far apart for one test", got=days, expected="at most 31")
        latency, ok = np.frombuffer(self._latency, dtype=np.float64), np.frombuffer(self._ok, dtype=np.bool_)
        return Requests(start, latency, ok, np.frombuffer(self._name, dtype=np.int32), tuple(self._names))
