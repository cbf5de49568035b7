"""The stack as it runs: brought up and healthy, its containers by service, one of them killed, all of it taken down."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from compose.engine import Engine, Failed
from compose.health_checks import HealthChecks

PROJECT_LABEL = "com.docker.compose.project"
SERVICE_LABEL = "com.docker.compose.service"
UP_TRIES = 3
DOWN_TRIES = 3
HEALTHY_SECONDS = 900.0
RESTART_SECONDS = 90.0
ONE_SHOT = "init"


@dataclass(frozen=True, slots=True)
class Container:
    """One container of the stack, as the engine knew it a moment ago."""

    id: str
    service: str
    name: str
    told: dict[str, Any]

    @property
    def pid(self) -> int:
        """Its first process as the host numbers it; 0 when it does not run."""
        return int(self.told["State"].get("Pid") or 0)

    @property
    def running(self) -> bool:
        """Whether it runs."""
        return bool(self.told["State"]["Running"])

    @property
    def health(self) -> str:
        """healthy, unhealthy or starting; empty without a health check."""
        state = self.told["State"]
        return str((state.get("Health") or state.get("Healthcheck") or {}).get("Status") or "")

    @property
    def ready(self) -> bool:
        """Whether it does its work; the service that ends has done it."""
        if self.service == ONE_SHOT:
            return not self.running and self.told["State"]["Status"] == "exited" and self.told["State"]["ExitCode"] == 0
        return self.running and self.health == "healthy"

    def processes(self) -> list[int]:
        """The pids on this host of all that runs in it; empty where the engine's processes are not this host's."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if self.id in (entry / "cgroup").read_text():
                    found.append(int(entry.name))
        return found


@dataclass(slots=True)
class Stack:
    """The project `name` of the compose file in `directory`; what compose writes goes to `log`."""

    engine: Engine
    directory: Path
    name: str
    log: Path
    tell: Callable[[str], None]
    _checks: HealthChecks | None = field(default=None)

    def start(self) -> float:
        """Starts everything and returns after how many seconds all of it is healthy. Raises Failed if it does not become so."""
        started = time.monotonic()
        if not self.engine.drives_health_checks:
            self._checks = HealthChecks(self.engine, self.name)
            self._checks.start()
        for left in reversed(range(UP_TRIES)):
            # Old compose ends as soon as one check is unhealthy; on a slow machine that may pass.
            if self._compose("up", "--detach", "--no-build"):
                break
            if left == 0:
                raise Failed(f"the stack does not start; see {self.log}")
            self.tell("compose gave up waiting; once more")
        self.wait_until_ready()
        return time.monotonic() - started

    def wait_until_ready(self, *, seconds: float = HEALTHY_SECONDS) -> None:
        """Returns when every container is healthy, or has ended well if that is its task. Raises Failed after `seconds`."""
        deadline = time.monotonic() + seconds
        while True:
            containers = self.containers()
            waiting = [container for container in containers if not container.ready]
            if containers and not waiting:
                return
            if time.monotonic() > deadline:
                names = ", ".join(f"{container.name} ({container.health or container.told['State']['Status']})" for container in waiting)
                raise Failed(f"not healthy after {seconds:g} s: {names}")
            time.sleep(2)

    def containers(self, service: str | None = None) -> list[Container]:
        """The containers, or those of one service, by name."""
        listed = self.engine.output("ps", "--all", "--quiet", "--no-trunc", "--filter", f"label={PROJECT_LABEL}={self.name}").split()
        found = []
        for told in self.engine.inspect(*listed):
            labels = told["Config"]["Labels"]
            found.append(Container(told["Id"], labels[SERVICE_LABEL], told["Name"].lstrip("/"), told))
        return sorted((one for one in found if service in (None, one.service)), key=lambda one: one.name)

    def call(self, service: str, *command: str, data: bytes | None = None, seconds: float = 900) -> bytes:
        """What `command` writes in the first container of `service`. Raises Failed when it fails."""
        container = self.containers(service)[0]
        keep = ["--interactive"] if data is not None else []
        return self.engine.bytes_of("exec", *keep, container.id, *command, data=data, seconds=seconds)

    def kill(self, container: Container) -> str:
        """Ends every process of the container at once, and waits until it runs again. Returns who started it again, after how long.

        The processes are killed from outside: an engine that is asked to kill takes that for a wish, and does not restart.
        """
        pids = container.processes()
        if not pids:
            raise Failed(f"{container.name}: its processes are not this host's, so that they cannot be killed unasked")
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        killed = time.monotonic()
        while time.monotonic() - killed < RESTART_SECONDS:
            (now,) = self._again(container)
            if now.running and now.pid not in (0, container.pid):
                rule = container.told["HostConfig"]["RestartPolicy"]["Name"]
                return f"restarted by {self.engine.program} ({rule}) after {time.monotonic() - killed:.0f} s"
            time.sleep(0.5)
        self.engine.output("start", container.id)
        return f"started by this script: {self.engine.program} did not within {RESTART_SECONDS:g} s"

    def _again(self, container: Container) -> list[Container]:
        told = self.engine.inspect(container.id)[0]
        return [Container(container.id, container.service, container.name, told)]

    def save_logs(self, directory: Path) -> None:
        """The log of each container, and how it ended, as files. Its environment is left out: it holds the secrets."""
        directory.mkdir(parents=True, exist_ok=True)
        for container in self.containers():
            done = self.engine.tried("logs", container.id)
            (directory / f"{container.name}.log").write_bytes(done.stdout + done.stderr)
            (directory / f"{container.name}.json").write_text(
                json.dumps({name: container.told[name] for name in ("Name", "State", "HostConfig")}, indent=1)
            )

    def stop(self) -> list[str]:
        """Takes down containers, networks and volumes. Returns what is left of them, which should be nothing."""
        for attempt in range(1, DOWN_TRIES + 1):
            # Old compose removes all at once, and podman no container whose namespace another one still has.
            self._compose("down", "--volumes", "--remove-orphans", "--timeout", "20")
            left = self._left()
            if not left:
                break
            self.tell(f"compose down, call {attempt}, left {', '.join(left)}")
        if self._checks is not None:
            self._checks.stop()
        return left

    def _left(self) -> list[str]:
        found = [f"container {container.name}" for container in self.containers()]
        for kind in ("volume", "network"):
            names = self.engine.output(kind, "ls", "--quiet", "--filter", f"label={PROJECT_LABEL}={self.name}").split()
            found += [f"{kind} {name}" for name in names]
        return found

    def _compose(self, *arguments: str) -> bool:
        try:
            return self.engine.compose("--project-name", self.name, *arguments, directory=self.directory, log=self.log)
        except subprocess.TimeoutExpired:
            return False
