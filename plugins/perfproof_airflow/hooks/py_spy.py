"""Runs `py-spy record`, on a process or on a command that it starts, and gives the collapsed stacks. Nothing it started stays behind."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from perfproof.errors import ProfileError

MAX_BYTES = 64 << 20
MAX_SECONDS = 600.0
MAX_RATE = 1000
# py-spy needs this long beyond the recording to start, to read the symbols and to write.
GRACE_SECONDS = 30.0
# What py-spy says, and what a command says that it started. Only the end is kept.
MAX_SAID = 1 << 16
READER_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Recording:
    """Collapsed stacks of one process. `errors` counts samples that the profiler could not take, None if it did not say.

    `pid` is None where the process was asked over the network, or is gone because the profiler had started it.
    """

    collapsed: str
    pid: int | None
    seconds: float
    rate_hz: int
    profiler: str
    errors: int | None


def check_bounds(*, seconds: float, rate_hz: int) -> None:
    """Raises ProfileError 156 unless the recording is bounded in time and rate."""
    if not 0 < seconds <= MAX_SECONDS or not 0 < rate_hz <= MAX_RATE:
        raise ProfileError(
            156, where="profiler", what="duration or rate out of range", got=f"{seconds:g} s at {rate_hz} Hz",
            expected=f"at most {MAX_SECONDS:g} s at {MAX_RATE} Hz", fix="choose less",
        )  # fmt: skip


def program_of(executable: Path | None) -> Path:
    """The given py-spy, else the one beside this Python, else the one on PATH."""
    beside = Path(sys.executable).parent / "py-spy"
    found = executable or (beside if beside.exists() else shutil.which("py-spy"))
    if found is None:
        raise ProfileError(159, where="profiler", what="py-spy is not installed", fix="install the package py-spy")
    return Path(found)


def record(
    program: Path,
    *,
    pid: int | None = None,
    command: Sequence[str] = (),
    seconds: float,
    rate_hz: int,
    options: Sequence[str] = (),
    directory: Path | None = None,
    where: str,
) -> Recording:
    """Samples the process `pid`, or `command` (an argument list, no shell), which is ended with the recording.

    Only samples that hold the interpreter's lock count. `directory` is where a command runs. Raises ProfileError 156 to 162.
    """
    check_bounds(seconds=seconds, rate_hz=rate_hz)
    with tempfile.TemporaryDirectory(prefix="perfproof-profile-") as temporary:
        output = Path(temporary) / "stacks.txt"
        # py-spy takes whole seconds.
        whole = max(1, round(seconds))
        taken = ["-d", str(whole), "-r", str(rate_hz), "-f", "raw", "--gil", "-o", str(output), *options]
        target = ["-p", str(pid)] if pid is not None else ["--", *command]
        began = time.monotonic()
        said = run([str(program), "record", *taken, *target], timeout=whole + GRACE_SECONDS, directory=directory)
        took = time.monotonic() - began
        if not output.exists() or output.stat().st_size > MAX_BYTES:
            raise ProfileError(157, where=where, what="py-spy wrote no usable profile", got=said, fix="see its message")
        text = output.read_text(encoding="utf-8", errors="replace")
    errors = re.findall(r"Errors: ([0-9]+)", said)
    lasted = float(whole) if pid is not None else round(min(float(whole), took), 2)
    version = run([str(program), "--version"], timeout=GRACE_SECONDS) or "py-spy"
    return Recording(text, pid, lasted, rate_hz, f"{version} --gil", int(errors[-1]) if errors else None)


def run(command: list[str], *, timeout: float, directory: Path | None = None) -> str:
    """The end of what `command` said. It and everything it started is gone afterwards. Raises ProfileError 160, 161, 162."""
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=directory, start_new_session=True
        )
    except OSError as error:
        raise ProfileError(161, where="py-spy", what="could not be started", got=str(error), fix="install the package py-spy") from None
    said = bytearray()
    reader = threading.Thread(target=_keep_end, args=(process.stdout, said), daemon=True)
    reader.start()
    try:
        code = process.wait(timeout)
    except subprocess.TimeoutExpired:
        raise ProfileError(160, where="py-spy", what="did not end in time", expected=f"{timeout:g} s", fix="profile again") from None
    finally:
        # A command may have started others, which py-spy does not know.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        reader.join(READER_SECONDS)
        if not reader.is_alive() and process.stdout is not None:
            process.stdout.close()
    text = bytes(said).decode("utf-8", "replace").strip()
    if code:
        raise _failed(code, text)
    return text


def _keep_end(stream: IO[bytes] | None, said: bytearray) -> None:
    """A command that prints without end fills no memory."""
    while stream is not None and (chunk := os.read(stream.fileno(), MAX_SAID)):
        said += chunk
        del said[:-MAX_SAID]


def _failed(code: int, said: str) -> ProfileError:
    lowered = said.lower()
    denied = "permission" in lowered or "not permitted" in lowered
    fix = "give the worker ptrace rights (root, or the capability SYS_PTRACE)" if denied else "see its message; the service must be Python"
    return ProfileError(162, where="py-spy", what=f"ended with {code}", got=said, fix=fix)
