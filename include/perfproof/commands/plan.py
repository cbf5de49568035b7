"""`perfproof plan --conf FILE`: what a run would do, before anybody triggers it. Nothing is written and nobody is asked.

With `--airflow` it also reads this Airflow's settings and Connections; with `--probe` it asks the sources whether they answer.
Exit codes: 0 ready, 1 something is missing that will halt the run, 2 the parameters or the protocol file are not valid.
"""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from perfproof.commands.run_conf import given_conf
from perfproof.commands.workspace_files import look
from perfproof.config import Protocol, load_protocol
from perfproof.config_checks import IDENTIFIER
from perfproof.errors import ConfigError, ParameterError
from perfproof.input_file import read_input
from perfproof.parameters import read_parameters
from perfproof.preview import preview
from perfproof.preview.text import preview_text
from perfproof.strict_yaml import MAX_BYTES

EXTENSION = "perfproof.preview"
READY, INCOMPLETE = 0, 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The parameters of the run, who would trigger it, and where its files lie."""
    parser.add_argument("--conf", type=Path, metavar="FILE", help="JSON file with the parameters of the run")
    parser.add_argument("--protocol", metavar="NAME", help="name of a protocol file, instead of --conf")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="one parameter; lists with commas")
    parser.add_argument("--requester", metavar="ID", help="user name in Airflow of the person who would trigger the run")
    parser.add_argument("--workspace", type=Path, default=Path(), help="the directory that relative paths start from (here)")
    parser.add_argument("--protocols", default="include/protocols", metavar="DIR", help="protocol files, relative to the workspace")
    parser.add_argument("--evidence", default=".artifacts/performance", metavar="DIR", help="evidence, relative to the workspace")
    parser.add_argument("--airflow", action="store_true", help="take the places from this Airflow's settings, and look for its Connections")
    parser.add_argument("--probe", action="store_true", help="as --airflow, and ask each source whether it answers (network)")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="how to print it")


def run(options: argparse.Namespace) -> int:
    """Prints the preview."""
    conf = given_conf(options.conf, protocol=options.protocol, settings=options.set)
    document = _from_airflow(conf, options) if options.airflow or options.probe else _from_files(conf, options)
    # In ASCII, no character of the protocol file can do anything to a terminal.
    sys.stdout.write(json.dumps(document, indent=2, allow_nan=False) + "\n" if options.format == "json" else preview_text(document))
    return READY if document["status"] == "ready" else INCOMPLETE


def _from_files(conf: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    root = options.workspace.resolve()
    protocol = named_protocol(conf.get("protocol"), directory=root / options.protocols)
    parameters = read_parameters(conf, protocol)
    found = look(protocol, parameters, root=root, evidence=options.evidence)
    return preview(protocol, parameters, requester=options.requester, now=datetime.now(UTC), found=found)


def named_protocol(name: object, *, directory: Path) -> Protocol:
    """The protocol file of that name. Raises ParameterError 207 and ConfigError as the first task of a run does."""
    if not isinstance(name, str) or not IDENTIFIER.fullmatch(name):
        raise ParameterError(207, where="params.protocol", what="not the name of a protocol file", got=name, fix="give a name like demo")
    path = directory / f"{name}.yaml"
    return load_protocol(read_input(path, limit=MAX_BYTES, error=ConfigError, number=180), where=path.name)


def _from_airflow(conf: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    # The core knows no Airflow: the plug-in registers what looks there.
    extension = next(iter(entry_points(group=EXTENSION, name="airflow")), None)
    if extension is None:
        raise ParameterError(
            893, where="plan", what="no Airflow plug-in of perfproof is installed here", got="--probe" if options.probe else "--airflow",
            fix="run it in the environment of Airflow, or leave the option out",
        )  # fmt: skip
    document: dict[str, Any] = extension.load()(conf, requester=options.requester, probe=options.probe)
    return document
