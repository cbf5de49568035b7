"""Profiles a running service with py-spy: collapsed stacks of the process that its pid file names."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from perfproof.errors import ProfileError

MAX_BYTES = 64 << 20
MAX_SECONDS = 600.0
MAX_RATE = 1000
# py-spy needs this long beyond the recording to start, to read the symbols and to write.
GRACE_SECONDS = 30.0
LISTENING = "0A"


@dataclass(frozen=True, slots=True)
class Recording:
    """Collapsed stacks of one process. `errors` counts samples that the profiler could not take, None if it did not say.

    `pid` is None where the process was asked over the network.
    """

    collapsed: str
    pid: int | None
    seconds: float
    rate_hz: int
    profiler: str
    errors: int | None


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
        if not 0 < seconds <= MAX_SECONDS or not 0 < rate_hz <= MAX_RATE:
            raise ProfileError(
                156, where="profiler", what="duration or rate out of range", got=f"{seconds:g} s at {rate_hz} Hz",
                expected=f"at most {MAX_SECONDS:g} s at {MAX_RATE} Hz", fix="choose less",
            )  # fmt: skip
        program, pid = self._program(), self.pid()
        started = _started(pid)
        with tempfile.TemporaryDirectory(prefix="perfproof-profile-") as directory:
            output = Path(directory) / "stacks.txt"
            # py-spy takes whole seconds.
            whole = max(1, round(seconds))
            command = [
                str(program),
                "record",
                "-p",
                str(pid),
                "-d",
                str(whole),
                "-r",
                str(rate_hz),
                "-f",
                "raw",
                "--gil",
                "-o",
                str(output),
            ]
            said = _run([*command, *(["--nonblocking"] if nonblocking else [])], timeout=whole + GRACE_SECONDS)
            if not output.exists() or output.stat().st_size > MAX_BYTES:
                raise ProfileError(157, where=str(self.pid_file), what="py-spy wrote no usable profile", got=said, fix="see its message")
            text = output.read_text(encoding="utf-8", errors="replace")
        if _started(pid) != started:
            raise ProfileError(158, where=str(self.pid_file), what="the process ended while it was profiled", got=pid, fix="profile again")
        errors = re.search(r"Errors: ([0-9]+)", said)
        return Recording(text, pid, float(whole), rate_hz, f"{_version(program)} --gil", int(errors[1]) if errors else None)

    def _program(self) -> Path:
        beside = Path(sys.executable).parent / "py-spy"
        found = self.executable or (beside if beside.exists() else shutil.which("py-spy"))
        if found is None:
            raise ProfileError(159, where="profiler", what="py-spy is not installed", fix="install the package py-spy")
        return Path(found)


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


def _run(command: list[str], *, timeout: float) -> str:
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired:
        raise ProfileError(160, where="py-spy", what="did not end in time", expected=f"{timeout:g} s", fix="profile again") from None
    except OSError as error:
        raise ProfileError(161, where="py-spy", what="could not be started", got=str(error), fix="install the package py-spy") from None
    said = done.stdout.decode("utf-8", "replace").strip()
    if done.returncode:
        lowered = said.lower()
        denied = "permission" in lowered or "not permitted" in lowered
        fix = (
            "give the worker ptrace rights (root, or the capability SYS_PTRACE)"
            if denied
            else "see its message; the service must be Python"
        )
        raise ProfileError(162, where="py-spy", what=f"ended with {done.returncode}", got=said, fix=fix)
    return said


def _version(program: Path) -> str:
    return _run([str(program), "--version"], timeout=GRACE_SECONDS) or "py-spy"
