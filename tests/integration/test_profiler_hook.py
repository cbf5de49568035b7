"""The profiler hook with the real py-spy on a child process that computes and listens."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from perfproof.errors import ProfileError
from perfproof.profile_formats.collapsed import parse_collapsed
from perfproof.profiles import hot_functions, normalise
from perfproof_airflow.hooks import py_spy
from perfproof_airflow.hooks.profiler import CommandProfilerHook, ProfilerHook

SERVICE = """
import socket, sys
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)

def spin_here():
    return sum(i * i for i in range(2000))

while True:
    spin_here()
"""


class Child:
    """A listening Python process, and the pid file that names it."""

    def __init__(self, process: subprocess.Popen[str], port: int, pid_file: Path) -> None:
        self.process = process
        self.port = port
        self.pid_file = pid_file


@pytest.fixture
def child(tmp_path: Path) -> Iterator[Child]:
    with subprocess.Popen([sys.executable, "-c", SERVICE], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        pid_file = tmp_path / "service.pid"
        pid_file.write_text(f"{process.pid}\n")
        try:
            yield Child(process, port, pid_file)
        finally:
            process.kill()


def record(child: Child) -> str:
    """The stacks of one second, or a skip where ptrace is not allowed."""
    try:
        recording = ProfilerHook(pid_file=child.pid_file, port=child.port).record(seconds=1, rate_hz=100)
    except ProfileError as error:
        if "ptrace rights" in error.fix:
            pytest.skip("this user may not attach to processes")
        raise
    assert recording.pid == child.process.pid
    assert recording.profiler.startswith("py-spy")
    return recording.collapsed


def test_a_recording_shows_the_function_that_computes(child: Child) -> None:
    """The function that spins carries nearly all samples of the profile."""
    profile = normalise(parse_collapsed(record(child), where="recording"))
    assert profile.samples > 30
    hot = {h.function: h for h in hot_functions(profile)}
    spinning = [h for name, h in hot.items() if "spin_here" in name or "genexpr" in name]
    assert sum(h.own for h in spinning) > 0.8


def test_a_process_that_does_not_serve_the_port_is_not_profiled(child: Child) -> None:
    """A recycled pid names a stranger: the listening socket decides."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        hook = ProfilerHook(pid_file=child.pid_file, port=other.getsockname()[1])
        with pytest.raises(ProfileError, match="does not listen"):
            hook.record(seconds=1, rate_hz=100)


@pytest.mark.parametrize("text", ["", "abc", "-1", "1", "0", "12 34", "99999999999", "１２３４"])
def test_a_pid_file_without_a_pid_is_refused(tmp_path: Path, text: str) -> None:
    """Nothing but one plain number above 1 names a process."""
    pid_file = tmp_path / "x.pid"
    pid_file.write_text(text)
    with pytest.raises(ProfileError, match=r"PRO-15[12]"):
        ProfilerHook(pid_file=pid_file, port=1).pid()


def test_a_missing_pid_file_says_what_to_do(tmp_path: Path) -> None:
    """A service that was not started has no pid file."""
    with pytest.raises(ProfileError, match="start the service"):
        ProfilerHook(pid_file=tmp_path / "none.pid", port=1).pid()


def test_a_dead_process_is_refused(tmp_path: Path) -> None:
    """The pid of a process that has ended is stale."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    pid_file = tmp_path / "x.pid"
    pid_file.write_text(str(process.pid))
    with pytest.raises(ProfileError, match="not alive"):
        ProfilerHook(pid_file=pid_file, port=1).pid()


def test_the_last_words_of_the_profiler_reach_the_error(child: Child, tmp_path: Path) -> None:
    """A profiler that fails is an error with its message, never an empty profile."""
    fake = tmp_path / "py-spy"
    fake.write_text("#!/bin/sh\necho 'Permission Denied: try sudo' >&2\nexit 1\n")
    fake.chmod(0o755)
    with pytest.raises(ProfileError, match="SYS_PTRACE") as caught:
        ProfilerHook(pid_file=child.pid_file, port=child.port, executable=fake).record(seconds=1, rate_hz=100)
    assert "Permission Denied" in str(caught.value)


def test_a_profiler_that_writes_nothing_is_an_error(child: Child, tmp_path: Path) -> None:
    """Ending well without a profile is not a profile."""
    fake = tmp_path / "py-spy"
    fake.write_text("#!/bin/sh\nexit 0\n")
    fake.chmod(0o755)
    with pytest.raises(ProfileError, match="no usable profile"):
        ProfilerHook(pid_file=child.pid_file, port=child.port, executable=fake).record(seconds=1, rate_hz=100)


@pytest.mark.parametrize(("seconds", "rate"), [(0, 100), (1e9, 100), (1, 0), (1, 10**6), (float("nan"), 100)])
def test_unbounded_recordings_are_refused(tmp_path: Path, seconds: float, rate: int) -> None:
    """Duration and rate have limits."""
    with pytest.raises(ProfileError, match="out of range"):
        ProfilerHook(pid_file=tmp_path / "x", port=1).record(seconds=seconds, rate_hz=rate)


def test_this_process_listening_is_recognised(tmp_path: Path) -> None:
    """The check itself finds a listener that is there."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        pid_file = tmp_path / "own.pid"
        pid_file.write_text(str(os.getpid()))
        assert ProfilerHook(pid_file=pid_file, port=listener.getsockname()[1]).pid() == os.getpid()


