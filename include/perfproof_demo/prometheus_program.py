"""A `prometheus` program as the demo's metrics server: which one, whether it is new enough, what it scrapes, how it is started."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass

from perfproof_demo.errors import DemoError
from perfproof_demo.processes import prometheus_storage
from perfproof_demo.settings import EMBEDDED, HOST, DemoSettings, Side

SCRAPE_SECONDS = 1
# The first version that knows --storage.tsdb.retention.time.
OLDEST = (2, 7)
VERSION_SECONDS = 20.0
_VERSION = re.compile(r"^prometheus, version (([0-9]+)\.([0-9]+)[^\s,]*)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Program:
    """A Prometheus server on this machine that the demo can start."""

    path: str
    version: str


def find_program(settings: DemoSettings) -> Program | None:
    """The program that PROMETHEUS_BIN names, else the `prometheus` on PATH; None without one, and for PROMETHEUS_BIN=embedded.

    Raises DemoError for a name that is no program, and for a program that is no Prometheus of OLDEST or later.
    """
    named = settings.prometheus_bin
    if named == EMBEDDED:
        return None
    path = shutil.which(named or "prometheus")
    if path is not None:
        return Program(path, _version(path))
    if named is None:
        return None
    raise DemoError(
        851, where="PROMETHEUS_BIN", what="no such program", got=named, expected=f"a path, a name on PATH, or {EMBEDDED}",
        fix="correct it, or unset it",
    )  # fmt: skip


def _version(path: str) -> str:
    try:
        done = subprocess.run(
            [path, "--version"], stdin=subprocess.DEVNULL, capture_output=True, timeout=VERSION_SECONDS, check=False
        )  # fmt: skip
        # Early versions of 2 write it to the other stream.
        told = (done.stdout + done.stderr).decode(errors="replace").strip()
    except subprocess.TimeoutExpired:
        told = f"nothing in {VERSION_SECONDS:g} s"
    except OSError as error:
        told = error.strerror or str(error)
    found = _VERSION.search(told)
    if found is None or (int(found[2]), int(found[3])) < OLDEST:
        raise DemoError(
            852, where=path, what="not a Prometheus server that the demo can use", got=(told.splitlines() or ["nothing"])[0][:200],
            expected=f"prometheus --version to say {OLDEST[0]}.{OLDEST[1]} or later",
            fix=f"put another one on PATH, name it in PROMETHEUS_BIN, or set PROMETHEUS_BIN={EMBEDDED}",
        )  # fmt: skip
    return found[1]


def scrape_configuration(settings: DemoSettings) -> str:
    """What a Prometheus needs in its configuration file to serve this demo: YAML, with the ports of this demo."""
    targets = ", ".join(f'"{settings.shop_instance(side)}"' for side in Side)
    return (
        "scrape_configs:\n"
        "  - job_name: shop\n"
        f"    scrape_interval: {SCRAPE_SECONDS}s\n"
        f"    scrape_timeout: {SCRAPE_SECONDS}s\n"
        "    static_configs:\n"
        f"      - targets: [{targets}]\n"
    )


def program_arguments(settings: DemoSettings, program: Program, *, port: int) -> list[str]:
    """The command of a server on 127.0.0.1 with its data in the demo's home; writes its configuration file."""
    configuration = settings.run_directory / "prometheus.yml"
    configuration.write_text(scrape_configuration(settings))
    return [
        program.path,
        f"--config.file={configuration}",
        prometheus_storage(settings),
        "--storage.tsdb.retention.time=2d",
        f"--web.listen-address={HOST}:{port}",
        # As long as the embedded one looks back.
        "--query.lookback-delta=10s",
        "--log.level=warn",
    ]
