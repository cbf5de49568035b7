"""The whole trial of the compose stack, from the engine to the last volume: what `run.py` calls, and its options."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import yaml
from compose.disturbance import Disturbance
from compose.engine import CannotRun, Engine, Failed, find_engine, prepare
from compose.hardening import examine, table
from compose.images import BUILT, LocalImages, copy_context, remove_images
from compose.journey import CYCLE, Journey, told
from compose.stack import Stack

from perfproof.run_key import run_key
from perfproof_demo import compose_env, compose_signing
from perfproof_demo.airflow_home import free_port

REPOSITORY = Path(__file__).resolve().parents[2]
PROJECT = "perfproof-compose-test"
NEEDED_MEBIBYTES = 6_000
NEEDED_DISK_MEBIBYTES = 8_000
# One service of each image: all others take what these build, and old compose would send the whole context again for each.
BUILDING = ("s3", "init")
DISTRIBUTED = {"WORKER_REPLICAS": "2", "TRIGGERER_REPLICAS": "2"}


def tell(text: str) -> None:
    """One line with the time, at once."""
    sys.stdout.write(f"{time.strftime('%H:%M:%S')}  {text}\n")
    sys.stdout.flush()


def main(description: str) -> int:
    """Parses, runs, and says in the last line how it ended."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", nargs="?", type=Path, default=REPOSITORY / ".compose", help="images, wheels, logs (default: .compose)")
    parser.add_argument("--prepare", action="store_true", help="install podman and what it needs with apt-get first (root, Debian 12)")
    parser.add_argument("--registry", action="store_true", help="use the default images of a registry instead of local ones")
    parser.add_argument("--no-cycle", action="store_true", help="end after the baseline capture")
    parser.add_argument("--keep", action="store_true", help="leave the stack running; the next run takes it down first")
    parser.add_argument("--clean", action="store_true", help="remove images and wheels in the end")
    options = parser.parse_args()
    directory: Path = options.directory.resolve()
    started = time.monotonic()
    # What is asked to end takes the stack down first.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    try:
        if options.prepare:
            prepare()
        _look_at_machine(directory)
        with contextlib.closing(find_engine(directory)) as engine:
            tell(f"engine: {engine.version}, {' '.join(engine.composing)}")
            test(engine, directory, options)
    except CannotRun as error:
        sys.stderr.write(f"compose-test cannot run here: {error}\n")
        return 2
    except Failed as error:
        tell(f"FAILED after {time.monotonic() - started:.0f} s: {error}")
        return 1
    tell(f"all held, {time.monotonic() - started:.0f} s")
    return 0


def _look_at_machine(directory: Path) -> None:
    """Raises CannotRun where the stack would only get stuck."""
    directory.mkdir(parents=True, exist_ok=True)
    pages = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        pages = next(int(line.split()[1]) >> 10 for line in meminfo.read_text().splitlines() if line.startswith("MemAvailable"))
    if pages < NEEDED_MEBIBYTES:
        raise CannotRun(f"{pages} MiB of memory are free, and the stack needs {NEEDED_MEBIBYTES}")
    free = shutil.disk_usage(directory).free >> 20
    if free < NEEDED_DISK_MEBIBYTES:
        raise CannotRun(f"{free} MiB are free on the disk of {directory}, and images and volumes need {NEEDED_DISK_MEBIBYTES}")


def test(engine: Engine, directory: Path, options: argparse.Namespace) -> None:
    """Everything that the stack is asked to do. Raises Failed at the first thing that did not hold; the stack is down afterwards."""
    context = directory / "context"
    copy_context(REPOSITORY, context)
    ports = {"AIRFLOW_PORT": str(free_port()), "PROMETHEUS_PORT": str(free_port())}
    log = directory / "compose.log"
    log.unlink(missing_ok=True)
    variables = {**DISTRIBUTED, **BUILT, **ports}
    environment_file = context / ".env"
    compose_env.write_environment(environment_file, compose_env.environment_text(os.urandom))
    # What a run before left would take the processors away from the builds, and its volumes know other passwords.
    if left := Stack(engine.with_variables(variables), context, PROJECT, log, tell).stop():
        raise Failed(f"a run before left {', '.join(left)}, which compose cannot remove; see {log}")
    if not options.registry:
        local = LocalImages(engine, directory)
        began = time.monotonic()
        local.build(context)
        variables |= local.variables
        tell(f"base image, wheels and stand-ins: {time.monotonic() - began:.0f} s")
    ready = engine.with_variables(variables)
    stack = Stack(ready, context, PROJECT, log, tell)
    began = time.monotonic()
    if not ready.compose("--project-name", PROJECT, "build", *BUILDING, directory=context, log=log):
        raise Failed(f"the images of the repository cannot be built; see {log}")
    tell(f"images of the repository: {time.monotonic() - began:.0f} s")
    try:
        with running(stack, keep=options.keep, logs=directory / "logs"):
            on_running_stack(stack, int(ports["AIRFLOW_PORT"]), directory, with_cycle=not options.no_cycle)
    finally:
        if options.clean and not options.keep:
            remove_images(engine, directory)


