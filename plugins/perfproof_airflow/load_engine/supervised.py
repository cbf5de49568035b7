"""Runs an engine under its supervisor: the lease, the lever and signals end it, and rows and summary are left in any case."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from perfproof.errors import LoadError
from perfproof.load.rows import Rows, write_rows
from perfproof.load.summary import GeneratorSummary, Outcome
from perfproof.strict import read_json
from perfproof.telemetry import document_bytes
from perfproof_airflow.load_engine import LEASE, PROGRESS, ROWS, SUMMARY, ExitCode
from perfproof_airflow.load_engine.lease import LeaseWatch, die_with_controller
from perfproof_airflow.load_engine.stop_lever import hold_alive, require_not_pulled

EXIT_CODES = {
    Outcome.COMPLETED: ExitCode.COMPLETED,
    Outcome.ABORTED: ExitCode.ABORTED,
    Outcome.STOPPED: ExitCode.STOPPED,
    Outcome.REFUSED: ExitCode.REFUSED,
}


class Engine(Protocol):
    """What sends the load of one plan."""

    def stop(self, outcome: Outcome, *, reason: str) -> None:
        """Ends the load; the first reason is kept."""

    async def run(self, *, on_begin: Callable[[float], None]) -> tuple[Rows, GeneratorSummary]:
        """Rows and summary. `on_begin` gets the monotonic time of second 0."""


def run_supervised(plan_path: Path, make: Callable[[Any, Path], Engine], *, on_ready: Callable[[], None] = lambda: None) -> ExitCode:
    """Runs the engine that `make` builds from the plan's document and directory, within a loop; `on_ready` is called before it starts.

    What is refused ends with REFUSED, and a summary that says why.
    """
    directory = plan_path.parent
    hold_alive(directory)
    try:
        die_with_controller(directory / LEASE)
        require_not_pulled(directory.parent)
        document = read_json(plan_path.read_bytes(), where=plan_path.name, error=LoadError, number=119)
        rows, summary = asyncio.run(_run(lambda: make(document, directory), directory, on_ready))
    except LoadError as error:
        parts = {"number": error.code.rpartition("-")[2], "where": error.where, "what": error.what, "fix": error.fix}
        quoted = {name: str(value) for name, value in (("got", error.got), ("expected", error.expected)) if value is not None}
        _write(directory / SUMMARY, document_bytes({"outcome": Outcome.REFUSED.value, "refusal": {**parts, **quoted}}))
        sys.stderr.write(f"{error}\n")
        return ExitCode.REFUSED
    _write(directory / ROWS, write_rows(rows))
    _write(directory / SUMMARY, document_bytes({**asdict(summary), "outcome": summary.outcome.value}))
    return EXIT_CODES[summary.outcome]


async def _run(make: Callable[[], Engine], directory: Path, on_ready: Callable[[], None]) -> tuple[Rows, GeneratorSummary]:
    loop = asyncio.get_running_loop()
    engine = make()

    def stop(reason: str) -> None:
        engine.stop(Outcome.STOPPED, reason=reason)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, f"ended by {number.name}")

    def lost(reason: str) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has just ended by itself
            loop.call_soon_threadsafe(stop, reason)

    watch = LeaseWatch(directory / LEASE, run=directory.parent, on_lost=lost)
    watch.start()
    on_ready()
    try:
        return await engine.run(on_begin=lambda at: _write(directory / PROGRESS, document_bytes({"began": at})))
    finally:
        watch.release()


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all: the controller never reads half a file."""
    temporary = path.with_name(path.name + ".new")
    temporary.write_bytes(data)
    temporary.replace(path)
