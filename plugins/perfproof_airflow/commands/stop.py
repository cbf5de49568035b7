"""`perfproof stop RUN`: ends all load of a run on this machine, and keeps it from sending more. It needs no running Airflow.

The run's lever is a file in the workspace. Every generator of the run looks for it four times a second, every controller ten
times; a generator that does not act on it is killed. What was stopped counts as aborted, never as a measurement.

Exit codes: 0 nothing of the run sends load any more, 1 something still does, 2 usage, 3 the lever is set, but nothing is known
of such a run here. With --release: 0 released, 3 the run had not been stopped.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from enum import IntEnum
from pathlib import Path

from perfproof.announcements import one_line
from perfproof.commands.account import account
from perfproof.errors import ParameterError
from perfproof.evidence.names import is_run
from perfproof.moments import stamp
from perfproof.run_key import run_key
from perfproof_airflow.load_engine import stop_lever
from perfproof_airflow.load_engine.stop_lever import Sending

DAG = "performance_optimization"
WORKSPACE = "AIRFLOW__PERFPROOF__WORKSPACE"
EVIDENCE = "AIRFLOW__PERFPROOF__EVIDENCE_URI"
DEFAULT_EVIDENCE = ".artifacts/performance"
# Both together stay below the 10 s that are promised.
KILL_AFTER_SECONDS = 6.0
GIVE_UP_SECONDS = 9.0
LOOK_SECONDS = 0.1


class Exit(IntEnum):
    """What the command ends with, beside 2 for usage."""

    DONE = 0
    STILL_SENDING = 1
    UNKNOWN_RUN = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which run, and where."""
    parser.add_argument("run", metavar="RUN", help="id of the run in Airflow, or the name of its evidence directory")
    parser.add_argument("--workspace", type=Path, help=f"the workspace (default: {WORKSPACE}, else Airflow's configuration)")
    parser.add_argument("--reason", default="", help="why, for the log of the run")
    parser.add_argument("--release", action="store_true", help="let the run send load again")


def run(options: argparse.Namespace) -> int:
    """Pulls the lever, prints what it ended, and returns when nothing of the run sends any more."""
    workspace = _workspace(options.workspace)
    name = _name(workspace, options.run)
    directory = stop_lever.run_directory(workspace, name)
    if options.release:
        released = stop_lever.release(directory)
        _say(f"{name} may send load again" if released else f"{name} was not stopped")
        return Exit.DONE if released else Exit.UNKNOWN_RUN
    known = name in _known(workspace)
    if not stop_load(directory, who=account(), reason=options.reason, say=_say):
        return Exit.STILL_SENDING
    _say(f"{name} sends no load on this machine until: perfproof stop {options.run} --release")
    if known:
        return Exit.DONE
    _say("nothing is known of such a run in this workspace: check its name, and the workspace")
    return Exit.UNKNOWN_RUN


def stop_load(directory: Path, *, who: str, reason: str, say: Callable[[str], None]) -> bool:
    """Pulls the lever in the run's directory in the name of `who`, and ends what sends; whether nothing sends any more.

    `say` is told each thing that ended, or that still sends. It takes at most 20 s. Raises ParameterError if the lever cannot be set.
    """
    _pull(directory, who=who, reason=reason)
    ended = _end(list(stop_lever.sending(directory)), say)
    # One that had begun just before the lever was there.
    return _end(list(stop_lever.sending(directory)), say) and ended


def _workspace(given: Path | None) -> Path:
    named = given or (Path(os.environ[WORKSPACE]) if os.environ.get(WORKSPACE) else None)
    if named is None:
        from perfproof_airflow.settings import workspace_root

        return workspace_root()
    if not named.is_dir():
        raise ParameterError(261, where="--workspace", what="no such directory", got=str(named), fix="name the workspace of the Airflow")
    return named.resolve()


def _name(workspace: Path, text: str) -> str:
    """The key of the run: `text` itself if it is one that is known here."""
    if text in _known(workspace):
        return text
    return run_key(DAG, text)


def _known(workspace: Path) -> set[str]:
    """Runs that have evidence or sent load in this workspace."""
    evidence = os.environ.get(EVIDENCE) or DEFAULT_EVIDENCE
    roots = [workspace / stop_lever.RUNS, *([workspace / evidence] if "://" not in evidence else [])]
    return {path.name for root in roots if root.is_dir() for path in root.iterdir() if is_run(path.name) and path.is_dir()}


def _pull(directory: Path, *, who: str, reason: str) -> None:
    try:
        stop_lever.pull(directory, f"by {who} at {stamp(datetime.now(UTC))}{': ' if reason else ''}{reason}")
    except OSError as error:
        raise ParameterError(
            262, where=str(directory), what="the lever cannot be set", got=error.strerror,
            fix="give write permission in the workspace, or end the load_engine processes by hand",
        ) from None  # fmt: skip


def _end(found: list[Sending], say: Callable[[str], None]) -> bool:
    """Waits until each has ended, and kills those on this machine that do not. Whether all have."""
    began = time.monotonic()
    waiting, killed = list(found), False
    while waiting:
        took = time.monotonic() - began
        for one in [w for w in waiting if w.ended]:
            waiting.remove(one)
            say(f"ended {'by force ' if killed else ''}after {took:.1f} s: {one.what} (process {one.pid})")
        if waiting and took > KILL_AFTER_SECONDS and not killed:
            killed = True
            for one in waiting:
                _kill(one)
        if waiting and took > GIVE_UP_SECONDS:
            break
        time.sleep(LOOK_SECONDS if waiting else 0)
    for one in waiting:
        say(f"STILL SENDING: {one.what} (process {one.pid} on {one.machine})")
    return not waiting


def _kill(one: Sending) -> None:
    """Kills a generator's process group, if the id is that of a generator here and now."""
    if one.machine != socket.gethostname() or not any("load_engine" in word for word in _command_line(one.pid)):
        return
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(one.pid, signal.SIGKILL)


def _command_line(pid: int) -> Iterator[str]:
    try:
        yield from Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return


def _say(text: str) -> None:
    sys.stdout.write(one_line(text) + "\n")
