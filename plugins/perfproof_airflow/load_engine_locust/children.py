"""The processes of Locust on this machine: how they are started, what they say, and that none of them is left."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import perfproof
import perfproof_airflow
from perfproof.errors import LoadError
from perfproof.load.journeys import JourneyPlan
from perfproof.strict import read_json
from perfproof.telemetry import document_bytes
from perfproof_airflow.load_engine_locust import CONDUCTOR_LEASE, EXIT_WITHOUT_LOCUST, LOCUST_PYTHON, LOCUSTFILE

# A process that hangs is killed this long after it was asked to end.
FAREWELL_SECONDS = 2.5
STARTUP_SECONDS = 25.0
MAX_LINE = 32 << 20
MAX_MESSAGE = 2000


class Children:
    """Starts the processes of `plan` in `directory`, and hands each line of theirs to `on_line`."""

    def __init__(self, plan: JourneyPlan, directory: Path, *, python: str, on_line: Callable[[dict[str, Any]], None]) -> None:
        self._plan = plan
        self._directory = directory
        self._python = python
        self._on_line = on_line
        self._processes: list[asyncio.subprocess.Process] = []
        self._readers: list[asyncio.Task[None]] = []
        self._port = 0
        self._port_known = asyncio.Event()

    async def start(self) -> None:
        """Starts one process that sends, or a master and its workers. Raises LoadError 834 without a Locust, 837 if they do not come up."""
        plan = self._plan
        if plan.workers == 1 and plan.processes == 1:
            await self._spawn("alone", port=0)
            return
        await self._spawn("master", port=plan.master_port if plan.remote_workers else 0)
        port = await self._port_of_master()
        for _ in range(plan.processes):
            await self._spawn("worker", port=port)

    async def wait(self) -> None:
        """Until the first of them, which all others report to, has ended and was read to its end."""
        # Awaited itself, the reader would be cancelled with whoever waits; the last rows come after that.
        reader = self._readers[0]
        await asyncio.wait({reader})
        if not reader.cancelled() and (error := reader.exception()) is not None:
            raise error
        await self._processes[0].wait()

    async def end(self) -> None:
        """Asks for the last rows, then kills what is left."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            for process in self._processes if number is signal.SIGKILL else self._processes[:1]:
                if process.returncode is None:
                    with contextlib.suppress(ProcessLookupError):
                        process.send_signal(number)
            if number is signal.SIGTERM and self._readers:
                await asyncio.wait(self._readers[:1], timeout=FAREWELL_SECONDS)
        for process in self._processes:
            await process.wait()
        await asyncio.gather(*self._readers, return_exceptions=True)

    def failure(self) -> LoadError:
        """Why the first process ended without a last word."""
        process = self._processes[0]
        lines = (self._directory / "locust-0").read_bytes()[-MAX_MESSAGE:].decode(errors="replace").strip().splitlines()
        message = lines[-1] if lines else "no message"
        if process.returncode == EXIT_WITHOUT_LOCUST:
            return LoadError(
                834, where="journeys", what="Locust cannot be imported", got=message,
                fix=f"install perfproof[locust], or let {LOCUST_PYTHON} name a Python that has locust",
            )  # fmt: skip
        return LoadError(
            837,
            where="journeys",
            what=f"Locust ended with code {process.returncode}",
            got=message,
            fix="correct the journeys, then try again",
        )

    async def _port_of_master(self) -> int:
        known = asyncio.create_task(self._port_known.wait())
        try:
            await asyncio.wait({known, self._readers[0]}, timeout=STARTUP_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        finally:
            known.cancel()
        if self._port_known.is_set():
            return self._port
        if self._readers[0].done():
            await self._processes[0].wait()
        raise self.failure()

    async def _spawn(self, role: str, *, port: int) -> None:
        index = len(self._processes)
        settings = self._directory / f"settings-{index}.json"
        settings.write_bytes(document_bytes(self._settings(role, port)))
        with (self._directory / f"locust-{index}").open("wb") as messages:
            try:
                process = await asyncio.create_subprocess_exec(
                    self._python, "-m", "perfproof_airflow.load_engine_locust.process", str(settings),
                    cwd=self._directory, env=environment(self._directory), stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
                    stderr=messages, limit=MAX_LINE,
                )  # fmt: skip
            except OSError as error:
                raise LoadError(
                    834, where="journeys", what="the Python for Locust cannot be started", got=f"{self._python}: {error.strerror}",
                    fix=f"correct {LOCUST_PYTHON}",
                ) from None  # fmt: skip
        self._processes.append(process)
        self._readers.append(asyncio.create_task(self._read(process)))

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        out = process.stdout
        while out is not None and (data := await out.readline()):
            line = read_json(data, where="locust", limit=MAX_LINE, error=LoadError, number=837)
            if isinstance(line, dict) and "port" in line:
                self._port = int(line["port"])
                self._port_known.set()
            elif isinstance(line, dict):
                self._on_line(line)

    def _settings(self, role: str, port: int) -> dict[str, Any]:
        return {
            **process_settings(self._plan, role=role, locustfile=self._directory / LOCUSTFILE, port=port),
            "lease": str(self._directory / CONDUCTOR_LEASE),
            "parent": os.getpid(),
            "patience": STARTUP_SECONDS + 5.0,
        }


def process_settings(plan: JourneyPlan, *, role: str, locustfile: Path, port: int) -> dict[str, Any]:
    """What `process.py` reads, but for its lease."""
    bare = plan.host.strip("[]")
    host = f"[{bare}]" if ":" in bare else bare
    return {
        "role": role,
        "url": f"http://{host}:{plan.port}",
        "allow": [[target.host, target.port] for target in plan.allow],
        "plan": plan.digest,
        "locustfile": str(locustfile),
        "users": plan.users,
        "spawn_rate": plan.spawn_rate,
        "rate": plan.max_rate / plan.workers,
        "seconds": plan.duration,
        "timeout": plan.timeout_seconds,
        "deadline": plan.deadline + FAREWELL_SECONDS,
        "workers": plan.workers,
        "port": port,
    }


def environment(directory: Path) -> dict[str, str]:
    """No secrets, no proxies and no settings of Locust's: its modules and nothing else.

    Another Python finds perfproof through links in `directory`, and not what else is installed beside it here.
    """
    packages = directory / "packages"
    packages.mkdir(exist_ok=True)
    for module in (perfproof, perfproof_airflow):
        link = packages / module.__name__
        if module.__file__ and not link.is_symlink():
            link.symlink_to(Path(module.__file__).resolve().parent, target_is_directory=True)
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "TMPDIR") if name in os.environ}
    return {
        **kept, "PYTHONPATH": str(packages), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1", "LOCUST_SKIP_URLLIB3_PATCH": "1",
    }  # fmt: skip
