"""Starts and stops the demo's metrics server: a `prometheus` on PATH, or else the embedded one."""

from __future__ import annotations

import json
import shutil

from perfproof_demo.errors import DemoError
from perfproof_demo.http_probe import get
from perfproof_demo.processes import (
    exclusive,
    prometheus_storage,
    python_arguments,
    require_free_port,
    running_pid,
    start_detached,
    stop_process,
)
from perfproof_demo.settings import HOST, DemoSettings, Side

NAME = "metrics"


def start_metrics(settings: DemoSettings, *, prometheus: str | None = None) -> str:
    """The address of a Prometheus API that scrapes both shops each second; starts it unless it runs.

    `prometheus` is the binary to use; without it the one on PATH, without one there the embedded server. With
    PROMETHEUS_URL nothing is started: that server has to be ready, and to scrape both shops itself.
    """
    if settings.prometheus_url is not None:
        if get(f"{settings.prometheus_url}/-/ready") is None:
            raise DemoError(
                151,
                where="PROMETHEUS_URL",
                what="server is not ready",
                got=settings.prometheus_url,
                fix="start it, or unset PROMETHEUS_URL",
            )
        return settings.prometheus_url
    with exclusive(settings, NAME):
        if running_pid(settings, NAME) is not None and _ready(settings):
            return settings.metrics_url
        stop_process(settings, NAME)
        port = require_free_port(settings, NAME)
        targets = [f"{HOST}:{settings.port(f'shop-{side}')}" for side in Side]
        binary = prometheus or shutil.which("prometheus")
        if binary is not None:
            arguments = _prometheus_arguments(settings, binary, port, targets)
        else:
            arguments = [*python_arguments(settings, NAME, "perfproof_demo.metrics_server"), f"--port={port}"]
            arguments += [f"--target={target}" for target in targets]
        start_detached(settings, NAME, arguments, environment={}, ready=lambda: _ready(settings))
    return settings.metrics_url


def stop_metrics(settings: DemoSettings) -> bool:
    """Stops the server that `start_metrics` started. True if it ran."""
    return stop_process(settings, NAME)


def _ready(settings: DemoSettings) -> bool:
    return get(f"{settings.metrics_url}/-/ready", seconds=1) is not None


def _prometheus_arguments(settings: DemoSettings, binary: str, port: int, targets: list[str]) -> list[str]:
    # JSON is YAML, and needs no library.
    scrape = {"job_name": "shop", "scrape_interval": "1s", "scrape_timeout": "1s", "static_configs": [{"targets": targets}]}
    configuration = settings.run_directory / "prometheus.json"
    configuration.write_text(json.dumps({"scrape_configs": [scrape]}))
    return [
        binary,
        f"--config.file={configuration}",
        prometheus_storage(settings),
        "--storage.tsdb.retention.time=2d",
        f"--web.listen-address={HOST}:{port}",
        "--query.lookback-delta=10s",
        "--log.level=warn",
    ]