@contextlib.contextmanager
def running(stack: Stack, *, keep: bool, logs: Path) -> Iterator[None]:
    """The stack, up and healthy, until the block ends; then it is down with its volumes, and Failed if anything is left."""
    try:
        seconds = stack.start()
        counts = {one.service: len(stack.containers(one.service)) for one in stack.containers()}
        tell(f"all healthy after {seconds:.0f} s: " + ", ".join(f"{name} {number}" for name, number in sorted(counts.items())))
        for service in ("worker", "triggerer"):
            if counts.get(service) != 2:
                raise Failed(f"{counts.get(service, 0)} containers of {service} run, and 2 should")
        yield
    finally:
        shutil.rmtree(logs, ignore_errors=True)
        with contextlib.suppress(Failed):
            stack.save_logs(logs)
        if not keep:
            left = stack.stop()
            (stack.directory / ".env").unlink(missing_ok=True)
            tell(f"taken down; logs are in {logs}")
            if left:
                raise Failed(f"left over: {', '.join(left)}")


def on_running_stack(stack: Stack, port: int, directory: Path, *, with_cycle: bool) -> None:
    """Hardening, refusals, capture, cycle, evidence."""
    findings = examine(stack, yaml.safe_load((stack.directory / "docker-compose.yaml").read_text()))
    tell("as it runs:\n" + table(findings))
    problems = [problem for finding in findings for problem in finding.problems]
    if problems:
        raise Failed("; ".join(problems))
    strangers = Path(__file__).with_name("strangers.py").read_bytes()
    tell("default passwords: " + ", ".join(stack.call("api-server", "python", "-", data=strangers).decode().split("\n")).rstrip(", "))
    with tempfile.TemporaryDirectory() as private:
        journey = Journey(stack, f"http://127.0.0.1:{port}", port, Path(private), tell)
        travel(journey, directory, with_cycle=with_cycle)


def travel(journey: Journey, directory: Path, *, with_cycle: bool) -> None:
    """The baseline capture, and the cycle with its disturbances and its evidence."""
    stack = journey.stack
    journey.wait_for_dags()
    recorded = journey.capture()
    tell(f"baseline captured: {recorded['name']}, completeness {recorded['baseline_completeness']} %")
    if not with_cycle:
        return
    run_id = journey.begin()
    tell(f"cycle {run_id}")
    disturbance = Disturbance(stack, tell)
    began = time.monotonic()
    state = journey.follow(run_id, look=disturbance.look)
    tell(f"the cycle is {state} after {time.monotonic() - began:.0f} s; killed: {told(disturbance.done)}")
    copy = copied(stack, run_id, directory)
    if state != "success":
        raise Failed("; ".join([f"the cycle {run_id} is {state}", *unmet(copy)]))
    if not disturbance.complete:
        raise Failed("the cycle was over before a worker and a triggerer had been killed")
    if not list((copy / "checkpoints").iterdir()):
        raise Failed("the evidence has no signed checkpoint")
    tell(f"evidence from the bucket: {verdict(copy, stack.directory / '.env')}")
    stack.wait_until_ready()


def copied(stack: Stack, run_id: str, directory: Path) -> Path:
    """The cycle's evidence, read from the bucket, as a directory."""
    copy = directory / "evidence"
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    archive = stack.call("api-server", "python", "-m", "perfproof_demo.compose_evidence", run_key(CYCLE, run_id))
    with tarfile.open(fileobj=BytesIO(archive)) as members:
        members.extractall(copy, filter="data")
    return copy


def unmet(evidence: Path) -> Iterator[str]:
    """What the gates of a cycle did not find met: on a busy machine, the measurement itself."""
    for path in sorted(evidence.glob("gate-*-result.json")):
        gate = json.loads(path.read_text())
        for criterion in gate["criteria"]:
            if not criterion["met"]:
                yield f"gate {gate['gate']} {criterion['criterion']}: {criterion['reason']}"


def verdict(evidence: Path, environment_file: Path) -> str:
    """The last line of `perfproof verify`, which has checked every signature. Raises Failed unless it says verified."""
    words = dict(line.split("=", 1) for line in environment_file.read_text().splitlines() if not line.startswith("#"))
    acts = {"version": 1, "keys": {words["APPROVALS_KEY_ID"]: words["APPROVALS_KEY"]}}
    # Secret, and in the way of nobody: a directory of the owner's, gone with the block.
    with tempfile.TemporaryDirectory() as keys:
        trust, act_keys = Path(keys, "trust-root.json"), Path(keys, "act-keys.json")
        trust.write_text(compose_signing.trust_root(words[compose_signing.VARIABLE]))
        act_keys.write_text(json.dumps(acts))
        command = [sys.executable, "-m", "perfproof.cli", "verify", str(evidence), "--trust", str(trust), "--act-keys", str(act_keys)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    line = (done.stdout.strip().splitlines() or [done.stderr.strip()])[-1]
    if done.returncode != 0 or not line.startswith("verified"):
        raise Failed(f"evidence from the bucket: {line} (exit code {done.returncode})")
    return line
