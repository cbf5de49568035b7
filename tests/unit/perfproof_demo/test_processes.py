"""Detached processes: started once, found again, told apart from strangers, stopped."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from perfproof_demo.errors import DemoError
from perfproof_demo.processes import (
    end_process,
    python_arguments,
    read_pid,
    require_free_port,
    running_pid,
    start_detached,
    states,
    stop_process,
)
from perfproof_demo.settings import DemoSettings

SLEEPER = "import pathlib,sys,time; pathlib.Path(sys.argv[1]).touch(); time.sleep(60)"


def start_sleeper(settings: DemoSettings, tmp_path: Path) -> int:
    """A process that says it is ready and waits, known as the demo's traffic."""
    ready = tmp_path / "ready"
    mark = python_arguments(settings, "traffic", "x")[-1]
    arguments = [sys.executable, "-c", SLEEPER, str(ready), mark]
    return start_detached(settings, "traffic", arguments, environment={}, ready=ready.exists)


def test_a_started_process_is_found_and_stopped(tmp_path: Path) -> None:
    """It has a session of its own, is listed as alive, and leaves nothing when it is stopped; stopping again is nothing."""
    settings = DemoSettings(home=tmp_path)
    pid = start_sleeper(settings, tmp_path)
    try:
        assert os.getsid(pid) == pid
        assert running_pid(settings, "traffic") == pid
        assert [(state.name, state.pid, state.alive) for state in states(settings)] == [("traffic", pid, True)]
    finally:
        assert stop_process(settings, "traffic")
    assert states(settings) == []
    assert not stop_process(settings, "traffic")


def test_a_killed_process_is_listed_as_dead(tmp_path: Path) -> None:
    """Until it is stopped or started again, so that somebody sees it."""
    settings = DemoSettings(home=tmp_path)
    pid = start_sleeper(settings, tmp_path)
    end_process(pid, seconds=5)
    assert running_pid(settings, "traffic") is None
    assert [state.alive for state in states(settings)] == [False]


def test_a_stranger_with_our_pid_is_left_alone(tmp_path: Path) -> None:
    """Pids are used again: a pid file is believed only if the command line is ours."""
    settings = DemoSettings(home=tmp_path)
    settings.run_directory.mkdir()
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as stranger:
        try:
            settings.pid_file("traffic").write_text(f"{stranger.pid}\n")
            assert running_pid(settings, "traffic") is None
            assert not stop_process(settings, "traffic")
            assert stranger.poll() is None
            assert not settings.pid_file("traffic").exists()
        finally:
            stranger.kill()


def test_a_process_of_another_demo_is_a_stranger(tmp_path: Path) -> None:
    """Two demos on one machine do not stop each other."""
    mine, other = DemoSettings(home=tmp_path / "mine"), DemoSettings(home=tmp_path / "other")
    for settings in (mine, other):
        settings.home.mkdir()
    pid = start_sleeper(mine, tmp_path)
    try:
        other.run_directory.mkdir()
        other.pid_file("traffic").write_text(f"{pid}\n")
        assert not stop_process(other, "traffic")
        assert running_pid(mine, "traffic") == pid
    finally:
        stop_process(mine, "traffic")


def test_a_program_that_ends_at_once_says_why(tmp_path: Path) -> None:
    """The error holds the exit code and the last line of its output, and nothing stays behind."""
    settings = DemoSettings(home=tmp_path)
    arguments = [sys.executable, "-c", "raise SystemExit('no such thing')", "mark"]
    with pytest.raises(DemoError, match=r"exit code 1.*no such thing"):
        start_detached(settings, "metrics", arguments, environment={}, ready=lambda: False)
    assert states(settings) == []


def test_a_program_that_is_never_ready_is_stopped(tmp_path: Path) -> None:
    """A half-started demo would take the port of the next try."""
    settings = DemoSettings(home=tmp_path)
    mark = python_arguments(settings, "traffic", "x")[-1]
    arguments = [sys.executable, "-c", "import time; time.sleep(60)", mark]
    with pytest.raises(DemoError, match="did not answer within 0 s"):
        start_detached(settings, "traffic", arguments, environment={}, ready=lambda: False, seconds=0.3)
    assert states(settings) == []


def test_a_taken_port_is_named_with_the_way_out(tmp_path: Path) -> None:
    """One line that holds the port and DEMO_PORT_BASE."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        settings = DemoSettings(home=tmp_path, port_base=taken.getsockname()[1] - 1)
        with pytest.raises(DemoError, match=rf"port {settings.port('shop-baseline')} is taken.*DEMO_PORT_BASE"):
            require_free_port(settings, "shop-baseline")


@pytest.mark.parametrize("text", ["", "abc", "\n12", "-12", "0"])
def test_a_damaged_pid_file_is_no_pid(tmp_path: Path, text: str) -> None:
    """A pid file that was cut off is like none."""
    (tmp_path / "x.pid").write_text(text)
    assert read_pid(tmp_path / "x.pid") is None
