"""`perfproof-demo`: run the demo, deploy to its candidate, look at what runs, stop it."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from perfproof.errors import PerfproofError
from perfproof_demo.settings import DemoSettings, Side

HOME = ".demo"
USAGE_EXIT = 2


def main(arguments: Sequence[str] | None = None) -> None:
    """Parses and runs one command; an error is one line and exit code 2."""
    parser = argparse.ArgumentParser(prog="perfproof-demo", description="The demo of perfproof: a shop, an Airflow, one protocol run.")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="start everything and run one cycle")
    run.add_argument("--approve", choices=("auto", "manual"), default="auto", help="who approves: the demo's accounts, or you")
    run.add_argument(
        "--optimization", default="index+batch", help="what the engineer deploys: index, batch, precompile, cache, none, joined by +"
    )
    deploy = commands.add_parser("deploy", help="deploy a build with these optimizations to the candidate")
    deploy.add_argument("--optimization", required=True)
    commands.add_parser("rollback", help="put the baseline's build on the candidate")
    commands.add_parser("scrape-config", help="print what the Prometheus of PROMETHEUS_URL needs in its configuration")
    commands.add_parser("status", help="list the demo's processes")
    commands.add_parser("stop", help="end every process of the demo")
    commands.add_parser("clean", help="stop, and delete the demo's home")
    options = parser.parse_args(arguments)
    workspace = Path.cwd()
    try:
        settings = DemoSettings.from_environment(workspace / HOME, os.environ)
        sys.exit(_dispatch(options, settings, workspace))
    except PerfproofError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(USAGE_EXIT)


def _dispatch(options: argparse.Namespace, settings: DemoSettings, workspace: Path) -> int:
    if options.command == "run":
        return _run(options, settings, workspace)
    if options.command in ("deploy", "rollback"):
        from perfproof_demo import deployment

        change = (
            deployment.deploy(settings, Side.CANDIDATE, options.optimization.split("+"))
            if options.command == "deploy"
            else deployment.rollback(settings)
        )
        sys.stdout.write(f"{change.change}: build {change.build} on the candidate\n")
        return 0
    if options.command == "scrape-config":
        from perfproof_demo.prometheus_program import scrape_configuration

        sys.stdout.write(scrape_configuration(settings))
        return 0
    return _end(options.command, settings)


def _run(options: argparse.Namespace, settings: DemoSettings, workspace: Path) -> int:
    from perfproof_demo.cycle import Choice, Demo
    from perfproof_demo.errors import DemoError
    from perfproof_demo.progress import tell
    from perfproof_demo.prometheus_program import scrape_configuration

    if not (workspace / "dags" / "performance_optimization.py").is_file():
        raise DemoError(163, where=str(workspace), what="not a checkout of perfproof", fix="run it in the repository")
    choice = Choice(options.optimization, options.approve)
    _ = choice.deployed
    started = time.monotonic()
    demo = Demo.of(settings, workspace=workspace, repository=workspace)
    tell("starting the shop, its database, metrics, traffic, and an Airflow of its own")
    if settings.prometheus_url is not None:
        tell(f"telemetry: {settings.prometheus_url} (PROMETHEUS_URL), which has to scrape both shops, once each:")
        sys.stdout.write(scrape_configuration(settings))
    demo.start()
    tell(f"all is up after {time.monotonic() - started:.0f} s")
    demo.people()
    state = demo.begin(choice)
    ending = demo.follow(state)
    tell(f"{time.monotonic() - started:.0f} s in all; everything still runs, look around at {demo.home.url}; end it with `make demo-stop`")
    return int(ending)


def _end(command: str, settings: DemoSettings) -> int:
    from perfproof_demo.airflow_processes import airflow_processes, stop_airflow
    from perfproof_demo.target import processes, stop_target

    if command == "status":
        for state in [*airflow_processes(settings), *processes(settings)]:
            sys.stdout.write(f"{state.name:<24} {state.pid:>8}  {'runs' if state.alive else 'died'}\n")
        return 0
    stopped = [*stop_airflow(settings), *stop_target(settings)]
    sys.stdout.write(f"stopped {', '.join(stopped)}\n" if stopped else "nothing of the demo ran\n")
    if command == "clean":
        shutil.rmtree(settings.home, ignore_errors=True)
    return 0


if __name__ == "__main__":
    main()
