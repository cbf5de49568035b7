"""Health checks where nobody drives them: podman leaves that to systemd's timers, and without them a container stays `starting`."""

from __future__ import annotations

import subprocess
import threading
import time
from dataclasses import dataclass, field

from compose.engine import Engine, Failed

POLL_SECONDS = 1.0
NANOSECONDS = 1e9
# Between a check that failed and the next, while a container starts: the whole interval would make every start a minute longer.
STARTING_SECONDS = 10.0


@dataclass(slots=True)
class HealthChecks:
    """Runs each container's own check at its own interval, as the engine would, until it is stopped."""

    engine: Engine
    project: str
    _due: dict[str, float] = field(default_factory=dict)
    _running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begins, in a thread of its own."""
        self._thread = threading.Thread(target=self._loop, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends, with the checks that are under way."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
        for process in self._running.values():
            process.kill()
            process.wait()

    def _loop(self) -> None:
        while not self._stopping.wait(POLL_SECONDS):
            try:
                label = f"label=com.docker.compose.project={self.project}"
                self._look(self.engine.output("ps", "--quiet", "--no-trunc", "--filter", label).split())
            except (Failed, subprocess.TimeoutExpired):
                # A container that ended between the two questions.
                continue

    def _look(self, containers: list[str]) -> None:
        self._running = {name: process for name, process in self._running.items() if process.poll() is None}
        for told in self.engine.inspect(*[name for name in containers if name not in self._running]):
            name, check = told["Id"], told["Config"].get("Healthcheck")
            if not check:
                continue
            health = told["State"].get("Health") or told["State"].get("Healthcheck") or {}
            interval = check["Interval"] / NANOSECONDS
            if health.get("Status") == "starting":
                interval = min(interval, STARTING_SECONDS)
            if time.monotonic() < self._due.get(name, 0.0):
                continue
            self._due[name] = time.monotonic() + interval
            self._running[name] = subprocess.Popen(
                [self.engine.program, "healthcheck", "run", name], env=dict(self.engine.environment),
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
