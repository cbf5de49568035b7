"""The demo target as one foreground service: `python -m perfproof_demo.compose_target`, for docker-compose.yaml.

Both shops and their traffic, with their databases on the server that DEMO_DATABASE_URL names. A shop that died is started
again; a deployment by `perfproof-demo deploy` in the same container is left alone while it is under way.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from perfproof_demo.database import start_database
from perfproof_demo.deployment import ensure_running
from perfproof_demo.errors import DemoError
from perfproof_demo.inputs import write_inputs
from perfproof_demo.processes import running_pid
from perfproof_demo.settings import DemoSettings, Side
from perfproof_demo.target import stop_target
from perfproof_demo.traffic import renew_lease, start_traffic

WATCH_SECONDS = 5.0
# A deployment stops its shop and needs up to a minute (an index, a start); only a longer absence is a death.
GONE_SECONDS = 90.0
# The prerequisites take reports of up to 30 days.
INPUTS_SECONDS = 24 * 3600.0


class Absence:
    """Tells for how long something has not been there, from observations in order of time."""

    def __init__(self) -> None:
        self._since: float | None = None

    def see(self, *, present: bool, now: float) -> float:
        """Seconds since it was last seen; 0 while it is there, and at the first observation without it."""
        if present:
            self._since = None
            return 0.0
        if self._since is None:
            self._since = now
        return now - self._since


def start(settings: DemoSettings) -> None:
    """Makes the databases, starts both shops and the traffic, and writes the prerequisites' artifacts."""
    settings.home.mkdir(parents=True, exist_ok=True)
    start_database(settings)
    for side in Side:
        ensure_running(settings, side)
    start_traffic(settings)
    write_inputs(settings, now=datetime.now(UTC))


def watch(settings: DemoSettings, stopping: threading.Event) -> None:
    """Keeps the target running until `stopping` is set."""
    absences = {side: Absence() for side in Side}
    inputs_due = time.monotonic() + INPUTS_SECONDS
    while not stopping.wait(WATCH_SECONDS):
        renew_lease(settings)
        start_traffic(settings)
        for side, absence in absences.items():
            present = running_pid(settings, f"shop-{side}") is not None
            if absence.see(present=present, now=time.monotonic()) > GONE_SECONDS:
                ensure_running(settings, side)
        if time.monotonic() >= inputs_due:
            write_inputs(settings, now=datetime.now(UTC))
            inputs_due = time.monotonic() + INPUTS_SECONDS


def reap() -> None:
    """Takes note of every child that ended. Until then it is listed, and a deployment that stopped it would wait for it in vain."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def main() -> None:
    """Serves until SIGTERM; a part that cannot start is one line and exit code 1, for the restart rule of the service."""
    settings = DemoSettings.from_environment(Path.cwd() / ".demo", os.environ)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    signal.signal(signal.SIGCHLD, lambda *_: reap())
    try:
        start(settings)
        watch(settings, stopping)
    except DemoError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(1)
    finally:
        stop_target(settings)


if __name__ == "__main__":
    main()
