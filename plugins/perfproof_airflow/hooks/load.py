"""Runs one load plan in the generator's own process, and makes sure that it ends."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import perfproof
import perfproof_airflow
from perfproof.errors import LoadError
from perfproof.load.journeys import JourneyPlan
from perfproof.load.plan import LoadPlan
from perfproof.load.summary import GeneratorSummary, Outcome, read_summary
from perfproof.strict import read_json
from perfproof.telemetry import document_bytes
from perfproof_airflow.load_engine import LEASE, PLAN, PROGRESS, ROWS, SUMMARY
from perfproof_airflow.load_engine.lease import RENEW_SECONDS, renew
from perfproof_airflow.load_engine.stop_lever import TEST_PREFIX, reason_of, require_not_pulled
from perfproof_airflow.load_engine_locust import LOCUST_PYTHON, LOCUSTFILE

OPEN_LOOP = "perfproof_airflow.load_engine"
LOCUST = "perfproof_airflow.load_engine_locust"
TICK_SECONDS = 0.1
STARTUP_SECONDS = 30.0
STOP_SECONDS = 5.0
MAX_MESSAGE = 2000


@dataclass(frozen=True, slots=True)
class Injection:
    """Calls `action` once, `at_second` seconds after the warm-up, while the load runs."""

    at_second: float
    action: Callable[[], object]


@dataclass(frozen=True, slots=True)
class LoadRun:
    """What a load test left: the rows file, the generator's summary, and when each injection really happened.

    `injected_at` are seconds since the test began (warm-up included), in the order of the injections.
    """

    rows: bytes
    summary: GeneratorSummary
    injected_at: tuple[float, ...]


class LoadHook:
    """Starts load generators under `workdir`, one at a time per target. A stop lever there ends them (`stop_lever`)."""

    def __init__(self, workdir: Path, *, python: str = sys.executable) -> None:
        self._workdir = workdir
        self._python = python

    def run(
        self,
        plan: LoadPlan | JourneyPlan,
        *,
        locustfile: bytes | None = None,
        on_tick: Callable[[], None] | None = None,
        injections: Sequence[Injection] = (),
    ) -> LoadRun:
        """Rows and summary of one test, also of one that was cut short.

        `on_tick` is called about ten times a second; what it or an injection raises ends the load and passes on. The
        generator is gone when this returns, however it returns. A plan of journeys needs its `locustfile`.
        Raises LoadError: 101-104, 111-119, 301, 302, 304 refused before any load; 311 the generator failed; 312 it did not end;
        833-837 journeys that cannot be run.
        """
        self._make_workdir()
        require_not_pulled(self._workdir)
        with tempfile.TemporaryDirectory(prefix=TEST_PREFIX, dir=self._workdir) as name:
            directory = Path(name)
            (directory / PLAN).write_bytes(document_bytes(plan.document()))
            if locustfile is not None:
                (directory / LOCUSTFILE).write_bytes(locustfile)
            renew(directory / LEASE, controller=os.getpid(), count=0)
            with (directory / "stderr").open("wb") as messages:
                process = self._start(directory, messages, engine=LOCUST if isinstance(plan, JourneyPlan) else OPEN_LOOP)
            try:
                injected = _Supervisor(process, directory, plan).watch(on_tick, injections)
            finally:
                _end(process)
            return _result(directory, process.returncode, injected)

    def _make_workdir(self) -> None:
        try:
            self._workdir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LoadError(
                311, where="load generator", what="has no directory to work in", got=f"{self._workdir}: {error.strerror}",
                fix="give write permission in the workspace",
            ) from None  # fmt: skip

    def _start(self, directory: Path, messages: BinaryIO, *, engine: str) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                [self._python, "-m", engine, str(directory / PLAN)],
                cwd=directory,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=messages,
                start_new_session=True,
            )
        except OSError as error:
            raise LoadError(
                311, where="load generator", what="cannot be started", got=f"{self._python}: {error.strerror}",
                fix="install perfproof for the Python that runs this task",
            ) from None  # fmt: skip


class _Supervisor:
    """Renews the lease, keeps the deadline and injects what is due, all in the calling thread.

    If this thread hangs, the lease lapses and the load ends: a controller that cannot act is no controller.
    """

    def __init__(self, process: subprocess.Popen[bytes], directory: Path, plan: LoadPlan | JourneyPlan) -> None:
        self._process = process
        self._directory = directory
        self._plan = plan
        self._started = time.monotonic()
        self._began: float | None = None
        self._pulled: float | None = None

    def watch(self, on_tick: Callable[[], None] | None, injections: Sequence[Injection]) -> tuple[float, ...]:
        """When each injection happened, once the generator has ended. Raises LoadError 312 after the deadline."""
        pending = sorted(injections, key=lambda i: i.at_second)
        happened: list[float] = []
        renewed, count = self._started, 0
        while self._process.poll() is None:
            now = time.monotonic()
            if now - renewed >= RENEW_SECONDS:
                renewed, count = now, count + 1
                renew(self._directory / LEASE, controller=os.getpid(), count=count)
            self._check_deadline(now)
            began = self._begin()
            if self._is_pulled(now):
                pending.clear()
            if pending and began is not None and now >= began + self._plan.warmup_seconds + pending[0].at_second:
                happened.append(round(now - began, 6))
                pending.pop(0).action()
            if on_tick is not None:
                on_tick()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(TICK_SECONDS)
        return tuple(happened)

    def _begin(self) -> float | None:
        if self._began is None:
            with contextlib.suppress(FileNotFoundError):
                data = (self._directory / PROGRESS).read_bytes()
                self._began = float(read_json(data, where=PROGRESS, error=LoadError, number=311)["began"])
        return self._began

    def _is_pulled(self, now: float) -> bool:
        """Whether the lever is pulled. The generator sees it too, so it is only ended from here if it does not act."""
        if self._pulled is None and reason_of(self._directory.parent) is not None:
            self._pulled = now
        if self._pulled is not None and now > self._pulled + STOP_SECONDS:
            raise LoadError(
                312, where=f"load plan {self._plan.scenario}", what="the generator did not end when the load of the run was stopped",
                got=f"{now - self._pulled:.0f} s", fix="look at the load of this host",
            )  # fmt: skip
        return self._pulled is not None

    def _check_deadline(self, now: float) -> None:
        begin = self._begin()
        limit = self._started + STARTUP_SECONDS if begin is None else begin + self._plan.deadline + STOP_SECONDS
        if now > limit:
            raise LoadError(
                312,
                where=f"load plan {self._plan.scenario}",
                what="the generator did not start in time" if begin is None else "the generator did not end in time",
                got=f"{now - self._started:.0f} s",
                fix="look at the load of this host, then run the test again",
            )


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends the generator's process group: politely, so that it keeps its rows, then at once."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            break
        with contextlib.suppress(ProcessLookupError):
            # A stopped process takes no SIGTERM before it continues.
            os.killpg(process.pid, signal.SIGCONT)
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)


def _result(directory: Path, exit_code: int, injected: tuple[float, ...]) -> LoadRun:
    summary_path, rows_path = directory / SUMMARY, directory / ROWS
    if not summary_path.exists():
        message = (directory / "stderr").read_bytes()[-MAX_MESSAGE:].decode(errors="replace").strip()
        raise LoadError(
            311,
            where="load generator",
            what=f"ended with code {exit_code} and left no summary",
            got=message.rpartition("\n")[2] or "no message",
            fix="run the test again; if it fails again, report the message",
        )
    document = read_json(summary_path.read_bytes(), where=SUMMARY, error=LoadError, number=311)
    if document.get("outcome") == Outcome.REFUSED:
        raise _refusal(document["refusal"])
    return LoadRun(rows_path.read_bytes(), read_summary(document), injected)


def _refusal(parts: dict[str, Any]) -> LoadError:
    return LoadError(
        int(parts["number"]),
        where=parts["where"],
        what=parts["what"],
        got=parts.get("got"),
        expected=parts.get("expected"),
        fix=parts["fix"],
    )


def _environment() -> dict[str, str]:
    """No secrets and no proxies: the generator needs its modules and nothing else."""
    roots = [str(Path(module.__file__).resolve().parents[1]) for module in (perfproof, perfproof_airflow) if module.__file__]
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "TMPDIR", LOCUST_PYTHON) if name in os.environ}
    return {**kept, "PYTHONPATH": os.pathsep.join(roots), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"}
