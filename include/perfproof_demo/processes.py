"""Detached processes: each has a pid file, is told apart from strangers by its command line, and can be stopped by name."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psutil

from perfproof_demo.errors import DemoError
from perfproof_demo.settings import HOST, DemoSettings

PYTHON_PROCESSES = ("metrics", "shop-baseline", "shop-candidate", "traffic")
LOG_LIMIT_BYTES = 5 << 20


class ProcessState(NamedTuple):
    """A process of the demo that was started and not stopped; `alive` is False when it died by itself."""

    name: str
    pid: int
    alive: bool


def read_pid(path: Path) -> int | None:
    """The pid in the first line of a pid file, or None if there is none (initdb leaves a negative number when it is cut off)."""
    try:
        pid = int(path.read_text().split("\n", 1)[0])
    except (FileNotFoundError, ValueError):
        return None
    return pid if pid > 0 else None


def is_ours(pid: int, marks: tuple[str, ...]) -> bool:
    """True if `pid` runs and its command line holds one of `marks`: a pid may belong to a stranger by now."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        arguments = process.cmdline()
    except psutil.Error:
        return False
    return any(mark in arguments for mark in marks)


def is_ending(pid: int) -> bool:
    """True for a process that was ended and is still listed: it has no command line any more."""
    try:
        process = psutil.Process(pid)
        return process.status() == psutil.STATUS_ZOMBIE or not process.cmdline()
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:
        return True


def running_pid(settings: DemoSettings, name: str) -> int | None:
    """The pid of the demo's process `name`, or None if it does not run."""
    pid = read_pid(settings.pid_file(name))
    return pid if pid is not None and is_ours(pid, _marks(settings, name)) else None


def start_detached(
    settings: DemoSettings,
    name: str,
    arguments: list[str],
    *,
    environment: Mapping[str, str],
    ready: Callable[[], bool],
    seconds: float = 20,
) -> int:
    """Starts `arguments` in a session of its own and waits until `ready()`. The pid, also written to the pid file.

    The process' output goes to logs/<name>.log. Raises DemoError with the last line of it when it ends or is not
    ready in time; then nothing is left running.
    """
    settings.run_directory.mkdir(parents=True, exist_ok=True)
    settings.log_directory.mkdir(parents=True, exist_ok=True)
    log = settings.log_directory / f"{name}.log"
    if log.exists() and log.stat().st_size > LOG_LIMIT_BYTES:
        log.replace(log.with_suffix(".log.1"))
    with log.open("ab") as output:
        process = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
            cwd=settings.home,
            start_new_session=True,
        )
    _write_pid(settings.pid_file(name), process.pid)
    try:
        wait_until(ready, seconds=seconds, stop=lambda: process.poll() is not None)
    except TimeoutError:
        ended = process.poll()
        stop_process(settings, name)
        lines = log.read_text(errors="replace").strip().splitlines() or ["nothing"]
        what = f"did not answer within {seconds:.0f} s" if ended is None else f"ended with exit code {ended}"
        raise DemoError(111, where=name, what=what, got=lines[-1], fix=f"read {log}") from None
    finally:
        # It is meant to outlive this process: without a return code Popen would warn when it is forgotten.
        process.returncode = process.returncode or 0
    return process.pid


def python_arguments(settings: DemoSettings, name: str, module: str) -> list[str]:
    """The command that runs `module` as the demo's process `name`; the last argument is what `running_pid` knows it by."""
    return [sys.executable, "-m", module, _marks(settings, name)[0]]


def stop_process(settings: DemoSettings, name: str, *, seconds: float = 5) -> bool:
    """Ends the process `name` (SIGTERM, after `seconds` SIGKILL) and removes its pid file. True if it ran."""
    pid = running_pid(settings, name)
    if pid is not None:
        end_process(pid, seconds=seconds)
    settings.pid_file(name).unlink(missing_ok=True)
    return pid is not None


def end_process(pid: int, *, first: signal.Signals = signal.SIGTERM, seconds: float) -> None:
    """Sends `first` to `pid`, and SIGKILL if it still runs after `seconds`; returns when it is gone."""
    try:
        process = psutil.Process(pid)
        process.send_signal(first)
        try:
            process.wait(seconds)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(seconds)
    except psutil.NoSuchProcess:
        return


def states(settings: DemoSettings, names: tuple[str, ...] = PYTHON_PROCESSES) -> list[ProcessState]:
    """The processes of `names` that have a pid file."""
    found = []
    for name in names:
        pid = read_pid(settings.pid_file(name))
        if pid is not None:
            found.append(ProcessState(name, pid, is_ours(pid, _marks(settings, name))))
    return found


def require_free_port(settings: DemoSettings, name: str, *, seconds: float = 3) -> int:
    """The port of `name`. Raises DemoError if somebody else listens there.

    The port of a killed process is still taken for a moment, so this looks for up to `seconds`.
    """
    port = settings.port(name)
    try:
        wait_until(lambda: _is_free(port), seconds=seconds)
    except TimeoutError:
        raise DemoError(112, where=name, what=f"port {port} is taken", fix="stop what listens there, or set DEMO_PORT_BASE") from None
    return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def wait_until(ready: Callable[[], bool], *, seconds: float, stop: Callable[[], bool] = lambda: False) -> None:
    """Returns when `ready()`; raises TimeoutError after `seconds`, or at once when `stop()`."""
    deadline = time.monotonic() + seconds
    while not ready():
        if stop() or time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.05)


@contextmanager
def exclusive(settings: DemoSettings, name: str) -> Iterator[None]:
    """Holds the demo's lock `name`, so that two command lines do not deploy or start the same thing at once."""
    import fcntl

    settings.run_directory.mkdir(parents=True, exist_ok=True)
    with (settings.run_directory / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _marks(settings: DemoSettings, name: str) -> tuple[str, ...]:
    own = f"--demo-process={settings.home}:{name}"
    return (own, prometheus_storage(settings)) if name == "metrics" else (own,)


def prometheus_storage(settings: DemoSettings) -> str:
    """The argument that a real Prometheus server of this demo is known by."""
    return f"--storage.tsdb.path={settings.home / 'prometheus'}"


def _write_pid(path: Path, pid: int) -> None:
    temporary = path.with_suffix(".pid.new")
    temporary.write_text(f"{pid}\n")
    temporary.replace(path)
