"""`perfproof init NAME`: a protocol file and templates of the supplied files for a service of one's own.

Exit codes: 0 written, 2 something that was said cannot be used, or a file exists; then nothing was written.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from perfproof.config import load_protocol
from perfproof.config_checks import check_relative
from perfproof.errors import ParameterError
from perfproof.prerequisites import supplied
from perfproof.starting import DEFAULT_CHANGE, Given, first_inputs, next_steps, protocol_file, read_given


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What is known of the service, and where the files go."""
    parser.add_argument("name", metavar="NAME", help="name of the protocol file")
    parser.add_argument("--baseline", required=True, metavar="HOST:PORT", help="the deployment that is measured")
    parser.add_argument("--candidate", metavar="HOST:PORT", help="the deployment that changes are made to")
    parser.add_argument("--path", action="append", required=True, metavar="REQUEST", help="'[NAME=]GET /orders/{id:1-900}'; slowest first")
    parser.add_argument(
        "--metric-query", action="append", default=[], metavar="NAME=QUERY", help="orders_latency_p95=QUERY, error_rate=QUERY"
    )
    parser.add_argument("--owner", required=True, metavar="ID:NAME", help="who owns the service and implements the change")
    parser.add_argument("--role", action="append", default=[], metavar="ROLE=ID:NAME", help="product_owner, sre_lead and security approve")
    parser.add_argument("--service", help="name of the service (NAME)")
    parser.add_argument("--environment", default="test", help="what the service calls its environment (%(default)s)")
    parser.add_argument("--source", default="prometheus", help="prometheus (default), openmetrics, cloudwatch, datadog or metric_file")
    parser.add_argument("--connection", metavar="ID", help="Airflow Connection of the source (perfproof_prometheus and the like)")
    parser.add_argument("--file", help="the file of a source metric_file, relative to the workspace")
    parser.add_argument("--scrape-seconds", type=float, default=15.0, help="how often the metrics are recorded (%(default)g)")
    parser.add_argument("--slo", type=float, default=250.0, metavar="MS", help="objective of the target metric in ms (%(default)g)")
    parser.add_argument("--rate", type=float, default=20.0, help="requests/s of the peak; stress goes to four times of it (%(default)g)")
    parser.add_argument("--database", metavar="ID", help="Connection of the service's Postgres; {side} is baseline or candidate")
    parser.add_argument("--fault-proxy", type=int, default=15433, metavar="PORT", help="control port of the fault proxy (%(default)s)")
    parser.add_argument("--pprof-path", metavar="PATH", help="profile a Go service over HTTP, /debug/pprof/profile")
    parser.add_argument("--allow", action="append", default=[], metavar="HOST:PORT", help="address of an endpoint that is given by name")
    parser.add_argument("--change", default=DEFAULT_CHANGE, metavar="TITLE", help="the change that is to be measured")
    parser.add_argument("--build", default="UNKNOWN", help="what runs on the baseline, for the deployment report")
    parser.add_argument("--inputs", default="inputs", metavar="DIR", help="where the templates go, relative to the workspace (%(default)s)")
    parser.add_argument("--workspace", type=Path, default=Path(), help="the directory that relative paths start from (here)")
    parser.add_argument("--protocols", default="include/protocols", metavar="DIR", help="protocol files, relative to the workspace")
    parser.add_argument("--force", action="store_true", help="replace files that exist")


def run(options: argparse.Namespace) -> int:
    """Renders everything, checks it as a run would, and only then writes it."""
    given = _given(options)
    for where, text in (("--inputs", options.inputs), ("--protocols", options.protocols)):
        check_relative(text, where)
    protocol = f"{options.protocols}/{given.name}.yaml"
    files = {protocol: protocol_file(given).encode()}
    loaded = load_protocol(files[protocol], where=f"{given.name}.yaml")
    templates = first_inputs(given, now=datetime.now(UTC))
    for artifact in loaded.prerequisites:
        if artifact.name in templates:
            supplied(artifact, templates[artifact.name])
            files[artifact.path] = templates[artifact.name]
    _write(options.workspace, files, force=options.force)
    for path in files:
        sys.stdout.write(f"wrote {path}\n")
    sys.stdout.write(next_steps(given, protocol=protocol))
    return 0


def _given(options: argparse.Namespace) -> Given:
    return read_given(
        name=options.name, baseline=options.baseline, candidate=options.candidate, paths=options.path, queries=options.metric_query,
        owner=options.owner, roles=options.role, service=options.service, environment=options.environment, source=options.source,
        connection=options.connection, file=options.file, scrape_seconds=options.scrape_seconds, slo_ms=options.slo, rate=options.rate,
        database=options.database, fault_proxy=options.fault_proxy, pprof_path=options.pprof_path, allow=options.allow,
        build=options.build, inputs=options.inputs, change=options.change,
    )  # fmt: skip


def _write(workspace: Path, files: Mapping[str, bytes], *, force: bool) -> None:
    """Writes all files or, where one is in the way, none. A link is never written through."""
    for path in files:
        target = workspace / path
        if os.path.lexists(target) and not (force and target.is_file() and not target.is_symlink()):
            fix = "remove it: only plain files are replaced" if force else "choose another name, or replace it with --force"
            raise ParameterError(957, where=path, what="exists already", fix=fix)
    try:
        for path in files:
            (workspace / path).parent.mkdir(parents=True, exist_ok=True)
        for path, data in files.items():
            _create(workspace / path, data)
    except OSError as error:
        raise ParameterError(
            958, where=str(error.filename or workspace), what="cannot be written", got=error.strerror, fix="choose another workspace"
        ) from None


def _create(path: Path, data: bytes) -> None:
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644), "wb") as stream:
        stream.write(data)
    new.replace(path)
