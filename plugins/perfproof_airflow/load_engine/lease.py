"""The dead man's switch: load flows only while somebody who started it is there to stop it, and nobody has stopped it.

Four switches, each for what the others miss: the kernel's signal when the parent dies, a lease file whose content the
controller changes every 2 s, the run's stop lever, and a thread that ends the process when its event loop no longer reacts.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from perfproof.errors import LoadError
from perfproof_airflow.load_engine import ExitCode
from perfproof_airflow.load_engine.stop_lever import reason_of

RENEW_SECONDS = 2.0
# With the look-out's period and the time to close connections this stays below the 10 s that are promised.
EXPIRES_SECONDS = 7.0
LOOK_SECONDS = 0.25
GRACE_SECONDS = 2.0
PR_SET_PDEATHSIG = 1


def renew(path: Path, *, controller: int, count: int) -> None:
    """Writes renewal number `count` of the process `controller`. Only the change counts, so clocks may jump."""
    temporary = path.with_suffix(".new")
    temporary.write_text(f"{controller} {count}\n")
    temporary.replace(path)


def die_with_controller(path: Path) -> None:
    """Asks the kernel for SIGTERM when the controller named in the lease dies. Raises LoadError 303 without a controller.

    The kernel means the thread that started this process. Elsewhere than on Linux the lease alone does it.
    """
    controller = _controller(path)
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    # It may have died before the request was in place.
    if os.getppid() != controller:
        raise LoadError(303, where="lease", what="the controller is gone", got=os.getppid(), expected=controller, fix="start again")


def _controller(path: Path) -> int:
    try:
        return int(path.read_text().split()[0])
    except (OSError, ValueError, IndexError) as error:
        raise LoadError(
            303, where="lease", what="nobody holds the lease", got=str(error), fix="start the generator through its hook"
        ) from None


class LeaseWatch(threading.Thread):
    """Calls `on_lost(reason)` once when the lease is not renewed in time or the lever is pulled.

    If that changes nothing, it ends the process. `run` is the directory of the run, which holds its lever.
    """

    def __init__(self, path: Path, *, run: Path, on_lost: Callable[[str], None]) -> None:
        super().__init__(name="lease", daemon=True)
        self._path = path
        self._run = run
        self._on_lost = on_lost
        self._released = threading.Event()

    def run(self) -> None:
        """Watches until `release`."""
        content, seen = self._read(), time.monotonic()
        while not self._released.is_set():
            latest = self._read()
            if latest and latest != content:
                content, seen = latest, time.monotonic()
            reason = self._reason(seen)
            if reason is not None:
                self._on_lost(reason)
                if not self._released.wait(GRACE_SECONDS):
                    os._exit(ExitCode.HUNG)
                return
            self._released.wait(LOOK_SECONDS)

    def _reason(self, seen: float) -> str | None:
        pulled = reason_of(self._run)
        if pulled is not None:
            return f"the load of the run was stopped: {pulled}"
        return f"the lease was not renewed for {EXPIRES_SECONDS:g} s" if time.monotonic() - seen > EXPIRES_SECONDS else None

    def release(self) -> None:
        """No load flows any more: nothing is left to watch."""
        self._released.set()

    def _read(self) -> bytes:
        try:
            return self._path.read_bytes()
        except OSError:
            return b""
