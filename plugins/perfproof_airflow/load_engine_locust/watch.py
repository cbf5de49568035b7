"""Ends this process when nobody is there any more to stop its load: from a thread that no journey can hold up.

It is started before gevent replaces threads and clocks, and keeps the originals. The kernel ends the process with its parent besides.
"""

from __future__ import annotations

import _thread
import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from perfproof_airflow.load_engine_locust import EXIT_LEASE_LOST

LOOK_SECONDS = 0.25
# As the other engine's: with the look-out's period it stays below the 10 s that are promised.
EXPIRES_SECONDS = 7.0
PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """Asks the kernel for SIGKILL when the parent dies, and ends if it is dead already."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(EXIT_LEASE_LOST)


class Watch:
    """Ends the process when `renewal()` stays the same for 7 s, when the parent changes, or `seconds` after `begin`."""

    def __init__(self, renewal: Callable[[], bytes], *, seconds: float, parent: int | None, patience: float) -> None:
        self._renewal = renewal
        self._parent = parent
        self._seconds = seconds
        self._until = time.monotonic() + patience
        # Looked up now: gevent puts others in their place.
        self._start = _thread.start_new_thread
        self._sleep, self._clock, self._exit, self._parent_now = time.sleep, time.monotonic, os._exit, os.getppid

    def start(self) -> None:
        """Watches in a thread of the system."""
        self._start(self._run, ())

    def begin(self) -> None:
        """The load begins now; until then only `patience` bounds the process."""
        self._until = self._clock() + self._seconds

    def _run(self) -> None:
        last, seen = self._renewal(), self._clock()
        while True:
            self._sleep(LOOK_SECONDS)
            now, latest = self._clock(), self._renewal()
            if latest and latest != last:
                last, seen = latest, now
            orphan = self._parent is not None and self._parent_now() != self._parent
            if orphan or now > self._until or now - seen > EXPIRES_SECONDS:
                self._exit(EXIT_LEASE_LOST)


def content_of(path: Path) -> Callable[[], bytes]:
    """What reads the lease at `path`; nothing while it cannot be read."""

    def read() -> bytes:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return b""
        try:
            return os.read(descriptor, 200)
        finally:
            os.close(descriptor)

    return read
