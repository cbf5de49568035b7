"""`python -m perfproof_airflow.load_engine DIRECTORY/plan.json`: sends the plan's load and writes rows and summary."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import resource
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from perfproof.errors import LoadError
from perfproof.load.plan import LoadPlan
from perfproof.load.rows import Rows, write_rows
from perfproof.load.summary import GeneratorSummary, Outcome
from perfproof.strict import read_json
from perfproof.telemetry import document_bytes
from perfproof_airflow.load_engine import LEASE, PROGRESS, ROWS, SUMMARY, ExitCode
from perfproof_airflow.load_engine.generator import Generator
from perfproof_airflow.load_engine.lease import LeaseWatch, die_with_controller
from perfproof_airflow.load_engine.stop_lever import hold_alive, require_not_pulled

EXIT_CODES = {
    Outcome.COMPLETED: ExitCode.COMPLETED,
    Outcome.ABORTED: ExitCode.ABORTED,
    Outcome.STOPPED: ExitCode.STOPPED,
    Outcome.REFUSED: ExitCode.REFUSED,
}


def main(plan_path: Path) -> ExitCode:
    """Runs the plan in `plan_path`; refused targets and plans end with REFUSED and a summary that says why."""
    directory = plan_path.parent
    hold_alive(directory)
    try:
        die_with_controller(directory / LEASE)
        require_not_pulled(directory.parent)
        document = read_json(plan_path.read_bytes(), where=plan_path.name, error=LoadError, number=119)
        plan = LoadPlan.from_document(document)
        _allow_connections(plan.max_in_flight)
        rows, summary = asyncio.run(_run(plan, directory))
    except LoadError as error:
        parts = {"number": error.code.rpartition("-")[2], "where": error.where, "what": error.what, "fix": error.fix}
        quoted = {name: str(value) for name, value in (("got", error.got), ("expected", error.expected)) if value is not None}
        _write(directory / SUMMARY, document_bytes({"outcome": Outcome.REFUSED.value, "refusal": {**parts, **quoted}}))
        sys.stderr.write(f"{error}\n")
        return ExitCode.REFUSED
    _write(directory / ROWS, write_rows(rows))
    _write(directory / SUMMARY, document_bytes(_summary_document(summary)))
    return EXIT_CODES[summary.outcome]


async def _run(plan: LoadPlan, directory: Path) -> tuple[Rows, GeneratorSummary]:
    loop = asyncio.get_running_loop()
    generator = Generator(plan)

    def stop(reason: str) -> None:
        generator.stop(Outcome.STOPPED, reason=reason)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, f"ended by {number.name}")

    def lost(reason: str) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has just ended by itself
            loop.call_soon_threadsafe(stop, reason)

    watch = LeaseWatch(directory / LEASE, run=directory.parent, on_lost=lost)
    watch.start()
    # What exists now lives to the end: collections during the test then have little to look at.
    gc.collect()
    gc.freeze()
    try:
        return await generator.run(on_begin=lambda at: _write(directory / PROGRESS, document_bytes({"began": at})))
    finally:
        watch.release()


def _summary_document(summary: GeneratorSummary) -> dict[str, Any]:
    return {**asdict(summary), "outcome": summary.outcome.value}


def _allow_connections(count: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + 64
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all: the controller never reads half a file."""
    temporary = path.with_name(path.name + ".new")
    temporary.write_bytes(data)
    temporary.replace(path)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m perfproof_airflow.load_engine DIRECTORY/plan.json")
    sys.exit(main(Path(sys.argv[1])))
