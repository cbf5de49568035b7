"""Deployments of the shop: which build runs on which side, and the change reference of each.

A build id is the digest of the shop's source and its optimizations, then the number of the deployment that built it:
deploying unchanged code again is another build of the same content, and says so.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from perfproof.moments import stamp
from perfproof_demo.database import database_urls, set_index
from perfproof_demo.errors import DemoError
from perfproof_demo.http_probe import get_json
from perfproof_demo.processes import exclusive, python_arguments, require_free_port, running_pid, start_detached, stop_process
from perfproof_demo.settings import OPTIMIZATION_IDS, DemoSettings, Optimization, Side

SOURCES = ("shop.py", "order_history.py", "price_rules.py", "shop_metrics.py", "shop_log.py")


@dataclass(frozen=True, slots=True)
class Deployment:
    """What was put on one side. `change` is the reference that an engineer gives when the task is marked complete."""

    change: str
    side: str
    build: str
    content: str
    optimizations: tuple[str, ...]
    deployed_at: str


def parse_optimizations(names: Iterable[str]) -> tuple[Optimization, ...]:
    """`names` (index, batch, precompile, cache, or OPT-001 to OPT-004; `none` for nothing) in a fixed order, each once."""
    chosen = set()
    for name in names:
        if name in OPTIMIZATION_IDS:
            chosen.add(OPTIMIZATION_IDS[name])
        elif name in list(Optimization):
            chosen.add(Optimization(name))
        elif name not in ("none", ""):
            expected = ", ".join([*Optimization, *OPTIMIZATION_IDS, "none"])
            raise DemoError(141, where="optimizations", what="unknown optimization", got=name, expected=expected, fix="use one of these")
    return tuple(optimization for optimization in Optimization if optimization in chosen)


def deploy(settings: DemoSettings, side: Side, optimizations: Iterable[str] = ()) -> Deployment:
    """Puts a new build on `side`: ends the old process, migrates the database, starts the new one, writes the change down."""
    chosen = parse_optimizations(optimizations)
    with exclusive(settings, "deployment"):
        number = _last_number(settings) + 1
        content = content_id(chosen)
        return _put(settings, side, number=number, build=f"{content}.{number}", content=content, optimizations=chosen)


def rollback(settings: DemoSettings) -> Deployment:
    """Puts the baseline's build on the candidate: same build id, no optimizations, no index."""
    with exclusive(settings, "deployment"):
        baseline = current(settings, Side.BASELINE)
        if baseline is None:
            raise DemoError(142, where="candidate", what="no baseline to go back to", fix="deploy the baseline first")
        chosen = parse_optimizations(baseline.optimizations)
        return _put(
            settings,
            Side.CANDIDATE,
            number=_last_number(settings) + 1,
            build=baseline.build,
            content=baseline.content,
            optimizations=chosen,
        )


def ensure_running(settings: DemoSettings, side: Side) -> Deployment:
    """What runs on `side`, after starting it again if it died; deploys the baseline, or its build, if nothing was.

    A build whose source has changed since cannot be started again: then the side is deployed anew.
    """
    # Read under the lock: a deployment under way would otherwise be followed by a start of what it replaced.
    with exclusive(settings, "deployment"):
        known = current(settings, side)
        if known is not None and known.content == content_id(parse_optimizations(known.optimizations)):
            if not _answers(settings, side, known.build):
                _start(settings, side, build=known.build, optimizations=parse_optimizations(known.optimizations))
            return known
    if known is None and side is Side.CANDIDATE:
        return rollback(settings)
    return deploy(settings, side, known.optimizations if known is not None else ())


def stop(settings: DemoSettings, side: Side) -> bool:
    """Ends the process of `side`. True if it ran."""
    return stop_process(settings, f"shop-{side}")


def current(settings: DemoSettings, side: Side) -> Deployment | None:
    """The last deployment of `side`, or None."""
    deployed = [deployment for deployment in history(settings) if deployment.side == side]
    return deployed[-1] if deployed else None


def history(settings: DemoSettings) -> list[Deployment]:
    """Every deployment, oldest first."""
    paths = sorted(settings.change_directory.glob("CHG-*.json"), key=lambda path: int(path.stem.partition("-")[2]))
    return [_read(path) for path in paths]


def content_id(optimizations: tuple[Optimization, ...]) -> str:
    """`shop-` and eight digits of the digest of the shop's source and `optimizations`."""
    digest = hashlib.sha256()
    for name in SOURCES:
        digest.update(name.encode() + b"\0" + Path(__file__).with_name(name).read_bytes() + b"\0")
    digest.update(",".join(sorted(optimizations)).encode())
    return f"shop-{digest.hexdigest()[:8]}"


def _put(
    settings: DemoSettings, side: Side, *, number: int, build: str, content: str, optimizations: tuple[Optimization, ...]
) -> Deployment:
    _start(settings, side, build=build, optimizations=optimizations)
    deployment = Deployment(
        change=f"CHG-{number}",
        side=str(side),
        build=build,
        content=content,
        optimizations=tuple(str(name) for name in optimizations),
        deployed_at=stamp(datetime.now(UTC)),
    )
    settings.change_directory.mkdir(parents=True, exist_ok=True)
    path = settings.change_directory / f"{deployment.change}.json"
    new = path.with_suffix(".new")
    new.write_text(json.dumps(asdict(deployment), indent=2) + "\n")
    new.replace(path)
    return deployment


def _start(settings: DemoSettings, side: Side, *, build: str, optimizations: tuple[Optimization, ...]) -> None:
    name = f"shop-{side}"
    stop_process(settings, name)
    port = require_free_port(settings, name)
    set_index(settings, side, present=Optimization.INDEX in optimizations)
    arguments = [
        *python_arguments(settings, name, "perfproof_demo.shop"),
        f"--side={side}",
        f"--port={port}",
        f"--build={build}",
        f"--optimizations={','.join(optimizations)}",
        f"--log-directory={settings.log_directory}",
    ]
    environment = {"SHOP_DATABASE_URL": database_urls(settings, side).shop, "PROMETHEUS_DISABLE_CREATED_SERIES": "true"}
    start_detached(settings, name, arguments, environment=environment, ready=lambda: _answers(settings, side, build), seconds=40)


def _answers(settings: DemoSettings, side: Side, build: str) -> bool:
    if running_pid(settings, f"shop-{side}") is None:
        return False
    answer = get_json(f"{settings.shop_url(side)}/build", seconds=1)
    return answer is not None and answer.get("build") == build


def _last_number(settings: DemoSettings) -> int:
    return max((int(deployment.change.partition("-")[2]) for deployment in history(settings)), default=0)


def _read(path: Path) -> Deployment:
    document: dict[str, Any] = json.loads(path.read_text())
    return Deployment(**{**document, "optimizations": tuple(document["optimizations"])})
