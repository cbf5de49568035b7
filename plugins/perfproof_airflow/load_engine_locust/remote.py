"""`python -m perfproof_airflow.load_engine_locust.remote --protocol FILE --profile NAME --service NAME`: a worker on another machine.

It makes the same plan from the same protocol file, asks the target for its consent itself, and waits for the master, whose port it
reaches on its own loopback address (through a tunnel). A master with another plan ends it; so does a lease that is not passed on for 7 s.

Exit codes: 0 the test is over, 1 the worker ended otherwise, 2 usage, 3 refused.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from perfproof.config import load_protocol
from perfproof.errors import LoadError, PerfproofError
from perfproof.load.journeys import JourneyPlan, journey_plan_for
from perfproof.telemetry import document_bytes
from perfproof_airflow.hooks.workspace import Workspace
from perfproof_airflow.load_engine.target_check import Guard, ask_consent, open_session
from perfproof_airflow.load_engine_locust import LOCUST_PYTHON, LOCUSTFILE
from perfproof_airflow.load_engine_locust.children import environment, process_settings
from perfproof_airflow.load_engine_locust.journeys_file import MAX_FILE, require_digest

ENDED, REFUSED = 1, 3
# How long a worker waits for its master.
PATIENCE_SECONDS = 600.0


def main(arguments: list[str]) -> int:
    """Runs one worker until its test is over."""
    options = _options(arguments)
    try:
        plan = _plan(options)
        content = Workspace(options.workspace).read(plan.file, limit=MAX_FILE)
        require_digest(plan, content)
        asyncio.run(_consent(plan))
    except PerfproofError as error:
        sys.stderr.write(f"{error}\n")
        return REFUSED
    with tempfile.TemporaryDirectory(prefix="journeys-") as name:
        return ENDED if _run(plan, content, Path(name)) else 0


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="perfproof_airflow.load_engine_locust.remote", description="A worker for journeys of another machine."
    )
    parser.add_argument("--protocol", type=Path, required=True, metavar="FILE", help="the protocol file of the cycle")
    parser.add_argument("--profile", required=True, metavar="NAME", help="the load profile of the cycle")
    parser.add_argument("--service", required=True, metavar="NAME", help="the service whose metric is the target of the cycle")
    parser.add_argument("--workspace", type=Path, default=Path(), metavar="DIR", help="where the Locust file is (default: here)")
    return parser.parse_args(arguments)


def _plan(options: argparse.Namespace) -> JourneyPlan:
    try:
        data = options.protocol.read_bytes()
    except OSError as error:
        raise LoadError(838, where=str(options.protocol), what="cannot be read", got=error.strerror, fix="name the protocol file") from None
    protocol = load_protocol(data, where=options.protocol.name)
    service = next((service for service in protocol.services if service.name == options.service), None)
    profile = protocol.load.profiles.get(options.profile)
    if service is None or profile is None:
        raise LoadError(
            838, where=str(options.protocol), what="no such service or load profile", got=f"{options.service}, {options.profile}",
            expected=", ".join([*(s.name for s in protocol.services), *protocol.load.profiles]), fix="name those of the cycle",
        )  # fmt: skip
    return journey_plan_for(
        service=service, endpoint=service.endpoints.baseline, environment=protocol.environment, profile=profile, load=protocol.load
    )


async def _consent(plan: JourneyPlan) -> None:
    refused: list[LoadError] = []
    async with open_session(plan, guard=Guard(plan, refused.append)) as session:
        try:
            await ask_consent(session, plan)
        except LoadError as error:
            raise (refused[0] if refused else error) from None


def _run(plan: JourneyPlan, content: bytes, directory: Path) -> int:
    (directory / LOCUSTFILE).write_bytes(content)
    settings = {
        **process_settings(plan, role="worker", locustfile=directory / LOCUSTFILE, port=plan.master_port),
        "lease": None,
        "parent": os.getpid(),
        "patience": PATIENCE_SECONDS,
    }
    (directory / "settings.json").write_bytes(document_bytes(settings))
    python = os.environ.get(LOCUST_PYTHON) or sys.executable
    command = [python, "-m", "perfproof_airflow.load_engine_locust.process", str(directory / "settings.json")]
    return subprocess.run(
        command, cwd=directory, env=environment(directory), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=False
    ).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
