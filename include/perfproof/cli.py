"""`perfproof`: check evidence and gates without Airflow. Commands that need more come from the entry points `perfproof.commands`.

An error is one line on standard error and exit code 2; each command documents its other codes.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import entry_points

from perfproof import __version__
from perfproof.errors import PerfproofError

USAGE_EXIT = 2
COMMANDS = {
    "gate": ("perfproof.commands.gate", "recompute a gate from the artifacts of a cycle's directory"),
    "verify": ("perfproof.commands.verify", "check a cycle's evidence: log, objects, views, manifest, traceability"),
    "prune": ("perfproof.commands.prune", "which cycles retention lets go, and remove them"),
    "keygen": ("perfproof.commands.keygen", "make a key for signing checkpoints, and its trust root"),
    "judge": ("perfproof.commands.judge", "compare values of before and after in files"),
    "changes": ("perfproof.commands.changes", "find where series in files changed their level"),
    "load": ("perfproof.commands.load", "read a result of k6, JMeter, Gatling, Locust, vegeta or hey, or compare two"),
    "profile": ("perfproof.commands.profile", "read profiles, compare them, draw flame graphs"),
    "slo": ("perfproof.commands.slo", "objectives as alert rules and dashboards, and a back-test of their alerts"),
    "check": ("perfproof.commands.check", "check a protocol file"),
    "plan": ("perfproof.commands.plan", "what a run would do, before it is triggered: load, people, what is missing"),
    "init": ("perfproof.commands.init", "a protocol file and templates for a service of your own"),
}
EXTENSIONS = "perfproof.commands"


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs one command and exits with its code."""
    extensions = {point.name: point for point in entry_points(group=EXTENSIONS)}
    parser = argparse.ArgumentParser(prog="perfproof", description="Proof for performance changes.")
    parser.add_argument("--version", action="version", version=f"perfproof {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    given = list(sys.argv[1:] if arguments is None else arguments)
    # Only the command that is called is imported: `verify` must not wait for what another one needs.
    named = next((word for word in given if not word.startswith("-")), "")
    run: Callable[[argparse.Namespace], int] | None = None
    for name, (module, summary) in COMMANDS.items():
        subparser = commands.add_parser(name, help=summary, description=summary)
        if name == named:
            command = importlib.import_module(module)
            command.add_arguments(subparser)
            run = command.run
    for name, point in sorted(extensions.items()):
        subparser = commands.add_parser(name, help=f"from {point.value.partition('.')[0]}")
        if name == named:
            command = point.load()
            command.add_arguments(subparser)
            run = command.run
    options = parser.parse_args(given)
    try:
        sys.exit(run(options) if run else USAGE_EXIT)
    except PerfproofError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(USAGE_EXIT)
    except BrokenPipeError:
        sys.exit(USAGE_EXIT)


if __name__ == "__main__":
    main()
