"""Starts and stops the demo's metrics server: that of PROMETHEUS_URL, a `prometheus` of this machine, or else the embedded one."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from perfproof_demo.errors import DemoError
from perfproof_demo.http_probe import get
from perfproof_demo.processes import exclusive, python_arguments, require_free_port, running_pid, start_detached, stop_process
from perfproof_demo.prometheus_given import require_answer, require_scraped
from perfproof_demo.prometheus_program import find_program, program_arguments
from perfproof_demo.settings import DemoSettings, Side

NAME = "metrics"


@dataclass(frozen=True, slots=True)
class MetricsSource:
    """Where the telemetry comes from: the address of a Prometheus API, and what answers there in words."""

    url: str
    words: str


def start_metrics(settings: DemoSettings) -> MetricsSource:
    """A Prometheus API that scrapes both shops each second; starts one unless it runs.

    With PROMETHEUS_URL nothing is started: that server has to scrape both shops, which have to run. Else it is the program
    of PROMETHEUS_BIN, else the `prometheus` on PATH, and without one there the embedded server. What already runs is kept,
    since it has the history.
    """
    if settings.prometheus_url is not None:
        require_scraped(settings)
        return _remember(settings, MetricsSource(settings.metrics_url, "the Prometheus that PROMETHEUS_URL names"))
    with exclusive(settings, NAME):
        if running_pid(settings, NAME) is not None and _ready(settings):
            known = last_source(settings)
            return MetricsSource(settings.metrics_url, f"{known.words if known else 'a server'}, which already ran")
        stop_process(settings, NAME)
        program = find_program(settings)
        port = require_free_port(settings, NAME)
        if program is not None:
            arguments = program_arguments(settings, program, port=port)
            words = f"Prometheus {program.version} ({program.path})"
        else:
            arguments = [*python_arguments(settings, NAME, "perfproof_demo.metrics_server"), f"--port={port}"]
            arguments += [f"--target={settings.shop_instance(side)}" for side in Side]
            words = "the embedded server"
        start_detached(settings, NAME, arguments, environment={}, ready=lambda: _ready(settings))
        return _remember(settings, MetricsSource(settings.metrics_url, words))


def stop_metrics(settings: DemoSettings) -> bool:
    """Stops the server that `start_metrics` started. True if it ran."""
    return stop_process(settings, NAME)


def last_source(settings: DemoSettings) -> MetricsSource | None:
    """What the last `start_metrics` found or started, whether or not it still runs."""
    try:
        return MetricsSource(**json.loads(_record(settings).read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def check_metrics(settings: DemoSettings, *, airflow_runs: bool) -> None:
    """Raises DemoError for what is wrong with the chosen server and can be seen before anything is started."""
    known = last_source(settings)
    if airflow_runs and known is not None and known.url != settings.metrics_url:
        raise DemoError(
            858, where="PROMETHEUS_URL", what="the running Airflow takes its telemetry from another address",
            got=f"{known.url}, not {settings.metrics_url}", fix="run `make demo-stop` first",
        )  # fmt: skip
    if settings.prometheus_url is not None:
        require_answer(settings)
    else:
        find_program(settings)


def _ready(settings: DemoSettings) -> bool:
    return get(f"{settings.metrics_url}/-/ready", seconds=1) is not None


def _record(settings: DemoSettings) -> Path:
    return settings.run_directory / "metrics.json"


def _remember(settings: DemoSettings, source: MetricsSource) -> MetricsSource:
    settings.run_directory.mkdir(parents=True, exist_ok=True)
    new = _record(settings).with_suffix(".new")
    new.write_text(json.dumps(asdict(source)) + "\n")
    new.replace(_record(settings))
    return source
