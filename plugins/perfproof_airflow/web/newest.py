"""What was looked at last, and no more of it than fits."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Generic, TypeVar

Kept = TypeVar("Kept")


class Newest(Generic[Kept]):
    """Keeps the `count` things that were put or asked for last, of a weight of `limit` in all. Safe between threads."""

    def __init__(self, count: int, *, limit: int | None = None) -> None:
        self._count, self._limit = count, limit
        self._kept: OrderedDict[str, tuple[Kept, int]] = OrderedDict()
        self._weight = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: str) -> Kept | None:
        """What is kept under `key`, or None."""
        with self._lock:
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            return self._kept[key][0]

    def put(self, key: str, value: Kept, *, weight: int = 0) -> None:
        """Keeps `value`, and drops what was not asked for longest while there is too much."""
        with self._lock:
            if key in self._kept:
                self._weight -= self._kept.pop(key)[1]
            self._kept[key] = (value, weight)
            self._weight += weight
            while len(self._kept) > 1 and (len(self._kept) > self._count or (self._limit is not None and self._weight > self._limit)):
                _, (_, dropped) = self._kept.popitem(last=False)
                self._weight -= dropped
