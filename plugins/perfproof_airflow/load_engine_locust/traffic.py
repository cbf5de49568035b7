"""What passes Locust's own clients: each request when its turn comes, with a time-out, without redirects and retries; and its row.

Rows are lists [start, end, status, name] with seconds since the test began. Clients of a journey's own are recorded through Locust's
event, and bounded by the conductor, which ends a test that is faster than allowed.
"""

from __future__ import annotations

import functools
import itertools
import time
from collections.abc import Callable
from typing import Any

TIMEOUT, CONNECTION, STOPPED, REJECTED = -2, -3, -4, -5
# What a client of a journey's own counts as when it reports neither a status nor an exception.
FINE = 200
MAX_NAME = 200
FOREVER = 3600.0


class Traffic:
    """The requests of this process. `pause` is gevent's sleep, which lets others run."""

    def __init__(self, *, rate: float, timeout: float, pause: Callable[[float], None]) -> None:
        self._interval = 1.0 / rate
        self._timeout = timeout
        self._pause = pause
        self._keys = itertools.count()
        self._began, self._began_wall, self._until = 0.0, 0.0, 0.0
        self._next = 0.0
        self.closed = self.given_up = False
        self._open: dict[int, tuple[float, str]] = {}
        self._rows: list[list[Any]] = []

    def begin(self, *, seconds: float) -> float:
        """Second 0 is now, and no request starts after `seconds`. Returns the monotonic time of second 0."""
        self._began, self._began_wall = time.monotonic(), time.time()
        self._until = self._began + seconds
        return self._began

    @property
    def over(self) -> bool:
        """Whether no request starts any more."""
        return self.closed or time.monotonic() >= self._until

    @property
    def open_since(self) -> list[float]:
        """When the requests that wait for an answer began."""
        return [round(start, 6) for start, _ in self._open.values()]

    def take_rows(self) -> list[list[Any]]:
        """The rows since the last call."""
        rows, self._rows = self._rows, []
        return rows

    def give_up(self) -> None:
        """Starts nothing more, and turns what is open into rows."""
        self.closed = self.given_up = True
        now = self._now()
        self._rows += [[start, max(start, now), STOPPED, name] for start, name in self._open.values()]
        self._open.clear()

    def wrap(self, session: type, *, fast: bool) -> None:
        """Puts every request of the session class `session` under these bounds."""
        made, request = session.__init__, session.request  # type: ignore[attr-defined,misc]

        @functools.wraps(made)
        def bounded_init(own: Any, *arguments: Any, **named: Any) -> None:
            made(own, *arguments, **named)
            if fast:
                own.client.redirect_response_codes = frozenset()
                own.client.max_retries = 0
            else:
                # No proxies from the environment, no passwords from ~/.netrc.
                own.trust_env = False

        @functools.wraps(request)
        def bounded(own: Any, method: Any, url: Any, *arguments: Any, **named: Any) -> Any:
            if not fast:
                named.update(allow_redirects=False, timeout=self._within(named.get("timeout")), proxies=None)
            self._take_turn()
            key = next(self._keys)
            self._open[key] = (self._now(), str(named.get("name") or url)[:MAX_NAME])
            try:
                return request(own, method, url, *arguments, **named)
            finally:
                self._open.pop(key, None)

        session.__init__ = bounded_init  # type: ignore[misc]
        session.request = bounded  # type: ignore[attr-defined]

    def record(self, **meta: Any) -> None:
        """The row of one request, from what Locust's event says about it."""
        if self.given_up:
            return
        took = float(meta.get("response_time") or 0.0) / 1000.0
        start_time = meta.get("start_time")
        start = self._now() - took if start_time is None else float(start_time) - self._began_wall
        start = max(0.0, start)
        name = f"{meta.get('request_type') or ''} {meta.get('name') or ''}".strip()[:MAX_NAME]
        self._rows.append([round(start, 6), round(start + max(0.0, took), 6), _status(meta), name or "unnamed"])

    def _take_turn(self) -> None:
        """Waits until the rate allows one more request; for ever once the test is over."""
        while True:
            now = time.monotonic()
            turn = max(now, self._next)
            if self.closed or turn >= self._until:
                self._pause(FOREVER)
                continue
            self._next = turn + self._interval
            if turn > now:
                self._pause(turn - now)
            if not self.over:
                return

    def _within(self, wanted: Any) -> Any:
        if isinstance(wanted, tuple):
            return tuple(self._within(part) for part in wanted)
        return min(wanted, self._timeout) if isinstance(wanted, int | float) and wanted > 0 else self._timeout

    def _now(self) -> float:
        return time.monotonic() - self._began


def _status(meta: dict[str, Any]) -> int:
    code = getattr(meta.get("response"), "status_code", None)
    code = code if isinstance(code, int) and 100 <= code <= 599 else None
    exception = meta.get("exception")
    if exception is None:
        return FINE if code is None else code
    if code is not None:
        return REJECTED if 200 <= code < 300 else code
    return TIMEOUT if "timeout" in type(exception).__name__.lower() or "timed out" in str(exception).lower() else CONNECTION