WORK = """
import os, subprocess, sys, time

def spin_here():
    return sum(i * i for i in range(2000))

def main(seconds, marker):
    open(marker, "w").write(str(os.getpid()))
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        spin_here()
        for word in sys.argv[3:]:
            print(word)

main(float(sys.argv[1]), sys.argv[2])
"""


def alive(pid: int) -> bool:
    """Whether a process of that id runs; one that has ended and waits for its parent does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_command_is_started_profiled_and_ended(tmp_path: Path) -> None:
    """Its function carries the samples, its arguments reach it as they are, and it is gone with the recording."""
    script, marker = tmp_path / "work.py", tmp_path / "pid; touch injected"
    script.write_text(WORK)
    hook = CommandProfilerHook([sys.executable, str(script), "60", str(marker)], directory=tmp_path)
    recording = hook.record(seconds=1, rate_hz=100)
    profile = normalise(parse_collapsed(recording.collapsed, where="recording"))
    assert profile.samples > 30
    assert sum(h.own for h in hot_functions(profile) if "spin_here" in h.function) > 0.8
    assert (recording.pid, recording.rate_hz) == (None, 100)
    # py-spy tells how many of the asked samples it got.
    assert 0.5 < recording.seconds <= 1.0
    assert not alive(int(marker.read_text()))
    assert not (tmp_path / "injected").exists(), "no shell reads the arguments"


def test_a_command_that_ends_early_ends_the_recording(tmp_path: Path) -> None:
    """Half a second of work is half a second of profile, not ten."""
    script = tmp_path / "work.py"
    script.write_text(WORK)
    recording = CommandProfilerHook([sys.executable, str(script), "0.5", str(tmp_path / "pid")]).record(seconds=10, rate_hz=100)
    assert 0.4 < recording.seconds < 5
    assert "spin_here" in recording.collapsed


def test_a_command_that_prints_without_end_fills_no_memory(tmp_path: Path) -> None:
    """It is profiled like any other, and only the end of what it says is kept."""
    script = tmp_path / "work.py"
    script.write_text(WORK)
    words = ["x" * 1000] * 50
    recording = CommandProfilerHook([sys.executable, str(script), "60", str(tmp_path / "pid"), *words]).record(seconds=1, rate_hz=100)
    assert "spin_here" in recording.collapsed
    said = py_spy.run([sys.executable, "-c", "for i in range(300000): print('line', i)"], timeout=20)
    assert len(said) <= py_spy.MAX_SAID
    assert said.endswith("line 299999")


def test_what_a_command_started_is_gone_too(tmp_path: Path) -> None:
    """A child of the command outlives neither the recording nor the profiler."""
    script, child = tmp_path / "work.py", tmp_path / "child"
    script.write_text(
        "import subprocess, sys\n"
        f"p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(300)'])\nopen({str(child)!r}, 'w').write(str(p.pid))\n"
        + WORK
    )
    CommandProfilerHook([sys.executable, str(script), "60", str(tmp_path / "pid")]).record(seconds=1, rate_hz=100)
    assert not alive(int(child.read_text()))


def test_a_profiler_that_hangs_is_ended_with_its_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time is bounded, and nothing stays behind."""
    monkeypatch.setattr(py_spy, "GRACE_SECONDS", 0.2)
    fake = tmp_path / "py-spy"
    fake.write_text(f"#!/bin/sh\nsleep 300 &\necho $! > {tmp_path / 'child'}\nwait\n")
    fake.chmod(0o755)
    with pytest.raises(ProfileError, match="PRO-160"):
        CommandProfilerHook(["python"], executable=fake).record(seconds=1, rate_hz=100)
    assert not alive(int((tmp_path / "child").read_text()))


@pytest.mark.parametrize("command", [[], [""], "python work.py", ["python", "a\0b"]])
def test_what_is_no_list_of_words_is_no_command(command: Any) -> None:
    """A text would have to be taken apart, which is what a shell does."""
    with pytest.raises(ProfileError, match="PRO-795"):
        CommandProfilerHook(command)


@pytest.mark.parametrize(("words", "said"), [(["/no/such/program"], "No such file"), (["sleep", "5"], "python")])
def test_a_command_that_cannot_be_profiled_says_why(words: list[str], said: str) -> None:
    """It is not there, or it is not Python."""
    with pytest.raises(ProfileError, match="PRO-162") as caught:
        CommandProfilerHook(words).record(seconds=1, rate_hz=100)
    assert said in str(caught.value)
