"""What tests/compose decides without a container engine: which wheels an image needs, what a container lacks, whom to kill and when."""

from __future__ import annotations

import copy
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from compose import disturbance, engine, hardening, images, stack
from compose.disturbance import Disturbance
from compose.stack import Container, Stack

ROOT = Path(__file__).parents[3]
LOCK = """\
# made by a tool
one==1.0 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
    # via another
old==2.0 ; python_full_version < '3.11.3' \\
    --hash=sha256:cc
new==3.0 ; python_full_version >= '3.12' \\
    --hash=sha256:dd
"""
INSPECTED: dict[str, Any] = {
    "Id": "c" * 64,
    "Name": "t-worker-1",
    "State": {"Running": True, "Status": "running", "Pid": 0, "ExitCode": 0, "Health": {"Status": "healthy"}},
    "Config": {"Labels": {}},
    "HostConfig": {
        "ReadonlyRootfs": True, "Memory": 3 << 30, "NanoCpus": 2_000_000_000, "RestartPolicy": {"Name": "unless-stopped"},
        "LogConfig": {"Config": {"max-size": "10m", "max-file": "3"}},
    },
    "NetworkSettings": {"Ports": {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": "1"}], "9/tcp": None}},
}  # fmt: skip
SERVICE = {"mem_limit": "3g", "cpus": 2, "restart": "unless-stopped"}
STATUS = {"Uid": "50000 50000 50000 50000", "CapEff": "0" * 16, "CapBnd": "0" * 16, "NoNewPrivs": "1", "Seccomp": "2"}


def test_lock_is_read_for_the_python_of_the_images() -> None:
    """Markers count for that Python, not for the one that runs here; hashes stay."""
    assert list(images.locked_for(LOCK, python="3.11.2")) == ["one==1.0 --hash=sha256:aa --hash=sha256:bb", "old==2.0 --hash=sha256:cc"]
    assert [line.split()[0] for line in images.locked_for(LOCK, python="3.12.1")] == ["one==1.0", "new==3.0"]


def test_lock_of_the_repository_is_read_whole() -> None:
    """Every line that names a package is one with hashes."""
    lines = list(images.locked_for((ROOT / "requirements.lock").read_text(), python="3.11.2"))
    assert len(lines) > 200
    assert all("==" in line and "--hash=sha256:" in line for line in lines)


def test_wheel_that_is_locked_no_longer_is_removed_and_nothing_is_asked_when_all_are_there(tmp_path: Path) -> None:
    """An old version beside the new one would be installed by nobody and copied into every build."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    lock = tmp_path / "lock"
    lock.write_text("Some.Name==1.0 --hash=sha256:aa\n")
    for name in ("some_name-1.0-py3-none-any.whl", "some_name-0.9-py3-none-any.whl", "other-1.0-py3-none-any.whl"):
        (wheels / name).touch()
    images.fill_wheelhouse(wheels, locks=[lock], python="3.11.2")
    assert [path.name for path in wheels.iterdir()] == ["some_name-1.0-py3-none-any.whl"]


def test_context_holds_what_a_build_reads_and_no_secret(tmp_path: Path) -> None:
    """Everything that the Dockerfile copies, and neither an `.env` nor byte code nor the wheels of a developer."""
    images.copy_context(ROOT, tmp_path / "context")
    names = {str(path.relative_to(tmp_path / "context")) for path in (tmp_path / "context").rglob("*")}
    assert {"Dockerfile", "docker-compose.yaml", "compose/s3.lock", "dags/performance_optimization.py"} <= names
    assert not [name for name in names if name.endswith((".pyc", ".whl")) or ".env" in name]


@pytest.fixture
def examined(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that examines a changed container, whose root cannot be written unless `writes`."""

    class Silent:
        """An engine in which a command inside a container fails, or does not."""

        def __init__(self, *, writes: bool) -> None:
            self.writes = writes

        def tried(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
            """The call."""
            return subprocess.CompletedProcess(arguments, 0 if self.writes else 1)

    def examine(told: dict[str, Any], *, status: dict[str, str] = STATUS, writes: bool = False) -> tuple[str, ...]:
        monkeypatch.setattr(Container, "processes", lambda _: [1])
        monkeypatch.setattr(hardening, "_status", lambda _: status)
        one = Container("c" * 64, "worker", "w", told)
        running = Stack(Silent(writes=writes), Path(), "t", Path(), str)  # type: ignore[arg-type]
        return hardening._examine(running, one, SERVICE).problems

    return examine


def changed(path: str, value: object) -> dict[str, Any]:
    """INSPECTED with another value."""
    document = copy.deepcopy(INSPECTED)
    place = document
    *parents, last = path.split(".")
    for name in parents:
        place = place[name]
    place[last] = value
    return document


def test_hardened_container_has_no_problem(examined: Any) -> None:
    """With docker's words, and with podman's."""
    assert examined(INSPECTED) == ()
    podman = changed("HostConfig.LogConfig", {"Type": "k8s-file", "Config": None, "Size": "10MB"})
    assert examined(podman) == ()


@pytest.mark.parametrize(
    ("path", "value", "word"),
    [
        ("HostConfig.ReadonlyRootfs", False, "can be written"),
        ("HostConfig.Memory", 0, "memory is not limited"),
        ("HostConfig.NanoCpus", 1_000_000_000, "processors are not limited"),
        ("HostConfig.RestartPolicy", {"Name": ""}, "is not restarted"),
        ("HostConfig.LogConfig", {"Type": "json-file", "Config": {}}, "log is not limited"),
        ("State.Health", {"Status": "unhealthy"}, "is unhealthy"),
        ("State.Health", {}, "without a health check"),
        ("NetworkSettings.Ports", {"1/tcp": [{"HostIp": "0.0.0.0", "HostPort": "1"}]}, "beyond loopback"),  # noqa: S104
    ],
)
def test_what_a_container_lacks_is_named(examined: Any, path: str, value: object, word: str) -> None:
    """One thing is missing, and one problem says which."""
    (problem,) = examined(changed(path, value))
    assert word in problem


@pytest.mark.parametrize(
    ("name", "value", "word"),
    [
        ("Uid", "0 0 0 0", "root"),
        ("CapEff", "00000000a80425fb", "capabilities"),
        ("CapBnd", "00000000a80425fb", "capabilities"),
        ("NoNewPrivs", "0", "new privileges"),
        ("Seccomp", "0", "seccomp"),
    ],
)
def test_what_a_process_may_is_named(examined: Any, name: str, value: str, word: str) -> None:
    """The process itself is asked, whatever the engine says of it."""
    (problem,) = examined(INSPECTED, status={**STATUS, name: value})
    assert word in problem


def test_root_that_says_read_only_and_takes_a_file_is_found(examined: Any) -> None:
    """The trial counts, not the word."""
    assert examined(INSPECTED, writes=True) == ("w its root can be written",)


class Recorder:
    """A stack of two triggerers and one worker that writes down who is killed."""

    def __init__(self) -> None:
        self.killed: list[str] = []

    def containers(self, service: str) -> list[Container]:
        """Ids as an engine gives them; host names are their beginnings."""
        numbers = "12" if service == "triggerer" else "9"
        return [Container(number * 64, service, f"{service}-{number}", INSPECTED) for number in numbers]

    def kill(self, container: Container) -> str:
        """Writes it down."""
        self.killed.append(container.name)
        return "restarted"


def task(name: str, state: str, *, host: str = "", pid: int | None = None) -> dict[str, Any]:
    """A task instance as the API tells it."""
    return {"task_id": name, "map_index": -1, "state": state, "try_number": 1, "pid": pid, "triggerer_job": {"hostname": host}}


def question(step: str) -> Any:
    """An open question of a step."""
    return disturbance.Waiting("r", 0, step, "role", ("person",), {})


def test_the_triggerer_that_watches_is_killed_before_anybody_answers() -> None:
    """In phase 2 or 3, once, and not the other one; people wait until it has happened, and only then."""
    recorder = Recorder()
    watched = Disturbance(recorder, str)  # type: ignore[arg-type]
    early = [task("prerequisites.approval", "deferred", host="2" * 12)]
    assert watched.look(early, [question("prioritization")])
    assert not recorder.killed
    unknown = [task("optimization.plan", "deferred")]
    assert not watched.look(unknown, [question("plan")])
    now = [task("optimization.plan", "deferred", host="2" * 12)]
    assert watched.look(now, [question("plan")])
    assert watched.look(now, [question("plan")])
    assert recorder.killed == ["triggerer-2"]
    assert not watched.complete


def test_the_worker_that_runs_a_task_is_killed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second into a task of phase 2 or 3; a task of another phase is left alone."""
    recorder, moment = Recorder(), [100.0]
    watched = Disturbance(recorder, str)  # type: ignore[arg-type]
    monkeypatch.setattr(disturbance.time, "monotonic", lambda: moment[0])
    monkeypatch.setattr(Disturbance, "_holder", lambda self, pid: self.stack.containers("worker")[0] if pid == 7 else None)
    for tasks in ([task("intake_and_baseline.capture", "running", pid=7)], [task("diagnostics.load", "running", pid=7)]):
        watched.look(tasks, [])
        assert recorder.killed == []
    for _ in range(2):
        moment[0] += 2
        watched.look([task("diagnostics.load", "running", pid=7)], [])
        assert recorder.killed == ["worker-9"]
    assert "diagnostics.load" in watched.done["worker"]


def test_machine_that_cannot_run_it_gets_one_line_and_exit_code_2(tmp_path: Path) -> None:
    """Without any engine on PATH nothing is built, and nothing looks like a pass."""
    environment = {**os.environ, "PATH": str(tmp_path), "PYTHONPATH": os.pathsep.join(map(str, (ROOT / "include", ROOT / "plugins")))}
    command = [sys.executable, str(ROOT / "tests" / "compose" / "run.py"), str(tmp_path / "work")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("compose-test cannot run here: ")


def test_limits_of_the_engine_are_never_above_those_of_the_machine(tmp_path: Path) -> None:
    """An engine whose own defaults are higher could start no container at all."""
    text = engine._configuration(tmp_path)
    assert f"nofile={min(engine.MOST_LIMIT, engine.resource.getrlimit(engine.resource.RLIMIT_NOFILE)[1])}" in text
    assert str(tmp_path) in text


def test_every_image_of_the_stack_has_a_name_of_its_own_in_the_test() -> None:
    """No image of the machine is replaced or removed by a run, and none is asked of a registry."""
    named = {"BASE_IMAGE", *images.BUILT, *images.STAND_INS}
    assert named == set(re.findall(r"\$\{([A-Z0-9]+_IMAGE):-", (ROOT / "docker-compose.yaml").read_text()))
    assert all(tag.startswith("localhost/perfproof-test") for tag in [*images.BUILT.values(), images.BASE])


def test_one_shot_is_ready_when_it_ended_well() -> None:
    """A service that ends is done, a service that runs is healthy."""
    ended = {"Running": False, "Status": "exited", "ExitCode": 0}
    assert Container("c", stack.ONE_SHOT, "init", {"State": ended}).ready
    assert not Container("c", stack.ONE_SHOT, "init", {"State": {**ended, "ExitCode": 1}}).ready
    assert not Container("c", "worker", "w", {"State": ended}).ready
    assert Container("c", "worker", "w", INSPECTED).ready
    assert not Container("c", "worker", "w", changed("State.Health", {"Status": "starting"})).ready
