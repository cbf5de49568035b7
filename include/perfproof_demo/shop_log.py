"""The shop's access log and traces: JSON lines in two files that cannot grow without end."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

LIMIT_BYTES = 8 << 20
SLOW_MS = 50.0


class BoundedLines:
    """A file of JSON lines; when it is full it becomes `<name>.1`, and the one before that goes."""

    def __init__(self, path: Path, *, limit: int = LIMIT_BYTES) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._limit = limit
        self._file = path.open("a", encoding="utf-8", buffering=1)
        self._size = path.stat().st_size

    def write(self, record: dict[str, Any]) -> None:
        """Appends one line."""
        line = json.dumps(record, separators=(",", ":")) + "\n"
        if self._size + len(line) > self._limit:
            self._file.close()
            self._path.replace(self._path.with_name(self._path.name + ".1"))
            self._file = self._path.open("a", encoding="utf-8", buffering=1)
            self._size = 0
        self._file.write(line)
        self._size += len(line)

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


class ShopLog:
    """One line per request in the access log, and one more in the traces for a request above 50 ms."""

    def __init__(self, *, access: Path, traces: Path) -> None:
        self._access = BoundedLines(access)
        self._traces = BoundedLines(traces)

    def record(
        self, *, route: str, seconds: float, status: int, queries: int, database_seconds: float, render_seconds: float, now: datetime
    ) -> None:
        """Writes down one answered request."""
        time = now.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        milliseconds = round(seconds * 1000, 3)
        self._access.write({"time": time, "route": route, "ms": milliseconds, "status": status})
        if milliseconds > SLOW_MS:
            spans = {"database_ms": round(database_seconds * 1000, 3), "render_ms": round(render_seconds * 1000, 3), "queries": queries}
            self._traces.write({"time": time, "route": route, "ms": milliseconds, "status": status, **spans})

    def close(self) -> None:
        """Closes both files."""
        self._access.close()
        self._traces.close()
