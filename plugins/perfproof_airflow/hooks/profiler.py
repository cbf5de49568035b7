"""Profiles Python with py-spy: the running service that a pid file names, or a command that is started for it."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from perfproof.errors import ProfileError
from perfproof_airflow.hooks import py_spy
from perfproof_airflow.hooks.py_spy import Recording

__all__ = ["CommandProfilerHook", "ProfilerHook", "Recording"]
LISTENING = "0A"


class ProfilerHook:
    """Wraps `py-spy record`. The process must own the listening socket of `port`: a stale pid file never profiles another.

    :param pid_file: file with the process id of the service, in digits
    :param port: port of the endpoint on this machine
    :param executable: py-spy; by default the one beside this Python, else the one on PATH
    """

    def __init__(self, *, pid_file: Path, port: int, executable: Path | None = None) -> None:
        self.pid_file = pid_file
        self.port = port
        self.executable = executable

    def pid(self) -> int:
        """The process that the pid file names, checked. Raises ProfileError if it is not alive or does not serve the port."""
        where = str(self.pid_file)
        try:
            text = self.pid_file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ProfileError(151, where=where, what="the pid file cannot be read", got=str(error), fix="start the service") from None
        if not re.fullmatch(r"[0-9]{1,10}", text) or int(text) < 2:
            raise ProfileError(152, where=where, what="no process id", got=text, expected="digits", fix="let the service write its pid")
        pid = int(text)
        if not Path("/proc/self/fd").is_dir():
            raise ProfileError(153, where=where, what="processes are checked through /proc", got=sys.platform, fix="profile on Linux")
        if not Path(f"/proc/{pid}").is_dir():
            raise ProfileError(154, where=where, what="the process is not alive", got=pid, fix="start the service")
        if not self._listens(pid):
            raise ProfileError(
                155, where=where, what=f"the process does not listen on port {self.port}", got=pid,
                fix="correct the pid file, and profile as the service's user or as root",
            )  # fmt: skip
        return pid

    def _listens(self, pid: int) -> bool:
        sockets = set()
        for table in (Path(f"/proc/{pid}/net/tcp"), Path(f"/proc/{pid}/net/tcp6")):
            try:
                lines = table.read_text(encoding="ascii").splitlines()[1:]
            except OSError:
                continue
            for line in lines:
                fields = line.split()
                if fields[3] == LISTENING and int(fields[1].rpartition(":")[2], 16) == self.port:
                    sockets.add(f"socket:[{fields[9]}]")
        try:
            descriptors = list(Path(f"/proc/{pid}/fd").iterdir())
        except OSError:
            return False
        return any(_link(descriptor) in sockets for descriptor in descriptors)

    def record(self, *, seconds: float, rate_hz: int, nonblocking: bool = False) -> Recording:
        """Samples the service for `seconds` at `rate_hz`; the call takes as long.

        Only samples that hold the interpreter's lock count: without that, threads waiting for a lock, a socket or the
        event loop pass for running ones. Native code that releases the lock is not seen. Sampling pauses the process
        for well under a millisecond each time; `nonblocking` avoids that at the price of wrong stacks. Measured blocks
        must not run meanwhile. Raises ProfileError.
        """
        py_spy.check_bounds(seconds=seconds, rate_hz=rate_hz)
        program, pid = py_spy.program_of(self.executable), self.pid()
        started = _started(pid)
        options = ["--nonblocking"] if nonblocking else []
        recording = py_spy.record(program, pid=pid, seconds=seconds, rate_hz=rate_hz, options=options, where=str(self.pid_file))
        if _started(pid) != started:
            raise ProfileError(158, where=str(self.pid_file), what="the process ended while it was profiled", got=pid, fix="profile again")
        return recording


class CommandProfilerHook:
    """Starts a Python command under `py-spy record`, which needs no rights over the processes of others, and ends it with the recording.

    :param command: program and arguments; no shell reads them
    :param directory: where it runs; by default here
    :param executable: py-spy; by default the one beside this Python, else the one on PATH
    """

    def __init__(self, command: Sequence[str], *, directory: Path | None = None, executable: Path | None = None) -> None:
        if isinstance(command, str) or not command or not command[0] or any("\0" in word for word in command):
            raise ProfileError(
                795, where="command", what="not a program with its arguments", got=repr(command), expected="a list of words",
                fix="give the words of the command one by one",
            )  # fmt: skip
        self.command = tuple(command)
        self.directory = directory
        self.executable = executable

    def record(self, *, seconds: float, rate_hz: int) -> Recording:
        """Samples the command for `seconds` at most, from its start; one that ends earlier ends the recording. Raises ProfileError."""
        program = py_spy.program_of(self.executable)
        return py_spy.record(
            program, command=self.command, seconds=seconds, rate_hz=rate_hz, directory=self.directory, where=self.command[0]
        )


def _link(descriptor: Path) -> str:
    try:
        return str(descriptor.readlink())
    except OSError:
        return ""


def _started(pid: int) -> str | None:
    """The start time of the process in clock ticks: with the pid it names one process for ever."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None
