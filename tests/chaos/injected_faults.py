"""Faults inside Airflow's own processes, for tests only: a crash at a named point, calls of store and HTTP that fail by a seed.

`airflow_local_settings.py` of a test's Airflow calls `install`. `plan.json` in the directory says what shall happen now; without the
file nothing does.
"""

from __future__ import annotations

import functools
import json
import os
import random
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

PLAN = "plan.json"
# What a backend does that is unavailable, and one that does the work and does not say so.
BEFORE, AFTER = "before", "after"
SAID = "evidence cannot be read or written"


class Faults:
    """What the plan says, asked at each patched call."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.task = ""
        self.calls = 0

    def plan(self) -> dict[str, Any]:
        """The plan as it is now."""
        try:
            found: dict[str, Any] = json.loads((self.directory / PLAN).read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return found

    def point(self, name: str) -> None:
        """Dies here if the plan says so: once for each token."""
        crash = self.plan().get("crash") or {}
        if crash.get("point") != name or not self.task.startswith(crash.get("task", "")):
            return
        try:
            os.close(os.open(self.directory / crash["token"], os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        except FileExistsError:
            return
        os.kill(os.getpid(), signal.SIGKILL)

    def fails(self, kind: str, name: str) -> str | None:
        """Whether this call fails, and when; drawn by the plan's seed."""
        faults = self.plan().get("faults") or {}
        rate = float(faults.get(kind, 0.0))
        if not rate:
            return None
        self.calls += 1
        draw = random.Random(f"{faults['seed']}/{kind}/{self.task}/{name}/{os.getpid()}/{self.calls}")
        if draw.random() >= rate:
            return None
        with (self.directory / "injected.log").open("a") as log:
            log.write(f"{kind} {self.task} {name}\n")
        return draw.choice((BEFORE, AFTER))


def install(directory: str) -> None:
    """Patches the evidence store and httpx of this process and of all that it forks."""
    faults = Faults(Path(directory))
    _patch_store(faults)
    _patch_backend(faults)
    _patch_http(faults)


def _patch_store(faults: Faults) -> None:
    from perfproof.evidence import checkpoints
    from perfproof.evidence.log import Log
    from perfproof.evidence.store import EvidenceStore

    def after(owner: Any, name: str, point: str) -> None:
        original: Callable[..., Any] = getattr(owner, name)

        @functools.wraps(original)
        def call(*args: Any, **kwargs: Any) -> Any:
            attempt = kwargs.get("attempt")
            if attempt is not None:
                faults.task = attempt.task_id
                _watch_success(faults)
            result = original(*args, **kwargs)
            faults.point(point)
            return result

        setattr(owner, name, call)

    after(EvidenceStore, "put_object", "after object")
    after(Log, "append", "after entry")
    after(EvidenceStore, "publish", "after view")
    after(checkpoints, "sign_checkpoint", "after checkpoint")


def _watch_success(faults: Faults) -> None:
    """The point between the end of the work and Airflow's success; only a task's process has it."""
    from airflow.sdk.execution_time import task_runner

    original = task_runner._handle_current_task_success
    if getattr(original, "watched", False):
        return

    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        faults.point("before success")
        return original(*args, **kwargs)

    call.watched = True  # type: ignore[attr-defined]
    task_runner._handle_current_task_success = call


def _patch_backend(faults: Faults) -> None:
    from perfproof.errors import EvidenceError
    from perfproof.evidence.local import LocalBackend

    original = LocalBackend.create

    @functools.wraps(original)
    def create(self: LocalBackend, key: str, data: bytes) -> bool:
        when = faults.fails("store", key.rpartition("/")[2])
        if when == BEFORE:
            raise EvidenceError(500, where=key, what=SAID, got="injected: unavailable", fix="clear the task")
        result = original(self, key, data)
        if when == AFTER:
            raise EvidenceError(500, where=key, what=SAID, got="injected: time-out", fix="clear the task")
        return result

    LocalBackend.create = create  # type: ignore[method-assign]


def _patch_http(faults: Faults) -> None:
    import httpx

    original = httpx.HTTPTransport.handle_request

    @functools.wraps(original)
    def handle_request(self: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
        # Airflow's own protocol between task and api-server is Airflow's to retry.
        own = request.url.path.startswith("/execution")
        when = None if own else faults.fails("http", request.url.path)
        if when == BEFORE:
            raise httpx.ConnectError("injected: unavailable", request=request)
        response = original(self, request)
        if when == AFTER:
            response.close()
            raise httpx.ReadTimeout("injected: time-out", request=request)
        return response

    httpx.HTTPTransport.handle_request = handle_request  # type: ignore[method-assign]
